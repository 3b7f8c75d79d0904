"""A register on a primary and its copies: an ordinary Trio program over TCP, which knows nothing of a simulator.

    foreshock run --system trio:docs/examples/systems/tcp_register.py:Eager --profile partitions --seed 1

The first node is the primary, which takes all writes. With `Primary` it also answers all reads. With `Eager` each node
answers reads from its own copy, which the primary sends without waiting: quick, and wrong.
"""

import json
from contextlib import suppress
from typing import Any

import trio

from harness.systems.system import Completion

PORT = 7000


class Lines:
    """JSON lines over a stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream, self.buffer = stream, b""

    async def read(self) -> Any:
        """The next one, or None at the end."""
        while b"\n" not in self.buffer:
            chunk = await self.stream.receive_some()
            if not chunk:
                return None
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    async def write(self, value: Any) -> None:
        """Send one."""
        await self.stream.send_all(json.dumps(value).encode() + b"\n")


class Session:
    """A client: reads at `reads_at`, writes at the primary, one request at a time on a connection to each."""

    def __init__(self, reads_at: str, primary: str) -> None:
        self.reads_at, self.primary, self.connections = reads_at, primary, dict[str, Lines]()

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op."""
        server = self.reads_at if f == "read" else self.primary
        if server not in self.connections:
            with trio.move_on_after(1) as connecting:
                self.connections[server] = Lines(await trio.open_tcp_stream(server, PORT))
            if connecting.cancelled_caught:
                return Completion("fail", error="no-connection")
        lines = self.connections[server]
        with trio.fail_after(1):
            await lines.write([f, key, value])
            answer = await lines.read()
        if answer is None:
            raise trio.BrokenResourceError
        return Completion(*answer)

    async def aclose(self) -> None:
        """Close the connections."""
        for lines in self.connections.values():
            await lines.stream.aclose()


class Primary:
    """All ops at the first node."""

    workloads = ("register",)
    copies = False

    def client(self, name: str, servers: tuple[str, ...]) -> Session:
        """A session of a client; the nearest server comes first."""
        return Session(servers[0] if self.copies else min(servers), min(servers))

    async def node(self, name: str, peers: list[str], data_dir: str) -> None:
        """Serve until cancelled."""
        table: dict[str, Any] = {}
        feeds: list[trio.MemorySendChannel[Any]] = []

        async def serve(stream: trio.SocketStream) -> None:
            lines = Lines(stream)
            with suppress(trio.BrokenResourceError):
                while (request := await lines.read()) is not None:
                    f, key, value = request
                    answer = ["ok", table.get(key) if f == "read" else value]
                    if f == "cas" and table.get(key) != value[0]:
                        answer = ["fail", None, "mismatch"]
                    elif f != "read":
                        table[key] = value[1] if f == "cas" else value
                        for feed in feeds:
                            feed.send_nowait(["write", key, table[key]])
                    await lines.write(answer)

        async def copy_to(peer: str, changes: trio.MemoryReceiveChannel[Any]) -> None:
            while True:
                with suppress(OSError, trio.BrokenResourceError):
                    lines = Lines(await trio.open_tcp_stream(peer, PORT))
                    async for change in changes:
                        await lines.write(change)
                        await lines.read()
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            if self.copies and name < min(peers):
                for peer in peers:
                    send, receive = trio.open_memory_channel[Any](10_000)
                    feeds.append(send)
                    nursery.start_soon(copy_to, peer, receive)
            await trio.serve_tcp(serve, PORT)


class Eager(Primary):
    """Reads at any node."""

    copies = True
