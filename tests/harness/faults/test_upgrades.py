"""Upgrades and roll-backs, on a fake world."""

from __future__ import annotations

from typing import Any

from harness.faults.upgrades import RollBack, Upgrade

from .fake_world import FakeWorld

WHEN: dict[str, Any] = {"id": "u1", "begin_ns": 0, "end_ns": 400, "targets": ("n1",)}
UPGRADE = Upgrade(**WHEN, code="new")
ROLL_BACK = RollBack(**WHEN, code="old", then="new", power=True)


def test_an_upgrade_stops_a_node_and_starts_it_with_other_code_for_good() -> None:
    world = FakeWorld()

    state, has_target = world.begin(UPGRADE)
    UPGRADE.undo(world, state, None)

    assert has_target
    assert state.hits == 1
    assert world.done == [("crash", "n1", False), ("install", "n1", "new"), ("start", "n1", None)]
    assert world.code_of("n1") == "new"


def test_a_node_that_has_the_code_is_left_alone() -> None:
    world = FakeWorld()
    world.codes["n1"] = "new"

    state, has_target = world.begin(UPGRADE)
    UPGRADE.undo(world, state, None)

    assert has_target
    assert (state.outcome, world.done) == ("no-target", [])


def test_a_node_that_is_down_is_waited_for() -> None:
    world = FakeWorld()
    world.hosts["n1"].is_up = False

    _, has_target = world.begin(UPGRADE)

    assert not has_target
    assert UPGRADE.waits_until_heal
    assert world.done == []


def test_a_node_that_its_code_keeps_from_running_is_upgraded() -> None:
    world = FakeWorld()
    world.hosts["n1"].is_up, world.hosts["n1"].refused, world.outdated = False, "feature-unknown", ["n1"]

    state, has_target = world.begin(UPGRADE)
    UPGRADE.undo(world, state, None)

    assert has_target
    assert world.done == [("install", "n1", "new"), ("start", "n1", None)]


def test_a_node_whose_disk_is_damaged_stays_down() -> None:
    world = FakeWorld()
    state, _ = world.begin(UPGRADE)
    world.hosts["n1"].refused = "log-corrupt"

    UPGRADE.undo(world, state, None)

    assert world.done == [("crash", "n1", False), ("install", "n1", "new")]


def test_a_roll_back_runs_older_code_for_a_while_and_puts_the_newer_back() -> None:
    world = FakeWorld()
    world.codes["n1"] = "new"

    state, has_target = world.begin(ROLL_BACK)
    world.run_until(100_000_000)
    between = list(world.done)
    ROLL_BACK.undo(world, state, None)

    assert has_target
    assert between == [("crash", "n1", True), ("install", "n1", "old"), ("start", "n1", None)]
    assert world.done[3:] == [("crash", "n1", False), ("install", "n1", "new"), ("start", "n1", None)]


def test_there_is_nothing_to_roll_back_before_an_upgrade() -> None:
    world = FakeWorld()

    state, _ = world.begin(ROLL_BACK)
    world.run_until(100_000_000)
    ROLL_BACK.undo(world, state, None)

    assert (state.hits, world.done) == (0, [])


def test_a_node_that_refused_to_go_back_comes_back_with_the_newer_code() -> None:
    world = FakeWorld()
    world.codes["n1"] = "new"
    state, _ = world.begin(ROLL_BACK)
    world.run_until(100_000_000)
    world.hosts["n1"].is_up, world.hosts["n1"].refused, world.outdated = False, "feature-unknown", ["n1"]

    ROLL_BACK.undo(world, state, None)

    assert world.done[3:] == [("install", "n1", "new"), ("start", "n1", None)]


def test_who_was_upgraded_in_the_meantime_is_not_stopped_again() -> None:
    world = FakeWorld()
    world.codes["n1"] = "new"
    state, _ = world.begin(ROLL_BACK)
    world.run_until(100_000_000)
    world.install("n1", "new")
    done = len(world.done)

    ROLL_BACK.undo(world, state, None)

    assert len(world.done) == done
