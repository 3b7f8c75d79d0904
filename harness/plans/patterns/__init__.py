"""Fault patterns: what the nemesis may do at one moment, from a single fault to several with one purpose.

A pattern is drawn at a time and gives faults. Lengths are in units of the election timeout T, the one scale that
matters to Raft: what is much shorter than T goes unnoticed, and what is much longer is only more of the same. Most
lengths are log-uniform, so that both sides of T are met.

Independent faults seldom produce the bugs that need three events in a row. Several patterns are therefore compound:

| compound pattern | what it tests |
| --- | --- |
| `isolate-leader` | a deposed leader that still answers clients on its side of the partition |
| `leader-crash-after-minority-append` | entries that reached a minority, then a crash of the leader (figure 8) |
| `contending-candidates` | several candidates of one term, and a voter that restarts between their requests |
| `lease-forgotten-on-restart` | a promise to a leader that a voter forgets when it restarts (lease reads) |
| `paused-leader-stale-acks` | acknowledgements that are old when a leader reads them after a pause (lease reads) |
| `one-way-cut-during-transfer` | a leader that cannot hear that its successor has won (lease reads) |
| `order-to-campaign-arrives-late` | a successor that campaigns when its leader has given it up (lease reads) |
| `lagging-follower-elected` | a new leader that cannot know yet how much was committed |
| `stale-votes` | answers of one election that arrive during the next |
| `snapshot-across-leaders` | a snapshot transfer that the next leader has to begin again |
| `snapshot-cut-off-half-way` | chunks of a snapshot whose receiver or sender starts again, or that are lost |
| `change-asked-of-a-cut-off-leader` | a configuration that is used and not committed, a snapshot, a restart |
| `lagging-learner-promoted` | a member that is far behind and whose vote is needed |
| `return-with-a-later-term` | a node with a later term and a shorter log, when the leader is lost |
| `swizzle-clog` | nodes clogged one by one and released in another order (FoundationDB) |
| `fsync-error-before-power-loss` | what was acknowledged after a second try of a failed fsync (fsyncgate) |
| `voters-power-cut-between-candidates` | a vote that was sent and is forgotten before the next candidate asks |
| `wiped-under-its-name` | nodes that forgot all and still have their names (`beyond-*` only) |
| `last-write-lost` | what one node was told last that its disk holds (`beyond-*` only) |
| `lie-before-power-loss` | what was acknowledged on the word of an fsync that lied (`beyond-*` only) |
| `isolated-leader-slow-disk` | writes under way that a later leader replaces |
| `isolated-leader-slow-clock` | an isolated leader with a slow clock while the others run fast (dissertation 6.4.1) |
| `isolated-leader-stopped-clock` | an isolated leader whose clock stands still for some timeouts (`beyond-*` only) |

Patterns do not look at options: a `FaultContext` holds what they may know, among it how far clock rates may stray.
"""

from __future__ import annotations

from typing import Final

from . import administration, clocks, compound, crashes, disks, leadership, links, membership, power
from .context import FaultContext, Pattern
from .permanent import lasting

