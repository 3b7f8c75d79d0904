"""Elections that must not happen, and those that must: pre-vote, check-quorum, stickiness (dissertation 4.2.3, 6.2,
9.6)."""

from __future__ import annotations

import pytest

from raft_impl.protocol.messages import (
    AppendReject,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
)
from raft_impl.protocol.state import Index, Role, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, alone, append, elected


def test_a_pre_vote_changes_nothing_at_either_side() -> None:
    """9.6: a pre-candidate asks in the next term but stays in its own; a voter promises nothing."""
    cluster = Cluster("abc", terms={"a": 3, "b": 3, "c": 3})

    cluster.campaign("a")
    requests = cluster.take("pre-vote")

    assert [("a", name, PreVote(Term(4), Index(0), Term(0))) for name in "bc"] == requests
    cluster.network = requests[:1]
    fires_at = cluster.nodes["b"].wake_at_ns
    cluster.now += 1
    cluster.deliver_one()
    status = cluster.status("b")
    assert (status.term, status.vote, status.role) == (3, None, Role.FOLLOWER)
    assert cluster.nodes["b"].wake_at_ns == fires_at
    assert cluster.network == [("b", "a", PreVoteReply(Term(4), True))]


def test_several_pre_candidates_are_granted_in_the_same_term() -> None:
    """9.6: a pre-vote is no vote; each asker with a good log is granted it."""
    cluster = alone(voters="abcde")

    for name in "bcd":
        cluster.step("a", name, PreVote(Term(1), Index(0), Term(0)))

    assert cluster.network == [("a", name, PreVoteReply(Term(1), True)) for name in "bcd"]


def test_a_pre_candidate_with_a_majority_campaigns() -> None:
    """9.6: only then does it raise its term."""
    cluster = alone(voters="abcde")
    cluster.campaign("a")

    cluster.step("a", "b", PreVoteReply(Term(1), True))
    assert (cluster.status("a").role, cluster.status("a").term) == (Role.PRE_CANDIDATE, 0)
    cluster.step("a", "c", PreVoteReply(Term(1), True))

    assert (cluster.status("a").role, cluster.status("a").term) == (Role.CANDIDATE, 1)


@pytest.mark.parametrize("asked_term", [1, 2, 3])
def test_a_pre_vote_grant_counts_only_for_the_term_that_was_asked(asked_term: int) -> None:
    """A grant of an earlier question, delayed, answers nothing now; nor does it raise a term."""
    cluster = alone(term=1)
    cluster.campaign("a")

    cluster.step("a", "b", PreVoteReply(Term(asked_term), True))

    expected = Role.CANDIDATE if asked_term == 2 else Role.PRE_CANDIDATE
    assert cluster.status("a").role is expected
    assert cluster.status("a").term == (2 if asked_term == 2 else 1)


def test_a_majority_of_refusals_ends_the_pre_election() -> None:
    """The pre-candidate waits for its next timeout as a follower."""
    cluster = alone(term=1)
    cluster.campaign("a")

    cluster.step("a", "b", PreVoteReply(Term(1), False))
    assert cluster.status("a").role is Role.PRE_CANDIDATE
    cluster.step("a", "c", PreVoteReply(Term(1), False))

    assert (cluster.status("a").role, cluster.status("a").term) == (Role.FOLLOWER, 1)


def test_a_refused_pre_vote_carries_the_higher_term_and_the_asker_adopts_it() -> None:
    """A node of an old term must learn the new one, else its questions would be refused without end (etcd #8243)."""
    cluster = alone(term=1)
    cluster.campaign("a")

    cluster.step("a", "b", PreVoteReply(Term(7), False))

    assert (cluster.status("a").role, cluster.status("a").term) == (Role.FOLLOWER, 7)


def test_a_pre_vote_of_an_earlier_term_is_answered() -> None:
    """Silence would leave the asker in its term."""
    cluster = alone(term=7)

    cluster.step("a", "b", PreVote(Term(3), Index(5), Term(2)))

    assert cluster.network == [("a", "b", PreVoteReply(Term(7), False))]


def test_a_higher_term_with_a_shorter_log_does_not_block_elections() -> None:
    """One has the term, the other the log: neither could win until the one with the log learns the term (etcd
    #8501)."""
    cluster = Cluster("abc", logs={"a": [1, 1, 1], "b": [1]}, terms={"a": 1, "b": 9})
    cluster.crash("c")

    cluster.run(10 * T_NS)

    assert cluster.leaders() == ["a"]
    assert cluster.status("a").term > 9


