"""Plans of seeds that once found a bug in our own Raft: they run clean now, and stay so.

Each file is the plan as it was stored; its name says what was wrong. The small named test of the rule stands beside the
rule's other tests.

* image_before_machine_caught_up: with asynchronous storage a leader's snapshot was installed while committed entries
  were still waiting for an fsync, and these were applied after it (signature raft/apply-order/repeat).
* reply_to_an_earlier_client: request ids began at 1 in every client, so a late reply to a thread's previous client
  acknowledged a write that had not been sent yet (linearizability/nonlinearizable/cas-register/read).
* compact_while_an_image_waits: a replica was told to compact while a leader's image that it had taken over waited for
  its fsync, and raised, because its log began behind its machine.
* truncation_into_a_removed_segment: a conflicting entry at the end of one segment was cut off at the beginning of the
  next, a snapshot then covered and removed the first, and after a power loss the replica refused its own log at each
  start (log-gap; liveness/no-leader).
* log_gap_after_kill: a truncation record reached into a segment that a snapshot had let go, and recovery took the
  gap for corruption: two nodes refused to start after a plain kill (liveness/no-leader).
* left_outside_for_ever: no bug of Raft's but of the nemesis: the way back to the first membership was taken by a leader
  that lost it, so a node without pre-votes stayed removed and raised its term without end (liveness/terms-grow).
* durable_before_its_fsync: with asynchronous storage a snapshot and an entry came while another snapshot was being
  published; the entry was taken for durable with an fsync that did not cover it (raft/committed-on-quorum/commit).
* refused_by_the_next_life: a copy of a request reached the server's next life, which refused it for its old connection
  number, though the life before had taken the first copy; the client said "fail" of a write that took effect
  (linearizability/nonlinearizable/counter/read, at the 6,591st seed).
* proposal_after_its_removal: in the batch of inputs in which a leader committed a configuration without itself, it took
  one more proposal (raft/in-force/leads-outside).
* disk_error_then_log_corrupt: the pages of a failed fsync were dropped, one more record was appended before the node
  stopped, and at its next start it took the blank between them for damage and refused for good
  (liveness/stalled/write).
* removed_and_never_told: no bug of Raft's but of an oracle: the change after the heal removed a node that no leader
  sent to any more, which, without pre-votes and loyalty to a leader, campaigned in the quiet time
  (liveness/terms-grow/quiet).
* opens_that_feed_overload: each retry of opening a session became an entry of its own, so a group that was slow to
  commit grew slower, and made no progress after the heal (liveness/no-progress).
* leader_left_after_a_moment: a client waited for a removed server for most of its time, found the leader in the rest,
  and left it when its time was up a moment later, so that each operation began as the one before
  (liveness/stalled/write).
* way_back_asked_of_a_cut_off_leader: no bug of Raft's but of the nemesis: the way back to the first members was asked
  of a leader that was cut off and knew of no change, so it was over at once; the change then came into force under
  another leader, and the removed voter was waited for (liveness/no-convergence).
* followed_into_a_later_term: no bug of Raft's but of an oracle: the leader at the heal left the group in the change
  after it, and of the others each was held to be in the term in which it had told its role last, so that the one term
  of an orderly transfer counted as two (liveness/terms-grow/transfer).
* segments_of_a_snapshot_without_name: with asynchronous storage a snapshot came during the fsync of a segment; at its
  end the segments that only this one covers were removed, before it had its name, and after a kill the node refused
  its data (node/refused/log-gap).
* circle_of_cut_off_servers: two servers that were cut off for good named each other, and a client that went on behind
  the last one that it had asked never came to a third (liveness/stalled/read).
* late_fsync_of_more_entries: no bug of Raft's but of an oracle: with asynchronous storage two entries were replaced by
  one while their fsync was under way, and at its end the new one was taken for durable (raft/durable-ack/log).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.plans.plan import load
from harness.run.runner import RunOptions, run
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts

PLANS = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_plan_that_once_failed_is_valid_now(path: Path) -> None:
    outcome = run(load(path), bind("raft_impl", Checkouts()), RunOptions(gates=False))

    assert outcome.anomalies == ()
    assert outcome.verdict.validity == "valid"
