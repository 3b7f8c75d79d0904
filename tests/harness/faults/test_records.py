"""What each record does to a world, and undoes: on a fake one, by the protocol alone."""

from __future__ import annotations

from typing import Any

import pytest

from harness.faults.clocks import ClockRate, ClockStep, ClockStrobe
from harness.faults.crashes import Crash
from harness.faults.disk_errors import DiskFull, FsyncError, LyingFsync, ReadError, SlowDisk, WriteError
from harness.faults.fault import FOREVER, RETRY_NS, Fault
from harness.faults.leadership import ForcedElection, Transfer
from harness.faults.membership import Membership
from harness.faults.packets import Clog, Loss
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause, SlowBackground, SlowNode
from harness.faults.snapshots import Compact

from .fake_world import FakeWorld

WHEN: dict[str, Any] = {"id": "f1", "begin_ns": 0, "end_ns": 400}


@pytest.mark.parametrize(
    ("fault", "begun", "undone"),
    [
        (Pause(**WHEN, targets=("n1",), clock="stops"), ("pause", "n1", True), ("unpause", "n1")),
        (SlowNode(**WHEN, targets=("c1",), processing_ns=5), ("slow-down", "c1", 5), ("speed-up", "c1")),
        (
            SlowBackground(**WHEN, targets=("n1",), late_ns=5),
            ("slow-background", "n1", 5),
            ("hurry-background", "n1"),
        ),
        (Crash(**WHEN, targets=("n1",), power=False, code="new"), ("crash", "n1", False), ("start", "n1", "new")),
        (WriteError(**WHEN, targets=("n1",)), ("fail", "n1", "write", "clean"), ("end", "n1")),
        (ReadError(**WHEN, targets=("n1",)), ("fail", "n1", "read", "clean"), ("end", "n1")),
        (FsyncError(**WHEN, targets=("n1",), pages="gone"), ("fail", "n1", "fsync", "gone"), ("end", "n1")),
        (DiskFull(**WHEN, targets=("n1",), room_bytes=5), ("fill", "n1", 5), ("end", "n1")),
        (SlowDisk(**WHEN, targets=("n1",), late_ns=5), ("delay", "n1", 5), ("end", "n1")),
        (LyingFsync(**WHEN, targets=("n1",)), ("lie", "n1"), ("end", "n1")),
        (ClockRate(**WHEN, targets=("n1",), rate_ppm=9), ("rate", "n1", 9), ("rate", "n1", None)),
        (ClockStep(**WHEN, targets=("n1",), step_ns=7), ("step", "n1", 7), ("release", "n1")),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_what_is_done_to_a_node_is_undone(fault: Fault, begun: tuple[Any, ...], undone: tuple[Any, ...]) -> None:
    world = FakeWorld()

    state, has_target = world.begin(fault)
    fault.undo(world, state, None)

    assert has_target
    assert world.done == [begun, undone]


def test_a_node_fault_is_undone_only_where_it_is_asked_to_be() -> None:
    world = FakeWorld()
    fault = Pause(**WHEN, targets=("n1", "n2"))

    state, _ = world.begin(fault)
    fault.undo(world, state, ("n2", "n3"))

    assert world.done[2:] == [("unpause", "n2")]
    assert not fault.is_undone(state, ("n2", "n3"))
    assert fault.is_undone(state, ("n1", "n2"))


def test_a_disk_fault_begins_on_a_machine_whose_process_is_down_and_never_at_a_client() -> None:
    world = FakeWorld()
    world.hosts["n1"].is_up = False

    _, down = world.begin(WriteError(**WHEN, targets=("n1",)))
    _, client = world.begin(WriteError(**WHEN, targets=("c1",)))

    assert (down, client) == (True, False)
    assert world.done == [("fail", "n1", "write", "clean")]


@pytest.mark.parametrize("fault", [Loss(**WHEN, loss_ppm=5, targets=("n1",)), Clog(**WHEN, targets=("n1",))])
def test_a_link_fault_is_on_the_links_of_its_targets_until_they_are_mended(fault: Fault) -> None:
    world = FakeWorld()

    state, _ = world.begin(fault)
    assert set(world.network.edges["f1"]) == set(world.edges_of(("n1",)))
    fault.undo(world, state, ("n1", "n2"))
    assert set(world.network.edges["f1"]) == set(world.edges_of(("n1",))) - {("n1", "n2"), ("n2", "n1")}
    fault.undo(world, state, None)
    assert world.network.edges["f1"] == ()


@pytest.mark.parametrize(
    "fault",
    [
        Partition(**WHEN, shape="one", order=("@leader", "n1", "n2")),
        Loss(**WHEN, targets=("@leader",), loss_ppm=5),
        Crash(**WHEN, targets=("@leader",)),
        Transfer(**WHEN, target="n2"),
        ForcedElection(**WHEN, targets=("@leader",)),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_fault_of_a_leader_has_no_target_without_one(fault: Fault) -> None:
    world = FakeWorld()

    _, has_target = world.begin(fault)

    assert not has_target
    assert fault.needs_leader_of == "g0"
    assert world.done == []
    assert world.network.edges == {}


def test_a_role_stands_first_in_the_order_of_a_partition() -> None:
    world = FakeWorld()
    world.roles["@leader"] = ("n3",)

    state, _ = world.begin(Partition(**WHEN, shape="one", order=("@leader", "n1", "n2", "n3"), clients=None))

    assert state.targets == ("n3",)
    assert set(world.network.edges["f1"]) == {("n3", "n1"), ("n1", "n3"), ("n3", "n2"), ("n2", "n3")}


def test_a_crash_that_waits_for_a_write_fires_within_it_or_after_a_quarter_of_its_time() -> None:
    written, quiet = FakeWorld(), FakeWorld()
    for world in (written, quiet):
        world.begin(Crash(**WHEN, targets=("n1",), aim="write"))
        world.run_until(99)
        assert world.done == []

    written.hosts["n1"].armed.pop("f1")()
    for world in (written, quiet):
        world.run_until(100)
        assert world.done == [("crash", "n1", True)]


def test_a_strobe_goes_to_and_fro_until_it_is_undone_for_all_its_targets() -> None:
    world = FakeWorld()
    strobe = ClockStrobe(**WHEN, targets=("n1", "n2"), step_ns=7, period_ns=2_000_000)

    state, _ = world.begin(strobe)
    world.run_until(2_000_000)
    state.undone_for = ("n1",)
    world.run_until(4_000_000)
    state.ended = True
    world.run_until(10_000_000)

    steps = [(name, step_ns) for what, name, step_ns in world.done if what == "step"]
    assert steps == [("n1", 7), ("n2", 7), ("n1", -7), ("n2", -7), ("n2", 7)]


def test_a_transfer_to_the_leader_goes_to_another_voter() -> None:
    world = FakeWorld()
    world.roles["@leader"] = ("n1",)

    state, has_target = world.begin(Transfer(**WHEN, target="n1"))

    assert has_target
    assert (state.targets, state.hits) == (("n2",), 1)


def test_a_command_to_several_nodes_is_taken_by_one_now_and_put_to_the_others_afterwards() -> None:
    world = FakeWorld()

    state, _ = world.begin(Compact(**WHEN, targets=("n1", "n2", "n3")))
    assert [name for _, name, *_ in world.done] == ["n1"]
    world.run_until(0)

    assert [name for _, name, *_ in world.done] == ["n1", "n2", "n3"]
    assert state.hits == 3


@pytest.mark.parametrize(("healed", "taken_late"), [(False, True), (True, False)])
def test_a_refused_command_is_asked_once_more_when_the_node_is_idle_but_not_after_the_heal(
    healed: bool, taken_late: bool
) -> None:
    world = FakeWorld()
    world.takes = lambda command, arguments: False

    state, has_target = world.begin(Compact(**WHEN, targets=("n1",)))
    world.takes = lambda command, arguments: True
    world.healed = healed
    world.become_idle()

    assert (has_target, state.taken_late) == (False, taken_late)


def test_a_membership_is_asked_for_until_a_leader_takes_it_and_back_until_it_is_in_force() -> None:
    world = FakeWorld()
    fault = Membership(**WHEN, voters=("n1",))

    state, has_target = world.begin(fault)
    assert has_target
    assert fault.must_go_on(state)  # there is no leader
    world.roles["@leader"] = ("n2",)
    world.run_until(RETRY_NS)
    assert not fault.must_go_on(state)
    world.configuration = (("n1",), ())
    fault.undo(world, state, None)
    state.ended = True
    world.run_until(500_000_000)
    world.configuration = (world.nodes, ())
    world.run_until(2_000_000_000)

    wanted = [arguments["voters"] for _, _, arguments, _ in world.done]
    assert wanted == [("n1",), world.nodes, world.nodes, world.nodes, world.nodes]


def test_the_way_back_is_looked_at_again_after_the_heal_where_a_member_had_noted_something_else() -> None:
    """A leader that was cut off has nothing to take back, and another one may lead with the change."""
    world = FakeWorld()
    world.heal_ns = 2_000_000_000
    fault = Membership(**WHEN, voters=("n1",))
    world.roles["@leader"] = ("n2",)
    state, _ = world.begin(fault)
    world.configuration, world.behind = (world.nodes, ()), {"n1"}
    fault.undo(world, state, None)
    state.ended = True
    world.run_until(2_100_000_000)
    asked_before = len(world.done)

    world.configuration = (("n1",), ())
    world.run_until(2_500_000_000)
    world.configuration, world.behind = (world.nodes, ()), set()
    world.run_until(9_000_000_000)

    wanted = [arguments["voters"] for _, _, arguments, _ in world.done]
    assert wanted[:asked_before] == [("n1",), world.nodes]
    assert wanted[asked_before:] == [world.nodes, world.nodes, world.nodes]


def test_a_membership_that_has_ended_is_not_asked_for_any_more() -> None:
    world = FakeWorld()
    state, _ = world.begin(Membership(**WHEN, voters=("n1",)))

    state.ended = True
    world.roles["@leader"] = ("n2",)
    world.run_until(10 * RETRY_NS)

    assert world.done == []


@pytest.mark.parametrize(
    ("fault", "cut_off"),
    [
        (Crash(**WHEN, targets=("n1", "n2")), ("n1", "n2")),
        (Crash(**WHEN, targets=("@leader",)), ("n1", "n2", "n3", "c1")),
        (Loss(**WHEN, loss_ppm=5), ("n1", "n2", "n3", "c1")),
        (Partition(**WHEN, shape="one-way-in", order=("n2", "n1")), ("n2",)),
        (Partition(**WHEN, shape="halves", order=("n2", "n1")), ("n1", "n2", "n3", "c1")),
        (Partition(**WHEN, shape="one", order=("@leader", "n1")), ("n1", "n2", "n3", "c1")),
    ],
)
def test_who_may_be_cut_off_is_whom_it_names_and_all_actors_where_that_is_open(
    fault: Fault, cut_off: tuple[str, ...]
) -> None:
    assert tuple(fault.cut_off(("n1", "n2", "n3", "c1"))) == cut_off


@pytest.mark.parametrize(
    ("fault", "patient"),
    [
        (Pause(**WHEN, targets=("n1",)), True),
        (Pause(**WHEN, targets=("@leader",)), False),
        (Crash(**WHEN, targets=("n1",)), False),
        (Compact(**WHEN, targets=("@leader",)), True),
        (Membership(id="f1", begin_ns=0, end_ns=FOREVER, voters=("n1",)), False),
    ],
)
def test_commands_and_conditions_of_named_nodes_may_be_put_off_until_the_heal(fault: Fault, patient: bool) -> None:
    assert fault.waits_until_heal == patient


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (Crash(**WHEN, targets=("@leader",)), Crash(**WHEN, targets=("n2",))),
        (Loss(**WHEN, targets=("@voter",), loss_ppm=5), Loss(**WHEN, targets=("n2",), loss_ppm=5)),
        (Compact(**WHEN, targets=("@leader",)), Compact(**WHEN, targets=("n2",))),
        (
            Partition(**WHEN, shape="halves", order=("@leader", "n1", "n2")),
            Partition(**WHEN, shape="halves", order=("n2", "n3", "n1")),
        ),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_fault_of_a_role_can_be_aimed_at_a_node_by_name(fault: Fault, named: Fault) -> None:
    assert fault.with_named_target(("n2", "n3", "n1")) == named
    assert (fault.targets_role, named.targets_role) == (True, False)
