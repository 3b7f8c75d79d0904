"""Compaction and InstallSnapshot (section 7, figure 13), in chunks that may be lost, mixed and repeated."""

from __future__ import annotations

import random

import msgspec
import pytest

from raft_impl.protocol.core import Raft
from raft_impl.protocol.errors import MisuseError, SafetyError
from raft_impl.protocol.membership import encode
from raft_impl.protocol.messages import Append, AppendReply, SnapshotChunk, SnapshotReply
from raft_impl.protocol.state import (
    Entry,
    EntryKind,
    HardState,
    Index,
    Membership,
    NodeId,
    Snapshot,
    SnapshotMeta,
    Term,
)
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, alone, append, entry

ABC = Membership((NodeId("a"), NodeId("b"), NodeId("c")))


def image(index: int, term: int, *commands: str) -> Snapshot:
    """A snapshot whose machine has applied these commands."""
    return Snapshot(SnapshotMeta(Index(index), Term(term), ABC), msgspec.msgpack.encode(list(commands)))


def chunks(term: int, snapshot: Snapshot, size: int) -> list[SnapshotChunk]:
    """The messages that bring a snapshot, in order."""
    data = snapshot.data
    return [
        SnapshotChunk(Term(term), snapshot.meta, start, data[start : start + size], start + size >= len(data))
        for start in range(0, len(data), size)
    ]


def lagging(size: int = 3, **options: object) -> Cluster:
    """A cluster whose last node lacks ten commands that are compacted at the others."""
    names = "abcde"[:size]
    cluster = Cluster(names, **options)  # type: ignore[arg-type]
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    cluster.cut(names[-1])
    for number in range(10):
        cluster.propose("a", f"command {number}")
    cluster.run(HEARTBEAT_NS)
    for name in names[:-1]:
        cluster.compact(name)
    return cluster


# compaction


def test_compaction_drops_what_the_snapshot_covers_but_not_before_it_is_durable() -> None:
    """Section 7: once a server completes writing a snapshot, it may delete all log entries up through the last included
    index."""
    cluster = lagging()
    cluster.propose("a", "more")
    node = cluster.nodes["a"]
    node.slow = True
    first = cluster.status("a").first

    cluster.compact("a")
    assert cluster.status("a").first == first

    cluster.flush("a")
    assert cluster.status("a").first == 13
    assert cluster.status("a").snapshot == 12


def test_trailing_entries_stay_for_followers_that_are_a_little_behind() -> None:
    """A short absence should not cost a snapshot."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.propose("a", "one")
    cluster.run(HEARTBEAT_NS)
    cluster.cut("c")
    for number in range(5):
        cluster.propose("a", f"{number}")
    cluster.compact("a", keep=6)

    cluster.heal()

    assert cluster.applied("c") == cluster.applied("a")
    assert cluster.sent("snapshot") == []


@pytest.mark.parametrize(("index", "at"), [(5, 4), (3, 99)])
def test_a_snapshot_covers_only_what_was_applied(index: int, at: int) -> None:
    """A driver that asks for more is wrong, and is told so."""
    cluster = Cluster("abc")
    cluster.elect("a")
    for number in range(5):
        cluster.propose("a", f"{number}")

    with pytest.raises(MisuseError):
        cluster.core("a").compact(cluster.now, Index(index), image(at, 1))


def test_an_older_snapshot_does_not_replace_a_newer_one() -> None:
    """Two compactions that finish in the wrong order."""
    cluster = lagging()
    core = cluster.core("a")

    ready = core.compact(cluster.now, Index(5), image(5, 1))

    assert ready.persist is None
    assert cluster.status("a").snapshot == 11


def test_the_head_of_a_snapshot_names_the_membership_committed_there() -> None:
    """Section 7: it includes the latest configuration as of the last included index, not a later one."""
    cluster = Cluster("abc", spare="x")
    cluster.elect("a")
    cluster.lose = lambda packet: isinstance(packet[2], Append)
    cluster.change("a", listen="x")
    assert cluster.status("a").membership.learners == ("x",)

    assert cluster.core("a").snapshot_meta(Index(1)) == SnapshotMeta(Index(1), Term(1), ABC)


# installation


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000])
def test_a_follower_too_far_behind_gets_the_snapshot(chunk_bytes: int) -> None:
    """Section 7: the leader must occasionally send snapshots to followers that lag behind."""
    cluster = lagging(snapshot_chunk_bytes=chunk_bytes)

    cluster.heal()
    cluster.propose("a", "after")
    cluster.run(2 * HEARTBEAT_NS)

    assert cluster.applied("c") == cluster.applied("a")
    assert cluster.notes("c", "snapshot")[-1][1:4] == ("installed", 11, 1)
    assert cluster.log("c") == [1]
    assert (len(cluster.sent("snapshot")) == 1) == (chunk_bytes == 1000)


def test_lost_chunks_are_sent_again() -> None:
    """Half of all chunks and answers vanish."""
    cluster = lagging(snapshot_chunk_bytes=11)
    rng = random.Random(1)
    cluster.lose = lambda packet: isinstance(packet[2], SnapshotChunk | SnapshotReply) and rng.random() < 0.5

    cluster.cut_links.clear()
    cluster.run(60 * T_NS)

    assert cluster.applied("c") == cluster.applied("a")


def test_no_empty_append_goes_where_the_entry_before_it_is_gone() -> None:
    """F6 case 5: next = first index of the log is not enough, the entry before it must be known; an append that
    nothing can verify would let the follower commit its own."""
    cluster = lagging()
    cluster.log_of_messages.clear()

    cluster.heal()

    to_c = [message for _, target, message in cluster.sent("append") if target == "c"]
    assert all(isinstance(message, Append) and message.prev_index >= 11 for message in to_c)


def test_a_follower_that_lacks_exactly_the_last_compacted_entry_gets_the_snapshot() -> None:
    """F6 case 5: its next index is the leader's base, whose predecessor is unknown."""
    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.propose("a", "both have it")
    cluster.cut("c")
    cluster.propose("a", "c lacks it")
    cluster.compact("a")
    assert cluster.status("a").first == cluster.status("c").last + 2

    cluster.heal()

    assert cluster.applied("c") == ["both have it", "c lacks it"]
    assert [note[1] for note in cluster.notes("c", "snapshot")] == ["installed"]


