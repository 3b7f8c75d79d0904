"""Which server a client asks: where its requests begin, and where they go when a server does not help.

Three ways: `leader` follows the hints of servers to the leader, `home` asks one server always, `any` asks a random one.
Only reads may be answered by another server than the leader, so with every way all other requests follow hints.

The servers are those that the client was told in the beginning, and the members that servers named since: so a few
addresses suffice to begin with, and a client outlives the servers that it began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .env import Randomness

_NAMED_COUNT_MAX: Final = 64
"""Servers that are remembered beside the first; several memberships of any sensible group."""


class Route:
    """What one client knows of its servers."""

    def __init__(self, servers: Sequence[str], home: str | None, routing: str, randomness: Randomness) -> None:
        self.leader: str | None = None
        """Where the latest hint or success pointed."""
        self.silent_ns = 0
        """How long the latest server to be waited for in vain has been waited for; any reply ends the count."""
        self._first = tuple(servers)
        self._servers = self._first
        self._named: dict[str, str] = {}
        self._home = home if home is not None else self._servers[0]
        self._start = self._home  # where the next operation begins that follows no hint: behind a server without answer
        self._routing = routing
        self._randomness = randomness
        self._silent = ""  # the server that was last waited for in vain

    @property
    def server_count(self) -> int:
        """Number of servers."""
        return len(self._servers)

    def knows(self, server: str) -> bool:
        """Whether a server can be reached, as far as was said here."""
        return server in self._servers

    def learn(self, addresses: Mapping[str, str]) -> Mapping[str, str]:
        """Take the members that a server has named. Returns the address of each that was named so far.

        A server that was removed names members of its time, so those named before are kept, as many as are in bounds.
        """
        for name, address in addresses.items():
            self._named.pop(name, None)  # to the end: the front is who was not named for longest
            self._named[name] = address
        while len(self._named) > _NAMED_COUNT_MAX:
            del self._named[next(iter(self._named))]
        self._servers = (*self._first, *(name for name in self._named if name not in self._first))
        return self._named

    def follows_hints(self, *, is_read: bool) -> bool:
        """Whether a request goes where the leader is said to be."""
        return self._routing == "leader" or not is_read

    def first(self, *, follows_hints: bool) -> str:
        """The server for the first attempt of an operation."""
        if self.leader is not None and follows_hints:
            return self.leader
        return self._random() if self._routing == "any" else self._start

    def is_silent(self, server: str, waited_ns: int, patience_ns: int) -> bool:
        """Note that a server was waited for in vain. Returns whether that was long enough to leave it.

        The deadline of an operation may cut the wait for its last server short. A client that left this one at once
        would leave a leader that it has just found, for servers that it has found silent. So the wait goes on in the
        next operation, and both count.
        """
        if server != self._silent:
            self._silent, self.silent_ns = server, 0
        self.silent_ns += waited_ns
        return self.silent_ns >= patience_ns

    def after(self, server: str) -> str:
        """The server to try after one that did not help."""
        if self.leader == server:
            self.leader = None
        match self._routing:
            case "home":
                return self._home
            case "any":
                return self._random()
            case _:
                return self._walk_on(server)

    def _walk_on(self, server: str) -> str:
        """Take the next server of the walk through all; from where the walk is, wherever hints have led from there.

        Servers that are cut off go on naming each other. A walk that went on behind the last one that was named would
        stay among them.
        """
        position = self._servers.index(self._start) if self._start in self._servers else -1
        following = [*self._servers[position + 1 :], *self._servers[: position + 1]]
        self._start = next((other for other in following if other != server), server)
        return self._start

    def _random(self) -> str:
        return self._servers[self._randomness.below(len(self._servers), "route")]
