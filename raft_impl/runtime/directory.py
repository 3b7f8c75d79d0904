"""Where the members of one group are reached: what its log says, and what its leader must still write there.

Addresses are part of the membership (see `protocol.membership`), so whoever follows the log knows them: servers tell
their network, and every client that greets them. A log of a release that did not write them lacks some; a leader that
knows one otherwise, by what it was started with, writes it down.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..protocol.membership import located, members
from ..protocol.state import Membership, NodeId


class Directory:
    """The addresses of one group at one replica. `told` are those with which the server was started."""

    def __init__(self, voters: tuple[NodeId, ...], learners: tuple[NodeId, ...], told: Mapping[str, str]) -> None:
        self.addresses: tuple[tuple[NodeId, str], ...] = ()
        """Of all members in force whose address is known, sorted by name."""
        self.unwritten: tuple[tuple[NodeId, str], ...] = ()
        """Those among them that the membership in force lacks."""
        self._known = {NodeId(name): address for name, address in told.items()}
        self.initial = located(Membership(voters, (), learners), self._known)
        """The membership before the log has one."""

    def follow(self, membership: Membership) -> None:
        """Take a membership that came into force."""
        written = dict(membership.addresses)
        self._known.update(written)
        self.addresses = tuple((node, self._known[node]) for node in members(membership) if node in self._known)
        self.unwritten = tuple(pair for pair in self.addresses if pair[0] not in written)
