"""The product's drivers and the task lane, their oracle, run the same plan to the same last byte."""

from __future__ import annotations

from itertools import zip_longest

import pytest

from harness.faults.catalog import KINDS
from harness.plans.plan import Plan, Schedule
from tests.harness.sim import chaos, toy
from tests.harness.sim.task_driver import task_lane

SEEDS = range(26)


def assert_alike(plan: Plan) -> None:
    driven = toy.simulate(plan)
    with task_lane():
        task = toy.simulate(plan)
    rows = zip_longest(driven.world.log.kept, task.world.log.kept)
    difference = next(((index, one, other) for index, (one, other) in enumerate(rows) if one != other), None)

    assert difference is None
    assert driven.world.log.close() == task.world.log.close()
    assert driven.world.recorder.history == task.world.recorder.history
    assert driven.world.nemesis.finish() == task.world.nemesis.finish()
    assert driven.world.kernel.passes < task.world.kernel.passes  # or there were no two lanes


@pytest.mark.parametrize("seed", SEEDS)
def test_both_lanes_leave_the_same_rows(seed: int) -> None:
    assert_alike(chaos.plan(seed))


def test_the_plans_of_this_test_meet_every_kind_of_fault() -> None:
    plans = [chaos.plan(seed) for seed in SEEDS]

    effective = {
        fault.kind
        for plan in plans
        for fault, outcome in zip(plan.faults, toy.simulate(plan).world.nemesis.finish().values(), strict=True)
        if outcome == "effective"
    }

    # The toy knows none of the first three, has one version and no work in the background; a plan without an atlas
    # permits no damage.
    unknown = {"membership", "transfer", "lying-node", "upgrade", "slow-background"}
    assert set(KINDS) - effective == {*unknown, "bit-rot", "misdirected-write", "lost-write"}
    assert {bool(plan.schedule.quantum_ns) for plan in plans} == {True, False}
    assert {plan.schedule.policy for plan in plans} == {"fifo", "random", "pct"}
    assert {plan.options["storage"] for plan in plans} == {"sync", "async"}
    assert {plan.phases.heal for plan in plans} == {"total", "partial"}


@pytest.mark.parametrize("storage", ["sync", "async"])
@pytest.mark.parametrize("seed", range(4))
def test_lanes_agree_where_timers_messages_and_disks_crowd_into_one_instant(storage: str, seed: int) -> None:
    """A sync of several files that goes on to its next one must not let the server step: its timer is still to come."""
    schedule = Schedule(seed=seed, policy="random", quantum_ns=5 * toy.MS)

    assert_alike(toy.plan(threads=6, options={"storage": storage}, schedule=schedule, seed=seed))
