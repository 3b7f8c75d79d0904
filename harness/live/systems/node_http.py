"""Clients of our node's HTTP gateway, which offers reads, writes and increments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from harness.plans.plan import Actor
from harness.systems.system import Completion

from .http_exchange import Broken, HttpConnection
from .system import Site


class HttpClient:
    """A client of the HTTP gateways: of its home, or of one node after the other."""

    def __init__(self, site: Site, actor: Actor) -> None:
        nodes: Sequence[str] = site.addresses.nodes
        self._addresses = [site.addresses.told(node, "http") for node in nodes]
        self._next = nodes.index(actor.home) if actor.home in nodes else 0
        self._moves = actor.routing != "home"
        self._is_counter = site.machine.startswith("counter")
        self._timeout_s = int(site.options["client_timeout_ms"]) / 1000
        self._connection: HttpConnection | None = None

    async def open(self) -> str | None:
        """Nothing: a request opens what it needs."""
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op; what HTTP does not offer surely did not happen."""
        request = _request(f, key, value)
        if request is None:
            return Completion("fail", error="unsupported")
        try:
            status, body = await self._ask(*request)
        except Broken as error:
            return Completion("info" if error.was_sent else "fail", error="unreachable")
        answer = msgspec.json.decode(body) if body.startswith(b"{") else {}
        if status == 200:
            return Completion("ok", value=self._value(f, answer["value"], value))
        if status == 404 and answer.get("error") == "absent":
            return Completion("ok", value=0 if self._is_counter else None)
        is_unknown = answer.get("outcome") == "unknown" or status not in (400, 404, 409, 503)
        return Completion("info" if is_unknown else "fail", error=str(answer.get("error", status)))

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _value(self, f: str, found: Any, asked: Any) -> Any:
        """What was learnt. Values travel as texts where the gateway cannot know what they were."""
        if f == "read":
            return int(found)
        return [asked, found] if f == "add-and-get" else asked

    async def _ask(self, path: str, words: Mapping[str, Any]) -> tuple[int, bytes]:
        if self._connection is None or self._connection.is_broken:
            address = self._addresses[self._next]
            if self._moves:
                self._next = (self._next + 1) % len(self._addresses)
            self._connection = HttpConnection(address)
        return await self._connection.exchange("POST", f"{path}?{urlencode(words)}", b"", self._timeout_s)


def _request(f: str, key: str | None, value: Any) -> tuple[str, Mapping[str, Any]] | None:
    match f:
        case "read":
            return "/get", {"key": key}
        case "write":
            return "/set", {"key": key, "value": value}
        case "add" | "add-and-get":
            return "/increment", {"key": key, "by": value}
        case _:
            return None