PATTERNS: Final[dict[str, Pattern]] = {
    pattern.name: pattern
    for pattern in (
        Pattern(name="partition", kinds=("partition",), draw=links.partition, nodes_min=2),
        Pattern(name="nested-partitions", kinds=("partition",), draw=links.nested_partitions, nodes_min=3),
        Pattern(name="isolate-leader", kinds=("partition",), draw=links.isolate_leader, nodes_min=2, weight=2),
        Pattern(name="loss", kinds=("loss",), draw=links.loss),
        Pattern(name="duplicate", kinds=("duplicate",), draw=links.duplicate),
        Pattern(name="delay", kinds=("delay",), draw=links.delay),
        Pattern(name="reorder", kinds=("reorder",), draw=links.reorder),
        Pattern(name="corrupt", kinds=("corrupt",), draw=links.corrupt),
        Pattern(name="clog", kinds=("clog",), draw=links.clog),
        Pattern(name="swizzle-clog", kinds=("clog",), draw=links.swizzle_clog, nodes_min=3),
        Pattern(name="slow-node", kinds=("slow-node",), draw=links.slow_node),
        Pattern(name="slow-background", kinds=("slow-background", "compact"), draw=links.slow_background),
        Pattern(name="bandwidth", kinds=("bandwidth",), draw=links.bandwidth, nodes_min=2),
        Pattern(name="crash", kinds=("crash",), draw=crashes.crash),
        Pattern(name="crash-loop", kinds=("crash",), draw=crashes.crash_loop),
        Pattern(name="rolling-restart", kinds=("crash",), draw=crashes.rolling_restart, nodes_min=2),
        Pattern(name="power-loss", kinds=("crash",), draw=crashes.power_loss),
        Pattern(
            name="leader-crash-after-minority-append",
            kinds=("partition", "crash"),
            draw=compound.leader_crash_after_minority_append,
            nodes_min=3,
            weight=2,
        ),
        Pattern(
            name="contending-candidates",
            kinds=("delay", "forced-election", "crash"),
            draw=compound.contending_candidates,
            nodes_min=3,
            weight=2,
        ),
        Pattern(
            name="lease-forgotten-on-restart",
            kinds=("partition", "crash", "forced-election"),
            draw=compound.lease_forgotten_on_restart,
            nodes_min=3,
            rate_multiplier=4,
            weight=2,
            lease_weight=8,
            non_overlapping=True,
        ),
        Pattern(
            name="paused-leader-stale-acks",
            kinds=("transfer", "delay", "pause", "partition", "forced-election"),
            draw=leadership.paused_leader_stale_acks,
            nodes_min=3,
            rate_multiplier=4,
            weight=2,
            lease_weight=8,
            non_overlapping=True,
        ),
        Pattern(
            name="one-way-cut-during-transfer",
            kinds=("partition", "transfer"),
            draw=leadership.one_way_cut_during_transfer,
            nodes_min=3,
            rate_multiplier=4,
            weight=2,
            non_overlapping=True,
        ),
        Pattern(
            name="order-to-campaign-arrives-late",
            kinds=("transfer", "delay", "partition"),
            draw=leadership.order_to_campaign_arrives_late,
            nodes_min=3,
            rate_multiplier=4,
            non_overlapping=True,
        ),
        Pattern(
            name="lagging-follower-elected",
            kinds=("partition", "crash"),
            draw=leadership.lagging_follower_elected,
            nodes_min=3,
            non_overlapping=True,
        ),
        Pattern(
            name="stale-votes",
            kinds=("crash", "delay", "forced-election"),
            draw=leadership.stale_votes,
            nodes_min=3,
            non_overlapping=True,
        ),
        Pattern(
            name="snapshot-across-leaders",
            kinds=("partition", "transfer"),
            draw=leadership.snapshot_across_leaders,
            nodes_min=3,
            non_overlapping=True,
        ),
        Pattern(
            name="snapshot-cut-off-half-way",
            kinds=("partition", "delay", "crash"),
            draw=leadership.snapshot_cut_off_half_way,
            nodes_min=3,
            non_overlapping=True,
        ),
        Pattern(
            name="change-asked-of-a-cut-off-leader",
            kinds=("transfer", "partition", "membership", "compact", "crash"),
            draw=membership.change_asked_of_a_cut_off_leader,
            nodes_min=3,
            weight=2,
            non_overlapping=True,
        ),
        Pattern(
            name="lagging-learner-promoted",
            kinds=("membership", "partition"),
            draw=membership.lagging_learner_promoted,
            nodes_min=3,
            non_overlapping=True,
        ),
        Pattern(
            name="return-with-a-later-term",
            kinds=("partition", "forced-election", "crash"),
            draw=membership.return_with_a_later_term,
            nodes_min=3,
            non_overlapping=True,
        ),
        Pattern(name="client-crash", kinds=("crash",), draw=crashes.client_crash),
        Pattern(name="client-pause", kinds=("pause",), draw=crashes.client_pause),
        Pattern(name="pause", kinds=("pause",), draw=crashes.pause),
        Pattern(name="disk-error", kinds=("write-error", "read-error", "fsync-error"), draw=disks.disk_error),
        Pattern(
            name="fsync-error-before-power-loss",
            kinds=("fsync-error", "crash"),
            draw=disks.fsync_error_before_power_loss,
            non_overlapping=True,
        ),
        Pattern(name="disk-full", kinds=("disk-full",), draw=disks.disk_full, occurrences_max=3),
        Pattern(name="power-cut", kinds=("power-cut",), draw=power.power_cut),
        Pattern(
            name="voters-power-cut-between-candidates",
            kinds=("crash", "delay", "forced-election", "power-cut"),
            draw=power.voters_power_cut_between_candidates,
            nodes_min=3,
            weight=2,
            non_overlapping=True,
        ),
        Pattern(
            name="bit-rot",
            kinds=("bit-rot", "crash", "power-cut"),
            draw=disks.bit_rot,
            nodes_min=3,
            occurrences_max=3,
        ),
        Pattern(
            name="damaged-write",
            kinds=("misdirected-write", "lost-write", "crash", "power-cut"),
            draw=disks.damaged_write,
            nodes_min=3,
            occurrences_max=3,
        ),
        Pattern(
            name="wiped-disk",
            kinds=("wiped-disk", "membership"),
            draw=disks.wiped_disk,
            nodes_min=3,
            occurrences_max=1,
        ),
        Pattern(name="wiped-under-its-name", kinds=("wiped-disk",), draw=disks.wiped_under_its_name, nodes_min=2),
        Pattern(name="last-write-lost", kinds=("lost-write", "crash"), draw=disks.last_write_lost, nodes_min=3),
        Pattern(name="lie-before-power-loss", kinds=("lying-fsync", "crash"), draw=disks.lie_before_power_loss),
        Pattern(name="slow-disk", kinds=("slow-disk",), draw=disks.slow_disk, occurrences_max=3),
        Pattern(
            name="isolated-leader-slow-disk",
            kinds=("slow-disk", "partition"),
            draw=disks.isolated_leader_slow_disk,
            nodes_min=3,
            weight=2,
            non_overlapping=True,
        ),
        Pattern(name="clock-rate", kinds=("clock-rate",), draw=clocks.clock_rate),
        Pattern(name="clock-step", kinds=("clock-step",), draw=clocks.clock_step),
        Pattern(name="clock-reset", kinds=("clock-step",), draw=clocks.clock_reset, occurrences_max=1),
        Pattern(name="clock-strobe", kinds=("clock-strobe",), draw=clocks.clock_strobe),
        Pattern(
            name="isolated-leader-slow-clock",
            kinds=("clock-rate", "partition"),
            draw=compound.isolated_leader_slow_clock,
            nodes_min=2,
            weight=2,
        ),
        Pattern(
            name="isolated-leader-stopped-clock",
            kinds=("pause", "partition"),
            draw=compound.isolated_leader_stopped_clock,
            nodes_min=3,
            weight=2,
        ),
        Pattern(name="transfer", kinds=("transfer",), draw=administration.transfer, nodes_min=2, rate_multiplier=4),
        Pattern(
            name="forced-election",
            kinds=("forced-election",),
            draw=administration.forced_election,
            nodes_min=2,
            rate_multiplier=4,
        ),
        Pattern(name="compact", kinds=("compact",), draw=administration.compact, rate_multiplier=4),
        Pattern(name="membership", kinds=("membership",), draw=administration.membership, nodes_min=2),
    )
}
"""Every fault pattern by name."""

__all__ = ["PATTERNS", "FaultContext", "Pattern", "lasting"]
