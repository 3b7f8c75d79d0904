"""Drivers: what an actor's code may await, and what becomes of an error in it."""

from __future__ import annotations

from typing import Any

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
