"""Who is heard in a group (section 6): members, and leaders and candidates that a replica may not know yet."""

from __future__ import annotations

from typing import Any

import pytest

from raft_impl.protocol import messages as m
from raft_impl.protocol.config import Config
from raft_impl.protocol.core import Raft
from raft_impl.protocol.state import HardState, Index, Membership, NodeId, Term
from raft_impl.runtime.admission import is_heard
from raft_impl.runtime.marks import STRANGER_DROPPED
from raft_impl.runtime.wire import encode
from tests.raft_impl.runtime.cluster import Cluster

TERM, I0, T0 = Term(5), Index(0), Term(0)
MEMBERS = tuple(NodeId(name) for name in ("n1", "n2", "n3"))


def replica(leader: str | None) -> Raft:
    core = Raft(NodeId("n1"), Config(), membership=Membership(MEMBERS, (), ()), now=0, hard_state=HardState(TERM))
    core.start(0)
    if leader is not None:
        core.step(1, NodeId(leader), m.Heartbeat(TERM, 1, I0))
        assert core.leader == leader
    return core


OF_THIS_TERM = [m.Append(TERM, I0, T0, I0), m.Heartbeat(TERM, 1, I0)]
OF_ANOTHER = [m.Append(Term(6), I0, T0, I0), m.Heartbeat(Term(4), 1, I0)]
CANDIDATES = [m.Vote(Term(6), I0, T0), m.PreVote(Term(6), I0, T0)]
ANSWERS = [
    m.AppendReply(TERM, I0),
    m.HeartbeatReply(TERM, 1),
    m.VoteReply(Term(6), True),
    m.PreVoteReply(Term(6), True),
    m.Read(TERM, 1),
    m.ReadReply(TERM, 1, I0),
    m.TimeoutNow(TERM),
]


@pytest.mark.parametrize("message", OF_THIS_TERM + OF_ANOTHER + CANDIDATES, ids=m.kind)
def test_a_leader_that_was_added_meanwhile_is_heard(message: Any) -> None:
    assert is_heard(replica(leader=None), "n4", message)


@pytest.mark.parametrize("message", OF_THIS_TERM, ids=m.kind)
def test_a_term_has_no_second_leader(message: Any) -> None:
    assert not is_heard(replica(leader="n2"), "n4", message)


@pytest.mark.parametrize("message", OF_ANOTHER + CANDIDATES, ids=m.kind)
def test_another_term_may_have_a_leader_that_is_not_known_yet(message: Any) -> None:
    assert is_heard(replica(leader="n2"), "n4", message)


@pytest.mark.parametrize("message", ANSWERS, ids=m.kind)
def test_answers_and_questions_are_for_members(message: Any) -> None:
    assert not is_heard(replica(leader=None), "n4", message)
    assert not is_heard(replica(leader="n2"), "n4", message)


@pytest.mark.parametrize("message", ANSWERS, ids=m.kind)
def test_a_leader_that_removes_itself_is_heard_to_the_end(message: Any) -> None:
    core = replica(leader="n4")

    assert is_heard(core, "n4", message)


def test_a_server_drops_what_no_member_says_and_tells() -> None:
    cluster = Cluster()
    leader = cluster.elect()
    server = cluster.servers[leader]
    term = server.inspect()["g0"]["term"]
    server.notes.clear()

    server.process([("stranger", encode("g0", m.AppendReply(term, Index(1000))))])

    assert ("mark", STRANGER_DROPPED) in server.notes
    assert server.inspect()["g0"]["commit"] < 1000
    assert server.is_member("n1")
    assert not server.is_member("stranger")
