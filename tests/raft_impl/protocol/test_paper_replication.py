"""The sentences of sections 5.3, 5.4.2, 5.5 and 8 that state a rule, one test each."""

from __future__ import annotations

from typing import Any

import pytest

from raft_impl.protocol.errors import SafetyError
from raft_impl.protocol.messages import Append, AppendReject, AppendReply, Heartbeat, HeartbeatReply
from raft_impl.protocol.ready import Proposed
from raft_impl.protocol.state import EntryKind, Index, Role, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, alone, append, elected, entry

PLAIN: dict[str, Any] = {"pre_vote": False, "check_quorum": False}


def led(size: int = 3, **options: Any) -> Cluster:
    """A settled cluster that "a" leads in term 1, with its first entry committed everywhere."""
    cluster = Cluster("abcdefg"[:size], **options)
    cluster.elect("a")
    cluster.run(HEARTBEAT_NS)
    return cluster


def test_a_leader_appends_a_command_and_sends_it_to_all() -> None:
    """5.3: the leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel to
    each of the other servers to replicate the entry."""
    cluster = led()

    tag = cluster.propose("a", "x", settle=False)

    sent = append(1, 1, 1, commit=1)
    expected = Append(sent.term, sent.prev_index, sent.prev_term, sent.commit, (entry(2, 1, "x"),))
    assert [("a", "b", expected), ("a", "c", expected)] == cluster.network
    assert Proposed(tag, Index(2), Term(1)) == cluster.answer("a", tag)


def test_a_new_leader_begins_with_an_empty_entry_of_its_term() -> None:
    """Section 8: each leader commits a blank no-op entry at the start of its term."""
    cluster = alone(log=[1, 1], term=1, **PLAIN)

    elected(cluster, "b")

    first = cluster.core("a").entries(Index(3), Index(3))[0]
    assert (first.term, first.kind, first.data) == (2, EntryKind.NOOP, b"")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_an_entry_is_committed_once_a_majority_holds_it(size: int) -> None:
    """5.3: a log entry is committed once the leader that created the entry has replicated it on a majority."""
    cluster = led(size, **PLAIN)
    cluster.propose("a", "x", settle=False)
    cluster.network.clear()

    for acks, name in enumerate("bcde"[: size - 1], 2):
        cluster.step("a", name, AppendReply(Term(1), Index(2)))
        assert (cluster.status("a").commit == 2) == (2 * acks > size)

    assert cluster.status("a").commit == 2


def test_committing_an_entry_commits_all_before_it() -> None:
    """5.3: this also commits all preceding entries in the leader's log, including entries created by previous
    leaders."""
    cluster = alone(log=[1, 2, 2], term=2, **PLAIN)
    elected(cluster, "b")

    cluster.step("a", "b", AppendReply(Term(3), Index(4)))

    assert cluster.status("a").commit == 4
    assert cluster.applied("a") == ["1@1", "2@2", "3@2"]


def test_a_follower_applies_what_it_learns_to_be_committed() -> None:
    """5.3: once a follower learns that a log entry is committed, it applies the entry to its state machine (in log
    order)."""
    cluster = alone(log=[1, 1, 1], term=1)

    cluster.step("a", "b", append(1, 3, 1, commit=2))
    assert cluster.applied("a") == ["1@1", "2@1"]

    cluster.step("a", "b", append(1, 3, 1, 1, commit=4))
    assert cluster.applied("a") == ["1@1", "2@1", "3@1", "4@1"]


def test_followers_learn_the_commit_index_from_the_next_message() -> None:
    """5.3: the leader includes the highest index it knows to be committed in future AppendEntries RPCs (heartbeats
    too)."""
    cluster = led()

    cluster.propose("a", "x")
    assert [cluster.status(name).commit for name in "abc"] == [2, 1, 1]
    cluster.propose("a", "y")
    assert [cluster.status(name).commit for name in "abc"] == [3, 2, 2]
    cluster.run(HEARTBEAT_NS)

    assert [cluster.status(name).commit for name in "abc"] == [3, 3, 3]


