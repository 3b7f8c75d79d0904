"""Locks by key: acquire answers `held` when a holder has it, release answers `absent` when the caller has not.

The value of both commands names the owner; null is the anonymous owner, so one
anonymous client may release what another acquired.
"""

from __future__ import annotations

from typing import Any, Final

from .base import MALFORMED, OK, Answer, Image, Table, pack, since_first_level, unpack


class Lock:
    """Owners by key; a lock that is free is not there."""

    commands: Final = since_first_level("acquire", "release", "read")

    def __init__(self) -> None:
        self._owners = Table()

    @property
    def digest(self) -> int:
        """Sum of the digests of the locks that are held."""
        return self._owners.digest

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command."""
        name, owner = pack(key), pack(value)
        match f:
            case "acquire":
                if self._owners.get(name) is not None:
                    return "held", None
                self._owners.put(name, owner)
                return OK, value
            case "release":
                if self._owners.get(name) != owner:
                    return "absent", None
                self._owners.pop(name)
                return OK, value
            case _:
                return self.read(f, key, value)

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """The owner as a list of one, or an empty list."""
        if f != "read":
            return MALFORMED, None
        owner = self._owners.get(pack(key))
        return OK, [] if owner is None else [unpack(owner)]

    def image(self) -> Image:
        """All locks that are held."""
        return self._owners.image()

    def restore(self, data: bytes) -> None:
        """Replace all locks."""
        self._owners.restore(data)
