"""Leadership transfer (dissertation 3.10): the four ways it can go."""

from __future__ import annotations

import pytest

from raft_impl.protocol.messages import Append, AppendReply, TimeoutNow
from raft_impl.protocol.ready import Proposed, Refused, Transferred
from raft_impl.protocol.state import Index, Role, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, alone, elected


def led(voters: str = "abc", **options: object) -> Cluster:
    """A settled cluster that "a" leads."""
    cluster = Cluster(voters, **options)  # type: ignore[arg-type]
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    return cluster


def test_a_transfer_makes_the_target_leader_at_once() -> None:
    """3.10: no election timeout passes; pre-vote and stickiness are skipped, because the leader itself asked."""
    cluster = led()
    before = cluster.now
    cluster.log_of_messages.clear()

    tag = cluster.transfer("a", "b")

    assert cluster.leaders() == ["b"]
    assert cluster.now == before
    assert cluster.answer("a", tag) == Transferred(tag, "b")
    assert cluster.sent("pre-vote") == []
    cluster.propose("b", "x")
    assert cluster.applied("b") == ["x"]


def test_the_target_is_brought_up_to_date_first() -> None:
    """3.10: the prior leader fully updates the target's log to match its own, using the normal replication
    mechanism."""
    cluster = led()
    cluster.lose = lambda packet: isinstance(packet[2], Append) and packet[1] == "b"
    cluster.propose("a", "x")
    cluster.lose = lambda packet: False

    cluster.transfer("a", "b")
    assert cluster.leaders() == ["a"]
    assert cluster.sent("timeout-now") == []
    cluster.run(2 * HEARTBEAT_NS)

    assert cluster.leaders() == ["b"]
    assert cluster.applied("b") == ["x"]


def test_proposals_are_refused_while_a_transfer_runs() -> None:
    """3.10: the prior leader stops accepting new client requests; it names the successor."""
    cluster = led()
    cluster.cut("b")
    cluster.transfer("a", "b")

    tag = cluster.propose("a", "x")

    assert cluster.answer("a", tag) == Refused(tag, "transferring", "b")


def test_a_transfer_that_takes_too_long_is_given_up() -> None:
    """3.10: if leadership transfer does not complete after about an election timeout, the prior leader aborts the
    transfer and resumes accepting client requests."""
    cluster = led()
    cluster.cut("b")
    aborted = cluster.transfer("a", "b")

    cluster.run(T_NS)
    tag = cluster.propose("a", "x")

    assert cluster.answer("a", aborted) == Refused(aborted, "timeout", "a")
    assert isinstance(cluster.answer("a", tag), Proposed)
    assert cluster.applied("a") == ["x"]


def test_a_late_timeout_now_of_the_same_term_is_obeyed_safely() -> None:
    """F15: the abort cannot call it back. The target wins or loses by the rules; nothing that was committed is lost."""
    cluster = led()
    cluster.transfer("a", "b", settle=False)
    late = cluster.take("timeout-now")
    cluster.run(T_NS)
    cluster.propose("a", "x")

    cluster.network = late
    cluster.settle()

    assert cluster.leaders() == ["b"]
    assert cluster.applied("b") == ["x"]


def test_a_late_timeout_now_with_a_short_log_elects_no_leader() -> None:
    """5.4.1 holds for transfers too."""
    cluster = led()
    cluster.transfer("a", "b", settle=False)
    late = cluster.take("timeout-now")
    cluster.run(T_NS)
    cluster.cut("b")
    cluster.propose("a", "x")
    cluster.cut_links.clear()

    cluster.network = late
    cluster.settle()

    assert cluster.leaders() == []
    cluster.run(4 * T_NS)
    assert cluster.leader() in "ac"
    assert cluster.applied(cluster.leader()) == ["x"]


def test_a_timeout_now_of_an_earlier_term_is_void() -> None:
    """It carries its term; after the next election it means nothing."""
    cluster = led()
    cluster.transfer("a", "b", settle=False)
    late = cluster.take("timeout-now")
    cluster.elect("c")
    term = cluster.status("c").term

    cluster.network = late
    cluster.settle()

    assert cluster.leaders() == ["c"]
    assert cluster.status("b").term == term


@pytest.mark.parametrize("target", ["a", "l", "x"])
def test_only_another_voter_can_take_over(target: str) -> None:
    """Not the leader itself, not a learner, not a stranger."""
    cluster = led(learners="l", spare="x")

    tag = cluster.transfer("a", target)

    assert cluster.answer("a", tag) == Refused(tag, "not-member", "a")
    assert cluster.leaders() == ["a"]


def test_one_transfer_at_a_time() -> None:
    """The second is refused, and the first goes on."""
    cluster = led()
    cluster.cut("b")
    cluster.transfer("a", "b")

    second = cluster.transfer("a", "c")

    assert cluster.answer("a", second) == Refused(second, "transferring", "a")


def test_who_does_not_lead_cannot_transfer() -> None:
    """It says who does."""
    cluster = led()

    tag = cluster.transfer("b", "c")

    assert cluster.answer("b", tag) == Refused(tag, "not-leader", "a")


def test_a_learner_ignores_timeout_now() -> None:
    """It has no vote to campaign with."""
    cluster = Cluster("abc", learners="l")
    cluster.elect("a")

    cluster.step("l", "a", TimeoutNow(Term(1)))

    assert (cluster.status("l").role, cluster.status("l").term) == (Role.FOLLOWER, 1)


def test_timeout_now_is_sent_once() -> None:
    """Each copy would start another election."""
    cluster = alone()
    elected(cluster, "b")
    cluster.step("a", "b", AppendReply(Term(1), Index(1)))
    cluster.transfer("a", "b", settle=False)

    for _ in range(3):
        cluster.step("a", "b", AppendReply(Term(1), Index(1)))

    assert len(cluster.take("timeout-now")) == 1


def test_transfers_in_a_circle_lose_nothing() -> None:
    """Twenty hand-overs with a command in each leadership."""
    cluster = led("abcde")
    written = []
    for turn in range(20):
        target = "abcde"[(turn + 1) % 5]
        cluster.propose(cluster.leader(), f"{turn}")
        written.append(f"{turn}")
        cluster.transfer(cluster.leader(), target)
        assert cluster.leader() == target

    cluster.run(HEARTBEAT_NS)
    assert [cluster.applied(name) for name in "abcde"] == [written] * 5
