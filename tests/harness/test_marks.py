"""Marks: what a system says could be noted is what its servers note."""

from __future__ import annotations

import pytest

from harness.faults.catalog import kinds_for
from harness.plans.draw import draw
from harness.run.runner import run
from harness.sim.world import MARKS
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_mark_of_a_run_is_one_that_was_declared(seed: int) -> None:
    binding = bind("raft_impl", Checkouts())
    system = load_systems(binding)["default"]
    plan = draw(
        seed=seed,
        profile="swarm",
        workload="register",
        options=system.options,
        fault_kinds=kinds_for(system.capabilities),
    )

    hit = run(plan, binding).marks

    assert hit
    assert set(hit) <= {*system.marks, *MARKS}


def test_marks_have_names_of_their_own() -> None:
    (system,) = load_systems(bind("raft_impl", Checkouts())).values()

    assert len({*system.marks, *MARKS}) == len(system.marks) + len(MARKS)