def test_a_leader_retries_until_all_followers_store_all_entries() -> None:
    """5.3: if followers crash or packets are lost, the leader retries AppendEntries RPCs indefinitely, even after it
    has responded to the client."""
    cluster = led()
    cluster.crash("c")
    cluster.propose("a", "x")
    cluster.run(10 * T_NS)

    cluster.restart("c")
    cluster.run(4 * HEARTBEAT_NS)

    assert cluster.applied("c") == ["x"]


@pytest.mark.parametrize(
    ("ours", "message", "conflict"),
    [
        ([1, 1], append(2, 3, 1), (0, 3)),
        ([], append(2, 1, 1), (0, 1)),
        ([1, 1, 1], append(2, 3, 2), (1, 1)),
        ([1, 2, 2, 2], append(3, 4, 3), (2, 2)),
    ],
)
def test_a_follower_refuses_entries_that_do_not_follow_on_its_log(
    ours: list[int], message: Append, conflict: tuple[int, int]
) -> None:
    """5.3: if the follower does not find an entry in its log with the same index and term, it refuses the new entries.
    The refusal names the term of the conflicting entry and the first index it stores for that term."""
    cluster = alone(log=ours, term=1)

    cluster.step("a", "b", message)

    reject = AppendReject(message.term, message.prev_index, Term(conflict[0]), Index(conflict[1]))
    assert [("a", "b", reject)] == cluster.network
    assert ours == cluster.log("a")


@pytest.mark.parametrize(
    ("ours", "message", "result"),
    [
        ([1, 2, 3], append(3, 3, 3, 3), [1, 2, 3, 3]),
        ([1, 2, 3], append(4, 1, 1, 4, 4), [1, 4, 4]),
        ([1, 2, 3], append(4, 2, 2, 4), [1, 2, 4]),
        ([], append(3, 0, 0, 1, 1), [1, 1]),
        ([1, 1, 1], append(3, 0, 0, 1, 2), [1, 2]),
    ],
    ids=["follows", "conflicts at its first entry", "conflicts at the end", "empty log", "conflicts in the middle"],
)
def test_a_conflicting_entry_and_all_after_it_are_replaced(ours: list[int], message: Append, result: list[int]) -> None:
    """Figure 2: if an existing entry conflicts with a new one (same index but different terms), delete the existing
    entry and all that follow it; append any new entries not already in the log."""
    cluster = alone(log=ours, term=3)

    cluster.step("a", "b", message)

    assert result == cluster.log("a")
    assert result == [entry.term for entry in cluster.nodes["a"].disk.entries]


@pytest.mark.parametrize(
    "message", [append(3, 0, 0, 1), append(3, 1, 1, 2), append(3, 1, 1), append(3, 0, 0, 1, 2, 3), append(3, 0, 0)]
)
def test_a_stale_append_removes_nothing_and_acknowledges_only_itself(message: Append) -> None:
    """5.3: RPCs are idempotent: a delayed or repeated append finds its entries here and changes nothing; the answer
    says how far *it* was verified, not how long the log is."""
    cluster = alone(log=[1, 2, 3], term=3)

    cluster.step("a", "b", message)

    assert cluster.log("a") == [1, 2, 3]
    assert [("a", "b", AppendReply(Term(3), Index(message.prev_index + len(message.entries))))] == cluster.network


@pytest.mark.parametrize(
    ("message", "commit"),
    [
        (append(3, 1, 1, commit=3), 1),
        (append(3, 1, 1, 2, commit=3), 2),
        (append(3, 2, 2, commit=1), 1),
        (append(3, 3, 2, commit=9), 3),
    ],
)
def test_a_follower_commits_only_what_the_message_verified(message: Append, commit: int) -> None:
    """Figure 2: commitIndex = min(leaderCommit, index of last new entry): beyond it may be a deposed leader's tail."""
    cluster = alone(log=[1, 2, 2], term=2)

    cluster.step("a", "b", message)

    assert cluster.status("a").commit == commit


def test_a_heartbeat_never_commits_an_unverified_tail() -> None:
    """The leader caps the commit index in a heartbeat by what this follower is known to hold."""
    cluster = Cluster("abc", logs={"a": [1, 1], "b": [1, 1, 2], "c": [1, 1]}, terms={"a": 2, "c": 2}, **PLAIN)
    cluster.cut("b")
    cluster.elect("a")
    cluster.propose("a", "x")
    cluster.cut_links.clear()
    cluster.lose = lambda packet: packet[1] == "b" and isinstance(packet[2], Append)

    cluster.run(4 * HEARTBEAT_NS)

    assert (cluster.status("a").commit, cluster.status("b").commit) == (4, 0)
    assert cluster.log("b") == [1, 1, 2]


