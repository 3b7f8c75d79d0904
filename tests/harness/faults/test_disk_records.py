"""Damage keeps to the budget, and power cuts come at their moment: on a fake world, by the protocol alone."""

from __future__ import annotations

from typing import Any

import pytest

from harness.faults.disk_damage import BitRot, Damage, LostWrite, MisdirectedWrite
from harness.faults.power import PowerCut
from harness.faults.wipes import WipedDisk

from .fake_world import FakeWorld

WHEN: dict[str, Any] = {"id": "f1", "begin_ns": 0, "end_ns": 400}


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        (BitRot(**WHEN, targets=("n1",), region="hard-state", part="header"), ("rot", "n1", "hard-state", "header")),
        (MisdirectedWrite(**WHEN, targets=("n1",)), ("misdirect", "n1", "log")),
        (LostWrite(**WHEN, targets=("n1",), region="snapshot"), ("lose-write", "n1", "snapshot", False)),
        (LostWrite(**WHEN, targets=("n1",), where="last"), ("lose-write", "n1", "log", True)),
    ],
    ids=lambda value: value.kind if isinstance(value, Damage) else None,
)
def test_damage_is_done_once_and_never_undone(fault: Damage, done: tuple[Any, ...]) -> None:
    world = FakeWorld()
    world.atlas = {fault.region: ("n1", "n2")}

    state, has_target = world.begin(fault)
    again = fault.begin(world, state)  # type: ignore[arg-type]
    fault.undo(world, state, None)  # type: ignore[arg-type]

    assert (has_target, again) == (True, False)
    assert world.done == [done, ("end", "n1")]


@pytest.mark.parametrize("atlas", [{}, {"log": ("n2",)}, {"snapshot": ("n1",)}])
def test_damage_outside_the_budget_has_no_target(atlas: dict[str, tuple[str, ...]]) -> None:
    world = FakeWorld()
    world.atlas = atlas

    _, has_target = world.begin(BitRot(**WHEN, targets=("n1",), region="log"))

    assert not has_target
    assert world.done == []


def test_damage_waits_for_something_to_damage() -> None:
    world = FakeWorld()
    world.atlas = {"snapshot": ("n1",)}
    world.hosts["n1"].damage.holds = ("log",)
    fault = BitRot(**WHEN, targets=("n1",), region="snapshot")

    state, before = world.begin(fault)
    world.hosts["n1"].damage.holds = ("log", "snapshot")
    after = fault.begin(world, state)  # type: ignore[arg-type]

    assert fault.waits_until_heal
    assert (before, after) == (False, True)


def test_what_damage_may_fell_is_its_targets_within_the_atlas() -> None:
    atlas = {"log": ("n1", "n2"), "snapshot": ("n3",)}

    assert list(BitRot(**WHEN, targets=("n1", "n3")).lost_nodes(atlas)) == ["n1"]
    assert list(BitRot(**WHEN, targets=("@leader",)).lost_nodes(atlas)) == ["n1", "n2"]
    assert list(BitRot(**WHEN, targets=("n3",), region="hard-state").lost_nodes(atlas)) == []


def test_a_power_cut_waits_for_its_moment_and_brings_the_node_back_soon() -> None:
    world = FakeWorld()
    fault = PowerCut(**WHEN, targets=("n1", "c1"), moment="answered", keeps="nothing", down_ns=30)

    state, has_target = world.begin(fault)
    assert world.done == []
    moment, cut = world.hosts["n1"].waits.pop("f1")
    cut()
    world.run_until(29)
    assert world.done == [("cut-power", "n1", "nothing")]
    world.run_until(31)
    fault.undo(world, state, None)  # type: ignore[arg-type]

    assert (has_target, moment, state.hits) == (True, "answered", 1)
    assert world.done == [("cut-power", "n1", "nothing"), ("start", "n1", None)]


def test_a_power_cut_does_not_wait_for_ever_for_a_write() -> None:
    world = FakeWorld()
    fault = PowerCut(**WHEN, targets=("n1",), down_ns=1_000)

    state, _ = world.begin(fault)
    world.run_until(99)
    assert world.done == []
    world.run_until(101)
    assert world.done == [("cut-power", "n1", "prefix")]
    fault.undo(world, state, None)  # type: ignore[arg-type]

    assert world.done[1:] == [("start", "n1", None)]


def test_the_power_of_a_machine_goes_though_its_process_is_down_and_does_not_come_back_with_it() -> None:
    world = FakeWorld()
    world.hosts["n1"].is_up = False
    fault = PowerCut(**WHEN, targets=("n1",), keeps="sectors")

    state, _ = world.begin(fault)
    fault.undo(world, state, None)  # type: ignore[arg-type]

    assert world.done == [("cut-power", "n1", "sectors")]
    assert state.hits == 1


def test_a_wiped_disk_takes_a_node_from_the_budget_for_good() -> None:
    world = FakeWorld()
    world.atlas = {"log": ("n1", "n2"), "hard-state": ("n1",), "snapshot": ("n1", "n2")}
    fault = WipedDisk(**WHEN, targets=("n1", "n2"))

    state, has_target = world.begin(fault)
    fault.undo(world, state, None)  # type: ignore[arg-type]

    assert has_target
    assert world.done == [("wipe", "n1", False)]
    assert list(fault.lost_nodes(world.atlas)) == ["n1"]
    assert not world.begin(fault)[1]


def test_a_node_wiped_under_its_name_comes_back_and_is_no_matter_of_the_budget() -> None:
    world = FakeWorld()
    fault = WipedDisk(**WHEN, targets=("n2",), identity="same")

    state, _ = world.begin(fault)
    fault.undo(world, state, None)  # type: ignore[arg-type]

    assert world.done == [("wipe", "n2", True), ("start", "n2", None)]
    assert list(fault.lost_nodes({"log": ("n2",)})) == []
