"""Where others are reached: as it was typed, and as memberships say it.

What a membership says comes first, because it may have been changed since; what was typed comes second, because a whole
cluster may have been moved while it did not run. A wrong one does no harm: the handshake says who answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from .arguments import Address, BadArguments, is_unspecified, parse_address


class AddressBook:
    """Addresses by name."""

    def __init__(self, typed: Mapping[str, Address]) -> None:
        self._typed = dict(typed)
        self._learnt: dict[str, dict[str, Address]] = {}  # by group

    def __contains__(self, name: str) -> bool:
        return name in self._typed or any(name in learnt for learnt in self._learnt.values())

    def learn(self, group: str, addresses: Mapping[str, str]) -> tuple[str, ...]:
        """Take the members of a group, instead of those before. Returns in sentences what could not be read."""
        read, unreadable = {}, []
        for name, text in addresses.items():
            try:
                read[name] = parse_address(name, text)
            except BadArguments as error:
                unreadable.append(str(error))
        self._learnt[group] = read
        return tuple(unreadable)

    def of(self, name: str) -> tuple[Address, ...]:
        """Where to try, in this order; nothing for who has no address."""
        found = [learnt[name] for learnt in self._learnt.values() if name in learnt]
        if name in self._typed:
            found.append(self._typed[name])
        return tuple(dict.fromkeys(found))


def told_to_others(addresses: Mapping[str, Address]) -> dict[str, str]:
    """Addresses as they go into a membership: without those that only say "every interface of this machine"."""
    return {name: spelled(address) for name, address in sorted(addresses.items()) if not is_unspecified(address[0])}


def spelled(address: Address) -> str:
    """HOST:PORT, as `parse_address` reads it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