def test_the_commit_index_never_falls() -> None:
    """Figure 2: commitIndex increases monotonically."""
    cluster = alone(log=[1, 1, 1], term=1)
    cluster.step("a", "b", append(1, 3, 1, commit=3))

    cluster.step("a", "b", append(1, 3, 1, commit=1))
    cluster.step("a", "b", Heartbeat(Term(1), 1, Index(2)))

    assert cluster.status("a").commit == 3


LEADERS_LOG = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]

FIGURE_7 = {
    "a": (LEADERS_LOG[:9], 1, 9),
    "b": ([1, 1, 1, 4], 1, 4),
    "c": ([*LEADERS_LOG, 6], 0, 10),
    "d": ([*LEADERS_LOG, 7, 7], 0, 10),
    "e": ([1, 1, 1, 4, 4, 4, 4], 2, 5),
    "f": ([1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], 2, 3),
}
"""The followers of figure 7: log, refusals until the logs meet when whole terms are skipped, and where they meet."""


def first_accepted(cluster: Cluster, name: str) -> Append:
    """The append that was the first one this follower accepted."""
    latest: Append | None = None
    for source, target, message in cluster.log_of_messages:
        if target == name and isinstance(message, Append):
            latest = message
        elif source == name and isinstance(message, AppendReply):
            break
    assert latest is not None
    return latest


def test_a_leader_brings_the_logs_of_figure_7_into_line() -> None:
    """5.3 and figure 7: the leader finds the latest entry where the logs agree, and the follower's log after it
    becomes its own. Only a, b, e and f may vote for it."""
    logs = {"z": LEADERS_LOG} | {name: log for name, (log, _, _) in FIGURE_7.items()}
    cluster = Cluster("zabcdef", logs=logs, terms=dict.fromkeys("zabcdef", 7), **PLAIN)

    cluster.elect("z")

    votes = {source: message.granted for source, _, message in cluster.sent("vote-reply")}  # type: ignore[union-attr]
    assert votes == {"a": True, "b": True, "c": False, "d": False, "e": True, "f": True}
    for name, (_, refusals, meets_at) in FIGURE_7.items():
        assert [*LEADERS_LOG, 8] == cluster.log(name)
        assert refusals == len([source for source, _, _ in cluster.sent("append-reject") if source == name])
        assert meets_at == first_accepted(cluster, name).prev_index


def test_a_leader_never_overwrites_its_own_log() -> None:
    """5.3, Leader Append-Only: a leader never overwrites or deletes entries in its log; it only appends new entries."""
    cluster = led(**PLAIN)
    cluster.propose("a", "x")

    cluster.step("a", "b", append(1, 1, 1, 1, 1, 1))  # a second leader of the term cannot be; nothing is believed

    assert cluster.log("a") == [1, 1]
    assert cluster.status("a").role is Role.LEADER


def test_an_entry_of_an_earlier_term_is_not_committed_by_counting() -> None:
    """5.4.2: only log entries from the leader's current term are committed by counting replicas."""
    cluster = alone(log=[1, 2], term=2, max_entries_per_append=1, **PLAIN)
    elected(cluster, "b")

    cluster.step("a", "b", AppendReply(Term(3), Index(2)))
    cluster.step("a", "c", AppendReply(Term(3), Index(2)))
    assert cluster.status("a").commit == 0

    cluster.step("a", "b", AppendReply(Term(3), Index(3)))
    assert cluster.status("a").commit == 3


