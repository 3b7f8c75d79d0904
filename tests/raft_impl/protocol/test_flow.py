"""How a leader feeds its followers: windows, back-pressure, batching, and the economy of messages (dissertation
10.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl.protocol.config import Config
from raft_impl.protocol.log import Log
from raft_impl.protocol.messages import Append, AppendReject, AppendReply, HeartbeatReply, kind
from raft_impl.protocol.progress import Pace, Progress
from raft_impl.protocol.ready import Proposed, ReadAt, Refused
from raft_impl.protocol.state import EntryKind, Index, NodeId, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, alone, elected, entry


def leading(**options: object) -> Cluster:
    """Node "a", alone, leads term 1 of three; b replicates, c never answered; the network is empty."""
    cluster = alone(**options)  # type: ignore[arg-type]
    elected(cluster, "b")
    cluster.step("a", "b", AppendReply(Term(1), Index(1)))
    cluster.network.clear()
    return cluster


def appends(cluster: Cluster, to: str) -> list[Append]:
    """The appends under way to a node, taken off the network."""
    return [message for _, _, message in cluster.take("append", target=to) if isinstance(message, Append)]


def spans(messages: list[Append]) -> list[tuple[int, int]]:
    """(prev, number of entries) of each."""
    return [(message.prev_index, len(message.entries)) for message in messages]


# states


def test_a_follower_is_probed_until_it_answers() -> None:
    """PROBE: one append at a time, however much is proposed; a heartbeat interval of silence allows another."""
    cluster = leading()

    for number in range(5):
        cluster.propose("a", f"{number}", settle=False)
    assert appends(cluster, "c") == []

    cluster.now += HEARTBEAT_NS
    cluster.wake("a")
    [(_, _, heartbeat)] = cluster.take("heartbeat", target="c")
    cluster.step("a", "c", HeartbeatReply(Term(1), heartbeat.round))  # type: ignore[union-attr]
    assert spans(appends(cluster, "c")) == [(0, 6)]
    assert cluster.status("a").peers[NodeId("c")].pace == "probe"


def test_an_accepted_append_opens_the_pipeline() -> None:
    """REPLICATE: each append leaves without waiting for the answer to the one before."""
    cluster = leading()

    for number in range(3):
        cluster.propose("a", f"{number}", settle=False)

    assert spans(appends(cluster, "b")) == [(1, 1), (2, 1), (3, 1)]


def test_the_window_of_messages_is_bounded_and_moves_with_the_answers() -> None:
    """max_inflight appends at most are on their way."""
    cluster = leading(max_inflight=2)
    for number in range(5):
        cluster.propose("a", f"{number}", settle=False)
    assert spans(appends(cluster, "b")) == [(1, 1), (2, 1)]

    cluster.step("a", "b", AppendReply(Term(1), Index(2)))

    assert spans(appends(cluster, "b")) == [(3, 3)], "all that waited goes in one append"


def test_the_window_of_bytes_is_bounded() -> None:
    """A few large entries fill it as well."""
    cluster = leading(max_inflight_bytes=250, max_bytes_per_append=100)
    for _ in range(6):
        cluster.propose("a", "x" * 90, settle=False)

    assert spans(appends(cluster, "b")) == [(1, 1), (2, 1), (3, 1)]
    cluster.step("a", "b", AppendReply(Term(1), Index(3)))
    assert spans(appends(cluster, "b")) == [(4, 1), (5, 1)]


@pytest.mark.parametrize(("count", "size", "expected"), [(2, 10_000, [2, 2, 1]), (64, 35, [3, 2]), (64, 1, [1] * 5)])
def test_an_append_carries_at_most_so_many_entries_and_bytes(count: int, size: int, expected: list[int]) -> None:
    """Both limits hold; one entry always goes."""
    cluster = leading(max_entries_per_append=count, max_bytes_per_append=size)
    core = cluster.core("a")

    core.hold()
    for number in range(5):
        core.propose(cluster.now, number, b"x" * 10)
    ready = core.release(cluster.now)

    to_b = [message for target, message in ready.send_now if target == "b"]
    assert [len(message.entries) for message in to_b] == expected


def test_a_refusal_beyond_what_matches_falls_back_to_probing() -> None:
    """A lost append leaves a gap; those after it are refused, and the leader begins again where the follower ends."""
    cluster = leading()
    for number in range(3):
        cluster.propose("a", f"{number}", settle=False)
    appends(cluster, "b")

    cluster.step("a", "b", AppendReject(Term(1), Index(3), Term(0), Index(2)))

    assert cluster.status("a").peers[NodeId("b")].pace == "probe"
    assert spans(appends(cluster, "b")) == [(1, 3)]


@pytest.mark.parametrize("prev", [0, 1, 7])
def test_an_old_refusal_is_ignored(prev: int) -> None:
    """little-raft PR 18: a refusal of what is known to match, or, while probing, of another probe, is history."""
    cluster = leading()
    cluster.propose("a", "x", settle=False)
    cluster.network.clear()
    before = cluster.status("a").peers

    cluster.step("a", "b", AppendReject(Term(1), Index(min(prev, 1)), Term(0), Index(1)))
    cluster.step("a", "c", AppendReject(Term(1), Index(prev + 1), Term(0), Index(1)))

    after = cluster.status("a").peers
    for name in map(NodeId, "bc"):
        assert (before[name].pace, before[name].next, before[name].match) == (
            after[name].pace,
            after[name].next,
            after[name].match,
        )
    assert cluster.network == []


def test_a_lost_append_is_noticed_by_the_second_heartbeat() -> None:
    """Nothing follows it that could be refused; the answer to a heartbeat that left well after it shows the loss."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    cluster.lose = lambda packet: isinstance(packet[2], Append)
    cluster.propose("a", "x")
    cluster.lose = lambda packet: False

    cluster.run(2 * HEARTBEAT_NS)

    assert cluster.applied("a") == ["x"]