@pytest.mark.parametrize("prev", [0, 1, 2, 3])
def test_a_stale_append_from_before_the_snapshot_adds_nothing(prev: int) -> None:
    """willemt/raft PR 118: entries sent from index 1 were appended again at the end of a compacted log."""
    cluster = alone(log=[1, 1, 1, 1], term=1)
    cluster.step("a", "b", append(1, 4, 1, commit=4))
    cluster.compact("a", keep=1)
    assert cluster.status("a").first == 4
    cluster.network.clear()

    terms = [1] * (4 - prev)
    cluster.step("a", "b", append(1, prev, 1 if prev else 0, *terms, commit=4))

    assert (cluster.status("a").last, cluster.log("a")) == (4, [1])
    assert cluster.network == [("a", "b", AppendReply(Term(1), Index(4)))]


def test_a_contradiction_of_the_snapshot_stops_the_node() -> None:
    """The term of the last compacted entry is kept to verify what follows on it."""
    cluster = alone(log=[1, 1, 1], term=1)
    cluster.step("a", "b", append(1, 3, 1, commit=3))
    cluster.compact("a")

    with pytest.raises(SafetyError, match="committed index 3"):
        cluster.step("a", "c", append(2, 3, 2, 2))


def test_a_snapshot_replaces_a_log_that_does_not_contain_its_last_entry() -> None:
    """Figure 13, 7: discard the entire log; what comes after the snapshot's index may be of another history."""
    cluster = alone(log=[1, 1, 1, 1, 1, 1], term=1)

    for chunk in chunks(2, image(4, 2, "from the snapshot"), 5):
        cluster.step("a", "b", chunk)

    status = cluster.status("a")
    assert (status.first, status.last, status.last_term, status.commit) == (5, 4, 2, 4)
    assert cluster.applied("a") == ["from the snapshot"]
    assert cluster.nodes["a"].disk.entries == []


def test_a_snapshot_that_the_log_contains_keeps_what_follows() -> None:
    """Figure 13, 6: if an existing log entry has same index and term, retain log entries following it and reply."""
    cluster = alone(log=[1, 1, 2, 2, 2, 2], term=2)

    for chunk in chunks(2, image(4, 2, "from the snapshot"), 5):
        cluster.step("a", "b", chunk)
    cluster.step("a", "b", append(2, 6, 2, commit=6))

    status = cluster.status("a")
    assert (status.first, status.last, status.commit) == (5, 6, 6)
    assert cluster.applied("a") == ["from the snapshot", "5@2", "6@2"]


@pytest.mark.parametrize("index", [2, 3])
def test_a_snapshot_of_what_is_committed_here_is_not_installed(index: int) -> None:
    """A late snapshot must not take state back; the answer says what is held."""
    cluster = alone(log=[1, 1, 1], term=1)
    cluster.step("a", "b", append(1, 3, 1, commit=3))
    cluster.network.clear()

    [chunk] = chunks(1, image(index, 1, "old"), 1000)
    cluster.step("a", "b", chunk)

    assert cluster.applied("a") == ["1@1", "2@1", "3@1"]
    assert cluster.network == [("a", "b", AppendReply(Term(1), Index(3)))]


