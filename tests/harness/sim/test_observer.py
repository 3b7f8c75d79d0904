"""The observer knows of the cluster what its trace says, and resolves roles by it."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.raft.invariants import Invariants
from harness.sim.observer import Observer

NODES = ("n1", "n2", "n3")


def observed(*rows: tuple[Any, ...], down: tuple[str, ...] = ()) -> Observer:
    """An observer that has seen rows without their times: (kind, actor, *fields)."""
    invariants = Invariants({"g0": NODES, "g1": NODES})
    observer = Observer(NODES, lambda name: name not in down, invariants.progress, invariants.term)
    handlers = observer.handlers()
    for index, row in enumerate(rows):
        invariants.observe(index, (index, *row))
        if row[0] in handlers:
            handlers[row[0]](index, (index, *row))
    return observer


def leads(name: str, term: int) -> tuple[Any, ...]:
    return ("role", name, "g0", "leader", term)


@pytest.mark.parametrize(
    ("rows", "down", "leader"),
    [
        ([], (), None),
        ([leads("n1", 1)], (), "n1"),
        ([leads("n1", 1), leads("n2", 2)], (), "n2"),
        ([leads("n2", 2), leads("n1", 1)], (), "n2"),  # the old one speaks last
        ([leads("n1", 1), leads("n2", 2)], ("n2",), "n1"),
        ([leads("n1", 1), ("role", "n1", "g0", "follower", 2)], (), None),
        ([leads("n1", 1), ("start", "n1", 2, "default")], (), None),
        ([leads("n1", 1), ("refuse", "n1", 1, "feature-unknown")], (), None),
        ([("role", "n1", "g1", "leader", 9), leads("n2", 1)], (), "n2"),
    ],
)
def test_the_leader_is_the_live_one_of_the_highest_term(
    rows: list[tuple[Any, ...]], down: tuple[str, ...], leader: str | None
) -> None:
    assert observed(*rows, down=down).holders("@leader") == (() if leader is None else (leader,))


@pytest.mark.parametrize(
    ("rows", "down", "holder"),
    [
        ([], (), "n1"),
        ([leads("n1", 1)], (), "n2"),
        ([leads("n2", 1)], ("n1",), "n3"),
        ([leads("n1", 1)], ("n2", "n3"), None),
    ],
)
def test_a_follower_is_a_live_replica_that_does_not_lead(
    rows: list[tuple[Any, ...]], down: tuple[str, ...], holder: str | None
) -> None:
    assert observed(*rows, down=down).holders("@follower") == (() if holder is None else (holder,))


def test_a_voter_is_who_voted_for_another_in_the_last_election() -> None:
    observer = observed(
        ("vote", "n2", "g0", 1, "n1"),
        ("vote", "n3", "g0", 2, "n1"),
        ("vote", "n1", "g0", 2, "n1"),
    )

    assert observer.holders("@voter") == ("n3",)
    assert observed(("vote", "n1", "g0", 1, "n1")).holders("@voter") == ()


def test_progress_is_forgotten_when_a_replica_starts_again() -> None:
    rows = [("commit", "n1", "g0", 7), ("apply", "n1", "g0", 6, b"c", b"s")]

    running, restarted = (
        observed(*rows),
        observed(*rows, ("role", "n1", "g0", "follower", 3), ("start", "n1", 2, "default")),
    )
    installed = observed(*rows, ("snapshot", "n1", "g0", "installed", 9, 3, b"t"))

    assert (running.committed("g0", "n1"), running.applied("g0", "n1")) == (7, (6, b"s"))
    assert (restarted.committed("g0", "n1"), restarted.applied("g0", "n1")) == (0, None)
    assert installed.applied("g0", "n1") == (9, b"t")


def test_where_a_replica_stands_has_the_term_that_it_entered_without_telling_its_role_again() -> None:
    """Else the term seems to rise by two when the next election raises it by one (`terms-grow/transfer`)."""
    follows = ("role", "n1", "g0", "follower", 3)
    enters, durable = ("term", "n1", "g0", 5), ("fsync", "n1", (), (("g0", 0, 5, None),))

    assert observed(follows).standing()["g0", "n1"].term == 3
    assert observed(follows, enters).standing()["g0", "n1"].term == 5
    assert observed(follows, enters, durable, ("start", "n1", 2, "default")).standing()["g0", "n1"].term == 5


def test_a_majority_is_one_without_the_leader_and_is_there_only_when_enough_are_up() -> None:
    assert observed(leads("n1", 1)).holders("@majority") == ("n2", "n3")
    assert observed(leads("n1", 1), down=("n2",)).holders("@majority") == ()
    assert observed().holders("@majority") == ()


def test_the_time_without_a_leader_is_counted_up_to_the_latest_one() -> None:
    """Rows happen at 0, 1, 2, ...: nobody leads until 2, from 5 to 6 (n2 crashes), and after 7 there is no leader."""
    none = ("role", "n3", "g0", "follower", 1)
    observer = observed(
        none, none, leads("n1", 1), leads("n2", 2), ("role", "n1", "g0", "follower", 2),
        ("crash", "n2", 1, "kill"), leads("n3", 3), ("start", "n3", 2, "default"), none, none,
    )  # fmt: skip

    assert observer.leaderless_ns == 2 + 1


def test_each_group_is_without_a_leader_by_itself() -> None:
    observer = observed(leads("n1", 1), ("role", "n2", "g1", "leader", 1), ("stop", "n1", 1), leads("n3", 2))

    assert observer.leaderless_ns == 0 + 1 + 1


@pytest.mark.parametrize(
    "end",
    [("crash", "n1", 1, "kill"), ("stop", "n1", 1), ("refuse", "n1", 1, "feature-unknown")],
    ids=lambda row: row[0],
)
def test_a_leader_that_ends_leads_no_more_in_whatever_way_it_ends(end: tuple[Any, ...]) -> None:
    observer = observed(leads("n1", 1), ("vote", "n3", "g0", 2, "n2"), end, *[("vote", "n3", "g0", 2, "n2")] * 3)
    assert observer.standing()["g0", "n1"].leads is False

    observer.handlers()["role"](6, (6, *leads("n2", 2)))

    assert observer.leaderless_ns == 4