def test_an_impossible_match_is_ignored() -> None:
    """Beyond the leader's own log no follower can hold it."""
    cluster = leading()

    cluster.step("a", "b", AppendReply(Term(1), Index(99)))

    assert cluster.status("a").peers[NodeId("b")].match == 1
    assert cluster.status("a").commit == 1


# back-pressure


def test_proposals_are_refused_while_too_much_is_uncommitted() -> None:
    """The client may retry; what is committed makes room, to the byte."""
    cluster = leading(max_uncommitted_bytes=100)
    accepted = [cluster.propose("a", "x" * 50, settle=False) for _ in range(2)]
    refused = cluster.propose("a", "y", settle=False)
    assert [type(cluster.answer("a", tag)) for tag in accepted] == [Proposed, Proposed]
    assert cluster.answer("a", refused) == Refused(refused, "busy", "a")

    cluster.step("a", "b", AppendReply(Term(1), Index(2)))
    fits = cluster.propose("a", "z" * 50, settle=False)
    over = cluster.propose("a", "z", settle=False)

    assert isinstance(cluster.answer("a", fits), Proposed)
    assert cluster.answer("a", over) == Refused(over, "busy", "a")


def test_one_proposal_goes_however_large() -> None:
    """Else it could never be replicated at all."""
    cluster = leading(max_uncommitted_bytes=10)

    tag = cluster.propose("a", "x" * 1000, settle=False)

    assert isinstance(cluster.answer("a", tag), Proposed)


def test_the_count_of_uncommitted_bytes_does_not_leak() -> None:
    """etcd raft a370b6f: over many commits, truncations and elections, room stays room."""
    cluster = Cluster("abc", max_uncommitted_bytes=20)
    for turn in range(60):
        name = "abc"[turn % 3]
        cluster.elect(name)
        cluster.lose = lambda packet: isinstance(packet[2], Append)
        cluster.propose(name, "lost or late")
        cluster.lose = lambda packet: False
        cluster.run(3 * HEARTBEAT_NS)
        leader = cluster.leader()
        tag = cluster.propose(leader, "x" * 20)
        assert isinstance(cluster.answer(leader, tag), Proposed), f"turn {turn}"


# economy


def test_proposals_of_one_batch_share_one_append_and_one_write() -> None:
    """Group commit: a hundred requests cost each follower one message and the disk one fsync."""
    cluster = leading()
    core = cluster.core("a")

    core.hold()
    for number in range(50):
        assert core.propose(cluster.now, number, b"x").persist is None
    ready = core.release(cluster.now)

    assert ready.persist is not None
    assert len(ready.persist.entries) == 50
    assert [(target, len(message.entries)) for target, message in ready.send_now] == [("b", 50)]
    assert [answer.tag for answer in ready.answer_after] == list(range(50))


