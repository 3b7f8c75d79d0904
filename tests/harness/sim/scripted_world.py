"""A scripted world: a simulated world whose actors are test functions, and a list of what happened in it.

    scripted = ScriptedWorld(n1=waiter, n2=sender)
    scripted.at(100, lambda: scripted.world.crash("n1", power=False, reason="kill"))
    scripted.play(until_ms=500)

An entrypoint is an async function of an environment. Actors without one sit still.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from harness.plans.plan import Override, Phases
from harness.sim.host import SimHost
from harness.sim.kernel.fingerprint import Row
from harness.sim.process import SimProcess
from harness.sim.world import SimWorld
from tests.harness.sim import toy
from tests.harness.sim.task_driver import task_lane
from tests.harness.sim.toy import MS

Entrypoint = Callable[[SimProcess], Awaitable[None]]


async def sit_still(environment: SimProcess) -> None:
    """Live, and do nothing."""
    await environment.until(10**18)


class ScriptedWorld:
    """A world of `n1`, `n2` (toy servers where no entrypoint is given and `servers` is set) and the client `c1`."""

    def __init__(
        self,
        *,
        servers: bool = False,
        manual: bool = False,
        plan: dict[str, Any] | None = None,
        overrides: tuple[Override, ...] = (),
        phases: Phases | None = None,
        **entrypoints: Entrypoint,
    ) -> None:
        planned = toy.plan(**({"nodes": 2, "threads": 1, "ops": 0} | (plan or {})))
        planned = msgspec.structs.replace(planned, overrides=overrides, phases=phases or planned.phases)
        systems: dict[str, Any] = {"default": toy.ToySystem()}
        self.world = SimWorld(planned, systems, keep_rows=True, manual=manual)
        for name, actor in planned.actors.items():
            if name in entrypoints or not servers or actor.kind == "client":
                self.world.entrypoints[name] = entrypoints.get(name, sit_still)
        self.seen: list[tuple[Any, ...]] = []
        self._events: list[tuple[int, Callable[[], Any]]] = []

    @property
    def now_ms(self) -> float:
        """Virtual time."""
        return self.world.kernel.now / MS

    @property
    def rows(self) -> list[Row]:
        """What was recorded, after the play."""
        return self.world.log.kept

    def host(self, name: str) -> SimHost:
        """An actor's host."""
        return self.world.hosts[name]

    def note(self, *what: Any) -> None:
        """Remember something with the present time."""
        self.seen.append((self.now_ms, *what))

    def at(self, time_ms: float, action: Callable[[], Any]) -> None:
        """Do something to the world at a time."""
        self._events.append((round(time_ms * MS), action))

    def rows_of(self, kind: str, actor: str) -> list[tuple[Any, ...]]:
        """(time in ms, fields...) of all rows of a kind and an actor."""
        return [(row[0] / MS, *row[3:]) for row in self.rows if row[1] == kind and row[2] == actor]

    def play(self, *, until_ms: float) -> None:
        """Run, with the plan's faults."""
        kernel = self.world.kernel

        def begin() -> None:
            self.world.nemesis.schedule()
            for time_ns, action in self._events:
                kernel.exactly(time_ns, lambda action: action(), action)
            kernel.exactly(round(until_ms * MS), lambda _: kernel.stop("done"))

        with task_lane():  # an entrypoint of a test may await what it likes
            self.world.run(begin)
        self.world.log.close()


def sender(*times_ms: float, target: str = "n1", word: bytes = b"gossip") -> Entrypoint:
    """An entrypoint that sends its 0th, 1st, ... datagram at the given times."""

    async def entrypoint(env: SimProcess) -> None:
        for number, time_ms in enumerate(times_ms):
            await env.until(round(time_ms * MS))
            env.network.send(target, word + b" %d" % number)
        await env.until(10**18)

    return entrypoint


def receiver(seen: list[tuple[Any, ...]]) -> Entrypoint:
    """An entrypoint that notes (virtual time in ms, source, data) of every datagram."""

    async def entrypoint(env: SimProcess) -> None:
        while True:
            datagram = await env.recv(None)
            assert datagram is not None
            seen.append((env._kernel.now / MS, *datagram))

    return entrypoint
