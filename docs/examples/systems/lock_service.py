"""Counters behind locks that expire: an ordinary Trio program.

    foreshock run --system trio:docs/examples/systems/lock_service.py:Fenced --workload counter --nodes 1 --seed 1
    foreshock run --system trio:docs/examples/systems/lock_service.py:Unfenced --workload counter --nodes 1 --seed 1

A client takes the lock of a counter, and writes what it read and its own share together. A lock is lent for 300 ms, so
that a client that dies does not keep it. One that was paused, or cut off, for longer writes over what others wrote
meanwhile (Kleppmann 2016, How to do distributed locking). `Fenced` gives each holder a number and takes writes of the
latest one only.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import trio

from harness.systems.system import Completion

PORT = 7000
LENT_S = 0.3


class Session:
    """A client: read, change and write under the lock."""

    def __init__(self, name: str, servers: tuple[str, ...]) -> None:
        self.server = servers[0]

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Read, or add under the lock."""
        if f == "read":
            return Completion("ok", await self.ask("read", key))
        with trio.move_on_after(2):
            while True:
                token = await self.ask("take", key)
                if token is not None:
                    break
                await trio.sleep(0.02)
            total = await self.ask("read", key) + value
            if not await self.ask("write", key, total, token):
                return Completion("fail", error="fenced")
            await self.ask("free", key, token)
            return Completion("ok", [value, total] if f == "add-and-get" else value)
        return Completion("info", error="timeout")

    async def ask(self, *request: Any) -> Any:
        """Send one request, and read its answer to the end."""
        async with await trio.open_tcp_stream(self.server, PORT) as stream:
            await stream.send_all(json.dumps(request).encode())
            await stream.send_eof()
            answer = b"".join([chunk async for chunk in stream])
        if not answer.endswith(b"]"):
            raise trio.BrokenResourceError("no answer")
        return json.loads(answer)[0]


class Store:
    """Values, and numbers of locks, in one file; who holds a lock is in memory only."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.values, self.tokens = json.loads(Path(path).read_text()) if os.path.exists(path) else ({}, {})
        self.until: dict[str, float] = {}

    def save(self) -> None:
        """Make everything durable."""
        with open(self.path + ".new", "w") as file:
            json.dump([self.values, self.tokens], file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)
        os.fsync(os.open(os.path.dirname(self.path), os.O_RDONLY))


class Fenced:
    """The right one."""

    workloads, client = ("counter",), Session
    fences = True

    async def node(self, name: str, peers: list[str], data_dir: str) -> None:
        """Serve until cancelled."""
        store = Store(os.path.join(data_dir, "store"))

        def act(what: str, key: str, *rest: Any) -> Any:
            match what:
                case "read":
                    return store.values.get(key, 0)
                case "take":
                    if trio.current_time() < store.until.get(key, 0):
                        return None
                    store.until[key] = trio.current_time() + LENT_S
                    store.tokens[key] = store.tokens.get(key, 0) + 1
                    store.save()
                    return store.tokens[key]
                case "write":
                    if self.fences and rest[1] != store.tokens.get(key):
                        return False
                    store.values[key] = rest[0]
                    store.save()
                case "free" if rest[0] == store.tokens.get(key):
                    store.until.pop(key, None)
            return True

        async def serve(stream: trio.SocketStream) -> None:
            with contextlib.suppress(trio.BrokenResourceError, ValueError):  # a client that is gone, perhaps half-way
                request = json.loads(b"".join([chunk async for chunk in stream]))
                await stream.send_all(json.dumps([act(*request)]).encode())

        await trio.serve_tcp(serve, PORT)


class Unfenced(Fenced):
    """The one that trusts whoever once held the lock."""

    fences = False
