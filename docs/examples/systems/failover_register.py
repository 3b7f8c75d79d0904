"""A register with a primary, two copies and failover: an ordinary Trio program.

    foreshock run --system trio:docs/examples/systems/failover_register.py:Hasty --nodes 3 --profile partitions --seed 2

A node that hears of no primary asks a majority for the newest table, under a new epoch, and leads. It stores changes at
a majority before it answers, and shows so before a read that it still leads. `Hasty` answers a write before others have
it, as many a store does: one that was cut off loses what it has promised.
"""

import json
from contextlib import suppress
from typing import Any

import trio

from harness.systems.system import Completion

PORT, BEAT_S, PATIENCE_S, LIMIT_S = 7000, 0.1, 0.5, 0.3
LOST = (OSError, ValueError, trio.BrokenResourceError, trio.TooSlowError)


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
        self.servers = servers * 4

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Read or write; there is no compare-and-set."""
        for server in self.servers if f != "cas" else ():
            with suppress(OSError, trio.TooSlowError):
                if (answer := await ask(server, f, key, value)) is not None:
                    return Completion(*answer)
            await trio.sleep(0.1)
        return Completion("fail", error="nobody-leads")


class Patient:
    """The right one."""

    workloads, client, waits = ("register",), Session, True

    async def node(self, name: str, peers: list[str], data_dir: str) -> None:
        """Serve until cancelled."""
        self.name, self.peers, self.turn, self.heard = name, peers, trio.Lock(), trio.current_time()
        self.rank, self.others = sorted([name, *peers]).index(name), (len(peers) + 1) // 2  # of a majority
        self.promised, self.led = [0, ""], None  # epochs, each a number and who leads in it
        self.kept = [self.promised, 0, {}]  # epoch, version and table
        async with trio.open_nursery() as self.nursery:
            self.nursery.start_soon(self.watch)
            await trio.serve_tcp(self.serve, PORT)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer one request."""
        with suppress(trio.BrokenResourceError, ValueError):  # of one that is gone, perhaps half-way
            what, *rest = json.loads(b"".join([chunk async for chunk in stream]))
            answer = self.follow(*rest) if what == "follow" else await self.act(what, *rest)
            await stream.send_all(json.dumps([answer]).encode())

    def follow(self, epoch: list[Any], kept: list[Any] | None = None) -> Any:
        """Take nothing of earlier epochs any more, and keep a newer table; requests may overtake each other."""
        if epoch < self.promised or (kept or self.kept)[:2] < self.kept[:2]:
            return None
        self.promised, self.heard, self.kept = epoch, trio.current_time(), kept or self.kept
        return self.kept

    async def ask_others(self, count: int, *request: Any) -> list[Any] | None:
        """What the first of them answer, or None if they are too few in time."""
        tell, answers = trio.open_memory_channel[Any](len(self.peers))

        async def ask_one(peer: str) -> None:
            with suppress(*LOST), trio.move_on_after(LIMIT_S):
                if (answer := await ask(peer, "follow", *request)) is not None:
                    tell.send_nowait(answer)

        for peer in self.peers:
            self.nursery.start_soon(ask_one, peer)
        with trio.move_on_after(LIMIT_S):
            return [await answers.receive() for _ in range(count)]

    async def watch(self) -> None:
        """Show that this node leads, or lead when nobody does."""
        while True:
            await trio.sleep(BEAT_S * (1 + self.rank))
            if self.led is not None:
                await self.act("read", "", None)
            elif trio.current_time() - self.heard > PATIENCE_S:
                epoch = [self.promised[0] + 1, self.name]
                mine, theirs = self.follow(epoch), await self.ask_others(self.others, epoch)
                if theirs is not None and self.promised == epoch:  # else it follows another one by now
                    self.led, self.kept = epoch, max([mine, *theirs], key=lambda kept: kept[:2])

    async def act(self, f: str, key: str, value: Any) -> Any:
        """Answer a client, or None if another node should."""
        async with self.turn:
            if self.led is None:
                return None
            _, version, table = self.kept
            table, count = (table, self.others) if f == "read" else (table | {key: value}, self.others * self.waits)
            request = (self.led, [self.led, version + 1, table])
            if not self.follow(*request) or await self.ask_others(count, *request) is None:
                self.led = None
            return ["info" if self.led is None else "ok", table.get(key)]


class Hasty(Patient):
    """The one that answers first."""

    waits = False
