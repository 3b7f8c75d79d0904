"""Reads without log entries: read indexes, rounds, forwarded reads, leases, dirty reads (dissertation 6.4)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_impl.protocol.config import Config
from raft_impl.protocol.messages import AppendReply, Heartbeat, HeartbeatReply, Read, ReadReply, Vote, VoteReply
from raft_impl.protocol.reads import ForwardedReads, PendingReads, Rounds
from raft_impl.protocol.ready import ReadAt, Refused
from raft_impl.protocol.state import Index, NodeId, Role, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, Packet, alone, elected

LEASE: dict[str, Any] = {"reads": "lease", "lease_drift_bound_ppm": 1_000_000}


def leading(**options: Any) -> Cluster:
    """Node "a", alone, leads term 1 of three, with its first entry committed; the network is empty."""
    cluster = alone(**options)
    elected(cluster, "b")
    cluster.step("a", "b", AppendReply(Term(1), Index(1)))
    assert cluster.status("a").commit == 1
    cluster.network.clear()
    return cluster


def rounds(cluster: Cluster) -> list[int]:
    """The numbers of the heartbeat rounds under way, taken off the network."""
    packets = cluster.take("heartbeat", target="b")
    cluster.take()
    return [message.round for _, _, message in packets if isinstance(message, Heartbeat)]


# quorum reads


def test_a_read_waits_for_a_round_that_began_after_it() -> None:
    """6.4: the leader needs to make sure it has not been superseded: it issues a new round of heartbeats and waits for
    their acknowledgements from a majority."""
    cluster = leading()
    cluster.now += HEARTBEAT_NS
    cluster.wake("a")
    [earlier] = rounds(cluster)

    tag = cluster.read("a", settle=False)
    [own] = rounds(cluster)
    cluster.step("a", "b", HeartbeatReply(Term(1), earlier))
    assert cluster.answer("a", tag) is None

    cluster.step("a", "b", HeartbeatReply(Term(1), own))
    assert cluster.answer("a", tag) == ReadAt(tag, Index(1))


def test_a_later_round_confirms_earlier_reads() -> None:
    """Who follows us now followed us then."""
    cluster = leading()
    first, second = cluster.read("a", settle=False), cluster.read("a", settle=False)
    newest = rounds(cluster)[-1]

    cluster.step("a", "c", HeartbeatReply(Term(1), newest))

    assert [cluster.answer("a", tag) for tag in (first, second)] == [
        ReadAt(first, Index(1)),
        ReadAt(second, Index(1)),
    ]


def test_repeated_answers_of_one_follower_are_no_quorum() -> None:
    """Five nodes: b alone, however often, confirms nothing."""
    cluster = alone(voters="abcde")
    elected(cluster, "b", "c")
    for name in "bc":
        cluster.step("a", name, AppendReply(Term(1), Index(1)))
    tag = cluster.read("a", settle=False)
    [own] = rounds(cluster)[-1:]

    for _ in range(3):
        cluster.step("a", "b", HeartbeatReply(Term(1), own))
    assert cluster.answer("a", tag) is None
    cluster.step("a", "d", HeartbeatReply(Term(1), own))
    assert cluster.answer("a", tag) is not None


def test_the_read_index_is_the_commit_index_when_the_round_began() -> None:
    """6.4: the leader saves its current commit index as the read index; what commits later need not be waited for."""
    cluster = leading()
    tag = cluster.read("a", settle=False)
    [own] = rounds(cluster)[-1:]
    cluster.propose("a", "x", settle=False)
    cluster.step("a", "b", AppendReply(Term(1), Index(2)))
    assert cluster.status("a").commit == 2

    cluster.step("a", "b", HeartbeatReply(Term(1), own))

    assert cluster.answer("a", tag) == ReadAt(tag, Index(1))


def test_a_new_leader_answers_no_read_before_its_first_entry_commits() -> None:
    """6.4: if the leader has not yet marked an entry from its current term committed, it waits until it has done so:
    its commit index may lag behind what was acknowledged."""
    cluster = alone(log=[1, 1], term=1)
    elected(cluster, "b")
    tag = cluster.read("a", settle=False)
    assert rounds(cluster) == []

    cluster.now += HEARTBEAT_NS
    cluster.wake("a")
    [number] = rounds(cluster)
    cluster.step("a", "b", HeartbeatReply(Term(2), number))
    assert cluster.answer("a", tag) is None

    cluster.step("a", "b", AppendReply(Term(2), Index(3)))
    [own] = rounds(cluster)
    cluster.step("a", "b", HeartbeatReply(Term(2), own))
    assert cluster.answer("a", tag) == ReadAt(tag, Index(3))


def test_reads_of_one_batch_share_one_round() -> None:
    """6.4: one round of heartbeats serves any number of read-only queries that have accumulated."""
    cluster = leading()
    core = cluster.core("a")

    core.hold()
    for tag in range(100):
        core.read(cluster.now, tag)
    ready = core.release(cluster.now)

    assert [(target, type(message)) for target, message in ready.send_now] == [("b", Heartbeat), ("c", Heartbeat)]


def test_a_single_voter_confirms_itself() -> None:
    """It is a majority, once its log is durable."""
    cluster = Cluster("a")
    cluster.elect("a")
    cluster.propose("a", "x")

    tag = cluster.read("a")

    assert cluster.answer("a", tag) == ReadAt(tag, Index(2))


def test_an_isolated_leader_answers_no_reads() -> None:
    """F7 (b): a leader was deposed without knowing; its read must not be answered from its old state."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.propose("a", "x=1")
    cluster.cut("a")
    cluster.elect_without_commit("b")
    cluster.propose("b", "x=2")

    tag = cluster.read("a")
    assert cluster.answer("a", tag) is None
    cluster.run(T_NS)

    assert cluster.answer("a", tag) == Refused(tag, "deposed")


