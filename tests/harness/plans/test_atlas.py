"""The budget: no plan damages what was committed on all of a quorum."""

from __future__ import annotations

import msgspec
import pytest

from harness.faults.crashes import Crash
from harness.faults.disk_damage import BitRot, Damage, LostWrite
from harness.faults.fault import FOREVER, Fault
from harness.faults.membership import Membership
from harness.plans.atlas import within_budget
from harness.plans.classify import classify, lost_nodes

from .plans import SECOND, built, drawn

ATLAS = {"log": ("n1", "n2"), "snapshot": ("n2",)}


def rot(name: str) -> Fault:
    return BitRot(id=f"rot-{name}", begin_ns=2 * SECOND, end_ns=9 * SECOND, targets=(name,))


def membership(*voters: str) -> Fault:
    return Membership(id="m", begin_ns=2 * SECOND, end_ns=3 * SECOND, voters=voters)


NODES = ("n1", "n2", "n3", "n4", "n5")


@pytest.mark.parametrize(
    ("configuration", "kept"),
    [
        (NODES, {"log": ("n1", "n2"), "snapshot": ("n2",)}),
        (("n1", "n2", "n3", "n4"), {"log": ("n1",), "snapshot": ()}),
        (("n3", "n4", "n5"), {"log": ("n1",), "snapshot": ()}),
        (("n1", "n2"), {}),
        (("n4",), {}),
    ],
)
def test_the_budget_is_that_of_the_smallest_configuration(
    configuration: tuple[str, ...], kept: dict[str, tuple[str, ...]]
) -> None:
    faults = [rot("n1"), rot("n2"), membership(*configuration)]

    atlas, left = within_budget(ATLAS, NODES, faults)

    assert atlas == kept
    assert [fault.targets[0] for fault in left if isinstance(fault, BitRot)] == list(kept.get("log", ()))


def test_a_plan_that_damages_nothing_has_no_atlas() -> None:
    assert within_budget(ATLAS, NODES, [membership("n1", "n2", "n3")])[0] == {}
    assert all(msgspec.json.decode(drawn(seed, "partitions").to_json()).get("atlas") is None for seed in range(20))


@pytest.mark.parametrize("profile", ["disks", "swarm", "beyond-disks"])
def test_drawn_damage_keeps_to_the_budget_in_every_configuration(profile: str) -> None:
    damaged = 0
    for seed in range(150):
        plan = drawn(seed, profile)
        felled = lost_nodes(plan)
        damaged += bool(felled)
        for voters in (plan.nodes, *(voters for fault in plan.faults for voters in fault.configurations)):
            assert 2 * len(felled.intersection(voters)) < len(voters)
        if plan.phases.heal == "partial":
            standing = set(plan.phases.healed) - felled
            assert 2 * len(standing.intersection(plan.nodes)) > len(plan.nodes)
        for fault in plan.faults:
            if isinstance(fault, Damage):
                assert set(fault.targets) <= felled

    assert damaged > 15


def test_damage_within_the_budget_is_tolerable_and_beyond_it_degrading() -> None:
    faults = (rot("n1"), rot("n2"), rot("n3"))

    assert classify(built(*faults, atlas={"log": ("n1", "n2")})).plan_class == "tolerable"
    assert classify(built(*faults, atlas={"log": ("n1", "n2", "n3")})).plan_class == "degrading"
    assert classify(built(*faults)).plan_class == "tolerable"  # nothing may be damaged at all


def test_what_damage_fells_is_missing_in_the_healed_majority() -> None:
    healed = ("n1", "n2", "n3", "c1", "c2")
    down = Crash(id="f", begin_ns=2 * SECOND, end_ns=FOREVER, targets=("n4", "n5"))

    assert classify(built(down, healed=healed)).plan_class == "tolerable"
    assert classify(built(down, rot("n1"), healed=healed, atlas={"log": ("n1",)})).plan_class == "degrading"


def test_a_lost_write_breaks_an_assumption_only_if_it_is_the_last() -> None:
    def lost(where: str) -> Fault:
        return LostWrite(id="f", begin_ns=2 * SECOND, end_ns=3 * SECOND, targets=("n1",), where=where)  # type: ignore[arg-type]

    assert classify(built(lost("earlier"), atlas={"log": ("n1",)})).plan_class == "tolerable"
    broken = classify(built(lost("last"), atlas={"log": ("n1",)}))
    assert broken.plan_class == "breaking"
    assert broken.allows("raft/committed-on-quorum/lost")
    assert not broken.allows("raft/term-monotone/same-life")
    assert not broken.allows("node/exception/AssertionError")
