"""A system whose client answers as a script says, for tests of those who ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from harness.faults.fault import Fault
from harness.plans.plan import Phases, Plan, PlannedOp, Program
from harness.run.runner import Simulation
from harness.systems.system import Completion
from tests.harness.sim import toy
from tests.harness.sim.toy import MS

Line = tuple[Any, ...]
"""(time in ms, process, type, f, value, error) of one line of a history."""

HANG = Completion("hang")
"""An answer that never comes."""


class ScriptedClient:
    """Takes 10 ms for everything."""

    def __init__(self, env: Any, system: ScriptedSystem) -> None:
        self.env, self.system = env, system

    async def open(self) -> str | None:
        await self.env.until(self.env._kernel.now + 10 * MS)
        self.system.opened.append(self.env._kernel.now / MS)
        return self.system.refusals.pop(0) if self.system.refusals else None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        self.system.asked.append((f, key, value))
        completion = self.system.answers.pop(0) if self.system.answers else Completion("ok", value)
        await self.env.until(10**18 if completion is HANG else self.env._kernel.now + 10 * MS)
        return completion


class ScriptedSystem(toy.ToySystem):
    """Answers in the order of `answers`, then ok; `refusals` are what opening a session gives, then None."""

    def __init__(self, answers: Sequence[Completion] = (), refusals: Sequence[str | None] = ()) -> None:
        self.answers, self.refusals = list(answers), list(refusals)
        self.asked: list[tuple[str, str | None, Any]] = []
        self.opened: list[float] = []

    def client(self, env: Any, actor: Any, group: str, servers: Any, options: Any) -> Any:
        return ScriptedClient(env, self)


def op(due_ms: float, f: str, value: Any = None, key: str = "x", number: int = 0) -> PlannedOp:
    """A planned op."""
    return PlannedOp(id=number, due_ns=round(due_ms * MS), f=f, key=key, value=value)


def plan(
    *ops: PlannedOp,
    recovery: PlannedOp | None = None,
    final: tuple[PlannedOp, ...] = (),
    faults: tuple[Fault, ...] = (),
    healed: tuple[str, ...] = (),
    threads: int = 1,
) -> Plan:
    """One thread (of `threads`; the others are idle) with these ops; the heal is at 1,000 ms, the horizon at 3,000."""
    drawn = toy.plan(nodes=1, threads=threads, ops=0, faults=faults)
    programs = tuple(
        Program(thread=thread, client=f"c{thread + 1}", ops=ops if not thread else (), recovery=recovery, final=final)
        for thread in range(threads)
    )
    phases = Phases(
        warmup_ns=0,
        faults_ns=1_000 * MS,
        recovery_ns=1_000 * MS,
        final_ns=1_000 * MS,
        heal="partial" if healed else "total",
        healed=healed,
    )
    return msgspec.structs.replace(drawn, programs=programs, phases=phases)


def run(planned: Plan, system: ScriptedSystem) -> Simulation:
    """Run a plan against a script."""
    return toy.simulate(planned, system=system)


def history(simulation: Simulation) -> list[Line]:
    """The history as short lines."""
    return [(op.time / MS, op.process, op.type, op.f, op.value, op.error) for op in simulation.world.recorder.history]
