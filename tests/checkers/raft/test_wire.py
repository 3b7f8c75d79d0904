"""What nodes say to each other agrees with their disks when it leaves, and with what is noted."""

from __future__ import annotations

import pytest

from tests.checkers.raft.conftest import GROUP, Trace


def send(trace: Trace, source: str, target: str, kind: str, term: int, said: int = 0) -> Trace:
    trace.invariants.on_send(trace.index, source, target, GROUP, kind, term, said)
    return trace


def durable(trace: Trace, actor: str, last: int, term: int, vote: str | None = None) -> Trace:
    return trace.row("fsync", actor, ("log",), ((GROUP, last, term, vote),))


def running(*actors: str) -> Trace:
    """A group of three, each node in term 1 with that on its disk."""
    trace = Trace("A", "B", "C")
    for actor in actors or "ABC":
        trace.row("start", actor, 1, "default").follows(actor, 1)
        durable(trace, actor, 0, 1)
    return trace


@pytest.mark.parametrize("kind", ["vote", "vote-reply", "append-reply", "heartbeat"])
def test_a_term_is_on_the_disk_before_it_is_said(kind: str) -> None:
    early, late = running(), durable(running(), "A", 0, 2, "A")

    assert send(early, "A", "B", kind, 2).found[:1] == [f"wire-term/{kind}"]
    assert send(late, "A", "B", kind, 2).found == []


def test_a_vote_is_on_the_disk_before_it_is_granted() -> None:
    without = durable(running(), "A", 0, 2)
    other = durable(running(), "A", 0, 2, "C")
    right = durable(running(), "A", 0, 2, "B")
    later = durable(running(), "A", 0, 3, "C")

    assert send(without, "A", "B", "vote-reply", 2, 1).found == ["wire-vote/not-durable"]
    assert send(other, "A", "B", "vote-reply", 2, 1).found == ["wire-vote/not-durable"]
    assert send(right, "A", "B", "vote-reply", 2, 1).found == []
    assert send(later, "A", "B", "vote-reply", 2, 1).found == []  # written together with a later term


def test_a_refusal_needs_no_vote_and_a_candidacy_is_a_vote() -> None:
    refused = send(durable(running(), "A", 0, 2, "C"), "A", "B", "vote-reply", 2, 0)
    candidate = send(durable(running(), "A", 0, 2), "A", "B", "vote", 2)
    voted = send(durable(running(), "A", 0, 2, "A"), "A", "B", "vote", 2)

    assert refused.found == voted.found == []
    assert candidate.found == ["wire-vote/not-durable"]


def test_one_term_is_granted_once_whatever_lies_between() -> None:
    trace = send(durable(running(), "A", 0, 2, "B"), "A", "B", "vote-reply", 2, 1)
    send(trace, "A", "B", "vote-reply", 2, 1)
    assert trace.found == []

    trace.row("crash", "A", 1, "power").row("start", "A", 2, "default").follows("A", 2)
    durable(trace, "A", 0, 3, "C")
    send(trace, "A", "C", "vote-reply", 2, 1)

    assert trace.found[-1] == "wire-vote/twice"


def test_what_is_acknowledged_is_on_the_disk() -> None:
    trace = durable(running().append("A", 1, "1x 1y"), "A", 1, 1)

    assert send(trace, "A", "B", "append-reply", 1, 1).found == []
    assert send(trace, "A", "B", "append-reply", 1, 2).found == ["wire-ack"]


def test_it_is_not_asked_where_disk_and_memory_differ() -> None:
    """A write that was replaced while it was on its way: what it made durable below that is not known."""
    trace = running().append("A", 1, "1x 1y")
    trace.note("term", "A", 2).truncate("A", 2).append("A", 2, "2z")
    trace.row("fsync", "A", ("log",), ((GROUP, 2, 1, None, 1),))

    assert send(trace, "A", "B", "append-reply", 1, 1).found == []
    trace.row("fsync", "A", ("log",), ((GROUP, 2, 2, None, 2),))
    assert send(trace, "A", "B", "append-reply", 2, 3).found == ["wire-ack"]


def finished(trace: Trace) -> list[str]:
    trace.invariants.finish(trace.index + 100_000)
    return trace.found


def test_one_node_sends_the_heartbeats_of_a_term_and_says_that_it_leads() -> None:
    silent = send(running(), "A", "B", "heartbeat", 1)
    two = send(send(running().leads("A", 1), "A", "B", "heartbeat", 1), "C", "B", "heartbeat", 1)
    right = send(send(running().leads("A", 1), "A", "B", "heartbeat", 1), "A", "C", "heartbeat", 1)

    assert silent.found == []  # it may note that at the end of the same step
    assert finished(silent) == ["wire-leader/not-noted"]
    assert two.found == ["wire-leader/two"]
    assert finished(right) == []


def test_what_a_heartbeat_calls_committed_is_noted_as_committed() -> None:
    early = send(running().leads("A", 1), "A", "B", "heartbeat", 1, 1)
    right = running().leads("A", 1).replicate("AB", 1, "1x", term=1).commit("A", 1)
    send(right, "A", "B", "heartbeat", 1, 1)

    assert finished(early) == ["wire-commit"]
    assert finished(right) == []


def test_the_notes_of_a_last_step_may_be_missing() -> None:
    trace = send(running(), "A", "B", "heartbeat", 1, 5)

    trace.invariants.finish(trace.index)

    assert trace.found == []