def test_figure_8_an_old_entry_on_a_majority_may_still_be_overwritten() -> None:
    """5.4.2 and figure 8, (a) to (d): the entry of term 2 is on three of five, and is rightly replaced."""
    cluster = Cluster("abcde", logs={name: [1] for name in "abcde"}, max_entries_per_append=1, **PLAIN)
    cluster.lose = lambda packet: isinstance(packet[2], Append) and packet[1] in "cde"
    cluster.elect_without_commit("a")  # (a) leads term 2, its entry reaches b only
    assert [cluster.log(name) for name in "abc"] == [[1, 2], [1, 2], [1]]

    cluster.crash("a")
    cluster.lose = lambda packet: isinstance(packet[2], Append)
    cluster.elect_without_commit("e")  # (b) e leads term 3 with c and d, and keeps its entry to itself
    assert cluster.log("e") == [1, 3]

    cluster.crash("e")
    cluster.restart("a")
    cluster.lose = lambda packet: (
        isinstance(packet[2], Append)
        and (packet[1] in "de" or (packet[2].entries[-1].term == 4 and cluster.log(packet[1]) == [1, 2]))
    )
    cluster.elect_without_commit("a")  # (c) a leads term 4 and spreads the entry of term 2 to c
    assert [cluster.log(name) for name in "abc"] == [[1, 2, 4], [1, 2], [1, 2]]
    assert [cluster.status(name).commit for name in "abc"] == [0, 0, 0]

    cluster.crash("a")
    cluster.restart("e")
    cluster.lose = lambda packet: False
    cluster.elect_without_commit("e")  # (d) e's log ends in term 3, so b, c and d cannot refuse it
    assert cluster.leaders() == ["e"]
    assert all(cluster.log(name)[:2] == [1, 3] for name in "bcde")


def test_figure_8_an_entry_of_the_own_term_on_a_majority_stays() -> None:
    """5.4.2 and figure 8 (e): with an entry of its own term on a majority, everything before it is safe from term 3."""
    cluster = Cluster("abcde", logs={"a": [1, 2], "b": [1, 2], "c": [1], "d": [1], "e": [1, 3]}, **PLAIN)
    for name in "abcd":
        cluster.step(name, "e", append(3, 9, 9))  # all have seen term 3
    cluster.network.clear()
    cluster.cut("e", "abcd")
    cluster.elect("a")
    assert cluster.log("b") == [1, 2, 4]
    cluster.cut_links.clear()
    cluster.crash("a")

    for _ in range(5):
        cluster.campaign("e")
        cluster.settle()

    assert cluster.leaders() == []
    cluster.elect("b")
    assert cluster.applied("b") == ["1@1", "2@2"]


@pytest.mark.parametrize("crashed", ["b", "bc"])
def test_follower_crashes_do_not_stop_a_majority(crashed: str) -> None:
    """5.5: the failure of a minority of followers must not affect overall system performance."""
    cluster = led(5)
    for name in crashed:
        cluster.crash(name)

    cluster.propose("a", "x")
    assert cluster.applied("a") == ["x"]

    for name in crashed:
        cluster.restart(name)
    cluster.run(4 * HEARTBEAT_NS)
    assert [cluster.applied(name) for name in "abcde"] == [["x"]] * 5


def test_a_crashed_follower_is_the_same_after_its_restart() -> None:
    """5.5, figure 2: term, vote and log are what it had made durable; the commit index it learns anew."""
    cluster = led()
    cluster.propose("a", "x")
    before = cluster.status("b")

    cluster.crash("b")
    cluster.restart("b")
    after = cluster.status("b")

    assert (before.term, before.vote, before.last) == (after.term, after.vote, after.last)
    assert after.commit == 0
    cluster.run(HEARTBEAT_NS)
    assert cluster.applied("b") == ["x"]


def test_a_heartbeat_is_answered_with_its_round() -> None:
    """5.2; dissertation 6.4: the answer names the round, so that it can confirm no other."""
    cluster = alone(term=1)

    cluster.step("a", "b", Heartbeat(Term(1), 41, Index(0)))

    assert [("a", "b", HeartbeatReply(Term(1), 41))] == cluster.network


@pytest.mark.parametrize(
    "message", [append(2, 1, 2, 2), append(2, 0, 0, 2)], ids=["at the entry before", "among the entries"]
)
def test_a_contradiction_of_committed_entries_stops_the_node(message: Append) -> None:
    """5.4, State Machine Safety: it cannot happen, so a node to which it happens must not go on."""
    cluster = alone(log=[1], term=1)
    cluster.step("a", "b", append(1, 1, 1, commit=1))

    with pytest.raises(SafetyError, match="commit"):
        cluster.step("a", "c", message)
