"""The contract with the driver: durability before promises, late acknowledgements, holds, timers, notes, purity."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

import raft_impl.protocol
from raft_impl.protocol.errors import MisuseError
from raft_impl.protocol.messages import (
    MESSAGE_TYPES,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    Message,
    PreVoteReply,
    Vote,
    VoteReply,
    kind,
)
from raft_impl.protocol.ready import Proposed, Refused
from raft_impl.protocol.state import Entry, EntryKind, HardState, Index, Role, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, alone, append, elected

PLAIN: dict[str, Any] = {"pre_vote": False, "check_quorum": False}


# durability


def test_a_vote_leaves_only_when_it_is_durable() -> None:
    """Figure 2: persistent state is updated on stable storage before responding to RPCs."""
    cluster = alone(**PLAIN)
    cluster.nodes["a"].slow = True

    cluster.step("a", "b", Vote(Term(1), Index(0), Term(0)))
    assert cluster.network == []

    cluster.flush("a")
    assert cluster.nodes["a"].disk.hard_state == HardState(Term(1), "b")
    assert cluster.network == [("a", "b", VoteReply(Term(1), True))]


def test_requests_to_vote_leave_only_when_the_own_vote_is_durable() -> None:
    """sofa-jraft PR 1245: else a crash lets the candidate vote for another while its requests still win votes."""
    cluster = alone(**PLAIN)
    cluster.nodes["a"].slow = True

    cluster.campaign("a")
    assert cluster.network == []
    cluster.crash("a")
    cluster.restart("a")
    assert (cluster.status("a").term, cluster.status("a").vote) == (0, None)

    cluster.campaign("a")
    cluster.flush("a")
    assert [kind(message) for _, _, message in cluster.network] == ["vote", "vote"]


def test_the_own_vote_counts_only_when_it_is_durable() -> None:
    """One of two votes is not enough, and the other is its own."""
    cluster = alone(**PLAIN)
    cluster.nodes["a"].slow = True
    cluster.campaign("a")

    cluster.step("a", "b", VoteReply(Term(1), True))
    assert cluster.status("a").role is Role.CANDIDATE

    cluster.flush("a")
    assert cluster.status("a").role is Role.LEADER


def test_term_and_vote_are_one_record() -> None:
    """A term without its vote, or a vote of another term, must never be what a crash leaves."""
    cluster = alone(**PLAIN)

    ready = cluster.core("a").step(cluster.now, "b", Vote(Term(7), Index(0), Term(0)))  # type: ignore[arg-type]

    assert ready.persist is not None
    assert ready.persist.hard_state == HardState(Term(7), "b")
    assert ready.send_now == []


def test_entries_are_acknowledged_only_when_they_are_durable() -> None:
    """Also when they are sent again before that (yugabyte-db #32875)."""
    cluster = alone(term=1)
    cluster.nodes["a"].slow = True

    cluster.step("a", "b", append(1, 0, 0, 1))
    cluster.step("a", "b", append(1, 0, 0, 1))
    assert cluster.take("append-reply") == []

    cluster.flush("a")
    assert [message.match for _, _, message in cluster.take("append-reply")] == [1, 1]  # type: ignore[union-attr]


def test_a_leader_sends_before_its_own_write_is_durable_but_counts_itself_after() -> None:
    """Dissertation 10.2.1: it may replicate in parallel with writing to its own disk."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.nodes["a"].slow = True
    cluster.cut("c")

    cluster.propose("a", "x")
    assert cluster.log("b") == [1, 1], "b has it"
    assert cluster.status("a").commit == 1, "b alone is no majority"

    cluster.flush("a")
    assert cluster.status("a").commit == 2


def test_a_majority_of_others_commits_without_the_leaders_disk() -> None:
    """10.2.1: it may even commit before it has written itself; but it applies only what is durable here."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.nodes["a"].slow = True

    cluster.propose("a", "x")
    assert cluster.status("a").commit == 2
    assert cluster.applied("a") == []

    cluster.flush("a")
    assert cluster.applied("a") == ["x"]


def test_a_single_voter_commits_only_what_is_durable() -> None:
    """etcd #14370: one node, and the entry was applied and answered before it was written."""
    cluster = Cluster("a")
    cluster.elect("a")
    cluster.nodes["a"].slow = True

    cluster.propose("a", "x")
    assert (cluster.status("a").commit, cluster.applied("a")) == (1, [])

    cluster.flush("a")
    assert (cluster.status("a").commit, cluster.applied("a")) == (2, ["x"])


def test_a_late_acknowledgement_of_replaced_entries_commits_nothing() -> None:
    """rabbitmq/ra PR 516: it says that *a* write at this index is done, not that this entry is durable."""
    cluster = alone(log=[1], term=1)
    core = cluster.core("a")
    old = core.step(0, "b", append(1, 1, 1, 1, 1))  # type: ignore[arg-type]
    new = core.step(0, "c", append(2, 1, 1, 2, commit=2))  # type: ignore[arg-type]
    assert old.persist is not None
    assert new.persist is not None

    late = core.persisted(0, old.persist.token)
    assert core.status().durable == 1
    done = core.persisted(0, new.persist.token)

    assert [[entry.index for entry in ready.apply] for ready in (new, late, done)] == [[1], [], [2]]


def test_writes_say_exactly_what_to_cut_and_add() -> None:
    """Truncation and new entries are one write, in that order."""
    cluster = alone(log=[1, 1, 1], term=1)

    ready = cluster.core("a").step(0, "b", append(2, 1, 1, 2, 2))  # type: ignore[arg-type]

    persist = ready.persist
    assert persist is not None
    assert (persist.truncate_from, [entry.index for entry in persist.entries]) == (2, [2, 3])
    assert [entry.term for entry in persist.entries] == [2, 2]
    assert persist.hard_state == HardState(Term(2), None)


def test_an_acknowledgement_of_nothing_asked_for_is_refused() -> None:
    """A driver's mistake would make lies durable."""
    cluster = alone()

    with pytest.raises(MisuseError, match="write 99"):
        cluster.core("a").persisted(0, 99)


# holds


def test_a_hold_gathers_inputs_into_one_ready() -> None:
    """Inputs in between return nothing; the release returns everything."""
    cluster = alone()
    elected(cluster, "b")
    core = cluster.core("a")

    core.hold()
    readies = [
        core.step(0, "b", AppendReply(Term(1), Index(1))),  # type: ignore[arg-type]
        core.propose(0, "t1", b"x"),
        core.read(0, "t2"),
        core.wake(0),
    ]
    ready = core.release(0)

    assert all(
        (held.persist, held.send_now, held.send_after, held.answer_after, held.apply, held.notes)
        == (None, [], [], [], [], [])
        for held in readies
    )
    assert ready.persist is not None
    assert {kind(message) for _, message in ready.send_now} == {"append", "heartbeat"}
    assert [entry.index for entry in ready.apply] == [1]


def test_a_hold_and_single_steps_end_in_the_same_state() -> None:
    """Batching changes messages, never state."""
    scripts = [
        append(1, 0, 0, 1, 1),
        append(1, 2, 1, 1, commit=1),
        append(2, 1, 1, 2, commit=2),
        Heartbeat(Term(2), 1, Index(2)),
    ]
    one, many = alone(), alone()

    for message in scripts:
        one.step("a", "b", message)
    many.core("a").hold()
    for message in scripts:
        many.core("a").step(0, "b", message)  # type: ignore[arg-type]
    many._obey(many.nodes["a"], many.core("a").release(0))

    assert one.status("a") == many.status("a")
    assert one.applied("a") == many.applied("a")
    assert one.nodes["a"].disk.entries == many.nodes["a"].disk.entries
    assert one.nodes["a"].disk.hard_state == many.nodes["a"].disk.hard_state


# timers


def test_every_ready_says_when_to_wake() -> None:
    """The earliest of what is due: election, or heartbeat, check of the quorum, transfer, a read without answer."""
    cluster = Cluster("abc")
    assert all(T_NS <= node.wake_at_ns < 2 * T_NS for node in cluster.nodes.values())
    cluster.elect("a")
    assert cluster.nodes["a"].wake_at_ns == cluster.now + HEARTBEAT_NS

    cluster.lose = lambda packet: kind(packet[2]) == "read"
    cluster.now += 1
    cluster.step("b", "a", Heartbeat(Term(1), 50, Index(0)))
    cluster.read("b")
    assert cluster.nodes["b"].wake_at_ns == cluster.now + T_NS


def test_waking_early_or_twice_is_harmless() -> None:
    """A driver may be generous with wakes."""
    cluster = Cluster("abc")
    cluster.elect("a")
    before = {name: cluster.status(name) for name in "abc"}

    for name in "abc" * 3:
        cluster.wake(name)

    assert {name: cluster.status(name) for name in "abc"} == before
    assert cluster.network == []


def test_a_timeout_is_kept_in_stock_and_drawn_anew_for_each_election() -> None:
    """`wants_timeout` asks until one is in stock."""
    cluster = alone(**PLAIN)
    core = cluster.core("a")
    assert not core.wake(0).wants_timeout

    ready = core.campaign(0)

    assert ready.wants_timeout
    assert not core.offer_timeout(T_NS + 5).wants_timeout
    assert core.campaign(T_NS).wake_at_ns == T_NS + T_NS + 5


# answers


@pytest.mark.parametrize(("name", "reason"), [("b", "not-leader"), ("x", "not-member")])
def test_who_does_not_lead_refuses_and_says_who_does(name: str, reason: str) -> None:
    """The hint is the leader it knows, if any."""
    cluster = Cluster("abc", spare="x")
    cluster.elect("a")
    hint = "a" if name == "b" else None

    tags = [cluster.propose(name, "x"), cluster.change(name, leave="c"), cluster.transfer(name, "b")]

    assert [cluster.answer(name, tag) for tag in tags] == [Refused(tag, reason, hint) for tag in tags]


def test_a_proposal_of_a_deposed_leader_can_be_told_by_its_term() -> None:
    """F2 b, F3: the driver compares (index, term) with what it applies there: another term means it was lost."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.cut("a")
    lost = cluster.propose("a", "lost")
    cluster.elect_without_commit("b")
    cluster.propose("b", "kept")
    cluster.heal()

    answer = cluster.answer("a", lost)
    assert isinstance(answer, Proposed)
    assert cluster.core("a").term_at(answer.index) != answer.term
    assert cluster.applied("a") == ["kept"]


# notes


def test_notes_tell_a_trace_everything_that_changed() -> None:
    """Term before vote before role; truncation before what replaces it; entries before their commit."""
    cluster = alone(log=[1, 1], term=1, **PLAIN)
    cluster.nodes["a"].notes.clear()

    cluster.campaign("a")
    cluster.step("a", "b", append(3, 1, 1, 3, commit=2))

    cut, added = Entry(Index(2), Term(3), EntryKind.COMMAND, b"2@3"), ("commit", 2)
    assert cluster.nodes["a"].notes == [
        ("term", 2),
        ("vote", 2, "a"),
        ("role", "candidate", 2),
        ("term", 3),
        ("role", "follower", 3),
        ("mark", "log: conflicting entries cut off"),
        ("log-truncate", 2),
        ("log-append", 2, (cut,)),
        added,
    ]


def test_the_first_notes_tell_what_was_recovered() -> None:
    """A trace that begins with a restart is complete in itself."""
    cluster = Cluster("abc")
    cluster.elect("a")
    for number in range(3):
        cluster.propose("a", f"{number}")
    cluster.run(HEARTBEAT_NS)
    cluster.compact("b", keep=3)
    cluster.crash("b")
    cluster.nodes["b"].notes.clear()

    cluster.restart("b")

    kinds = [note[0] for note in cluster.nodes["b"].notes]
    assert kinds == ["term", "vote", "snapshot", "log-append", "commit", "config", "role"]
    assert cluster.notes("b", "snapshot") == [("snapshot", "recovered", 4, 1, b"")]
    assert cluster.notes("b", "log-append")[0][1] == 3, "trailing entries too; the first one kept is the base"


def elections(cluster: Cluster, name: str) -> tuple[int, int]:
    """How many elections a node began in this life, and how many of them it won."""
    status = cluster.status(name)
    return status.election_count, status.victory_count


def test_elections_begun_and_won_are_counted_over_a_life() -> None:
    """For metrics: a pre-vote that no node grants begins no election; what a transfer begins counts like any other."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.cut("b")
    cluster.campaign("b")
    cluster.settle()
    assert [elections(cluster, name) for name in "abc"] == [(1, 1), (0, 0), (0, 0)]

    cluster.heal()
    cluster.transfer("a", "b")
    cluster.run(HEARTBEAT_NS)
    assert [elections(cluster, name) for name in "abc"] == [(1, 1), (1, 1), (0, 0)]

    cluster.crash("b")
    cluster.restart("b")
    assert elections(cluster, "b") == (0, 0)


def test_grants_are_told_while_an_election_runs_and_not_after_it() -> None:
    cluster = Cluster("abc", pre_vote=False)
    cluster.campaign("a")
    alone = cluster.core("a").granted

    cluster.settle()

    assert alone == ("a",)
    assert cluster.core("a").granted == ()


def test_an_election_that_is_lost_counts_as_begun_alone() -> None:
    """Split votes show as elections without a winner."""
    cluster = Cluster("abcd", pre_vote=False)
    cluster.campaign("a")
    cluster.campaign("b")
    requests = cluster.take("vote")
    cluster.network += [packet for packet in requests if packet[:2] in (("a", "c"), ("b", "d"))]
    cluster.settle()
    cluster.network += [packet for packet in requests if packet[:2] not in (("a", "c"), ("b", "d"))]
    cluster.settle()

    assert [elections(cluster, name) for name in "abcd"] == [(1, 0), (1, 0), (0, 0), (0, 0)]


# messages


def test_every_message_has_its_own_kind_word_and_survives_encoding() -> None:
    """The union, the list of types and the tags agree."""
    assert set(get_args(Message)) == set(MESSAGE_TYPES)
    assert len({kind(message_type) for message_type in MESSAGE_TYPES}) == len(MESSAGE_TYPES)
    message = append(3, 2, 1, 3, 3, commit=1)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=Message) == message  # type: ignore[arg-type]


