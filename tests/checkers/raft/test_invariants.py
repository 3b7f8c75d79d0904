"""Each invariant, broken and kept, in hand-made traces of one group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from checkers.raft.invariants import Invariants
from checkers.raft.rules.durability import VOTE_GRACE_FSYNCS

Trace = Any
Events = Callable[[Trace], Any]


def test_an_ordinary_history_breaks_nothing(trace: Trace) -> None:
    """An election, two commits, a restart, a second leader, a snapshot."""
    trace.vote("a", 1, "a").sync("a", 0, 1, "a").vote("b", 1, "a").sync("b", 0, 1, "a").leads("a", 1)
    trace.replicate("ab", 1, "1n 1x", term=1).commit("a", 2).apply("a", 1, "n", "s1").apply("a", 2, "x", "s2")
    trace.replicate("c", 1, "1n 1x", term=1).commit("b", 2).apply("b", 1, "n", "s1").apply("b", 2, "x", "s2")

    trace.append("a", 3, "1y").restart("a", 1, "1n 1x", vote="a")
    trace.note("term", "b", 2).vote("b", 2, "b").sync("b", 2, 2, "b")
    trace.note("term", "c", 2).vote("c", 2, "b").sync("c", 2, 2, "b").leads("b", 2)
    trace.replicate("bc", 3, "2n", term=2).commit("b", 3).apply("b", 3, "n", "s3")
    trace.snapshot("b", "taken", 3, 2, "s3").note("term", "a", 2).snapshot("a", "installed", 3, 2, "s3")
    trace.sync("a", 3, 2).commit("a", 3)
    trace.invariants.finish(trace.index)

    assert trace.found == []
    assert trace.invariants.verdict().validity == "valid"


def two_leaders(trace: Trace) -> None:
    trace.leads("a", 1).leads("b", 1)


def leader_twice(trace: Trace) -> None:
    trace.leads("a", 1).restart("a", 1).leads("a", 1)


def elected_by_votes_that_are_not_durable(trace: Trace) -> None:
    trace.note("term", "a", 1).vote("a", 1, "a").sync("a", 0, 1, "a").note("term", "b", 1).vote("b", 1, "a")
    trace.leads("a", 1)


def elected_by_votes_that_are_not_its_own(trace: Trace) -> None:
    trace.note("term", "a", 1).vote("a", 1, "a").sync("a", 0, 1, "a")
    trace.note("term", "b", 1).vote("b", 1, "c").sync("b", 0, 1, "c").leads("a", 1)


def leader_truncates(trace: Trace) -> None:
    trace.leads("a", 1).append("a", 1, "1x 1y").truncate("a", 2)


def leader_overwrites(trace: Trace) -> None:
    trace.leads("a", 1).append("a", 1, "1x").append("a", 1, "1x")


def leader_stamps_another_term(trace: Trace) -> None:
    trace.leads("a", 2).append("a", 1, "1x")


def same_entry_after_another(trace: Trace) -> None:
    trace.follows("a", 2).follows("b", 2).append("a", 1, "1x 2z").append("b", 1, "2q 2z")


def gap(trace: Trace) -> None:
    trace.follows("a", 1).append("a", 2, "1x")


def reused_index(trace: Trace) -> None:
    trace.follows("a", 1).append("a", 1, "1x").truncate("a", 1).follows("b", 1).append("b", 1, "1y")


def leader_lacks_committed(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).commit("a", 1).leads("c", 2)


def committed_under_a_later_leader(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).leads("c", 2).commit("a", 1)


def two_commits_at_one_index(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).commit("a", 1)
    trace.note("term", "c", 2).append("c", 1, "2y").sync("c", 1, 2).commit("c", 1)


def applied_not_the_log(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).commit("a", 1).apply("a", 1, "y", "s")


def snapshot_of_uncommitted(trace: Trace) -> None:
    trace.follows("a", 1).snapshot("a", "installed", 3, 1)


def states_differ(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).commit("a", 1).commit("b", 1)
    trace.apply("a", 1, "x", "s").apply("b", 1, "x", "t")


def snapshot_state_differs(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).commit("a", 1).apply("a", 1, "x", "s")
    trace.follows("c", 1).snapshot("c", "installed", 1, 1, "t")


def commit_goes_back(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x 1y", term=1).commit("a", 2).commit("a", 1)


def committed_is_cut(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).commit("a", 1).commit("b", 1).truncate("b", 1)


def commit_beyond_the_log(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).commit("a", 1).follows("c", 1).commit("c", 1)


def commit_ahead_of_leader(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x 1y", term=1).commit("a", 1).commit("b", 2)


def commit_of_an_old_term_by_counting(trace: Trace) -> None:
    """Figure 8 (c) of the paper: the leader of term 4 counts replicas of an entry of term 2."""
    trace.leads("a", 2).replicate("abc", 1, "2x", term=2).leads("a", 4).commit("a", 1)


def applied_twice(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).commit("a", 1).apply("a", 1, "x", "s").apply("a", 1, "x", "s")


def applied_with_a_gap(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x 1y", term=1).commit("a", 2).apply("a", 2, "y", "s")


def applied_uncommitted(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x", term=1).apply("a", 1, "x", "s")


def term_goes_back(trace: Trace) -> None:
    trace.note("term", "a", 2).note("term", "a", 1)


def role_in_an_old_term(trace: Trace) -> None:
    trace.note("term", "a", 2).note("role", "a", "candidate", 1)


def vote_in_an_old_term(trace: Trace) -> None:
    trace.note("term", "a", 2).vote("a", 1, "b")


def terms_of_a_log_go_back(trace: Trace) -> None:
    trace.follows("a", 2).append("a", 1, "2x 1y")


def entry_of_a_later_term(trace: Trace) -> None:
    trace.note("term", "a", 0).note("term", "a", 1).append("a", 1, "2x")


def two_votes(trace: Trace) -> None:
    trace.note("term", "a", 1).vote("a", 1, "b").vote("a", 1, "c")


def forgotten_vote(trace: Trace) -> None:
    trace.note("term", "a", 1).vote("a", 1, "b").sync("a", 0, 1, "b").restart("a", 1).note("term", "a", 1)


def forgotten_term(trace: Trace) -> None:
    trace.note("term", "a", 3).sync("a", 0, 3).restart("a", 2).note("term", "a", 2)


def forgotten_entry(trace: Trace) -> None:
    trace.note("term", "a", 1).append("a", 1, "1x 1y").sync("a", 2, 1).restart("a", 1, "1x").note("term", "a", 1)


def vote_that_is_never_written(trace: Trace) -> None:
    trace.note("term", "a", 1).vote("a", 1, "b")
    for _ in range(VOTE_GRACE_FSYNCS):
        trace.sync("a", 0, 1, None)


def commit_before_the_quorum_is_durable(trace: Trace) -> None:
    trace.leads("a", 1).append("a", 1, "1x").sync("a", 1, 1).note("term", "b", 1).append("b", 1, "1x").commit("a", 1)


def recovered_is_counted_before_it_is_synced(trace: Trace) -> None:
    """Node b finds an un-synced entry after a kill and acknowledges it: no quorum would survive a power loss."""
    trace.leads("a", 1).append("a", 1, "1x").sync("a", 1, 1).note("term", "b", 1).append("b", 1, "1x")
    trace.row("crash", "b", 1, "kill").sync("b", 0, 1).row("start", "b", 2, "default")
    trace.note("term", "b", 1).recover("log-append", "b", 1, ((1, b"x"),)).commit("a", 1)


def quorum_is_lost_later(trace: Trace) -> None:
    """Both followers throw away what is committed; the second one leaves it durable on one node of three."""
    trace.leads("a", 1).replicate("abc", 1, "1x", term=1).commit("a", 1)
    trace.truncate("b", 1).sync("b", 0, 1)
    assert trace.found == []
    trace.truncate("c", 1).sync("c", 0, 1)


def deposed_leader_goes_on_in_the_new_term(trace: Trace) -> None:
    """It learns of term 2, steps down too late, and gives its own entry the new term (hashicorp/raft issue 695)."""
    trace.leads("a", 1).append("a", 1, "1x").note("term", "a", 2).append("a", 2, "2y")


def two_configs_in_flight(trace: Trace) -> None:
    trace.leads("a", 1).append("a", 1, "1p 1q").config("a", 1, "abcd").config("a", 2, "abcde")


VIOLATIONS: dict[Events, str] = {
    two_leaders: "election-safety",
    leader_twice: "election-safety/restarted",
    elected_by_votes_that_are_not_durable: "elected-on-quorum",
    elected_by_votes_that_are_not_its_own: "elected-on-quorum",
    leader_truncates: "leader-append-only/truncate",
    leader_overwrites: "leader-append-only/overwrite",
    leader_stamps_another_term: "leader-append-only/foreign-term",
    same_entry_after_another: "log-matching",
    gap: "log-matching/gap",
    reused_index: "payload-reuse",
    leader_lacks_committed: "leader-completeness/elected",
    committed_under_a_later_leader: "leader-completeness/committed-later",
    two_commits_at_one_index: "state-machine-safety/commit",
    applied_not_the_log: "state-machine-safety/not-the-log",
    snapshot_of_uncommitted: "state-machine-safety/snapshot",
    states_differ: "state-digest/apply",
    snapshot_state_differs: "state-digest/snapshot",
    commit_goes_back: "commit-monotone",
    committed_is_cut: "commit-monotone/truncate",
    commit_beyond_the_log: "commit-bound/beyond-log",
    commit_ahead_of_leader: "commit-bound/ahead-of-leader",
    commit_of_an_old_term_by_counting: "own-term-commit",
    applied_twice: "apply-order/repeat",
    applied_with_a_gap: "apply-order/gap",
    applied_uncommitted: "apply-order/uncommitted",
    term_goes_back: "term-monotone/term",
    role_in_an_old_term: "term-monotone/role",
    vote_in_an_old_term: "term-monotone/vote",
    terms_of_a_log_go_back: "term-monotone/log",
    entry_of_a_later_term: "term-monotone/log",
    two_votes: "vote-once/same-life",
    forgotten_vote: "durable-ack/vote",
    forgotten_term: "durable-ack/term",
    forgotten_entry: "durable-ack/log",
    vote_that_is_never_written: "durable-ack/vote",
    commit_before_the_quorum_is_durable: "committed-on-quorum/commit",
    recovered_is_counted_before_it_is_synced: "committed-on-quorum/commit",
    quorum_is_lost_later: "committed-on-quorum/lost",
    two_configs_in_flight: "one-config",
    deposed_leader_goes_on_in_the_new_term: "leader-append-only/not-elected",
}


@pytest.mark.parametrize(("events", "expected"), VIOLATIONS.items(), ids=lambda item: getattr(item, "__name__", ""))
def test_the_violation_is_the_only_one_found_and_at_the_last_row(trace: Trace, events: Events, expected: str) -> None:
    events(trace)

    assert trace.found == [expected]
    assert trace.invariants.anomalies[0].index == trace.index - 1


def test_a_durable_vote_binds_across_restarts(trace: Trace) -> None:
    trace.note("term", "a", 1).vote("a", 1, "b").sync("a", 0, 1, "b").restart("a", 1).vote("a", 1, "c")

    assert trace.found == ["durable-ack/vote", "vote-once/across-restart"]


def test_a_recovered_entry_with_another_payload_is_not_the_durable_one(trace: Trace) -> None:
    trace.note("term", "a", 1).append("a", 1, "1x").sync("a", 1, 1).restart("a", 1, "1y").note("term", "a", 1)

    assert trace.found == ["payload-reuse", "durable-ack/log"]


def test_a_recovery_at_the_very_end_is_judged_by_finish(trace: Trace) -> None:
    trace.note("term", "a", 1).append("a", 1, "1x").sync("a", 1, 1).restart("a", 1)

    assert trace.found == []
    trace.invariants.finish(trace.index)
    assert trace.found == ["durable-ack/log"]


def test_after_the_release_what_was_found_and_said_stays_and_no_row_is_judged_any_more(trace: Trace) -> None:
    trace.replicate("ab", 1, "1x", term=1).commit("a", 1).apply("a", 1, "x", "s1").apply("b", 1, "y", "s1")
    invariants = trace.invariants
    invariants.finish(trace.index)
    found, said = list(trace.found), [invariants.progress("g0", "a"), invariants.term("g0", "a")]
    invariants.release()

    assert trace.found == found != []
    assert [invariants.progress("g0", "a"), invariants.term("g0", "a")] == said == [(1, 1, b"s1"), 1]
    for judged_late in (two_entries_at_one_place, commit_of_another_entry):
        with pytest.raises(AttributeError):
            judged_late(trace)


def two_entries_at_one_place(trace: Trace) -> None:
    trace.append("c", 1, "1z")


def commit_of_another_entry(trace: Trace) -> None:
    trace.commit("b", 1)


def vote_lost_with_the_crash(trace: Trace) -> None:
    """A vote that never became durable never left the node: another may be cast after the restart."""
    trace.note("term", "a", 1).vote("a", 1, "b").restart("a", 1).vote("a", 1, "c")


def vote_covered_by_a_later_durable_term(trace: Trace) -> None:
    """One fsync covered the vote of term 1 and the move to term 2: the answer left after it."""
    trace.note("term", "a", 1).vote("a", 1, "a").sync("a", 0, 1, "a").note("term", "b", 1).vote("b", 1, "a")
    trace.note("term", "b", 2).sync("b", 0, 2).leads("a", 1)


def unsynced_entries_lost(trace: Trace) -> None:
    trace.note("term", "a", 1).append("a", 1, "1x").sync("a", 1, 1).append("a", 2, "1y").restart("a", 1, "1x")
    trace.note("term", "a", 1)


def unsynced_entries_survive(trace: Trace) -> None:
    trace.note("term", "a", 1).append("a", 1, "1x").sync("a", 1, 1).append("a", 2, "1y").restart("a", 1, "1x 1y")
    trace.note("term", "a", 1)


def killed_then_power_lost(trace: Trace) -> None:
    """A kill leaves un-synced writes readable; they are not durable until an fsync, and the next crash takes them."""
    trace.note("term", "a", 1).append("a", 1, "1x").sync("a", 1, 1).append("a", 2, "1y")
    trace.row("crash", "a", 1, "kill").sync("a", 1, 1).row("start", "a", 2, "default")
    trace.note("term", "a", 1).recover("log-append", "a", 1, ((1, b"x"), (1, b"y"))).note("term", "a", 1)
    trace.restart("a", 1, "1x").note("term", "a", 1)


def vote_cast_at_the_instant_of_recovery(trace: Trace) -> None:
    """A request waited for the restart; the vote was lost with the next power failure, neither durable nor sent."""
    trace.note("term", "a", 1).sync("a", 0, 1)
    for candidate in "bc":
        trace.row("crash", "a", 1, "power").sync("a", 0, 1).row("start", "a", 2, "default")
        trace.note("term", "a", 1).recover("role", "a", "follower", 1)
        trace.recover("term", "a", 2).recover("vote", "a", 2, candidate)


def unsynced_truncation_survives(trace: Trace) -> None:
    """The truncation reached the disk with the crash, the entries that replace the tail did not."""
    trace.note("term", "a", 1).append("a", 1, "1x 1y 1z").sync("a", 3, 1)
    trace.note("term", "a", 2).truncate("a", 2).append("a", 2, "2q").restart("a", 2, "1x").note("term", "a", 2)


def unsynced_truncation_is_lost(trace: Trace) -> None:
    trace.note("term", "a", 1).append("a", 1, "1x 1y 1z").sync("a", 3, 1)
    trace.note("term", "a", 2).truncate("a", 2).append("a", 2, "2q").restart("a", 1, "1x 1y 1z").note("term", "a", 2)


def late_fsync_speaks_of_the_replaced_entries(trace: Trace) -> None:
    """Asynchronous storage: memory has replaced index 2 before the fsync of its first content is reported."""
    trace.note("term", "a", 1).append("a", 1, "1x 1y").sync("a", 1, 1)
    trace.append("a", 3, "1z").sync("a", 3, 1, None, 1).note("term", "a", 2).truncate("a", 2).append("a", 2, "2q 2r")
    trace.sync("a", 3, 1, None, 1).restart("a", 1, "1x 1y 1z").note("term", "a", 2)


def late_fsync_speaks_of_more_entries_than_memory_has(trace: Trace) -> None:
    """Seed 3001963 of `lock` under `slow`: two entries were replaced by one while their fsync was under way, and the
    power failed before the fsync of that one; the two come back."""
    trace.note("term", "a", 1).append("a", 1, "1x").sync("a", 1, 1, None, 1).append("a", 2, "1y 1z")
    trace.note("term", "a", 2).truncate("a", 2).append("a", 2, "2w").sync("a", 3, 1, None, 1)
    trace.restart("a", 2, "1x 1y 1z").note("term", "a", 2)


def late_fsync_speaks_of_more_entries_behind_durable_ones_that_were_cut_off(trace: Trace) -> None:
    """The same, and entries that were durable before were cut off with them."""
    trace.note("term", "a", 1).append("a", 1, "1x 1y 1z").sync("a", 3, 1, None, 1).append("a", 4, "1p 1q")
    trace.note("term", "a", 2).truncate("a", 2).append("a", 2, "2w").sync("a", 5, 1, None, 1)
    trace.restart("a", 2, "1x 1y 1z 1p 1q").note("term", "a", 2)


def late_fsync_speaks_of_entries_that_were_never_durable(trace: Trace) -> None:
    """The same, but the replaced entry becomes durable for the first time with that fsync; then the power fails."""
    trace.note("term", "a", 1).append("a", 1, "1x").sync("a", 1, 1, None, 1).append("a", 2, "1y")
    trace.note("term", "a", 2).truncate("a", 2).append("a", 2, "2q")
    trace.sync("a", 2, 1, None, 1).restart("a", 1, "1x 1y").note("term", "a", 2)


def late_winner_of_an_earlier_term(trace: Trace) -> None:
    """Node b learns that it won term 2 after the leader of term 3 has committed: section 5.4.3 allows it."""
    trace.leads("a", 3).replicate("ac", 1, "3x", term=3).commit("a", 1).leads("b", 2)


def trailing_entries_below_the_snapshot(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x 1y 1z", term=1).commit("a", 3).commit("b", 3)
    trace.snapshot("b", "taken", 3, 1).crash("b").recover("role", "b", "follower", 1).recover("term", "b", 1)
    trace.recover("snapshot", "b", "recovered", 3, 1, b"").recover("log-append", "b", 2, ((1, b"y"), (1, b"z")))
    trace.replicate("b", 4, "1w", term=1).commit("b", 3)


def snapshot_replaces_a_conflicting_log(trace: Trace) -> None:
    trace.note("term", "c", 1).append("c", 1, "1p 1q").sync("c", 2, 1)
    trace.leads("a", 2).replicate("ab", 1, "2x 2y 2z", term=2).commit("a", 3)
    trace.note("term", "c", 2).snapshot("c", "installed", 3, 2).sync("c", 3, 2).replicate("c", 4, "2w", term=2)


def snapshot_within_the_log_keeps_the_suffix(trace: Trace) -> None:
    trace.leads("a", 1).replicate("ab", 1, "1x 1y 1z", term=1).commit("a", 2)
    trace.snapshot("b", "installed", 2, 1).append("b", 4, "1w")


def rolled_back_config(trace: Trace) -> None:
    trace.leads("a", 1).append("a", 1, "1p").config("a", 1, "abcd").follows("a", 2).truncate("a", 1)
    trace.config("a", 0, "abc").leads("a", 3).append("a", 1, "3q").config("a", 1, "abce")


def vote_behind_a_queue_of_writes(trace: Trace) -> None:
    """A slow disk that is told of each write by itself reports all that came before the vote first."""
    trace.note("term", "a", 1).append("a", 1, "1x 1y 1z").note("term", "a", 2).note("term", "a", 3).vote("a", 3, "b")
    trace.sync("a", 1, 1).sync("a", 2, 1).sync("a", 3, 1).sync("a", 3, 2).sync("a", 3, 3).sync("a", 3, 3, "b")


def follower_receives_two_configs_at_once(trace: Trace) -> None:
    trace.leads("a", 1).config("a", 1, "abcd").replicate("abc", 1, "1p", term=1).commit("a", 1)
    trace.config("a", 2, "abc").replicate("abc", 2, "1q", term=1)
    trace.note("term", "d", 1).append("d", 1, "1p 1q").config("d", 1, "abcd").config("d", 2, "abc")


def quorum_of_the_new_configuration(trace: Trace) -> None:
    """The removed leader commits with the majority of the others, without counting itself."""
    trace.leads("a", 1).config("a", 1, "bc").replicate("bc", 1, "1p", term=1).append("a", 1, "1p").commit("a", 1)


def one_follower_of_three_loses_its_log(trace: Trace) -> None:
    trace.leads("a", 1).replicate("abc", 1, "1x", term=1).commit("a", 1)
    trace.crash("b").row("refuse", "b", 2, "corrupt")


@pytest.mark.parametrize(
    "events",
    [
        vote_lost_with_the_crash,
        vote_covered_by_a_later_durable_term,
        vote_behind_a_queue_of_writes,
        unsynced_entries_lost,
        unsynced_entries_survive,
        killed_then_power_lost,
        vote_cast_at_the_instant_of_recovery,
        unsynced_truncation_survives,
        unsynced_truncation_is_lost,
        late_fsync_speaks_of_the_replaced_entries,
        late_fsync_speaks_of_more_entries_than_memory_has,
        late_fsync_speaks_of_more_entries_behind_durable_ones_that_were_cut_off,
        late_fsync_speaks_of_entries_that_were_never_durable,
        late_winner_of_an_earlier_term,
        trailing_entries_below_the_snapshot,
        snapshot_replaces_a_conflicting_log,
        snapshot_within_the_log_keeps_the_suffix,
        rolled_back_config,
        follower_receives_two_configs_at_once,
        quorum_of_the_new_configuration,
        one_follower_of_three_loses_its_log,
    ],
    ids=lambda events: events.__name__,
)
def test_what_correct_raft_does_is_not_accused(trace: Trace, events: Events) -> None:
    events(trace)
    trace.invariants.finish(trace.index)

    assert trace.found == []


@pytest.mark.parametrize(
    ("holders", "expected"),
    [("ab", ["committed-on-quorum/commit"]), ("de", ["committed-on-quorum/commit"]), ("abde", [])],
)
def test_a_joint_configuration_needs_both_majorities(trace: Trace, holders: str, expected: list[str]) -> None:
    trace.leads("a", 1).config("a", 1, "def", "abc").append("a", 1, "1p")
    trace.replicate(holders.replace("a", ""), 1, "1p", term=1)
    if "a" in holders:
        trace.sync("a", 1, 1)

    trace.commit("a", 1)

    assert trace.found == expected


def test_each_kind_is_reported_once_a_group_and_counted(trace: Trace) -> None:
    trace.note("term", "a", 2).note("term", "a", 1).note("term", "b", 2).note("term", "b", 1)

    assert trace.found == ["term-monotone/term"]
    assert trace.invariants.counts == {("g0", "term-monotone"): 2}


def test_groups_on_one_actor_are_judged_apart() -> None:
    invariants = Invariants({"g0": "abc", "g1": "abc"})

    for index, (group, actor) in enumerate([("g0", "a"), ("g1", "b"), ("g0", "b")]):
        invariants.observe(index, (index, "role", actor, group, "leader", 1))

    assert [(anomaly.index, anomaly.evidence["group"]) for anomaly in invariants.anomalies] == [(2, "g0")]


def test_without_durable_facts_nothing_is_concluded_about_disks() -> None:
    invariants = Invariants({"g0": "abc"}, durable_facts=False)
    rows = [("role", "leader", 1), ("log-append", 1, ((1, b"x"),)), ("commit", 1)]

    for index, (kind, *fields) in enumerate(rows):
        invariants.observe(index, (index, kind, "a", "g0", *fields))

    assert invariants.anomalies == []


def test_rows_that_say_nothing_of_raft_are_ignored(trace: Trace) -> None:
    trace.row("send", "a", 1, "b", "append", 100).row("mark", "a", "torn-tail").row("start", "client-1", 1, "default")

    assert trace.found == []
    assert "send" not in trace.invariants.HANDLERS
