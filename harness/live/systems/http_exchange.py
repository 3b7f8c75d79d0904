"""One exchange over HTTP/1.1 after another on a connection that is kept alive.

A client of a test must know whether its request may have reached anybody: where the connection breaks before a byte of
it was sent, the operation surely did not happen, and afterwards nobody can know. Libraries that retry by themselves, or
hide when they sent, cannot say that; h11 leaves it to us.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import h11
import msgspec
import trio

_PIECE_BYTES: Final = 65_536
_BROKEN: Final = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    h11.RemoteProtocolError,
)


Document = Mapping[str, Any]
"""What is sent and answered as JSON."""


class Broken(Exception):
    """No answer came. `was_sent`: the request, or a part of it, may have arrived."""

    def __init__(self, *, was_sent: bool) -> None:
        super().__init__("sent and not answered" if was_sent else "not sent")
        self.was_sent = was_sent


class HttpConnection:
    """A connection to one server, opened by the first exchange. Once broken, it stays so."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.is_broken = False
        self._address = address
        self._stream: trio.SocketStream | None = None
        self._protocol = h11.Connection(h11.CLIENT)

    async def exchange(self, method: str, target: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Send a request, and give status and body of the answer. Raises Broken, in time."""
        was_sent, is_whole = False, False
        try:
            with trio.fail_after(timeout_s):
                if self._stream is None:
                    self._stream = await trio.open_tcp_stream(*self._address)
                was_sent = True
                await self._stream.send_all(self._request(method, target, body))
                answer = await self._answer(self._stream)
                is_whole = True
                return answer
        except _BROKEN:
            raise Broken(was_sent=was_sent) from None
        finally:
            if not is_whole:
                self.close()

    async def post(self, path: str, document: Document, timeout_s: float) -> tuple[int, Document]:
        """Post a JSON document, and give status and document of the answer. Raises Broken, in time."""
        status, body = await self.exchange("POST", path, msgspec.json.encode(document), timeout_s)
        try:
            return status, msgspec.json.decode(body, type=dict)
        except msgspec.DecodeError:  # an error of a server as text
            return status, {"error": body.decode(errors="replace")}

    def close(self) -> None:
        """Hang up."""
        self.is_broken = True
        if self._stream is not None:
            self._stream.socket.close()
            self._stream = None

    def _request(self, method: str, target: str, body: bytes) -> bytes:
        host, port = self._address
        headers = [("Host", f"{host}:{port}"), ("Content-Length", str(len(body)))]
        if body:
            headers.append(("Content-Type", "application/json"))
        send = self._protocol.send
        events = (h11.Request(method=method, target=target, headers=headers), h11.Data(data=body), h11.EndOfMessage())
        return b"".join(send(event) or b"" for event in events)

    async def _answer(self, stream: trio.SocketStream) -> tuple[int, bytes]:
        status, parts = 0, []
        while True:
            match self._protocol.next_event():
                case h11.NEED_DATA:
                    self._protocol.receive_data(await stream.receive_some(_PIECE_BYTES))
                case h11.Response() as response:
                    status = response.status_code
                case h11.Data() as data:
                    parts.append(bytes(data.data))
                case h11.EndOfMessage():
                    if self._protocol.our_state is h11.MUST_CLOSE:
                        self.close()
                    else:
                        self._protocol.start_next_cycle()
                    return status, b"".join(parts)
                case h11.ConnectionClosed():
                    raise h11.RemoteProtocolError("it hung up")