def test_reads_are_refused_when_too_many_wait() -> None:
    """Queues are bounded; the refusal may be retried."""
    cluster = leading(max_waiting_reads=2)

    tags = [cluster.read("a", settle=False) for _ in range(3)]

    assert [cluster.answer("a", tag) for tag in tags] == [None, None, Refused(tags[2], "busy")]


# reads of followers


def test_a_follower_asks_the_leader_for_a_read_index() -> None:
    """6.4: a follower asks the leader for a current read index, and answers when it has applied that far."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.propose("a", "x")

    tag = cluster.read("b")

    assert cluster.answer("b", tag) == ReadAt(tag, Index(2))
    assert cluster.applied("b") == ["x"], "the round itself told it what is committed"


def test_reads_of_a_follower_are_batched_too() -> None:
    """One question for all that came together."""
    cluster = Cluster("abc")
    cluster.elect("a")
    core = cluster.core("b")

    core.hold()
    for tag in range(50):
        core.read(cluster.now, tag)
    ready = core.release(cluster.now)

    assert [(target, type(message)) for target, message in ready.send_now] == [("a", Read)]


def test_a_follower_without_leader_refuses_reads() -> None:
    """There is no node to ask."""
    cluster = Cluster("abc")

    tag = cluster.read("b")

    assert cluster.answer("b", tag) == Refused(tag, "not-leader", None)


def test_a_forwarded_read_without_answer_is_refused_in_time() -> None:
    """A lost question or answer must not leave its clients waiting without end."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.lose = lambda packet: isinstance(packet[2], Read)
    tag = cluster.read("b")

    cluster.run(T_NS)

    assert cluster.answer("b", tag) == Refused(tag, "not-ready", "a")


def test_forwarded_reads_end_with_the_leader_they_were_sent_to() -> None:
    """The old leader will not answer; the new one was not asked."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.lose = lambda packet: isinstance(packet[2], ReadReply)
    tag = cluster.read("b")

    cluster.elect_without_commit("c")

    assert cluster.answer("b", tag) == Refused(tag, "deposed", None)


def test_a_node_that_does_not_lead_says_so() -> None:
    """The asker's client should look for the leader elsewhere."""
    cluster = Cluster("abc")
    cluster.elect("a")

    cluster.step("c", "b", Read(Term(1), 5))

    assert cluster.network == [("c", "b", ReadReply(Term(1), 5, None))]


