"""Drivers: what an actor's code may await, and what becomes of an error in it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from harness.sim.process import SimProcess
from harness.sim.world import SimWorld
from tests.harness.sim import toy
from tests.harness.sim.toy import MS, ToyServer, ToySystem


def world_with(entrypoint: Any) -> SimWorld:
    """A world in which `c1` runs this code."""
    world = SimWorld(toy.plan(nodes=1, threads=1, ops=0), {"default": ToySystem()}, keep_rows=True)  # type: ignore[dict-item]
    world.entrypoints["c1"] = entrypoint
    return world


async def sleeps(_: SimProcess) -> None:
    await trio.sleep_forever()


async def receives_and_then_sleeps(process: SimProcess) -> None:
    await process.recv(process.clock.monotonic_ns() + MS)
    await trio.sleep_forever()


async def syncs(process: SimProcess) -> None:
    process.disk.append("file", b"data")
    await process.disk.fsync("file")


@pytest.mark.parametrize(
    ("entrypoint", "message"),
    [
        (sleeps, "awaited something other than its environment's `recv` and `until`"),
        (receives_and_then_sleeps, "awaited something other than its environment's `recv` and `until`"),
        (syncs, "the client c1 awaited an fsync"),
    ],
)
def test_a_client_that_awaits_anything_but_recv_and_until_is_an_error_of_the_harness(
    entrypoint: Any, message: str
) -> None:
    world = world_with(entrypoint)

    with pytest.raises(TypeError, match=message):
        world.run(lambda: world.kernel.exactly(500 * MS, lambda _: world.kernel.stop("done")))


def test_a_client_that_is_killed_is_closed_where_it_waits() -> None:
    seen: list[str] = []

    async def entrypoint(process: SimProcess) -> None:
        try:
            await process.recv(None)
        finally:
            seen.append("closed")
            await process.recv(None)
            seen.append("never")

    world = world_with(entrypoint)

    def begin() -> None:
        world.kernel.exactly(50 * MS, lambda _: world.crash("c1", power=False, reason="kill"))
        world.kernel.exactly(60 * MS, lambda _: world.kernel.stop("done"))

    world.run(begin)

    assert seen == ["closed"]


class BadServer(ToyServer):
    """Awaits something other than its disk while it recovers, or in its sync."""

    where = "start"

    async def start(self) -> None:
        await super().start()
        if self.where == "start":
            await trio.sleep_forever()

    async def sync(self) -> None:
        await super().sync()
        if self.where == "sync":
            await self.env.recv(None)


@pytest.mark.parametrize("where", ["start", "sync"])
def test_a_server_that_awaits_anything_but_its_disk_is_an_anomaly_of_that_server(where: str) -> None:
    class System(ToySystem):
        def server(self, env: Any, actor: Any, groups: Any, options: Any) -> ToyServer:
            server = BadServer(env, (), options)
            server.where = where
            return server

    simulation = toy.simulate(toy.plan(nodes=1, threads=1, ops=4), system=System())

    assert {anomaly.signature for anomaly in simulation.judge().anomalies} >= {"node/exception/TypeError"}


def test_commands_to_a_client_are_refused() -> None:
    answers: list[bool] = []

    async def waits(process: SimProcess) -> None:
        await process.recv(None)

    world = world_with(waits)

    def begin() -> None:
        world.kernel.exactly(50 * MS, lambda _: answers.append(world.command("c1", "g0", "campaign", {})))
        world.kernel.exactly(60 * MS, lambda _: world.kernel.stop("done"))

    world.run(begin)

    assert answers == [False]


# -- who asks to be woken in the past -------------------------------------------------------------------------------


class Impatient(ToyServer):
    """From its third message on it asks to be woken at a time that has passed; with `writes` it writes each time."""

    heard = 0
    writes = False
    deadline_of = staticmethod(lambda now: 0)

    def process(self, messages: list[tuple[str, bytes]]) -> bool:
        self.heard += len(messages)
        must_sync = super().process(messages)
        if self.heard >= 3:
            self.deadline_ns = self.deadline_of(self.env.clock.monotonic_ns())
            if self.writes:
                self.env.disk.append("value", b"1\n")
                self._answers.append((self.peers[0], b"done 0"))
                return True
        return must_sync


def impatient(**arguments: Any) -> ToySystem:
    class System(ToySystem):
        def server(self, env: Any, actor: Any, groups: Any, options: Any) -> ToyServer:
            server = Impatient(env, tuple(name for name in groups["g0"].voters if name != env.actor), options)
            vars(server).update(arguments)
            return server

    return System()


@pytest.mark.parametrize("storage", ["sync", "async"])
@pytest.mark.parametrize("deadline_of", [lambda now: 0, lambda now: now, lambda now: now - 1])
def test_a_server_that_asks_to_be_woken_in_the_past_ends_the_run_and_is_named(deadline_of: Any, storage: str) -> None:
    drawn = msgspec.structs.replace(toy.plan(nodes=2, threads=1, ops=8), options={"storage": storage})

    outcome = toy.simulate(drawn, system=impatient(deadline_of=deadline_of)).judge()

    assert outcome.primary == "run/livelock/woken-in-the-past"
    (anomaly,) = outcome.anomalies
    assert anomaly.message.startswith(("n1 asked 1000 times at one instant", "n2 asked 1000 times at one instant"))
    assert outcome.stopped == "livelock"
    assert outcome.metrics.events < 2_000


@pytest.mark.parametrize("storage", ["sync", "async"])
def test_one_that_also_writes_each_time_is_found_by_the_rate_of_events(storage: str) -> None:
    drawn = toy.plan(nodes=2, threads=1, ops=8)
    disk = msgspec.structs.replace(drawn.disks.default, fsync_min_ns=0, fsync_max_ns=0)
    drawn = msgspec.structs.replace(
        drawn, options={"storage": storage}, disks=msgspec.structs.replace(drawn.disks, default=disk)
    )

    outcome = toy.simulate(drawn, system=impatient(writes=True)).judge()

    assert outcome.primary in ("run/livelock", "run/livelock/woken-in-the-past")
    assert outcome.metrics.events < 100_000


def test_a_client_that_waits_until_a_time_that_has_passed_ends_the_run_and_is_named() -> None:
    async def never_waits(process: SimProcess) -> None:
        await process.until(10 * MS)
        while True:
            await process.recv(process.clock.monotonic_ns() - 1)

    world = world_with(never_waits)
    world.run(lambda: world.kernel.exactly(500 * MS, lambda _: world.kernel.stop("done")))

    (anomaly,) = world.node_anomalies
    assert anomaly.signature == "run/livelock/woken-in-the-past"
    assert anomaly.message.startswith("c1 asked 1000 times at one instant")
    assert world.kernel.now == 10 * MS


def test_some_waits_for_no_time_are_no_livelock() -> None:
    polls = []

    async def polls_often(process: SimProcess) -> None:
        while True:
            polls.extend([await process.recv(process.clock.monotonic_ns()) for _ in range(100)])
            await process.until(world.kernel.now + MS)

    world = world_with(polls_often)
    world.run(lambda: world.kernel.exactly(100 * MS, lambda _: world.kernel.stop("done")))

    assert world.node_anomalies == []
    assert len(polls) >= 9_000
