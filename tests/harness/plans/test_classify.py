"""Classes of plans: what breaks which assumption, and that taking away never makes a plan worse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.faults.clocks import ClockRate, ClockStep
from harness.faults.crashes import Crash
from harness.faults.fault import FOREVER, Fault
from harness.faults.membership import Membership
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.classify import Classification, classify
from harness.plans.plan import Clocks, ClockSpec, Plan

from .plans import SECOND, built, drawn

WHEN: Any = {"id": "f1", "begin_ns": 2 * SECOND, "end_ns": 3 * SECOND}
FOR_GOOD: Any = {"id": "f1", "begin_ns": 2 * SECOND, "end_ns": FOREVER}
LEASE = {"reads": "lease", "lease_drift_bound": 1.05}
HEALED = ("n1", "n2", "n3", "c1")
RANK = {"tolerable": 0, "degrading": 1, "breaking": 2}


@pytest.mark.parametrize(
    ("rate_ppm", "expected"),
    [
        (1_050_000, "tolerable"),
        (1_050_001, "breaking"),
        (952_381, "tolerable"),  # 1 / 1.05 is 952,380.95...
        (952_380, "breaking"),
    ],
)
def test_leases_bear_rates_up_to_the_bound_and_none_beyond(rate_ppm: int, expected: str) -> None:
    by_fault = built(ClockRate(**WHEN, targets=("n1",), rate_ppm=rate_ppm), options=LEASE)
    from_the_start = built(options=LEASE, clocks=Clocks(actors={"n1": ClockSpec(rate_ppm=rate_ppm)}))

    assert expected == classify(by_fault).plan_class
    assert expected == classify(from_the_start).plan_class


@pytest.mark.parametrize(
    ("fault", "options", "expected"),
    [
        (ClockRate(**WHEN, targets=("@leader",), rate_ppm=500_000), LEASE, "breaking"),
        (ClockRate(**WHEN, targets=("n1",), rate_ppm=500_000), {"reads": "quorum"}, "tolerable"),
        (ClockRate(**WHEN, targets=("c1",), rate_ppm=500_000), LEASE, "tolerable"),
        (ClockRate(**WHEN, targets=("n1",), rate_ppm=1_010_000), {"reads": "lease"}, "breaking"),
        (ClockStep(**WHEN, targets=("n1",), step_ns=3600 * SECOND), LEASE, "tolerable"),
        (Pause(**WHEN, targets=("n1",), clock="stops"), LEASE, "breaking"),
        (Pause(**WHEN, targets=("n1",), clock="stops"), {"reads": "quorum"}, "tolerable"),
        (Pause(**WHEN, targets=("c1",), clock="stops"), LEASE, "tolerable"),
        (Pause(**WHEN, targets=("n1",)), LEASE, "tolerable"),
        (Crash(**WHEN, targets=("n1", "n2", "n3", "n4", "n5")), LEASE, "tolerable"),
        (Crash(**WHEN, targets=("n1",)), {"reads": "local"}, "breaking"),
    ],
)
def test_which_assumption_a_fault_breaks(fault: Fault, options: dict[str, Any], expected: str) -> None:
    assert expected == classify(built(fault, options=options)).plan_class


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Crash(**FOR_GOOD, targets=("n4", "n5")), "tolerable"),
        (Crash(**FOR_GOOD, targets=("n1", "n2", "n3")), "tolerable"),  # the heal brings the healed set back
        (Partition(**FOR_GOOD, shape="halves", order=("n4", "n5")), "tolerable"),
        (Membership(**WHEN, voters=("n3", "n4", "n5")), "tolerable"),
        (Crash(**FOR_GOOD, targets=("c1", "c2")), "tolerable"),
    ],
)
def test_a_core_with_a_majority_recovers(fault: Fault, expected: str) -> None:
    assert expected == classify(built(fault, healed=HEALED)).plan_class


@pytest.mark.parametrize(
    ("faults", "healed", "reason"),
    [
        ((Crash(**FOR_GOOD, targets=("n3", "n4", "n5")),), ("n1", "n2", "c1"), "quorum"),
        ((Crash(**FOR_GOOD, targets=("@leader",)),), ("n1", "n2", "c1"), "quorum"),
        ((Partition(**FOR_GOOD, shape="bridge", order=("n1",)),), ("n1", "n2", "c1"), "quorum"),
        (
            (Membership(**WHEN, voters=("n3", "n4", "n5")), Pause(**FOR_GOOD, targets=("n4", "n5"))),
            HEALED,
            "quorum",
        ),
        ((Crash(**FOR_GOOD, targets=("c1", "c2")),), ("n1", "n2", "n3"), "clients"),
    ],
)
def test_liveness_is_not_judged_without_a_majority_and_a_client(
    faults: tuple[Fault, ...], healed: tuple[str, ...], reason: str
) -> None:
    classification = classify(built(*faults, healed=healed))

    assert classification.plan_class == "degrading"
    assert classification.reasons[0].startswith(reason)
    assert not classification.allowed


def test_links_slower_than_elections_degrade() -> None:
    options = {"election_timeout_ms": 150, "heartbeat_ms": 50}

    assert classify(built(options=options, delay_max_ns=40_000_000)).plan_class == "tolerable"
    assert classify(built(options=options, delay_max_ns=80_000_000)).plan_class == "degrading"


def test_breaking_allows_stale_reads_and_nothing_else() -> None:
    classification = classify(built(options={"reads": "local"}))

    assert classification.allows("linearizability/nonlinearizable/cas-register/read")
    assert not classification.allows("state-machine-safety/two-values")
    assert not Classification(plan_class="tolerable").allows("linearizability/nonlinearizable/cas-register/read")


def worse(after: Classification, before: Classification) -> bool:
    """Whether anything is worse afterwards: the class, a new reason, more allowed."""
    return (
        RANK[after.plan_class] > RANK[before.plan_class]
        or not set(after.reasons) <= set(before.reasons)
        or not set(after.allowed) <= set(before.allowed)
    )


@st.composite
def plan_and_smaller(draw: st.DrawFn) -> tuple[Plan, Plan]:
    """A drawn plan, its heal at times broken by hand, and the same with faults removed or shortened."""
    profile = draw(st.sampled_from(("swarm", "beyond-clocks", "beyond-disks", "membership", "crashes")))
    plan = drawn(draw(st.integers(0, 10_000)), profile)
    if draw(st.booleans()):
        healed = tuple(draw(st.sets(st.sampled_from(plan.nodes), min_size=1)))
        plan = msgspec.structs.replace(plan, phases=msgspec.structs.replace(plan.phases, heal="partial", healed=healed))
    if draw(st.booleans()):
        forever = tuple(msgspec.structs.replace(fault, end_ns=FOREVER) for fault in plan.faults)
        plan = msgspec.structs.replace(plan, faults=forever)
    smaller = []
    for fault in plan.faults:
        match draw(st.sampled_from(("keep", "remove", "shorten", "later"))):
            case "shorten":
                end_ns = draw(st.integers(fault.begin_ns, min(fault.end_ns, plan.phases.horizon_ns)))
                smaller.append(msgspec.structs.replace(fault, end_ns=end_ns))
            case "later":
                begin_ns = draw(st.integers(fault.begin_ns, min(fault.end_ns, plan.phases.horizon_ns)))
                smaller.append(msgspec.structs.replace(fault, begin_ns=begin_ns))
            case "keep":
                smaller.append(fault)
    return plan, msgspec.structs.replace(plan, faults=tuple(smaller))


@settings(max_examples=150, deadline=None)
@given(plan_and_smaller())
def test_removing_or_shortening_a_fault_never_makes_a_plan_worse(plans: tuple[Plan, Plan]) -> None:
    plan, smaller = plans

    assert not worse(classify(smaller), classify(plan))