def test_an_answer_to_an_earlier_life_is_not_taken_for_an_answer_to_this_one() -> None:
    """A follower asks, crashes, and asks again; the first answer comes late, with an index that is too old by then."""
    cluster = Cluster("abc")
    cluster.elect("a")
    late: list[Packet] = []
    cluster.lose = lambda packet: isinstance(packet[2], ReadReply) and late.append(packet) is None
    cluster.read("b")
    cluster.crash("b")
    cluster.restart("b")
    cluster.run(HEARTBEAT_NS)
    cluster.propose("a", "x")
    cluster.lose = lambda packet: False

    tag = cluster.read("b", settle=False)
    cluster.network = [*late, *cluster.network]
    cluster.settle()

    assert [message.index for _, _, message in late if isinstance(message, ReadReply)] == [1]
    assert cluster.answer("b", tag) == ReadAt(tag, Index(2))


# leases


def test_a_lease_counts_from_the_send_time_of_the_confirmed_round() -> None:
    """6.4.1: once a majority acknowledges, the leader may extend its lease to start + election timeout / drift bound,
    where start is when the round was *sent*."""
    cluster = leading(**LEASE)
    cluster.now += HEARTBEAT_NS
    cluster.wake("a")
    sent = cluster.now
    [number] = rounds(cluster)
    cluster.now += HEARTBEAT_NS - 1
    cluster.step("a", "b", HeartbeatReply(Term(1), number))

    cluster.now = sent + T_NS - 1
    assert cluster.core("a").reads_by_lease(cluster.now)
    held = cluster.read("a", settle=False)
    cluster.now += 1
    assert not cluster.core("a").reads_by_lease(cluster.now)
    expired = cluster.read("a", settle=False)

    assert cluster.answer("a", held) == ReadAt(held, Index(1))
    assert cluster.answer("a", expired) is None


@pytest.mark.parametrize(
    ("bound_ppm", "lease_ns"), [(1_000_000, T_NS), (1_050_000, 136_054_421), (2_000_000, 37_500_000)]
)
def test_the_lease_shrinks_with_the_square_of_the_drift_bound(bound_ppm: int, lease_ns: int) -> None:
    """A voter's fast clock cuts its promise by b, the leader's slow one sees that as b less again."""
    assert Config(election_timeout_min_ns=T_NS, reads="lease", lease_drift_bound_ppm=bound_ppm).lease_ns == lease_ns


def test_a_new_leader_holds_no_lease() -> None:
    """Votes are no answers to heartbeats; the first round makes the first lease."""
    cluster = leading(**LEASE)
    assert not cluster.core("a").reads_by_lease(cluster.now)

    tag = cluster.read("a", settle=False)

    assert cluster.answer("a", tag) is None
    assert len(rounds(cluster)) == 1


def test_without_a_quorum_of_answers_the_lease_runs_out() -> None:
    """F7 (c): an isolated leader may answer for the rest of its lease, and no longer."""
    cluster = Cluster("abc", **LEASE)
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    last_round = cluster.now
    cluster.cut("a")

    cluster.now = last_round + T_NS - 1
    under_lease = cluster.read("a", settle=False)
    cluster.now += 1
    after = cluster.read("a", settle=False)

    assert isinstance(cluster.answer("a", under_lease), ReadAt)
    assert cluster.answer("a", after) is None


def test_no_leader_is_elected_while_a_lease_holds() -> None:
    """The voters that confirmed the round ignore candidates for one minimal election timeout of their clocks."""
    cluster = Cluster("abc", **LEASE)
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    last_round = cluster.now
    cluster.cut("a")

    cluster.now = last_round + T_NS - 1
    for _ in range(3):
        cluster.campaign("b")
        cluster.campaign("c")
        cluster.settle()

    assert [cluster.status(name).term for name in "bc"] == [1, 1]


def test_a_restart_counts_as_contact_under_leases() -> None:
    """A voter that confirmed a round and then crashed still owes its promise, but cannot remember to whom."""
    cluster = Cluster("abc", **LEASE)
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    confirmed_at = cluster.now
    cluster.cut("a")
    for name in "bc":
        cluster.crash(name)
        cluster.restart(name)

    cluster.now = confirmed_at + T_NS - 1
    for name in "bc":
        cluster.campaign(name)
    cluster.settle()
    assert [cluster.status(name).role for name in "bc"] == [Role.FOLLOWER, Role.FOLLOWER]

    cluster.step("b", "c", Vote(Term(2), Index(9), Term(9)))
    assert (cluster.status("b").term, cluster.network) == (1, [])
    cluster.step("b", "c", Vote(Term(2), Index(9), Term(9), transfer=True))
    assert cluster.network == [("b", "c", VoteReply(Term(2), True))]


