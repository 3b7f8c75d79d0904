"""A register whose leader holds a lease: an ordinary Trio program.

    foreshock run --system trio:docs/examples/systems/lease_register.py:Monotonic --nodes 3 --profile clocks --seed 1
    foreshock run --system trio:docs/examples/systems/lease_register.py:WallClock --nodes 3 --profile clocks --seed 1

A majority lends the leadership for a second, and then takes no writes of older epochs; the new leader stores what it
learned at a majority, and answers reads from memory as long as its lease lasts (Gray and Cheriton 1989). Both sides
count that time by their own clocks. `WallClock` counts it by clocks that an administrator may set.
"""

import json
import os
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio

from harness.systems.system import Completion

PORT, LENT_S, USED_S = 7000, 1.0, 0.9


async def ask(server: str, *request: Any) -> Any:
    """Send one request, and read its answer to the end. Raises ConnectionError where it did surely not arrive."""
    try:
        with trio.fail_after(0.4):
            stream = await trio.open_tcp_stream(server, PORT)
    except (OSError, trio.TooSlowError) as error:
        raise ConnectionError(server) from error
    async with stream:
        await stream.send_all(json.dumps(request).encode())
        await stream.send_eof()
        answer = b"".join([chunk async for chunk in stream])
    if not answer.endswith(b"]"):
        raise trio.BrokenResourceError("no answer")
    return json.loads(answer)[0]


class Session:
    """A client, which asks one node after another until one leads."""

    def __init__(self, name: str, servers: tuple[str, ...]) -> None:
        self.servers = servers

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Read or write; there is no compare-and-set."""
        for server in self.servers * 4 if f != "cas" else ():
            with suppress(ConnectionError):
                if (answer := await ask(server, f, key, value)) is not None:
                    return Completion(*answer)
            await trio.sleep(0.1)
        return Completion("fail", error="nobody-leads")


class Monotonic:
    """The right one."""

    workloads, client, capabilities = ("register",), Session, ("majority",)
    clock = staticmethod(time.monotonic)

    async def node(self, name: str, peers: list[str], data_dir: str) -> None:
        """Serve until cancelled."""
        self.nodes, self.name, self.turn, self.path = [name, *peers], name, trio.Lock(), Path(data_dir, "node")
        started_before = self.path.exists()
        self.promised, self.table = json.loads(self.path.read_text()) if started_before else ([0, ""], {})
        self.lent_until = self.clock() + LENT_S * started_before
        self.epoch, self.until, self.number, self.values = [0, ""], 0.0, 0, {}  # as a leader
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.lead)
            await trio.serve_tcp(self.serve, PORT)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer one request."""
        with suppress(trio.BrokenResourceError, ValueError):  # of one that is gone, perhaps half-way
            what, *rest = json.loads(b"".join([chunk async for chunk in stream]))
            answer = self.vote(what, *rest) if what in ("lend", "store") else await self.act(what, *rest)
            await stream.send_all(json.dumps([answer]).encode())

    def vote(self, what: str, epoch: list[Any], entries: dict[str, Any]) -> Any:
        """Agree to what a leader asks, durably, and tell what is stored; or answer False."""
        if epoch < self.promised or (what == "lend" and epoch > self.promised and self.clock() < self.lent_until):
            return False
        if what == "lend":
            self.promised, self.lent_until = epoch, self.clock() + LENT_S
        self.table.update({key: entry for key, entry in entries.items() if entry > self.table.get(key, [[]])})
        with open(f"{self.path}.new", "w") as file:
            json.dump([self.promised, self.table], file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{self.path}.new", self.path)
        os.fsync(os.open(self.path.parent, os.O_RDONLY))
        return self.table

    async def majority(self, *request: Any) -> list[Any]:
        """The answers of a majority that agrees, or nothing; this node agrees last, so that a refusal costs nothing."""
        answers: list[Any] = []

        async def one(node: str) -> None:
            with suppress(OSError, trio.BrokenResourceError):
                if (answer := await ask(node, *request)) is not False:
                    answers.append(answer)
                if 2 * len(answers) + 2 > len(self.nodes):
                    nursery.cancel_scope.cancel()

        with trio.move_on_after(LENT_S / 2):
            async with trio.open_nursery() as nursery:
                for node in self.nodes[1:]:
                    nursery.start_soon(one, node)
        answers += [own] if 2 * len(answers) + 2 > len(self.nodes) and (own := self.vote(*request)) is not False else []
        return answers if 2 * len(answers) > len(self.nodes) else []

    async def lead(self) -> None:
        """Ask for the lease, and again before it ends."""
        while True:
            await trio.sleep(LENT_S / 4 if self.clock() < self.until else random.uniform(0.05, 0.6))
            begin, leads = self.clock(), self.clock() < self.until
            epoch = self.epoch if leads else [self.promised[0] + 1, self.name]
            tables = await self.majority("lend", epoch, {})
            newest = {} if leads else {key: max(t[key] for t in tables if key in t) for t in tables for key in t}
            if tables and (leads or await self.majority("store", epoch, newest)):
                self.values.update({key: value for key, (_, value) in newest.items()})
                self.epoch, self.until = epoch, begin + USED_S

    async def act(self, f: str, key: str, value: Any) -> Any:
        """Answer a client, or None if another node should."""
        async with self.turn:
            if self.clock() >= self.until:
                return None
            if f == "read":
                return ["ok", self.values.get(key)]
            self.number += 1
            if not await self.majority("store", self.epoch, {key: [[*self.epoch, self.number], value]}):
                return ["info", None]
            self.values[key] = value
            return ["ok", value]


class WallClock(Monotonic):
    """The one that trusts clocks that can be set."""

    capabilities = ("majority", "wall-clock")
    clock = staticmethod(time.time)
