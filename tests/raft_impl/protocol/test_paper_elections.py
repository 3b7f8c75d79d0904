"""The sentences of sections 5.1, 5.2, 5.4.1 and 5.6 that state a rule, one test each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from raft_impl.protocol.messages import (
    AppendReject,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    Message,
    PreVote,
    PreVoteReply,
    TimeoutNow,
    Vote,
    VoteReply,
)
from raft_impl.protocol.state import Index, Role, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, alone, append, elected

PLAIN: dict[str, Any] = {"pre_vote": False, "check_quorum": False}
"""The paper's own elections, without what the dissertation adds."""


def become(cluster: Cluster, role: Role) -> None:
    """Bring node "a", which is alone, into a role in term 1."""
    if role is Role.LEADER:
        elected(cluster, "b")
    elif role is Role.CANDIDATE:
        cluster.campaign("a")
    else:
        cluster.step("a", "b", Heartbeat(Term(1), 1, Index(0)))
    cluster.network.clear()
    assert (cluster.status("a").role, cluster.status("a").term) == (role, 1)


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
@pytest.mark.parametrize(
    "message",
    [
        append(2, 0, 0),
        Heartbeat(Term(2), 1, Index(0)),
        Vote(Term(2), Index(9), Term(1)),
        AppendReply(Term(2), Index(0)),
    ],
    ids=["append", "heartbeat", "vote", "append-reply"],
)
def test_a_later_term_is_adopted_in_every_role(role: Role, message: Message) -> None:
    """5.1: if one server's current term is smaller than the other's, it updates its current term to the larger value; a
    candidate or leader that discovers that its term is out of date immediately reverts to follower state."""
    cluster = alone(**PLAIN)
    become(cluster, role)

    cluster.step("a", "c", message)

    assert (cluster.status("a").role, cluster.status("a").term) == (Role.FOLLOWER, 2)


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
def test_a_request_of_an_earlier_term_is_rejected(role: Role) -> None:
    """5.1: if a server receives a request with a stale term number, it rejects the request."""
    cluster = alone(log=[1], **PLAIN)
    cluster.step("a", "b", Heartbeat(Term(3), 1, Index(0)))
    if role is Role.CANDIDATE:
        cluster.campaign("a")
    elif role is Role.LEADER:
        elected(cluster, "b")
    term, log = cluster.status("a").term, cluster.log("a")
    cluster.network.clear()

    cluster.step("a", "c", append(1, 1, 1, 1))
    cluster.step("a", "c", Vote(Term(2), Index(9), Term(2)))
    cluster.step("a", "c", Heartbeat(Term(2), 1, Index(1)))

    replies = [message for _, _, message in cluster.network]
    assert [AppendReject, VoteReply, HeartbeatReply] == [type(reply) for reply in replies]
    assert all(reply.term == term for reply in replies)
    assert replies[1] == VoteReply(term, False)
    assert (cluster.status("a").role, cluster.log("a"), cluster.status("a").commit) == (role, log, 0)


@pytest.mark.parametrize(
    "message",
    [VoteReply(Term(1), True), AppendReply(Term(1), Index(99)), HeartbeatReply(Term(1), 1), TimeoutNow(Term(1))],
)
def test_answers_of_an_earlier_term_are_ignored(message: Message) -> None:
    """5.1: an answer to a question of an earlier term says nothing about this one."""
    cluster = alone(term=1, **PLAIN)
    cluster.campaign("a")
    cluster.network.clear()

    cluster.step("a", "b", message)

    assert (cluster.status("a").role, cluster.status("a").term) == (Role.CANDIDATE, 2)
    assert cluster.network == []


def test_nodes_start_as_followers() -> None:
    """5.2: when servers start up, they begin as followers."""
    cluster = Cluster("abc")

    assert [cluster.status(name).role for name in "abc"] == [Role.FOLLOWER] * 3
    assert cluster.leaders() == []


def test_a_leader_heartbeats_all_followers_periodically() -> None:
    """5.2: leaders send periodic heartbeats to all followers in order to maintain their authority."""
    cluster = Cluster("abcde")
    cluster.elect("a")
    cluster.log_of_messages.clear()

    cluster.run(3 * HEARTBEAT_NS)

    assert dict.fromkeys("bcde", 3) == Counter(target for _, target, _ in cluster.sent("heartbeat"))


def test_a_heartbeat_postpones_the_election() -> None:
    """5.2: a server remains in follower state as long as it receives valid RPCs from a leader or candidate."""
    cluster = alone(**PLAIN)

    for tick in range(20):
        cluster.now += HEARTBEAT_NS
        cluster.wake("a")
        cluster.step("a", "b", Heartbeat(Term(1), tick + 1, Index(0)))

    assert (cluster.status("a").role, cluster.status("a").term) == (Role.FOLLOWER, 1)