@pytest.mark.parametrize("pre_vote", [False, True])
def test_an_isolated_node_that_returns_disturbs_no_node(pre_vote: bool) -> None:
    """9.6: without pre-vote it comes back with a term of many lost elections; with it, the term never moved."""
    cluster = Cluster("abc", pre_vote=pre_vote)
    cluster.elect("a")
    cluster.cut("c")
    cluster.run(20 * T_NS)
    raised = cluster.status("c").term > 1
    cluster.propose("a", "x")

    cluster.heal()
    cluster.run(10 * T_NS)

    assert raised is not pre_vote
    if pre_vote:
        assert [cluster.status(name).term for name in "abc"] == [1, 1, 1]
        assert cluster.leaders() == ["a"]
    else:
        assert cluster.leaders() != ["c"], "its log is too short"
        assert cluster.status("a").term > 1
    assert cluster.applied("c") == ["x"]


@pytest.mark.parametrize("request_kind", ["vote", "pre-vote"])
def test_a_voter_in_contact_with_a_leader_elects_no_leader(request_kind: str) -> None:
    """4.2.3: if a server receives a RequestVote within the minimum election timeout of hearing from a current leader,
    it does not update its term or grant its vote."""
    cluster = alone(term=1)
    cluster.step("a", "b", Heartbeat(Term(1), 1, Index(0)))
    cluster.network.clear()

    def ask() -> list[object]:
        request = Vote if request_kind == "vote" else PreVote
        cluster.step("a", "c", request(Term(5), Index(9), Term(4)))
        return [message for _, _, message in cluster.take()]

    cluster.now += T_NS - 1
    assert ask() == ([] if request_kind == "vote" else [PreVoteReply(Term(1), False)])
    assert (cluster.status("a").term, cluster.status("a").vote) == (1, None)

    cluster.now += 1
    assert ask() == ([VoteReply(Term(5), True)] if request_kind == "vote" else [PreVoteReply(Term(5), True)])


def test_an_append_is_contact_like_a_heartbeat_and_a_pre_vote_is_not() -> None:
    """Only the current leader's messages count; granting pre-votes must not keep a group silent (hashicorp/raft
    #609)."""
    cluster = alone(term=1, voters="abcde")
    cluster.step("a", "b", append(1, 0, 0))
    cluster.now += T_NS - 1
    cluster.step("a", "c", PreVote(Term(2), Index(0), Term(0)))
    cluster.now += 1

    for name in "cd":
        cluster.step("a", name, PreVote(Term(2), Index(0), Term(0)))

    replies = [message.granted for _, _, message in cluster.take("pre-vote-reply")]  # type: ignore[union-attr]
    assert replies == [False, True, True]


def test_the_transfer_flag_overrides_contact() -> None:
    """3.10, 4.2.3: the leader itself asked for this election."""
    cluster = alone(term=1)
    cluster.step("a", "b", Heartbeat(Term(1), 1, Index(0)))
    cluster.network.clear()

    cluster.step("a", "c", Vote(Term(2), Index(0), Term(0), transfer=True))

    assert cluster.network == [("a", "c", VoteReply(Term(2), True))]


def test_a_leader_is_in_contact_with_itself() -> None:
    """6.2: it steps down by its own quorum check, not because a peer asks."""
    cluster = alone()
    elected(cluster, "b")

    cluster.step("a", "c", Vote(Term(9), Index(9), Term(8)))
    cluster.step("a", "c", PreVote(Term(9), Index(9), Term(8)))

    assert (cluster.status("a").role, cluster.status("a").term) == (Role.LEADER, 1)
    assert cluster.network == [("a", "c", PreVoteReply(Term(1), False))]


