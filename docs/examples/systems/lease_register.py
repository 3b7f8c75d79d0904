"""A register whose leader holds a lease: an ordinary Trio program.

    foreshock run --system trio:docs/examples/systems/lease_register.py:WallClock --nodes 3 --profile clocks --seed 1

The first node keeps the table, and lends the leadership to one node at a time, for a second. The leader stores writes
there, and answers reads from memory while its lease lasts (Gray and Cheriton 1989). Both sides count by their own
clocks, and in `WallClock` by clocks that can be set.
"""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio

from harness.systems.system import Completion

PORT, LENT_S, USED_S = 7000, 1.0, 0.9


async def ask(server: str, *request: Any) -> Any:
    """Send one request, and read its answer. Raises OSError or TooSlowError where it did surely not arrive."""
    with trio.fail_after(0.4):
        stream = await trio.open_tcp_stream(server, PORT)
    async with stream:
        await stream.send_all(json.dumps(request).encode())
        await stream.send_eof()
        return json.loads(b"".join([chunk async for chunk in stream]))[0]


class Session:
    """A client, which asks one node after another until one leads."""

    def __init__(self, name: str, servers: tuple[str, ...]) -> None:
        self.servers = servers

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Read or write; there is no compare-and-set."""
        for server in self.servers * 4 if f != "cas" else ():
            with suppress(OSError, trio.TooSlowError):
                if (answer := await ask(server, f, key, value)) is not None:
                    return Completion(*answer)
            await trio.sleep(0.1)
        return Completion("fail", error="nobody-leads")


class Monotonic:
    """The right one."""

    workloads, client, clock = ("register",), Session, staticmethod(time.monotonic)

    async def node(self, name: str, peers: list[str], data_dir: str) -> None:
        """Serve until cancelled."""
        self.first, self.turn, self.path = min([name, *peers]), trio.Lock(), Path(data_dir, "table")
        self.epoch, self.until, self.values = -1, 0.0, {}  # as a leader
        self.lent_epoch, self.table = json.loads(self.path.read_text()) if self.path.exists() else (0, {})
        self.lent_until = self.clock() + LENT_S * self.path.exists()  # lent before a restart
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.lead)
            await trio.serve_tcp(self.serve, PORT)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer one request."""
        with suppress(trio.BrokenResourceError, ValueError):  # of one that is gone, perhaps half-way
            what, *rest = json.loads(b"".join([chunk async for chunk in stream]))
            answer = self.keep(what, *rest) if what in ("lend", "store") else await self.act(what, *rest)
            await stream.send_all(json.dumps([answer]).encode())

    def keep(self, what: str, epoch: int, key: str = "", value: Any = None) -> Any:
        """At the first node: lend to a new leader, or longer to the one of this epoch, or store what it wrote."""
        if epoch != self.lent_epoch:
            if what == "store" or self.clock() < self.lent_until:
                return None
            self.lent_epoch += 1
        self.lent_until = self.clock() + LENT_S
        if what == "store":
            self.table[key] = value
        with open(f"{self.path}.new", "w") as file:
            json.dump([self.lent_epoch, self.table], file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{self.path}.new", self.path)
        os.fsync(os.open(self.path.parent, os.O_RDONLY))
        return [self.lent_epoch, self.table]

    async def ask_first(self, *request: Any) -> Any:
        """What the first node answers, or None."""
        with trio.move_on_after(LENT_S / 2), suppress(OSError, trio.TooSlowError, trio.BrokenResourceError):
            return await ask(self.first, *request)

    async def lead(self) -> None:
        """Ask for the lease, and again before it ends."""
        while True:
            await trio.sleep(LENT_S / 4)
            async with self.turn:
                begin = self.clock()
                if lent := await self.ask_first("lend", self.epoch):
                    (self.epoch, self.values), self.until = lent, begin + USED_S

    async def act(self, f: str, key: str, value: Any) -> Any:
        """Answer a client, or None if another node should."""
        async with self.turn:
            if self.clock() >= self.until:
                return None
            if f == "read":
                return ["ok", self.values.get(key)]
            if not await self.ask_first("store", self.epoch, key, value):
                return ["info", None]  # where it was stored all the same, the next lease will tell
            self.values[key] = value
            return ["ok", value]


class WallClock(Monotonic):
    """The one that trusts clocks that can be set."""

    capabilities, clock = ("wall-clock",), staticmethod(time.time)
