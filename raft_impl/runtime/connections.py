"""A client's connections: which incarnation of each server it talks to, and the ids of its requests (see `wire`)."""

from __future__ import annotations

from typing import Final

from .driver_messages import Action, Hello, Request
from .env import Environment
from .wire import encode

_CLIENT_NUMBERS: Final = 1 << 62
_REQUEST_IDS: Final = 1 << 62


class Connections:
    """Sends the requests of one client, and greets a server before its first request to it."""

    def __init__(self, env: Environment, group: str) -> None:
        self.group = group
        self._network = env.network
        self._client = env.randomness.below(_CLIENT_NUMBERS, "client")
        # Ids begin anywhere, so that no late reply to an earlier client of this address answers a request of this one.
        self._last_id = env.randomness.below(_REQUEST_IDS, "request")
        self._numbers: dict[str, int] = {}  # by server

    def forget(self, server: str) -> None:
        """Greet a server again before the next request to it: it may know servers that are not known here."""
        self._numbers.pop(server, None)

    def learn(self, server: str, number: int) -> bool:
        """Take the number of a server's present incarnation. Returns whether this server was not known before."""
        is_new = server not in self._numbers
        self._numbers[server] = number
        return is_new

    def send(self, server: str, action: Action, session: int, sequence: int, call: bytes) -> int | None:
        """Send a request and return its id; or greet the server, if it is not known yet, and return None."""
        number = self._numbers.get(server)
        if number is None:
            self._network.send(server, encode(self.group, Hello(self._client)))
            return None
        self._last_id += 1
        request = Request(number, self._client, self._last_id, action, session, sequence, call)
        self._network.send(server, encode(self.group, request))
        return self._last_id