def test_a_follower_that_hears_nothing_campaigns() -> None:
    """5.2: if a follower receives no communication over the election timeout it begins an election: it increments its
    current term, votes for itself and issues RequestVote RPCs in parallel to each of the other servers. 5.4.1: the RPC
    includes information about the candidate's log."""
    cluster = alone(log=[1, 1], term=1, voters="abcde", **PLAIN)

    cluster.now = cluster.nodes["a"].wake_at_ns
    cluster.wake("a")

    status = cluster.status("a")
    assert (status.role, status.term, status.vote) == (Role.CANDIDATE, 2, "a")
    assert [("a", name, Vote(Term(2), Index(2), Term(1))) for name in "bcde"] == cluster.network


def test_a_candidate_without_a_decision_campaigns_again() -> None:
    """5.2: each candidate will time out and start a new election by incrementing its term."""
    cluster = alone(**PLAIN)
    cluster.campaign("a")

    cluster.run(2 * T_NS)

    assert cluster.status("a").role is Role.CANDIDATE
    assert cluster.status("a").term >= 2


@pytest.mark.parametrize(
    ("size", "grants", "refusals", "role"),
    [
        (1, 0, 0, Role.LEADER),
        (2, 0, 0, Role.CANDIDATE),
        (2, 1, 0, Role.LEADER),
        (3, 1, 0, Role.LEADER),
        (3, 2, 0, Role.LEADER),
        (3, 0, 1, Role.CANDIDATE),
        (3, 0, 2, Role.FOLLOWER),
        (4, 1, 0, Role.CANDIDATE),
        (4, 2, 0, Role.LEADER),
        (5, 1, 2, Role.CANDIDATE),
        (5, 2, 2, Role.LEADER),
        (5, 1, 3, Role.FOLLOWER),
    ],
)
def test_a_majority_of_votes_decides(size: int, grants: int, refusals: int, role: Role) -> None:
    """5.2: a candidate wins an election if it receives votes from a majority of the servers in the full cluster."""
    cluster = alone(voters="abcde"[:size], **PLAIN)
    cluster.campaign("a")

    for position, name in enumerate("bcde"[: grants + refusals]):
        cluster.step("a", name, VoteReply(Term(1), position < grants))

    assert cluster.status("a").role is role


def test_one_voter_counts_once() -> None:
    """5.2: a duplicated answer is one vote; so is one that changes its mind."""
    cluster = alone(voters="abcde", **PLAIN)
    cluster.campaign("a")

    for _ in range(3):
        cluster.step("a", "b", VoteReply(Term(1), True))
    cluster.step("a", "c", VoteReply(Term(1), False))
    cluster.step("a", "c", VoteReply(Term(1), True))

    assert cluster.status("a").role is Role.CANDIDATE


def test_only_voters_count() -> None:
    """Section 6: who is no voter of the current configuration decides nothing."""
    cluster = Cluster("abc", learners="l", spare="x", **PLAIN)
    for name in "bclx":
        cluster.crash(name)
    cluster.campaign("a")

    cluster.step("a", "l", VoteReply(Term(1), True))
    cluster.step("a", "x", VoteReply(Term(1), True))

    assert cluster.status("a").role is Role.CANDIDATE


def test_a_node_votes_once_a_term_first_come_first_served() -> None:
    """5.2: each server will vote for at most one candidate in a given term, on a first-come-first-served basis."""
    cluster = alone(**PLAIN)

    for candidate in "bcb":
        cluster.step("a", candidate, Vote(Term(1), Index(0), Term(0)))

    assert [message.granted for _, _, message in cluster.network] == [True, False, True]  # type: ignore[union-attr]


def test_a_vote_outlives_a_restart() -> None:
    """5.2, figure 2: votedFor is persistent state: a restart gives no node a second vote."""
    cluster = alone(**PLAIN)
    cluster.step("a", "b", Vote(Term(1), Index(0), Term(0)))

    cluster.crash("a")
    cluster.restart("a")
    cluster.network.clear()
    cluster.step("a", "c", Vote(Term(1), Index(0), Term(0)))

    assert [("a", "c", VoteReply(Term(1), False))] == cluster.network


@pytest.mark.parametrize("leader_term", [1, 2])
@pytest.mark.parametrize("what", ["append", "heartbeat"])
def test_a_candidate_falls_back_before_a_leader_of_its_term_or_later(leader_term: int, what: str) -> None:
    """5.2: if the leader's term is at least as large as the candidate's, the candidate recognizes the leader as
    legitimate and returns to follower state."""
    cluster = alone(**PLAIN)
    cluster.campaign("a")
    message = append(leader_term, 0, 0) if what == "append" else Heartbeat(Term(leader_term), 1, Index(0))

    cluster.step("a", "b", message)

    status = cluster.status("a")
    assert (status.role, status.leader, status.term) == (Role.FOLLOWER, "b", leader_term)
    assert status.vote == ("a" if leader_term == 1 else None)


