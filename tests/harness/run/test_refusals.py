"""A node that refuses to run is believed only where a fault may have damaged its disk."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.faults.disk_damage import BitRot
from harness.plans.plan import Plan
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

PATCH = Path(__file__).parents[2] / "mutants" / "torn-tail-refused.patch"


def plan_and_signatures(system: str, *, damaged: str | None = None) -> tuple[Plan, set[str]]:
    """Run seed 6 of crashes; with a fault that may have damaged one node's disk, if one is named."""
    with Checkouts() as checkouts:
        binding = bind(system, checkouts)
        drawing = Drawing(system=system, workload="set", profile="crashes")
        plan = drawing.plan(6, abilities_of(load_systems(binding).values()))
        if damaged is not None:
            rot = BitRot(id="rot", begin_ns=plan.phases.heal_ns - 1, end_ns=plan.phases.heal_ns, targets=(damaged,))
            plan = msgspec.structs.replace(plan, faults=(*plan.faults, rot), atlas={"log": (damaged,)})
        outcome = execute(plan, binding, RunOptions(explain=False, gates=False))
        return plan, {anomaly.signature for anomaly in outcome.anomalies}


@pytest.mark.parametrize(("system", "found"), [("raft_impl", set()), (f"patch:{PATCH}", {"node/refused/log-corrupt"})])
def test_a_node_that_refuses_undamaged_data_is_a_violation(system: str, found: set[str]) -> None:
    _, signatures = plan_and_signatures(system)

    assert {name for name in signatures if name.startswith("node/")} == found


def test_a_node_whose_disk_may_be_damaged_may_refuse() -> None:
    _, signatures = plan_and_signatures(f"patch:{PATCH}", damaged="n5")

    assert "node/refused/log-corrupt" not in signatures
