"""One node of a Maelstrom program: the program, with its messages on sockets instead of standard input and output.

`python -m harness.live.systems.maelstrom_node '{"name": ..., ...}'` starts it; `Settings` says what the argument holds.
It tells the program who it is, waits for the answer, and listens then. Whoever connects sends messages, a line each.
What the program prints goes to the other nodes, or on the connection on which its client asked. The program belongs to
the process group of this one, and is killed and stopped with it.

A message to a node that cannot be reached is lost, as networks lose them. Services such as `lin-kv` are none of this
network: `foreshock maelstrom` has them.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Final

import msgspec
import trio

from harness.live.maelstrom_protocol import LINE_BYTES_MAX, NODE_NOT_FOUND, Message, NotAMessage, decode, encode, error

WAITING_MAX: Final = 1_000
"""Messages to a node that wait to be sent; what comes on top is lost."""
_CONNECT_AGAIN_SECONDS: Final = 0.02
_HARNESS: Final = "c0"
"""Who sets a node up."""
_BROKEN: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)

_decoder = msgspec.json.Decoder(Message)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a node must know."""

    name: str
    own: tuple[str, int]
    """Where it listens."""
    told: dict[str, tuple[str, int]]
    """Where it reaches each other node."""
    command: tuple[str, ...]
    folder: str
    """Where the program is started."""


class Node:
    """The program and its connections."""

    def __init__(self, settings: Settings, process: trio.Process) -> None:
        self._settings = settings
        self._process = process
        self._to_program, self._for_program = trio.open_memory_channel[bytes](WAITING_MAX)
        self._to_nodes: dict[str, trio.MemorySendChannel[bytes]] = {}
        self._clients: dict[str, trio.SocketStream] = {}
        self._is_set_up = trio.Event()
        self.wrong = ""
        """What the program printed that is no message."""

    async def run(self) -> None:
        """Serve until the program ends."""
        async with trio.open_nursery() as nursery:
            for name, address in self._settings.told.items():
                self._to_nodes[name], waiting = trio.open_memory_channel[bytes](WAITING_MAX)
                nursery.start_soon(_send, address, waiting)
            nursery.start_soon(self._feed)
            nursery.start_soon(self._serve)
            body = {"type": "init", "msg_id": 1, "node_id": self._settings.name, "node_ids": self._names()}
            await self._to_program.send(encode(Message(_HARNESS, self._settings.name, body)))
            try:
                await self._listen_to_program()
            except NotAMessage as error:
                self.wrong = f"its program printed what is no message: {error}"
            nursery.cancel_scope.cancel()

    def _names(self) -> list[str]:
        return sorted([self._settings.name, *self._settings.told])

    async def _serve(self) -> None:
        await self._is_set_up.wait()
        host, port = self._settings.own
        await trio.serve_tcp(self._hear, port, host=host)

    async def _hear(self, stream: trio.SocketStream) -> None:
        """Pass on what comes on one connection, of another node or of a client, until it ends."""
        rest, asked = b"", set()
        with contextlib.suppress(*_BROKEN):
            async for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    message = _decoder.decode(line)
                    if message.src not in self._settings.told:
                        self._clients[message.src] = stream
                        asked.add(message.src)
                    await self._to_program.send(encode(Message(message.src, self._settings.name, message.body)))
        for client in asked:
            del self._clients[client]

    async def _feed(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(*_BROKEN):
            async for line in self._for_program:
                await self._process.stdin.send_all(line)

    async def _listen_to_program(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        async for chunk in self._process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                await self._pass_on(decode(line, self._settings.name))
            if len(rest) > LINE_BYTES_MAX:
                raise NotAMessage(f"a line of more than {LINE_BYTES_MAX:,} bytes")

    async def _pass_on(self, message: Message) -> None:
        target = message.dest
        if target in self._to_nodes:
            with contextlib.suppress(trio.WouldBlock):
                self._to_nodes[target].send_nowait(encode(message))
        elif target == self._settings.name:
            await self._to_program.send(encode(message))
        elif target == _HARNESS:
            self._is_set_up.set()
        elif target in self._clients:
            with contextlib.suppress(*_BROKEN):
                await self._clients[target].send_all(encode(message))
        elif "msg_id" in message.body:
            reply = {**error(NODE_NOT_FOUND, f"no {target} here"), "in_reply_to": message.body["msg_id"]}
            await self._to_program.send(encode(Message(target, self._settings.name, reply)))


async def _send(address: tuple[str, int], waiting: trio.MemoryReceiveChannel[bytes]) -> None:
    """Send to one other node what waits, on a connection that is made anew when it breaks."""
    while True:
        with contextlib.suppress(*_BROKEN):
            async with await trio.open_tcp_stream(*address) as stream:
                async for line in waiting:
                    await stream.send_all(line)
        await trio.sleep(_CONNECT_AGAIN_SECONDS)


async def _main(settings: Settings) -> str:
    """Run a node. Returns in a line why it ended."""
    try:
        process = await trio.lowlevel.open_process(
            settings.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=settings.folder
        )
    except OSError as failed:
        return f"{settings.command[0]} cannot be started: {failed.strerror}"
    node = Node(settings, process)
    await node.run()
    return node.wrong or f"its program ended with {await process.wait()}"


def main(argument: str) -> None:
    """Run one node until its program ends or it is killed."""
    settings = msgspec.json.decode(argument, type=Settings)
    sys.exit(f"{settings.name}: {trio.run(_main, settings)}")


if __name__ == "__main__":
    main(sys.argv[1])
