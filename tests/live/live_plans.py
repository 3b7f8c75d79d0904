"""Small live plans for tests: some seconds of traffic, and the faults that a test asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.faults.catalog import AnyFault
from harness.faults.crashes import Crash
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.live.systems.catalog import abilities_of_live
from harness.live.systems.system import LiveSystem
from harness.plans.plan import Phases, Plan
from harness.run.drawing import Drawing

SECOND_NS = 1_000_000_000
MS = 1_000_000
WARMUP_NS = SECOND_NS


def at(begin_ms: int, length_ms: int) -> dict[str, int]:
    """A time of the fault phase."""
    return {"begin_ns": WARMUP_NS + begin_ms * MS, "end_ns": WARMUP_NS + (begin_ms + length_ms) * MS}


KILL_CUT_PAUSE: tuple[AnyFault, ...] = (
    Crash(id="kill", targets=("n1",), power=False, **at(0, 600)),
    Partition(id="cut", shape="one", order=("n2", "n1", "n3"), clients=("c2",), **at(1200, 1000)),
    Pause(id="pause", targets=("n3",), **at(2600, 800)),
)
"""One of each, on another node each, within four seconds."""


def small_plan(
    system: LiveSystem,
    workload: str,
    faults: Sequence[AnyFault] = (),
    *,
    faults_ns: int = 3 * SECOND_NS,
    seed: int = 1,
    **explicit: str,
) -> Plan:
    """Three nodes, three clients, a second before the faults."""
    drawing = Drawing(
        world="live", profile="live", workload=workload, nodes=3, concurrency=3, rate=60, explicit=explicit
    )
    drawn = drawing.plan(seed, abilities_of_live(system, "proxies"))
    phases = Phases(warmup_ns=WARMUP_NS, faults_ns=faults_ns, recovery_ns=20 * SECOND_NS, final_ns=10 * SECOND_NS)
    programs = tuple(
        msgspec.structs.replace(
            program,
            ops=tuple(op for op in program.ops if op.due_ns < phases.heal_ns),
            recovery=None if program.recovery is None else msgspec.structs.replace(program.recovery, due_ns=0),
            final=tuple(msgspec.structs.replace(op, due_ns=0) for op in program.final),
        )
        for program in drawn.programs
    )
    gates = msgspec.structs.replace(drawn.gates, ok_before=1, ok_during=1, ok_after=1)
    return msgspec.structs.replace(drawn, phases=phases, programs=programs, faults=tuple(faults), gates=gates)


def routed(plan: Plan, routing: Literal["leader", "home", "any"]) -> Plan:
    """The plan with clients that find the node that they ask in this way."""
    actors = {
        name: msgspec.structs.replace(actor, routing=routing) if actor.kind == "client" else actor
        for name, actor in plan.actors.items()
    }
    return msgspec.structs.replace(plan, actors=actors)
