"""Branches of short runs over all workloads and several profiles, run one way, a line a branch.

`python -m tests.harness.run.branching fork` and `... replay` must print the same, whatever the hash seed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import cycle
from typing import Any, get_args

from harness.outcome import Outcome
from harness.plans.plan import Plan, Redraw, with_redraw
from harness.run.drawing import Drawing, abilities_of
from harness.run.multiverse import Branch, Multiverse, Way
from harness.run.runner import run
from harness.systems.binding import Binding
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from tests.harness.sim.programs.running import EXAMPLES, bound, drawn

PROFILES = ("swarm", "crashes", "partitions", "clocks", "disks", "beyond-disks", "membership")
PROGRAM = f"trio:{EXAMPLES / 'quorum_register.py'}:Quorum"
S = 1_000_000_000


def all_of(outcome: Outcome) -> tuple[Any, ...]:
    """Everything that must not depend on the way in which a branch is run."""
    facts = (outcome.fingerprint, outcome.plan_sha256, outcome.history_sha256, outcome.verdict.validity)
    counted = (outcome.metrics, outcome.marks, outcome.fault_outcomes, outcome.messages, outcome.simulated_ns)
    return (*facts, outcome.primary, outcome.anomalies, outcome.stopped, outcome.recovery_ms, counted)


def short_plans(binding: Binding) -> Iterator[tuple[str, Plan]]:
    """A plan of each workload, each of another profile; and one that is a branch itself."""
    systems = load_systems(binding)
    abilities = abilities_of(systems.values())
    for seed, (workload, profile) in enumerate(zip(systems["default"].workloads, cycle(PROFILES), strict=False), 1):
        drawing = Drawing(workload=workload, profile=profile, duration_ns=S, rate=20.0)
        yield f"{workload} {profile}", (plan := drawing.plan(seed, abilities))
    yield "a branch", with_redraw(plan, Redraw(at_ns=S, salt=3))


def branches(plan: Plan, binding: Binding, way: Way) -> list[Branch[tuple[Any, ...]]]:
    """Branches from a moment of the run, from that of its last redraw, and from one that it does not reach."""
    end_ns = run(plan, binding).simulated_ns
    moments = (S, end_ns * 3 // 4, end_ns + S)
    redraws = [Redraw(at_ns=at_ns, salt=salt) for salt, at_ns in enumerate(moments)]
    found = Multiverse(plan, binding, tell=all_of, way=way, jobs=2).branches(redraws)
    return sorted(found, key=lambda branch: redraws.index(branch.redraw))


def main(way: Way) -> None:
    """Print the branches of all plans, and those of a Trio program, whose tasks and sockets are forked with it."""
    with Checkouts() as checkouts:
        binding = bind("raft_impl", checkouts)
        for name, plan in short_plans(binding):
            for branch in branches(plan, binding, way):
                print(name, branch)
    for branch in branches(drawn(PROGRAM, nodes=3, profile="swarm"), bound(PROGRAM), way):
        print(PROGRAM, branch)


if __name__ == "__main__":
    main(next(way for way in get_args(Way) if way == sys.argv[1]))