def test_each_command_is_sent_once_to_each_peer() -> None:
    """MIT lab, RPCBytes: no entry travels twice while nothing is lost."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.log_of_messages.clear()

    for number in range(20):
        cluster.propose("a", f"{number}" * 100)

    carried = [entry.index for _, _, message in cluster.sent("append") for entry in message.entries]  # type: ignore[union-attr]
    assert sorted(carried) == sorted([*range(2, 22)] * 2)


def test_an_idle_group_sends_heartbeats_and_nothing_else() -> None:
    """MIT lab, Count: two messages a follower and interval."""
    cluster = Cluster("abcde")
    cluster.elect("a")
    cluster.run(2 * HEARTBEAT_NS)
    cluster.log_of_messages.clear()

    cluster.run(20 * HEARTBEAT_NS)

    assert len(cluster.log_of_messages) == 2 * 4 * 20


def test_an_unreachable_follower_costs_no_appends() -> None:
    """Once its window is full only heartbeats go to it."""
    cluster = Cluster("abc", max_inflight=4)
    cluster.elect("a")
    cluster.crash("c")
    cluster.log_of_messages.clear()
    sent_to_c: list[object] = []
    cluster.lose = lambda packet: packet[1] == "c" and sent_to_c.append(packet[2]) is None

    for number in range(50):
        cluster.propose("a", f"{number}")
        cluster.run(HEARTBEAT_NS // 5)

    assert len([message for message in sent_to_c if isinstance(message, Append)]) <= 4


# progress against the obvious


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_next_is_always_beyond_match_and_the_window_always_counts(data: st.DataObject) -> None:
    """Any order of sends, acknowledgements, refusals and losses."""
    log = Log(Index(0), Term(0), [entry(index, 1) for index in range(1, 21)])
    progress = Progress(Index(21), now=0)

    for _ in range(data.draw(st.integers(1, 40))):
        action = data.draw(st.sampled_from(["send", "accept", "refuse", "resend"]))
        number = data.draw(st.integers(0, 20))
        match = progress.match
        if action == "send" and progress.may_send(3, 10_000):
            entries, size = log.batch(progress.next, data.draw(st.integers(1, 3)), 10_000)
            progress.sent(Index(progress.next - 1 + len(entries)), size, now=0)
        elif action == "accept":
            progress.accepted(Index(number), log.base)
        elif action == "refuse":
            hint = data.draw(st.integers(1, 20))
            progress.refused(AppendReject(Term(1), Index(number), Term(data.draw(st.integers(0, 2))), Index(hint)), log)
        elif action == "resend":
            progress.resend()

        assert progress.next > progress.match >= match
        assert progress.next <= 21
        assert progress.inflight_bytes == sum(size for _, size in progress.inflight)
        assert len(progress.inflight) <= 3
        assert all(last > progress.match for last, _ in progress.inflight)
        if progress.pace is Pace.PROBE:
            assert not progress.inflight


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_inflight": 0}, "max_inflight is 0"),
        ({"heartbeat_ns": T_NS}, "heartbeat_ns"),
        ({"lease_drift_bound_ppm": 999_999}, "lease_drift_bound_ppm"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, int], message: str) -> None:
    """Found, expected, where."""
    with pytest.raises(ValueError, match=message):
        Config(**options)  # type: ignore[arg-type]


def test_kinds_of_entries_are_replicated_alike() -> None:
    """A feature entry is an entry: what it means is the machine's business."""
    cluster = leading()
    cluster.core("a").propose(cluster.now, "tag", b"feature", EntryKind.FEATURE)

    assert cluster.core("a").entries(Index(2), Index(2))[0].kind is EntryKind.FEATURE


# heartbeats


def heartbeats_while_writing(cluster: Cluster) -> int:
    """How many heartbeat rounds leave within ten intervals in which the leader appends twice as often as it beats."""
    before = len(cluster.log_of_messages)
    for number in range(20):
        cluster.propose("a", str(number))
        cluster.run(HEARTBEAT_NS // 2)
    sent = cluster.log_of_messages[before:]
    return sum(kind(message) == "heartbeat" and target == "b" for _, target, message in sent)


def writing(**options: Any) -> Cluster:
    cluster = Cluster("abc", **options)
    cluster.elect("a")
    cluster.run(2 * HEARTBEAT_NS)
    return cluster


@pytest.mark.parametrize("reads", ["quorum", "lease"])
def test_an_append_that_all_answer_replaces_a_heartbeat(reads: str) -> None:
    """Figure 2: heartbeats are for idle periods. The commit index travels with the next append."""
    cluster = writing(reads=reads)

    assert heartbeats_while_writing(cluster) == 0
    assert cluster.applied("b")[-1] == "18"

    cluster.run(HEARTBEAT_NS)
    assert cluster.applied("b")[-1] == "19", "the last one is told of by the heartbeat that follows"


@pytest.mark.parametrize("reads", ["quorum", "lease"])
@pytest.mark.parametrize("trouble", ["a node is cut off", "a disk is slow"])
def test_a_node_that_owes_an_answer_brings_the_heartbeats_back(trouble: str, reads: str) -> None:
    """It is asked whether it is there: check-quorum counts answers."""
    cluster = writing(reads=reads)
    if trouble == "a node is cut off":
        cluster.cut("c")
    cluster.nodes["c"].slow = trouble == "a disk is slow"

    assert heartbeats_while_writing(cluster) in (9, 10)
    assert cluster.leaders() == ["a"]


def test_appends_prolong_a_lease_as_heartbeats_do() -> None:
    """Dissertation 6.4.1: from when the message left that a quorum answered, whatever else it carried."""
    cluster = writing(reads="lease")
    assert heartbeats_while_writing(cluster) == 0
    cluster.cut("a")

    assert isinstance(cluster.answer("a", cluster.read("a")), ReadAt), "answered without a round"

    cluster.now += T_NS
    assert cluster.answer("a", cluster.read("a")) is None


def test_a_late_answer_prolongs_a_lease_from_when_its_append_left() -> None:
    """RB066: the follower's promise began when it heard us, perhaps long ago."""
    cluster = writing(reads="lease")
    cluster.run(T_NS)
    cluster.propose("a", "x", settle=False)
    cluster.lose = lambda packet: kind(packet[2]).startswith("heartbeat")
    held = []
    while cluster.network:
        held += cluster.take("append-reply")
        if cluster.network:
            cluster.deliver_one()
    cluster.now += T_NS - 1
    for source, target, message in held:
        cluster.step(target, source, message)

    assert cluster.answer("a", cluster.read("a")) is None
