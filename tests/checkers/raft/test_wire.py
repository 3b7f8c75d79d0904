"""What nodes say to each other agrees with their disks when it leaves, and with what is noted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checkers.raft.conftest import GROUP, Trace


def send(trace: Trace, source: str, target: str, kind: str, term: int, said: Any = 0) -> Trace:
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


def test_who_is_acknowledged_as_the_leader_of_a_term_says_that_it_leads() -> None:
    """A deposed leader sent its last entries with the term that had deposed it (hashicorp/raft issue 695)."""
    deposed = durable(running().leads("A", 1).note("term", "A", 2).follows("A", 2), "B", 0, 2).note("term", "B", 2)
    send(deposed, "B", "A", "append-reply", 2, 0)
    two = durable(running().leads("A", 1), "B", 0, 1)
    send(send(two, "A", "B", "heartbeat", 1), "B", "C", "append-reply", 1, 0)
    stopped = send(running().leads("A", 1).follows("A", 1), "B", "A", "append-reply", 1, 0)
    late = send(running(), "B", "A", "append-reply", 1, 0)

    assert deposed.found == []  # it may note that at the end of the same step
    assert finished(deposed) == ["wire-leader/not-noted"]
    assert two.found == ["wire-leader/two"]
    assert finished(stopped) == []
    assert finished(late.leads("A", 1)) == []


@pytest.mark.parametrize(("said", "expected"), [((1, 1), []), ((0, 1), []), ((1, 0), ["wire-commit/falls"])])
def test_what_one_node_is_told_to_be_committed_never_falls(said: tuple[int, int], expected: list[str]) -> None:
    """A leader that forgets what a follower holds caps what it tells it (openraft pull 1501)."""
    trace = led()
    found = trace.found
    for commit in said:
        send(trace, "A", "B", "heartbeat", 1, commit)

    assert trace.found == found + expected


def test_who_left_and_came_back_is_told_anew_what_is_committed() -> None:
    trace = send(led(), "A", "B", "heartbeat", 1, 1)
    found = trace.found
    trace.append("A", 2, "1c").config("A", 2, "AC").append("A", 3, "1d").config("A", 3, "ABC")
    configured = trace.found

    assert send(trace, "A", "B", "heartbeat", 1, 0).found == configured
    assert found == led().found


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


def led(entries: str = "1x") -> Trace:
    """`A` leads term 1 with one committed entry, which `A` and `B` hold; `C` holds `entries`."""
    trace = running().leads("A", 1).replicate("AB", 1, "1x", term=1).commit("A", 1)
    trace.append("C", 1, entries)
    return durable(trace, "C", len(entries.split()), 1)


@pytest.mark.parametrize(("match", "expected"), [(1, []), (2, ["wire-ack/not-the-leaders"])])
def test_what_is_acknowledged_is_what_the_leader_has(match: int, expected: list[str]) -> None:
    """`C` has two entries, the leader only the first (CCF issue 6001: the last index of the own log was sent)."""
    trace = led("1x 0z")
    found = trace.found  # of the hand-made log

    assert send(trace, "C", "A", "append-reply", 1, match).found == found + expected


def test_an_answer_to_a_leader_of_another_term_is_not_compared() -> None:
    trace = durable(led("1x").leads("B", 2), "C", 1, 2)

    assert send(trace.note("term", "C", 2), "C", "A", "append-reply", 1, 1).found == []


@pytest.mark.parametrize(("entries", "expected"), [("1x", []), ("1x 1y", []), ("0z", ["wire-commit/not-held"])])
def test_only_who_has_the_entry_is_told_that_it_is_committed(entries: str, expected: list[str]) -> None:
    """A heartbeat verifies nothing: who has another entry there would commit that (willemt/raft pull 118)."""
    trace = led(entries)
    found = trace.found

    assert send(trace, "A", "C", "heartbeat", 1, 1).found == found + expected


def test_who_is_down_or_has_not_recovered_is_not_asked() -> None:
    """An acknowledged write of which no fsync has told yet: only its start says what is there."""
    trace = led("0z")
    found = trace.found
    send(trace.row("crash", "C", 1, "kill"), "A", "C", "heartbeat", 1, 1)
    assert trace.found == found

    send(trace.row("start", "C", 2, "default"), "A", "C", "heartbeat", 1, 1)
    assert trace.found == found

    trace.follows("C", 1).recover("log-append", "C", 1, ((0, b"z"),))
    assert trace.found == found

    trace.note("term", "C", 1)  # a later instant: its recovery is over
    assert send(trace, "A", "C", "heartbeat", 1, 1).found[-1] == "wire-commit/not-held"


@pytest.mark.parametrize(("voters", "expected"), [("ABC", []), ("AB", ["wire-snapshot"])])
def test_an_image_is_sent_with_the_configuration_of_its_index(voters: str, expected: list[str]) -> None:
    """Index 2 has a configuration without `C`; the image is of index 1."""
    trace = led().append("A", 2, "1y").config("A", 2, "AB").configured("A", 2, 1, "AB")
    found = trace.found

    assert send(trace, "A", "C", "snapshot", 1, (1, tuple(voters), (), ())).found == found + expected
