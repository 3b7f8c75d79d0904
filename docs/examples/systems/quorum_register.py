"""A register that any majority keeps alive (Attiya, Bar-Noy, Dolev 1995): an ordinary Trio program.

    foreshock run --system trio:docs/examples/systems/quorum_register.py:Quorum --seed 1
    foreshock run --system trio:docs/examples/systems/quorum_register.py:Forgetful --seed 1

A write asks a majority for the newest version of the key and stores the next one at a majority; a read stores what it
found before it answers. `Forgetful` never syncs the directory into which it renames its table: after a power cut the
old one may be back, without what was acknowledged.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import trio

from harness.systems.system import Completion

PORT = 7000


async def next_line(stream: trio.SocketStream, buffer: bytearray) -> Any:
    """The next JSON line of a stream, or None at its end."""
    while b"\n" not in buffer:
        chunk = await stream.receive_some()
        if not chunk:
            return None
        buffer += chunk
    line, _, buffer[:] = buffer.partition(b"\n")
    return json.loads(line)


class Session:
    """A client, which coordinates its own reads and writes."""

    def __init__(self, name: str, servers: tuple[str, ...]) -> None:
        self.servers = servers

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform a read or a write; a register of this kind has no compare-and-set."""
        if f == "cas":
            return Completion("fail", error="unsupported")
        with trio.fail_after(2):
            (number, writer), found = max(await self.ask_majority(["get", key]), key=lambda answer: answer[0])
            if f == "write":
                number, writer, found = number + 1, uuid.uuid4().hex, value
            await self.ask_majority(["set", key, [number, writer], found])
        return Completion("ok", found)

    async def ask_majority(self, request: list[Any]) -> list[Any]:
        """The answers of the first majority of the servers."""
        answers: list[Any] = []
        async with trio.open_nursery() as nursery:
            for server in self.servers:
                nursery.start_soon(self.ask, server, request, answers, nursery.cancel_scope)
        return answers

    async def ask(self, server: str, request: list[Any], answers: list[Any], enough: trio.CancelScope) -> None:
        """Ask one server until it answers."""
        while True:
            try:
                async with await trio.open_tcp_stream(server, PORT) as stream:
                    await stream.send_all(json.dumps(request).encode() + b"\n")
                    if (answer := await next_line(stream, bytearray())) is not None:
                        answers.append(answer)
                        if len(answers) > len(self.servers) // 2:
                            enough.cancel()
                        return
            except (OSError, trio.BrokenResourceError):
                await trio.sleep(0.1)


class Quorum:
    """The right one."""

    workloads, capabilities, client = ("register",), ("disk", "majority"), Session
    syncs_directory = True

    def load(self, path: str) -> dict[str, Any]:
        """The table as it was saved."""
        return dict(json.loads(Path(path).read_text())) if os.path.exists(path) else {}

    def save(self, path: str, table: dict[str, Any]) -> None:
        """Replace the file as a whole; it is durable when this returns."""
        with open(path + ".new", "w") as file:
            json.dump(table, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        if self.syncs_directory:
            os.fsync(os.open(os.path.dirname(path), os.O_RDONLY))

    async def node(self, name: str, peers: list[str], data_dir: str) -> None:
        """Serve until cancelled."""
        table = self.load(path := os.path.join(data_dir, "table"))

        async def serve(stream: trio.SocketStream) -> None:
            buffer = bytearray()
            try:
                while (request := await next_line(stream, buffer)) is not None:
                    what, key, *entry = request
                    if what == "set" and entry[0] > table.get(key, [[0, ""]])[0]:
                        self.save(path, {**table, key: entry})
                        table[key] = entry
                    await stream.send_all(json.dumps(table.get(key, [[0, ""], None])).encode() + b"\n")
            except trio.BrokenResourceError:
                pass

        await trio.serve_tcp(serve, PORT)


class Forgetful(Quorum):
    """The one that forgets."""

    syncs_directory = False
