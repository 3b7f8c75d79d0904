"""No leader answers a read that was asked after a later leader had been elected."""

from __future__ import annotations

import pytest

from checkers.raft.reads import LeaderReads

GROUP = "g0"


class Run:
    """Has leaders at given times."""

    def __init__(self) -> None:
        self.leaders: dict[str, dict[str, int]] = {GROUP: {}}
        self.reads = LeaderReads(self.leaders)

    def wins(self, time_ns: int, node: str, term: int) -> Run:
        self.leaders[GROUP][node] = term
        self.reads.won(time_ns, GROUP, node, term, 7)
        return self

    def leases(self, *nodes: str) -> Run:
        """From now on these would answer a read by a lease."""
        self.reads.reads_by_lease = lambda group, node: node in nodes
        return self

    def found(self) -> list[str]:
        return [anomaly.signature for anomaly in self.reads.anomalies]

    def ends(self, node: str) -> Run:
        del self.leaders[GROUP][node]
        return self

    def answered(self, node: str, asked_ns: int) -> list[str]:
        self.reads.answered(GROUP, node, asked_ns, lambda: 7)
        return self.found()


@pytest.fixture(name="run")
def _run() -> Run:
    """`a` leads term 1 from 10 on, `b` wins term 2 at 20, and `a` has not heard of it."""
    return Run().wins(10, "a", 1).wins(20, "b", 2)


@pytest.mark.parametrize(
    ("asked_ns", "expected"),
    [(15, []), (20, []), (21, ["reads/deposed-leader"])],
    ids=["asked before the election", "at its instant", "after it"],
)
def test_a_leader_that_was_deposed_answers_no_later_read(run: Run, asked_ns: int, expected: list[str]) -> None:
    assert run.answered("a", asked_ns) == expected


def test_the_leader_of_the_latest_term_answers(run: Run) -> None:
    assert run.answered("b", 30) == []


def test_who_leads_no_more_may_answer_with_what_the_leader_told_it(run: Run) -> None:
    assert run.ends("a").answered("a", 30) == []


def test_an_election_that_was_won_late_deposes_nobody(run: Run) -> None:
    """`c` learns at 30 that it has won term 1 of its own partition: the latest term decides, not the latest event."""
    run.ends("a").wins(30, "c", 1)

    assert run.answered("b", 40) == []
    assert run.answered("c", 40) == ["reads/deposed-leader"]


def test_who_wins_a_term_finds_no_earlier_leader_with_a_lease() -> None:
    run = Run().wins(10, "a", 1).leases("a").wins(20, "b", 2)

    assert run.found() == ["reads/lease-outlived"]
    assert "b won term 2" in run.reads.anomalies[0].message
    assert "a, which leads term 1" in run.reads.anomalies[0].message


@pytest.mark.parametrize("leasing", [(), ("b",)], ids=["nobody has one", "the winner has one"])
def test_a_lease_that_is_over_and_one_of_the_winner_are_none_of_an_earlier_leader(leasing: tuple[str, ...]) -> None:
    assert Run().wins(10, "a", 1).leases(*leasing).wins(20, "b", 2).found() == []


def test_an_earlier_term_that_is_won_late_ends_no_lease(run: Run) -> None:
    assert run.ends("a").leases("b").wins(30, "c", 1).found() == []


def test_both_kinds_are_told_once_each() -> None:
    run = Run().wins(10, "a", 1).leases("a").wins(20, "b", 2).wins(30, "c", 3)

    assert run.answered("a", 40) == ["reads/lease-outlived", "reads/deposed-leader"]
    assert run.answered("a", 50) == ["reads/lease-outlived", "reads/deposed-leader"]