@pytest.mark.parametrize("later", [0, 2])
def test_a_snapshot_of_entries_that_came_in_the_same_batch_begins_the_log_anew(later: int) -> None:
    """The entries were never written and need not be; those after the snapshot follow on it."""
    cluster = alone(log=[1, 1], term=1)
    core = cluster.core("a")
    [chunk] = chunks(1, image(4, 1, "image"), 1000)

    core.hold()
    core.step(0, NodeId("b"), append(1, 2, 1, *[1] * (2 + later), commit=2))
    core.step(0, NodeId("b"), chunk)
    ready = core.release(0)

    persist = ready.persist
    assert persist is not None
    assert (persist.snapshot, persist.truncate_from) == (image(4, 1, "image"), 1)
    assert [added.index for added in persist.entries] == [5, 6][:later]
    cluster._obey(cluster.nodes["a"], ready)
    assert (cluster.status("a").first, cluster.status("a").last, cluster.status("a").durable) == (
        5,
        4 + later,
        4 + later,
    )


def test_an_image_waits_until_the_machine_has_applied_what_it_was_given() -> None:
    """openraft eed681d5: an application that ends after the installation would take the state back."""
    cluster = alone(log=[1, 1], term=1)
    core = cluster.core("a")
    ready = core.step(0, NodeId("b"), append(1, 2, 1, commit=2))
    [chunk] = chunks(1, image(9, 1, "image"), 1000)
    assert [entry.index for entry in ready.apply] == [1, 2]

    early = core.step(0, NodeId("b"), chunk)
    core.applied(0, Index(2))
    again = core.step(0, NodeId("b"), chunk)

    assert (early.restore, early.send_after) == (None, [])
    assert early.notes == [("mark", "snapshot: one came while entries wait to be applied")]
    assert again.restore == image(9, 1, "image")


def test_a_snapshot_never_changes_the_term() -> None:
    """The last included term is the entry's, not the node's (willemt/raft PR 118: it went backwards and voted
    twice)."""
    cluster = alone(term=7)

    for chunk in chunks(7, image(4, 2), 1000):
        cluster.step("a", "b", chunk)

    assert cluster.status("a").term == 7
    assert cluster.status("a").last_term == 2


def test_a_snapshot_brings_its_membership() -> None:
    """Section 7: a new server knows who its peers are only from it."""
    cluster = alone(voters="abc")
    membership = Membership((NodeId("a"), NodeId("x")), (NodeId("a"), NodeId("b")), (NodeId("l"),))
    snapshot = Snapshot(SnapshotMeta(Index(4), Term(1), membership), msgspec.msgpack.encode(["x"]))

    for chunk in chunks(1, snapshot, 1000):
        cluster.step("a", "b", chunk)
    assert cluster.status("a").membership == membership

    cluster.crash("a")
    cluster.restart("a")
    assert cluster.status("a").membership == membership


def test_chunks_of_two_leaders_never_mix() -> None:
    """F11: the key is (term, leader, snapshot), not the offset: a new leader's image may differ in every byte."""
    cluster = alone()
    old = chunks(1, image(4, 1, "the old leader's state"), 8)
    new = chunks(2, image(4, 1, "the new leader's image"), 8)

    for chunk in old[:2]:
        cluster.step("a", "b", chunk)
    for chunk in new[2:]:
        cluster.step("a", "c", chunk)
    assert cluster.applied("a") == []
    assert cluster.network[-1] == ("a", "c", SnapshotReply(Term(2), Index(4), new[-1].offset, 0))

    for chunk in new:
        cluster.step("a", "c", chunk)
    assert cluster.applied("a") == ["the new leader's image"]


def test_a_newer_snapshot_of_the_same_leader_begins_anew() -> None:
    """It supersedes the one that was coming in."""
    cluster = alone()
    older = chunks(1, image(4, 1, "the older state, longer"), 8)
    newer = chunks(1, image(6, 1, "the newer state"), 8)

    for chunk in [*older[:2], *newer]:
        cluster.step("a", "b", chunk)

    assert cluster.applied("a") == ["the newer state"]


