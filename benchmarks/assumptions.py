"""How often a broken assumption is noticed: for each one a number of plans that break it, and no other.

    python -m benchmarks.assumptions [--count N] [--only NAME] [--json]

A plan is drawn from the profile of the assumption; faults that break another one are taken out of it. A run counts when
a fault that breaks the assumption had an effect, and is noticed when it is invalid. The lying node is put into plans of
the profile `swarm`, since no profile draws it. Intervals are Wilson's at 95 %; docs/assumptions.md has the table.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from harness.faults.catalog import KINDS
from harness.faults.fault import Assumptions, Fault
from harness.faults.lies import LyingNode
from harness.plans.classify import drift_bound
from harness.plans.plan import Plan
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.search.statistics import wilson
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts


class Assumption(msgspec.Struct, frozen=True, kw_only=True):
    """One assumption: what is assumed, and which kinds of faults break it under which profile."""

    name: str
    profile: str
    kinds: tuple[str, ...]
    options: dict[str, str] = {}
    edit: Callable[[Plan], Plan] = lambda plan: plan


def _with_a_liar(plan: Plan) -> Plan:
    """Let one node lie from the first fault to the heal."""
    begin_ns, end_ns = plan.phases.warmup_ns, plan.phases.heal_ns
    liar = LyingNode(id="liar", begin_ns=begin_ns, end_ns=end_ns, targets=plan.nodes[:1])
    return msgspec.structs.replace(plan, faults=(*plan.faults, liar))


ASSUMPTIONS: Final = (
    Assumption(name="clock-bound", profile="beyond-clocks", kinds=("clock-rate", "pause"), options={"reads": "lease"}),
    Assumption(name="honest-fsync", profile="beyond-disks", kinds=("lying-fsync", "lost-write")),
    Assumption(name="disk-identity", profile="beyond-disks", kinds=("wiped-disk",)),
    Assumption(name="honest-nodes", profile="swarm", kinds=("lying-node",), edit=_with_a_liar),
)

WORKLOADS: Final = ("register", "counter", "map", "list")


def only(plan: Plan, kinds: Sequence[str]) -> tuple[Plan, tuple[str, ...]]:
    """The plan without faults that break anything but by these kinds, and the ids of those that do."""
    bound = drift_bound(plan.options) if plan.options.get("reads") == "lease" else None
    assumptions = Assumptions(nodes=plan.nodes, clock_bound=bound)

    def breaks(fault: Fault) -> bool:
        return any(True for _ in fault.broken_assumptions(assumptions))

    kept = tuple(fault for fault in plan.faults if fault.kind in kinds or not breaks(fault))
    return msgspec.structs.replace(plan, faults=kept), tuple(fault.id for fault in kept if breaks(fault))


def measure(assumption: Assumption, count: int) -> dict[str, Any]:
    """Run seeds 1 to `count`, and say in how many the assumption was broken, and in how many that was noticed."""
    broken, noticed, signatures = 0, 0, Counter[str]()
    with Checkouts() as checkouts:
        binding = bind("raft_impl", checkouts)
        able = abilities_of(load_systems(binding).values())
        for seed in range(1, count + 1):
            workload = WORKLOADS[seed % len(WORKLOADS)]
            drawing = Drawing(workload=workload, profile=assumption.profile, explicit=assumption.options)
            plan, breaking = only(assumption.edit(drawing.plan(seed, able)), assumption.kinds)
            if not breaking:
                continue
            outcome = execute(plan, binding, RunOptions(explain=False, gates=False))
            if not any(outcome.fault_outcomes.get(fault) == "effective" for fault in breaking):
                continue
            broken += 1
            if outcome.verdict.validity == "invalid":
                noticed += 1
                signatures[outcome.primary or ""] += 1
    low, high = wilson(noticed, broken)
    return {
        "assumption": assumption.name, "profile": assumption.profile, "seeds": count, "broken": broken,
        "noticed": noticed, "interval": [round(low, 2), round(high, 2)], "signatures": dict(signatures.most_common(3)),
    }  # fmt: skip


def main() -> None:
    """Measure, and print a line for each assumption."""
    parser = argparse.ArgumentParser(description="How often a broken assumption is noticed.")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--only", choices=[assumption.name for assumption in ASSUMPTIONS])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for assumption in ASSUMPTIONS:
        if arguments.only in (None, assumption.name):
            found = measure(assumption, arguments.count)
            if arguments.json:
                print(json.dumps(found), flush=True)
                continue
            low, high = found["interval"]
            seen = ", ".join(found["signatures"])
            print(
                f"{found['assumption']:<14} broken in {found['broken']} of {found['seeds']}, noticed in "
                f"{found['noticed']} ({low:.2f} to {high:.2f}): {seen}",
                flush=True,
            )


assert all(kind in KINDS for assumption in ASSUMPTIONS for kind in assumption.kinds), "kinds of faults that exist"

if __name__ == "__main__":
    main()
