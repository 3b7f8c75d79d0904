"""A leader that hears no quorum steps down within its bound; one that hears one, or cannot step, is not accused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from checkers.raft.cut_off_leaders import CutOffLeaders, parts_of

BOUND_NS = 100


class World:
    """Five voters, of which `a` leads term 3."""

    def __init__(self) -> None:
        self.heard = set("bcde")
        self.healthy = True
        self.parts: Sequence[Sequence[str]] = ("abcde", "")
        self.watched = CutOffLeaders(
            BOUND_NS,
            hears=lambda node, other: other in self.heard,
            is_healthy=lambda node: self.healthy,
            voters=lambda group, node: self.parts,
        )
        self.watched.role(0, 0, "g0", "a", "leader", 3)

    def cut(self, now: int, heard: str) -> World:
        self.heard = set(heard)
        self.watched.look(now, 1)
        return self

    @property
    def found(self) -> list[str]:
        return [anomaly.signature for anomaly in self.watched.anomalies]


@pytest.mark.parametrize(
    ("steps_down_ns", "expected"), [(110, []), (111, ["liveness/leads-alone"])], ids=["in time", "too late"]
)
def test_a_leader_that_is_cut_off_steps_down(steps_down_ns: int, expected: list[str]) -> None:
    world = World().cut(10, "b")

    world.watched.role(steps_down_ns, 5, "g0", "a", "follower", 3)

    assert world.found == expected


def test_changes_elsewhere_do_not_begin_the_time_anew() -> None:
    world = World().cut(10, "b").cut(60, "c").cut(90, "")

    world.watched.close(111, 9)

    assert world.found == ["liveness/leads-alone"]
    assert world.watched.longest_ns == 101


@pytest.mark.parametrize("heard", ["bc", "bcde"])
def test_a_leader_with_a_majority_leads_on(heard: str) -> None:
    world = World().cut(10, heard)

    world.watched.close(1000, 9)

    assert world.found == []


def test_time_counts_only_while_it_is_cut_off_and_runs_as_it_should() -> None:
    world = World().cut(10, "b").cut(60, "bc").cut(70, "b")
    world.healthy = False
    world.cut(150, "b")
    world.healthy = True
    world.cut(300, "b")

    world.watched.close(390, 9)

    assert world.found == []


def test_a_joint_configuration_needs_both_majorities() -> None:
    world = World()
    world.parts = ("abc", "ade")
    world.cut(10, "bc")

    world.watched.close(111, 9)

    assert world.found == ["liveness/leads-alone"]


@pytest.mark.parametrize("ends", [True, False])
def test_a_leader_that_crashed_leads_no_more(ends: bool) -> None:
    world = World().cut(10, "b")
    if ends:
        world.watched.ends(50, 3, "a")

    world.watched.close(500, 9)

    assert bool(world.found) is not ends


def test_the_voters_are_those_of_its_own_configuration() -> None:
    voters = parts_of({("g0", "a"): (("a", "b"), ("c",), ("d",))}, {"g0": ("x", "y")})

    assert voters("g0", "a") == (("a", "b"), ("c",))
    assert voters("g0", "b") == (("x", "y"),)
