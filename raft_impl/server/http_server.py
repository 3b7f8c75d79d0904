"""HTTP connections within bounds: Hypercorn speaks on each, this accepts them, counts them, and ends the idle.

Hypercorn's own loop accepts whoever comes, and descriptors are one purse with the log and the other nodes. So the loop
is here: with too many connections, of all or of one host, a new one is answered 503 and closed. A connection that says
nothing, or begins a request and does not end it, is closed after `IDLE_S`. A body is of no use to any route; one that
is announced as long, or that has no announced end, is answered 413. Requests under way are bounded too, since one
connection may carry many.
"""

from __future__ import annotations

import ssl
from collections import Counter
from contextlib import suppress
from typing import Any, Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from starlette.responses import Response

from .reports import OnEvent, Reports

IDLE_S: Final = 10
TARGET_BYTES_MAX: Final = 64 * 1024
"""Of the first line and the headers of a request; keys and values stand there."""
BODY_BYTES_MAX: Final = 64 * 1024
REQUESTS_MAX: Final = 256
"""Requests under way."""
CONNECTIONS_MAX: Final = 256
HOST_SHARE: Final = 0.75
"""Part of these that one address may have."""
_FAREWELL_S: Final = 0.5
_FAREWELLS_MAX: Final = 16
"""Refused connections that are told so at the same time; more are closed without a word."""
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b'content-length: 61\r\n\r\n{"error":"busy","reason":"too many connections to this node"}'
)


class HttpServer:
    """Serves one application on one listening socket."""

    def __init__(self, app: Any, *, connections_max: int = CONNECTIONS_MAX, on_event: OnEvent | None = None) -> None:
        self._app = ASGIWrapper(Bounded(app))
        self._connections_max = connections_max
        self._hosts: Counter[str] = Counter()
        self._farewells = 0
        self._reports = Reports(on_event)
        self._context = WorkerContext(None)
        self._config = Config()
        self._config.keep_alive_timeout = self._config.read_timeout = IDLE_S
        self._config.h11_max_incomplete_size = TARGET_BYTES_MAX
        self._config.ssl_handshake_timeout = IDLE_S

    async def run(self, listener: trio.SocketListener, tls: ssl.SSLContext | None) -> None:
        """Serve until cancelled."""
        secured = trio.SSLListener(listener, tls, https_compatible=True) if tls is not None else listener
        await trio.serve_listeners(self._accept, [secured])

    async def _accept(self, stream: Any) -> None:
        plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        try:
            host = str(plain.socket.getpeername()[0])
        except OSError:
            await trio.aclose_forcefully(stream)
            return
        limit = self._connections_max
        if self._hosts.total() >= limit or self._hosts[host] >= limit * HOST_SHARE:
            self._reports.report("http-refused", peer=host, word="too-many-connections", why=f"at most {limit}")
            if self._farewells < _FAREWELLS_MAX:
                self._farewells += 1
                await _turn_away(stream)
                self._farewells -= 1
            await trio.aclose_forcefully(stream)
            return
        self._hosts[host] += 1
        try:
            await _Connection(self._app, self._config, self._context, ConnectionState({}), stream)
        except Exception as error:  # whatever one connection brings about, the node goes on
            self._reports.report("http-fault", peer=host, word=type(error).__name__, why=str(error))
            await trio.aclose_forcefully(stream)
        finally:
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]


class _Connection(TCPServer):
    """One connection. Hypercorn keeps one that the other end has closed until its idle time is over; this does not."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


async def _turn_away(stream: Any) -> None:
    """Say why, and wait a moment for it to be read: closing on unread bytes would take the answer back."""
    with trio.move_on_after(_FAREWELL_S), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        if not isinstance(stream, trio.SSLStream):  # else there is nobody yet who could read it
            await stream.send_all(_FULL)
            await stream.send_eof()
            await stream.receive_some(TARGET_BYTES_MAX)
    await trio.aclose_forcefully(stream)


class Bounded:
    """An application whose requests are small and not too many."""

    def __init__(self, app: Any, *, requests_max: int = REQUESTS_MAX) -> None:
        self._app = app
        self._requests_max = requests_max
        self._count = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers or not length.isdigit() or len(length) > 9 or int(length) > BODY_BYTES_MAX:
            await _refuse(413, "too-large", "no operation has a body")(scope, receive, send)
            return
        if self._count >= self._requests_max:
            await _refuse(503, "busy", "too many operations are under way")(scope, receive, send)
            return
        self._count += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._count -= 1


def _refuse(status: int, word: str, reason: str) -> Response:
    content = f'{{"error":"{word}","reason":"{reason}"}}\n'
    return Response(content, status, {"connection": "close"}, "application/json")