# robustness


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.PRE_CANDIDATE, Role.LEADER])
@pytest.mark.parametrize(
    "message",
    [
        AppendReply(Term(1), Index(1)),
        HeartbeatReply(Term(1), 1),
        VoteReply(Term(1), True),
        VoteReply(Term(1), False),
        PreVoteReply(Term(2), True),
        PreVoteReply(Term(1), False),
    ],
    ids=lambda message: f"{kind(message)}-{getattr(message, 'granted', '')}",
)
def test_answers_meant_for_another_role_do_no_harm(role: Role, message: Message) -> None:
    """They come late, after the role has changed."""
    cluster = alone(term=0 if role is Role.LEADER else 1)
    if role is Role.LEADER:
        elected(cluster, "b")
    elif role is Role.PRE_CANDIDATE:
        cluster.campaign("a")
    before = cluster.status("a")

    cluster.step("a", "stranger", message)

    after = cluster.status("a")
    assert (before.role, before.term, before.last, before.commit) == (after.role, after.term, after.last, after.commit)


# purity


FORBIDDEN = {"trio", "socket", "time", "random", "os", "secrets", "uuid", "threading", "asyncio", "datetime"}


@pytest.mark.parametrize(
    "path", sorted(Path(raft_impl.protocol.__file__).parent.glob("*.py")), ids=lambda path: path.name
)
def test_the_core_imports_nothing_of_the_world(path: Path) -> None:
    """No clock, no randomness, no I/O; and itself only relatively, so that several copies can be loaded side by
    side."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    for node in ast.walk(tree):
        assert not isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.Global)
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & (FORBIDDEN | {"raft_impl"})
        if isinstance(node, ast.ImportFrom):
            assert node.level == 1 or (node.module or "").split(".")[0] not in FORBIDDEN | {"raft_impl"}
