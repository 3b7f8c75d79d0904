"""Certain hits: of a kind of fault that may miss, one more where it surely meets something."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.faults.crashes import Crash
from harness.faults.disk_damage import BitRot, Damage
from harness.faults.disk_errors import FsyncError, SlowDisk
from harness.faults.fault import Fault
from harness.faults.leadership import Transfer
from harness.faults.packets import Clog, Loss
from harness.faults.wipes import WipedDisk
from harness.plans.certain import with_certain_hits
from harness.plans.draw import draw
from harness.plans.plan import Plan
from harness.plans.profiles import PROFILES
from harness.plans.rng import streams
from harness.systems.system import OptionSpec

from .test_swarm import SECOND, context, when

KINDS = ("bit-rot", "crash", "compact", "transfer", "clog", "slow-disk", "fsync-error")
NOBODY: dict[str, tuple[str, ...]] = {}


def certain(faults: list[Fault], seed: int = 1, *, crowd: int = 30, **more: Any) -> list[Fault]:
    """What is added to these faults, among a crowd of others."""
    here = context(3)
    faults = [*faults, *(Loss(**when(2000 + number, 2500), loss_ppm=1) for number in range(crowd))]
    faults.sort(key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind))
    found = with_certain_hits(streams(seed), here, faults, more.get("atlas", NOBODY), more.get("kinds", KINDS))
    assert all(fault in found for fault in faults)
    assert list(found) == sorted(found, key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind))
    return [fault for fault in found if fault not in faults]


def test_a_transfer_that_is_asked_for_twice_is_asked_for_at_the_beginning_too() -> None:
    late = [Transfer(**when(begin, begin + 300), target="n2") for begin in (6000, 9000)]

    (added,) = certain(late)

    assert added.kind == "transfer"
    assert context(3).begin_ns <= added.begin_ns < context(3).begin_ns + 2 * context(3).timeout_ns


def test_the_faults_that_there_were_keep_their_ids() -> None:
    late: list[Fault] = [
        Transfer(id=name, begin_ns=6 * SECOND, end_ns=7 * SECOND, target="n2") for name in ("f1", "f2")
    ]

    assert [fault.id for fault in certain(late)] == ["f33"]


def test_few_faults_do_not_hide_each_other() -> None:
    late: list[Fault] = [Transfer(**when(begin, begin + 300), target="n2") for begin in (6000, 9000)]

    assert not certain(late, crowd=3)


def test_a_kind_that_occurs_once_owes_nothing() -> None:
    assert not certain([Transfer(**when(6000, 6300), target="n2")])


def test_faults_of_roles_alone_get_one_that_is_aimed_by_name() -> None:
    clogs: list[Fault] = [Clog(**when(begin, begin + 100), targets=("@leader",)) for begin in (4000, 5000)]

    (added,) = certain(clogs)

    assert added.aimed_at[0] in context(3).nodes
    assert not certain([*clogs, Clog(**when(7000, 7100), targets=("n1",))])


def test_nodes_that_their_disks_stop_are_down_for_a_second_more() -> None:
    slow = [SlowDisk(**when(begin, begin + 500), targets=("n1",), late_ns=1) for begin in (3000, 6000)]
    stopped = [FsyncError(**when(begin - 900, begin - 800), targets=("n1",), pages="gone") for begin in (3000, 6000)]

    assert not certain([*slow])
    assert [fault.kind for fault in certain([*slow, *stopped])] == ["slow-disk"]


@pytest.mark.parametrize("seed", range(20))
def test_damage_is_shown_by_a_restart_at_the_end(seed: int) -> None:
    atlas = {"hard-state": ("n1",), "log": ("n1", "n2"), "snapshot": ("n1", "n2")}
    early: list[Fault] = [BitRot(**when(begin, 11000), targets=("n2",), region="snapshot") for begin in (2000, 3000)]

    rot, crash = certain(early, seed, atlas=atlas)

    assert isinstance(rot, BitRot)
    assert isinstance(crash, Crash)
    assert rot.region == "log"
    assert rot.targets == crash.targets
    assert set(rot.targets) <= set(atlas["log"])
    assert rot.begin_ns < crash.begin_ns < crash.end_ns <= context(3).end_ns


def test_a_snapshot_that_is_to_rot_is_taken_first() -> None:
    early: list[Fault] = [BitRot(**when(begin, 11000), targets=("n2",), region="snapshot") for begin in (2000, 3000)]

    kinds = [fault.kind for fault in certain(early, atlas={"snapshot": ("n2",)})]

    assert kinds == ["compact", "bit-rot", "crash"]


def test_no_node_is_damaged_but_those_of_the_atlas() -> None:
    early: list[Fault] = [BitRot(**when(begin, 11000), targets=("n2",), region="log") for begin in (2000, 3000)]
    wiped: list[Fault] = [WipedDisk(**when(2500, 2600), targets=("n2",))]

    assert not certain(early, atlas={"log": ()})
    assert not certain([*early, *wiped], atlas={"log": ("n2",)})
    assert not certain(early, atlas={"log": ("n2",)}, kinds=("crash",))


OPTIONS = tuple(
    OptionSpec(name=name, type="", default=None, neutral=None)
    for name in sorted({"heartbeat_ms", *(name for profile in PROFILES.values() for name in profile.options)})
)


def _lost(plan: Plan) -> set[str]:
    return {name for fault in plan.faults for name in fault.lost_nodes(plan.damageable)}


@pytest.mark.parametrize("profile", ["disks", "swarm"])
def test_drawn_plans_lose_no_more_nodes_than_they_may(profile: str) -> None:
    found = 0
    for seed in range(60 if profile == "disks" else 120):
        plan = draw(seed=seed, profile=profile, workload="register", options=OPTIONS)
        damage = [fault for fault in plan.faults if isinstance(fault, Damage)]
        found += len(damage) >= 2
        assert len(_lost(plan)) <= (len(plan.groups["g0"].voters) - 1) // 2
        assert len({fault.id for fault in plan.faults}) == len(plan.faults)
        assert msgspec.json.decode(plan.to_json(), type=Plan) == plan

    assert found >= 3
