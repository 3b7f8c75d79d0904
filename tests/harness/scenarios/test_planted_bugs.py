"""A scenario is worth something when a planted bug makes it end otherwise: by name where the bug breaks safety.

Where the bug only costs progress (an append that is never sent again), a scenario cannot be judged invalid; its
transcript still shows other events.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.scenarios import library
from harness.scenarios.runner import perform
from harness.search.mutants import begins, plant, read
from harness.systems.catalog import load_systems, own_package
from harness.systems.checkouts import Checkouts

CORPUS = Path(__file__).parents[2] / "mutants"

ONLY_READS_OTHERWISE = ""

MADE_FOR = [
    ("ack-before-fsync", "trap_follower_disk", "raft/leader-completeness"),
    ("candidate-clears-vote", "trap_candidate_keeps_vote", "raft/vote-once"),
    ("chunks-mixed", "f11_snapshot_other_image", "raft/state-digest"),
    ("commit-past-verified", "f03_minority_leader_heartbeat_first", "raft/state-machine-safety"),
    ("commit-without-own-term", "f05_figure_8", "raft/state-machine-safety"),
    ("commit-without-own-term", "f05_figure_8_e", "raft/own-term-commit"),
    ("deposed-leader-blanks-entries", "f03_minority_leader", "raft/payload-reuse"),
    ("joint-one-majority", "trap_joint_majorities", "raft/committed-on-quorum"),
    ("leader-counts-itself-early", "trap_leader_disk_power", "raft/leader-completeness"),
    ("lease-from-response", "trap_lease_from_response", "linearizability"),
    ("lease-kept-in-transfer", "f15d_transfer_late_order", "linearizability"),
    ("lost-append-never-resent", "f15b_transfer_behind", ONLY_READS_OTHERWISE),
    ("lost-chunk-never-resent", "trap_lost_chunk", ONLY_READS_OTHERWISE),
    ("match-counts-what-was-sent", "f06_case1_median", "raft/committed-on-quorum"),
    ("no-election-restriction", "f02c_leader_crash_acknowledged", "raft/leader-completeness"),
    ("no-session-dedup", "f13_retry", "linearizability"),
    ("no-session-dedup", "f13_retry_before_apply", "linearizability"),
    ("prevote-refusal-carries-no-term", "trap_pre_vote_deadlock", "raft/wire-pre-vote/term"),
    ("read-before-noop", "f07d_fresh_leader", "linearizability"),
    ("reads-without-quorum", "f07b_stale_read_read_index", "linearizability"),
    ("recovery-forgets-vote", "f09_vote_reply_lost", "raft/election-safety"),
    ("restart-forgets-contact", "trap_restart_contact", "linearizability"),
    ("sessions-not-in-snapshot", "f13_retry_after_snapshot", "raft/state-digest"),
    ("stale-append-truncates", "trap_delayed_append", "node/exception"),
    ("stale-vote-counted", "trap_stale_vote", "raft/election-safety"),
    ("vote-before-durable", "f09_vote_not_durable", "raft/election-safety"),
    ("vote-not-persisted", "f09_vote_reply_lost", "raft/election-safety"),
    ("wal-never-synced", "f12_torn_write", "raft/committed-on-quorum"),
]


@pytest.fixture(scope="module")
def checkouts() -> Iterator[Checkouts]:
    """Copies of the package with a bug in each."""
    with Checkouts() as checkouts:
        yield checkouts


@pytest.mark.parametrize(("bug", "name", "signature"), MADE_FOR, ids=lambda value: str(value).replace("/", "-"))
def test_a_planted_bug_makes_its_scenario_end_otherwise(
    bug: str, name: str, signature: str, checkouts: Checkouts
) -> None:
    script = library.read(library.find(name))
    patched = load_systems(plant(read(CORPUS / f"{bug}.patch"), own_package(), checkouts))["default"]

    result = perform(script, patched)

    assert not result.reads_as_expected
    if signature:
        assert [found for found in result.violations if begins(found, signature)], result.violations
    else:
        assert result.is_judged_as_expected
