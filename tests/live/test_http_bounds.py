"""What others may take of the HTTP side of a node: connections, time, bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio

http_server = pytest.importorskip("raft_impl.server.http_server")
starlette_responses = pytest.importorskip("starlette.responses")

Ask = Callable[..., Awaitable[bytes]]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers everything, or waits."""
    if scope["path"] == "/wait":
        await trio.sleep(1)
    if scope["path"] == "/fail":
        raise KeyError("fail")
    await starlette_responses.PlainTextResponse("hello")(scope, receive, send)


@asynccontextmanager
async def served(**arguments: Any) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(http_server.HttpServer(hello, **arguments).run, listener, None)
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def ask(port: int, request: bytes) -> bytes:
    """Everything that is answered until the other end closes, within five seconds."""
    answer = b""
    with trio.fail_after(5):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            with suppress(trio.BrokenResourceError):  # it may close before it has read everything
                await stream.send_all(request)
                async for data in stream:
                    answer += data
    return answer


def request(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "host: h", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


def test_a_connection_too_many_is_answered_503_and_those_before_it_are_served() -> None:
    async def main() -> None:
        async with served(connections_max=4) as port:
            silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(3)]  # three quarters of four
            await trio.sleep(0.1)
            assert (await ask(port, b"")).startswith(b"HTTP/1.1 503 ")
            await silent[0].aclose()
            await trio.sleep(0.1)
            assert (await ask(port, request("/"))).endswith(b"hello")
            for stream in silent:
                await stream.aclose()

    trio.run(main)


def test_who_says_nothing_or_does_not_end_a_request_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "IDLE_S", 0.3)

    async def main() -> None:
        async with served() as port:
            assert await ask(port, b"") == b""
            assert b"hello" not in await ask(port, b"GET / HTTP/1.1\r\nhost:")

    trio.run(main)


def test_long_bodies_and_long_heads_are_refused() -> None:
    async def main() -> None:
        async with served() as port:
            for header in ("content-length: 999999", "content-length: x", "transfer-encoding: chunked"):
                status = (await ask(port, request("/", header)))[:12]
                assert status in (b"HTTP/1.1 413", b"HTTP/1.1 400"), header
            assert (await ask(port, request("/", "content-length: 999999")))[:12] == b"HTTP/1.1 413"
            assert (await ask(port, request("/" + "x" * 400_000)))[:10] in (b"", b"HTTP/1.1 4")
            assert (await ask(port, request("/"))).endswith(b"hello")

    trio.run(main)


def test_requests_under_way_are_bounded_and_garbage_and_failures_end_their_connection_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server.Bounded.__init__, "__kwdefaults__", {"requests_max": 1})

    async def main() -> None:
        async with served() as port, trio.open_nursery() as nursery:
            nursery.start_soon(ask, port, request("/wait"))
            await trio.sleep(0.2)
            assert b'"busy"' in await ask(port, request("/"))
        async with served() as port:
            assert (await ask(port, b"\x16\x03\x01\x00 no HTTP\r\n\r\n"))[:12] in (b"", b"HTTP/1.1 400")
            assert (await ask(port, request("/fail")))[:12] == b"HTTP/1.1 500"
            assert (await ask(port, request("/"))).endswith(b"hello")

    trio.run(main)