def test_a_candidate_that_falls_back_keeps_its_vote() -> None:
    """5.2: it voted for itself in this term, so no other candidate of the term gets its vote."""
    cluster = alone(voters="abcde", **PLAIN)
    cluster.campaign("a")
    cluster.step("a", "b", Heartbeat(Term(1), 1, Index(0)))
    cluster.network.clear()

    cluster.step("a", "c", Vote(Term(1), Index(9), Term(1)))

    assert [("a", "c", VoteReply(Term(1), False))] == cluster.network


def test_timeouts_are_the_ones_the_driver_offers() -> None:
    """5.2: election timeouts are chosen randomly from a fixed interval; a new one is drawn at the start of each
    election."""
    cluster = alone(**PLAIN)
    core = cluster.core("a")
    offered = [T_NS + 7, T_NS + 11, T_NS + 13]
    fired = []

    ready = core.offer_timeout(offered[0])  # in stock behind the one the cluster offered at the start
    for timeout in offered[1:]:
        cluster.now = ready.wake_at_ns
        ready = core.wake(cluster.now)
        fired.append(ready.wake_at_ns - cluster.now)
        assert ready.wants_timeout
        core.offer_timeout(timeout)

    assert len(set(fired)) == len(fired)
    assert fired[-1] in offered


def test_random_timeouts_make_one_node_first_in_most_elections() -> None:
    """5.2: randomized election timeouts ensure that split votes are rare and that they are resolved quickly."""
    split = 0
    for seed in range(100):
        cluster = Cluster("abcde", seed=seed, **PLAIN)
        cluster.run(2 * T_NS)
        split += not cluster.leaders()

    assert split == 0  # packets take no time here, so the first to fire always wins


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("pre_vote", [False, True])
def test_a_healthy_cluster_elects_a_leader_in_one_round(size: int, pre_vote: bool) -> None:
    """5.2: a candidate that gets the votes of a majority becomes leader and sends heartbeats to establish its
    authority."""
    cluster = Cluster("abcdefg"[:size], pre_vote=pre_vote)

    cluster.campaign("a")
    cluster.settle()

    assert cluster.leaders() == ["a"]
    assert {1} == {cluster.status(name).term for name in cluster.nodes}
    assert {"a"} == {cluster.status(name).leader for name in cluster.nodes}


def test_timing_keeps_a_stable_leader() -> None:
    """5.6: broadcast time well below the election timeout, so a leader stays, and its term with it."""
    cluster = Cluster("abcde")
    cluster.elect("b")
    term = cluster.status("b").term

    cluster.run(40 * T_NS)

    assert cluster.leaders() == ["b"]
    assert {term} == {cluster.status(name).term for name in "abcde"}


@pytest.mark.parametrize(
    ("ours", "last_index", "last_term", "granted"),
    [
        ([], 0, 0, True),
        ([1], 1, 1, True),
        ([1], 2, 1, True),
        ([1], 1, 2, True),
        ([1], 0, 0, False),
        ([1, 1], 1, 1, False),
        ([1, 1], 1, 2, True),
        ([2], 9, 1, False),
        ([1, 2], 2, 1, False),
        ([2, 2, 2], 1, 3, True),
    ],
)
def test_a_vote_goes_only_to_a_log_at_least_as_up_to_date(
    ours: list[int], last_index: int, last_term: int, granted: bool
) -> None:
    """5.4.1: the voter denies its vote if its own log is more up-to-date than the candidate's: the later last term
    wins, and with equal last terms the longer log."""
    cluster = alone(log=ours, term=3, **PLAIN)

    cluster.step("a", "b", Vote(Term(4), Index(last_index), Term(last_term)))
    cluster.step("a", "b", PreVote(Term(5), Index(last_index), Term(last_term)))

    assert [
        ("a", "b", VoteReply(Term(4), granted)),
        ("a", "b", PreVoteReply(Term(5 if granted else 4), granted)),
    ] == cluster.network


def test_refusing_a_vote_does_not_postpone_the_own_election() -> None:
    """Figure 2: the timer starts again on granting a vote, not on being asked; else a node that cannot win would keep
    silent those that can."""
    cluster = alone(log=[1, 1], term=1, **PLAIN)
    fires_at = cluster.nodes["a"].wake_at_ns

    cluster.now = T_NS // 2
    cluster.step("a", "b", Vote(Term(2), Index(1), Term(1)))

    assert fires_at == cluster.nodes["a"].wake_at_ns


def test_granting_a_vote_postpones_the_own_election() -> None:
    """Figure 2: "without ... granting vote to candidate: convert to candidate"."""
    cluster = alone(**PLAIN)
    fires_at = cluster.nodes["a"].wake_at_ns

    cluster.now = T_NS // 2
    cluster.step("a", "b", Vote(Term(1), Index(0), Term(0)))

    assert fires_at + T_NS // 2 == cluster.nodes["a"].wake_at_ns
