"""No leader answers a read that was asked after a later leader had been elected."""

from __future__ import annotations

import pytest

from checkers.raft.reads import LeaderReads

GROUP = "g0"


class Run:
    """Feeds roles at given times."""

    def __init__(self) -> None:
        self.reads = LeaderReads()

    def role(self, time_ns: int, node: str, role: str, term: int) -> Run:
        self.reads.handlers()["role"](0, (time_ns, "role", node, GROUP, role, term))
        return self

    def answered(self, node: str, asked_ns: int) -> list[str]:
        self.reads.answered(7, GROUP, node, asked_ns)
        return [anomaly.signature for anomaly in self.reads.anomalies]


@pytest.fixture(name="run")
def _run() -> Run:
    """`a` leads term 1 from 10 on, `b` wins term 2 at 20, and `a` has not heard of it."""
    return Run().role(10, "a", "leader", 1).role(20, "b", "leader", 2)


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
    assert run.role(25, "a", "follower", 2).answered("a", 30) == []


def test_an_election_that_was_won_late_deposes_nobody(run: Run) -> None:
    """`c` learns at 30 that it has won term 1 of its own partition: the latest term decides, not the latest event."""
    run.role(22, "a", "follower", 2).role(30, "c", "leader", 1)

    assert run.answered("b", 40) == []
    assert run.answered("c", 40) == ["reads/deposed-leader"]


def test_a_node_that_crashed_does_not_lead(run: Run) -> None:
    run.reads.handlers()["crash"](0, (22, "crash", "a", 1, "kill"))

    assert run.answered("a", 30) == []
    assert run.reads.judged == 0