def test_a_leader_without_check_quorum_steps_down_for_a_candidate() -> None:
    """5.1: without stickiness a higher term deposes it, and its vote may be had (Ratis RATIS-1268)."""
    cluster = alone(check_quorum=False)
    elected(cluster, "b")

    cluster.step("a", "c", Vote(Term(9), Index(9), Term(8)))

    assert (cluster.status("a").role, cluster.status("a").term) == (Role.FOLLOWER, 9)
    assert cluster.network == [("a", "c", VoteReply(Term(9), True))]


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_a_leader_that_no_quorum_answers_steps_down_in_time(size: int) -> None:
    """6.2: a leader steps down if an election timeout elapses without a successful round of heartbeats to a
    majority."""
    cluster = Cluster("abcde"[:size])
    cluster.elect("a")
    allies = "abcde"[: size // 2]  # with these it is one short of a majority, or exactly half
    cluster.cut(allies)

    cluster.run(T_NS)

    status = cluster.status("a")
    assert (status.role, status.term, status.leader) == (Role.FOLLOWER, 1, None)


def test_answers_of_learners_do_not_count_as_a_quorum() -> None:
    """6.2: a majority of the *voters*."""
    cluster = Cluster("abc", learners="xyz")
    cluster.elect("a")
    cluster.cut("bc", "axyz")

    cluster.run(T_NS + HEARTBEAT_NS)

    assert cluster.status("a").role is Role.FOLLOWER


@pytest.mark.parametrize("answer", ["heartbeat", "append", "reject"])
def test_any_answer_of_the_term_counts_as_being_heard(answer: str) -> None:
    """6.2: acks of appends and refusals show as well that a follower follows."""
    cluster = alone()
    elected(cluster, "b")
    message = {
        "heartbeat": HeartbeatReply(Term(1), 0),
        "append": AppendReply(Term(1), Index(0)),
        "reject": AppendReject(Term(1), Index(77), Term(0), Index(1)),
    }[answer]

    for _ in range(10):
        cluster.now += T_NS // 2
        cluster.step("a", "b", message)
        cluster.wake("a")

    assert cluster.status("a").role is Role.LEADER


def test_a_leader_that_hears_no_node_is_replaced_although_all_hear_it() -> None:
    """F16: inbound links of the leader cut. Its heartbeats would keep the others quiet without end; check-quorum ends
    that."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.cut_one_way("bc", "a")

    cluster.run(4 * T_NS)

    assert cluster.leader() in ("b", "c")
    assert cluster.status("a").role is not Role.LEADER
    cluster.propose(cluster.leader(), "x")
    assert cluster.applied(cluster.leader()) == ["x"]


def test_a_removed_node_does_not_disturb() -> None:
    """F14; section 6: servers not in C_new receive no heartbeats, time out, and must not depose the leader."""
    cluster = Cluster("abcd")
    cluster.elect("a")
    cluster.cut("d")
    cluster.change("a", leave="d")
    cluster.run(HEARTBEAT_NS)
    term = cluster.status("a").term

    cluster.heal()
    cluster.run(20 * T_NS)

    assert cluster.leaders() == ["a"]
    assert cluster.status("a").term == term


def test_an_answer_of_a_non_member_deposes_no_leader() -> None:
    """hashicorp/raft #524: a leader stepped down because a node outside the group answered in a higher term."""
    cluster = alone()
    elected(cluster, "b")

    cluster.step("a", "stranger", AppendReply(Term(9), Index(1)))
    cluster.step("a", "stranger", PreVoteReply(Term(9), False))
    assert (cluster.status("a").role, cluster.status("a").term) == (Role.LEADER, 1)

    cluster.step("a", "c", AppendReply(Term(9), Index(1)))
    assert (cluster.status("a").role, cluster.status("a").term) == (Role.FOLLOWER, 9)


def test_a_learner_answers_votes_but_never_campaigns() -> None:
    """Its promotion may be committed and unknown to it, so its vote may be needed; its own timeout means nothing."""
    cluster = Cluster("abc", learners="l")
    cluster.run(3 * T_NS)
    cluster.crash(cluster.leader())
    cluster.nodes["l"].notes.clear()

    cluster.run(3 * T_NS)
    candidate = next(name for name in "abc" if cluster.nodes[name].core is not None)
    cluster.now += 2 * T_NS
    term = Term(cluster.status("l").term + 1)
    cluster.step("l", candidate, Vote(term, Index(99), term))

    assert cluster.notes("l", "role") == []
    assert ("l", candidate, VoteReply(term, True)) in cluster.network


def test_an_append_of_an_earlier_term_is_answered_so_that_its_sender_steps_down() -> None:
    """A leader that the others have left behind hears of the new term from the first one it reaches."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.cut("a")
    cluster.elect("b")
    cluster.cut_links.clear()

    cluster.now += 1
    cluster.step("c", "a", Heartbeat(Term(1), 99, Index(0)))
    cluster.settle()

    assert cluster.status("a").role is Role.FOLLOWER
    assert cluster.status("a").term == cluster.status("b").term
