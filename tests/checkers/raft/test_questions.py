"""Questions that arrived are answered as the paper says, and nothing is sent that the other one is known to have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checkers.raft.conftest import GROUP, Trace
from tests.checkers.raft.test_wire import durable, led, running, send

LATER = (2, 1)
"""The last term and index of a log with a later term than `A` has, and fewer entries."""


def arrive(
    trace: Trace, source: str, target: str, kind: str, term: int, said: Any = 0, *, is_late: bool = False
) -> Trace:
    trace.invariants.on_arrival[kind](trace.index, source, target, GROUP, term, said, is_late)
    return trace


def asked(last: tuple[int, int] = LATER, *, vote: str | None = None) -> Trace:
    """`A` has two entries of term 1; `B` asks it for its vote in term 3, into which that has brought it."""
    trace = running().append("A", 1, "1x 1y")
    durable(trace, "A", 2, 1)
    arrive(trace, "B", "A", "vote", 3, last)
    trace.note("term", "A", 3)
    return durable(trace, "A", 2, 3, vote)


def speaks(trace: Trace, actor: str, turns: int) -> Trace:
    """An actor syncs and is heard, as often as `turns` says."""
    replica = trace.invariants.on_send
    for _ in range(turns):
        durable(trace, actor, 2, 3)
        replica(trace.index, actor, "C", GROUP, "pre-vote", 4, 0)
    return trace


def test_a_vote_is_not_refused_without_a_reason() -> None:
    """The log with the later last term is the more up to date one, though it is shorter (hashicorp/raft issue 94)."""
    assert send(asked(), "A", "B", "vote-reply", 3, 0).found == ["wire-vote/refused"]
    assert send(asked((1, 2)), "A", "B", "vote-reply", 3, 0).found == ["wire-vote/refused"]


@pytest.mark.parametrize("last", [(1, 1), (0, 9)])
def test_a_shorter_or_older_log_is_a_reason(last: tuple[int, int]) -> None:
    assert send(asked(last), "A", "B", "vote-reply", 3, 0).found == []


def test_a_vote_given_away_is_a_reason_and_so_is_a_leader() -> None:
    durably = asked(vote="C")
    noted = asked().vote("A", 3, "C")
    lead = asked().leads("C", 3)

    assert send(durably, "A", "B", "vote-reply", 3, 0).found == []
    assert send(noted, "A", "B", "vote-reply", 3, 0).found == []
    assert send(lead, "A", "B", "vote-reply", 3, 0).found == []


def test_a_no_may_be_one_to_another_question() -> None:
    """A request of an earlier term, which is over at `A`, came behind or before the one of term 3."""
    earlier = arrive(asked(), "B", "A", "vote", 2, LATER)
    other_term = durable(asked().note("term", "A", 4), "A", 2, 4)
    nothing_came = durable(running().note("term", "A", 3), "A", 0, 3)
    restarted = asked().restart("A", 3, "1x 1y")

    assert send(earlier, "A", "B", "vote-reply", 3, 0).found == []
    assert send(other_term, "A", "B", "vote-reply", 4, 0).found == []
    assert send(nothing_came, "A", "B", "vote-reply", 3, 0).found == []
    assert send(restarted, "A", "B", "vote-reply", 3, 0).found == []


def test_a_question_of_long_ago_was_answered_long_ago() -> None:
    trace = arrive(running().append("A", 1, "1x 1y"), "B", "A", "vote", 2, LATER)
    late = arrive(running().append("A", 1, "1x 1y"), "B", "A", "vote", 2, LATER, is_late=True)
    for one in (trace, late):
        one.note("term", "A", 3)
        arrive(speaks(one, "A", 4), "B", "A", "vote", 3, LATER)
        send(one, "A", "B", "vote-reply", 3, 0)

    assert trace.found == ["wire-vote/refused"]
    assert late.found == []


def test_a_no_to_a_pre_candidate_tells_of_the_later_term() -> None:
    """So that who asks learns it (etcd issue 8243)."""
    behind = durable(running().note("term", "A", 3), "A", 0, 3)

    assert send(behind, "A", "B", "pre-vote-reply", 3, 0).found == []
    assert send(behind, "A", "B", "pre-vote-reply", 4, 1).found == []
    assert send(behind, "A", "B", "pre-vote-reply", 1, 0).found == ["wire-pre-vote/term"]


def test_a_pre_candidate_is_answered() -> None:
    """Also one whose term is over, which else would ask for ever (etcd issue 8501)."""
    trace = arrive(running(), "B", "A", "pre-vote", 2)
    arrive(speaks(trace, "A", 3), "B", "A", "pre-vote", 2)
    assert trace.found == []

    arrive(speaks(trace, "A", 1), "B", "A", "pre-vote", 2)
    assert trace.found == ["wire-pre-vote/unanswered"]


def test_an_answer_a_restart_and_a_slow_node_are_no_silence() -> None:
    answered = send(arrive(running(), "B", "A", "pre-vote", 2), "A", "B", "pre-vote-reply", 2, 1)
    restarted = arrive(running(), "B", "A", "pre-vote", 2).restart("A", 1)
    slow = arrive(running(), "B", "A", "pre-vote", 2, is_late=True)
    down = arrive(running().row("crash", "A", 1, "kill"), "B", "A", "pre-vote", 2)

    assert arrive(speaks(answered, "A", 9), "B", "A", "pre-vote", 2).found == []
    assert arrive(speaks(restarted, "A", 9), "B", "A", "pre-vote", 2).found == []
    assert arrive(speaks(slow, "A", 9), "B", "A", "pre-vote", 2).found == []
    down.row("start", "A", 2, "default").follows("A", 1)
    assert arrive(speaks(down, "A", 9), "B", "A", "pre-vote", 2).found == []


def leading(match: int) -> Trace:
    """`A` leads term 1, has spoken, and `B`'s acknowledgement of the log up to an index has come."""
    return arrive(send(led(), "A", "C", "pre-vote", 2), "B", "A", "append-reply", 1, match)


def after_two_turns(trace: Trace) -> Trace:
    for commit in (0, 1):
        durable(trace, "A", 1, 1)
        send(trace, "A", "C", "pre-vote", 2, commit)
    return trace


@pytest.mark.parametrize(("previous", "expected"), [(1, []), (2, []), (0, ["wire-append"])])
def test_a_follower_is_sent_nothing_that_it_has_acknowledged(previous: int, expected: list[str]) -> None:
    """A late refusal overwrote what the leader knew of it (CCF pull request 3723)."""
    assert send(after_two_turns(leading(1)), "A", "B", "append", 1, previous).found == expected


def test_an_append_may_have_been_made_before_the_acknowledgement_was_read() -> None:
    trace = leading(1)
    send(trace, "A", "B", "append", 1, 0)
    durable(trace, "A", 1, 1)
    send(trace, "A", "B", "append", 1, 0)

    assert trace.found == []


def test_who_left_and_came_back_is_probed_anew() -> None:
    trace = after_two_turns(leading(1))
    trace.append("A", 2, "1c").config("A", 2, "AC").append("A", 3, "1d").config("A", 3, "ABC")
    configured = trace.found

    assert send(trace, "A", "B", "append", 1, 0).found == configured


def test_another_follower_and_another_term_are_sent_what_they_lack() -> None:
    other = send(after_two_turns(leading(1)), "A", "C", "append", 1, 0)
    later = durable(after_two_turns(leading(1)).note("term", "A", 5), "A", 1, 5)

    assert other.found == []
    assert send(later, "A", "B", "append", 5, 0).found == []