def test_without_leases_a_restarted_node_may_vote_at_once() -> None:
    """No lease, no promise: elections after a full restart need not wait for it."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.crash("b")
    cluster.restart("b")

    cluster.step("b", "c", Vote(Term(2), Index(9), Term(9)))

    assert ("b", "c", VoteReply(Term(2), True)) in cluster.network


def test_a_lease_is_not_used_once_a_successor_was_told_to_campaign() -> None:
    """3.10, 6.4.1: the successor's election ignores our voters' promise, also when it comes after the transfer was
    given up (raft-rs #234)."""
    cluster = Cluster("abc", **LEASE)
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    cluster.transfer("a", "b", settle=False)
    late = cluster.take("timeout-now")
    during = cluster.read("a", settle=False)
    assert cluster.answer("a", during) is None

    cluster.run(2 * T_NS)  # the transfer is given up, heartbeats are answered
    assert cluster.leaders() == ["a"]
    cluster.cut("a")
    cluster.network = late
    cluster.cut_links.discard(("a", "b"))
    cluster.deliver_one()
    cluster.settle()
    cluster.propose("b", "x=2")
    assert cluster.leader() == "b"

    stale = cluster.read("a")
    assert not isinstance(cluster.answer("a", stale), ReadAt)


def test_a_lease_does_not_outlive_the_membership_it_was_counted_with() -> None:
    """Section 6: under C_old,new both majorities must have confirmed."""
    cluster = Cluster("abc", spare="xyz", **LEASE)
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    cluster.cut("xyz", "abc")
    assert isinstance(cluster.answer("a", cluster.read("a")), ReadAt)
    cluster.change("a", listen="xyz")
    cluster.cut_links.clear()
    cluster.run(4 * HEARTBEAT_NS)
    assert cluster.status("a").membership.learners == ("x", "y", "z")
    cluster.cut("xyz", "abc")
    cluster.change("a", vote="xyz", leave="bc", settle=False)
    assert cluster.status("a").membership.is_joint
    tag = cluster.read("a")

    assert cluster.answer("a", tag) is None


def test_leases_need_check_quorum() -> None:
    """Without stickiness no voter keeps the promise that a lease stands on."""
    with pytest.raises(ValueError, match="check_quorum"):
        Config(reads="lease", check_quorum=False)


# dirty reads


def test_local_reads_answer_at_once_anywhere() -> None:
    """Documented as dirty: the node's own applied state, with no question asked."""
    cluster = Cluster("abc", reads="local")
    cluster.elect("a")
    cluster.propose("a", "x")
    cluster.cut("b")
    cluster.propose("a", "y")

    tags = {name: cluster.read(name) for name in "ab"}

    assert cluster.answer("a", tags["a"]) == ReadAt(tags["a"], Index(3))
    assert cluster.answer("b", tags["b"]) == ReadAt(tags["b"], Index(1))


# the bookkeeping


@given(st.lists(st.integers(0, 100), min_size=1, max_size=50))
def test_rounds_know_when_they_left_or_nothing(gaps: list[int]) -> None:
    """Within the memory the exact time; before it, and for rounds never sent, None."""
    book = Rounds(memory_ns=200)
    sent: dict[int, int] = {}
    now = 0
    for gap in gaps:
        now += gap
        sent[book.begin(now)] = now

    for number in range(-1, book.last + 3):
        expected = sent.get(number)
        if expected is not None and expected < now - 200:
            expected = None
        assert book.sent_ns(number) == expected


def test_pending_reads_settle_in_order_and_once() -> None:
    """No request is answered twice, and none is lost."""
    reads = PendingReads()
    askers = [(NodeId("b"), number) for number in range(6)]
    for number in range(6):
        reads.add(askers[number])
        if number % 2:
            reads.begin(number, Index(number))

    assert reads.confirm(3) == [(asker, Index(1 if position < 2 else 3)) for position, asker in enumerate(askers[:4])]
    assert reads.confirm(3) == []
    assert (reads.count, reads.drain(), reads.count) == (2, askers[4:], 0)


def test_contexts_of_two_incarnations_never_meet() -> None:
    """The incarnation is part of each context."""
    both = [ForwardedReads(incarnation, patience_ns=1) for incarnation in (1, 2)]

    contexts = [reads.ask(now) for reads in both for now in range(1000)]

    assert len(set(contexts)) == len(contexts)