def test_a_follower_that_restarts_in_the_middle_asks_for_the_beginning() -> None:
    """LogCabin #174: the chunks it had are gone; a leader that goes on with the middle would never end."""
    cluster = lagging(snapshot_chunk_bytes=9)
    cluster.cut_links.clear()
    cluster.run(HEARTBEAT_NS - 1)
    cluster.now += HEARTBEAT_NS
    cluster.wake("a")
    while len(cluster.sent("snapshot")) < 3:
        cluster.deliver_one()
    cluster.crash("c")
    cluster.restart("c")

    cluster.run(10 * HEARTBEAT_NS)

    assert cluster.applied("c") == cluster.applied("a")


def test_duplicated_and_reordered_chunks_do_no_harm() -> None:
    """Each arrives twice, the copies late."""
    cluster = alone()
    parts = chunks(1, image(4, 1, "a state of some length"), 6)

    for position, chunk in enumerate(parts):
        cluster.step("a", "b", chunk)
        if 0 < position < len(parts) - 1:
            cluster.step("a", "b", parts[position])
            cluster.step("a", "b", parts[position - 1] if position > 1 else chunk)

    assert cluster.applied("a") == ["a state of some length"]


def test_a_leader_change_in_the_middle_of_a_transfer_of_state() -> None:
    """F11 as a whole: chunks of the first leader, a crash of it, a second leader, a restart of the follower."""
    cluster = lagging(4, snapshot_chunk_bytes=20)
    cluster.cut_links.clear()
    cluster.now += HEARTBEAT_NS
    cluster.wake("a")
    while len(cluster.sent("snapshot")) < 2:
        cluster.deliver_one()
    cluster.crash("a")
    cluster.network.clear()
    cluster.now += 2 * T_NS
    cluster.elect("b")
    cluster.crash("d")
    cluster.restart("d")
    cluster.restart("a")

    cluster.run(10 * HEARTBEAT_NS)

    assert cluster.applied("d") == cluster.applied("b") == [f"command {number}" for number in range(10)]


def test_a_follower_that_gets_far_enough_by_appends_leaves_the_snapshot() -> None:
    """It acknowledged entries of before: the snapshot on its way is not needed any more."""
    cluster = lagging(snapshot_chunk_bytes=1)
    cluster.cut_links.clear()
    cluster.now += HEARTBEAT_NS
    cluster.wake("a")
    while not cluster.sent("snapshot"):
        cluster.deliver_one()
    assert cluster.status("a").peers[NodeId("c")].pace == "snapshot"

    cluster.step("a", "c", AppendReply(Term(1), Index(11)))

    assert cluster.status("a").peers[NodeId("c")].pace == "replicate"


# recovery


def recovered(snapshot: Snapshot | None, entries: list[Entry], term: int = 3) -> Raft:
    """A core made of what a disk holds."""
    core = Raft(
        NodeId("a"),
        Cluster("abc").config,
        membership=ABC,
        now=0,
        hard_state=HardState(Term(term)),
        snapshot=snapshot,
        entries=entries,
    )
    core.start(0)
    return core


def test_recovery_joins_snapshot_and_log() -> None:
    """Entries that the snapshot covers are kept for followers that are behind; the machine starts at the snapshot."""
    core = recovered(image(3, 1), [entry(index, 1) for index in range(1, 6)])

    status = core.status()

    assert (status.first, status.last, status.commit, status.applied) == (2, 5, 3, 3)
    assert core.term_at(Index(1)) == 1


@pytest.mark.parametrize(
    "entries",
    [
        [entry(1, 1), entry(2, 1)],
        [entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1), entry(5, 1)],
    ],
    ids=["ends before it", "contradicts it"],
)
def test_an_installation_that_a_crash_cut_short_is_completed_at_the_start(entries: list[Entry]) -> None:
    """The snapshot was durable, the old log not yet removed: the snapshot is the truth, and the disk is told so."""
    core = recovered(image(4, 2), entries)

    assert (core.status().first, core.status().last, core.status().last_term) == (5, 4, 2)
    ready = core.step(0, NodeId("b"), append(3, 4, 2, 3))
    assert ready.persist is not None
    assert ready.persist.truncate_from == 1
    assert [added.index for added in ready.persist.entries] == [5]


def test_a_gap_between_snapshot_and_log_is_refused() -> None:
    """Something that was acknowledged is missing."""
    with pytest.raises(SafetyError, match="begins at 7"):
        recovered(image(4, 2), [entry(7, 2)])


def test_a_configuration_in_the_log_beats_that_of_the_snapshot() -> None:
    """Section 6: the latest in the log is in force."""
    latest = Membership((NodeId("a"), NodeId("z")))
    config = Entry(Index(4), Term(1), EntryKind.CONFIG, encode(latest))

    core = recovered(image(3, 1), [config])

    assert core.status().membership == latest
