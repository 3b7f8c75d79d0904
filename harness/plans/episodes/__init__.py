"""Episodes: what the nemesis may do at one moment, from a single fault to a short story told with several.

An episode is drawn at a time and gives faults. Lengths are in units of the election timeout T, the one scale that
matters to Raft: what is much shorter than T is not noticed, and what is much longer is only more of the same. Most
lengths are log-uniform, so that both sides of T are met.

Chance alone seldom finds the bugs that need three things in a row, so that several episodes are stories with a point:

| story | what it is after |
| --- | --- |
| `isolate-leader` | a deposed leader that still answers, with clients of its own beside it |
| `leader-hops` | entries that reach a few, then a crash of the leader, again and again (paper, figure 8) |
| `duel` | two candidates of one term, and a voter that restarts between their requests |
| `amnesia` | a promise to a leader that a restart made forget (lease reads) |
| `dozing-leader` | confirmations that are old when a leader gets to read them (lease reads) |
| `deaf-handover` | a leader that does not hear that its successor has won (lease reads) |
| `laggards` | a new leader that does not know for long how much was committed |
| `recount` | answers of one election that arrive in the next |
| `relay` | an image that the next leader has to send again |
| `swizzle-clog` | nodes clogged one by one and released in another order (FoundationDB) |
| `lease-trap` | an isolated leader with a slow clock while the others' clocks run fast (dissertation 6.4.1) |
| `frozen-leader` | an isolated leader whose clock stands still for some timeouts (`beyond-*` only) |

Nothing here looks at options: `Ground` holds what an episode may know, among it how far clocks may stray.
"""

from __future__ import annotations

from typing import Final

from . import administration, clocks, handovers, links, lives, stories
from .ground import Episode, Ground
from .permanent import lasting

EPISODES: Final[dict[str, Episode]] = {
    episode.name: episode
    for episode in (
        Episode(name="partition", kinds=("partition",), draw=links.partition, nodes_min=2),
        Episode(name="nested-partitions", kinds=("partition",), draw=links.nested_partitions, nodes_min=3),
        Episode(name="isolate-leader", kinds=("partition",), draw=links.isolate_leader, nodes_min=2, odds=2),
        Episode(name="loss", kinds=("loss",), draw=links.loss),
        Episode(name="duplicate", kinds=("duplicate",), draw=links.duplicate),
        Episode(name="delay", kinds=("delay",), draw=links.delay),
        Episode(name="reorder", kinds=("reorder",), draw=links.reorder),
        Episode(name="corrupt", kinds=("corrupt",), draw=links.corrupt),
        Episode(name="clog", kinds=("clog",), draw=links.clog),
        Episode(name="swizzle-clog", kinds=("clog",), draw=links.swizzle_clog, nodes_min=3),
        Episode(name="slow-node", kinds=("slow-node",), draw=links.slow_node),
        Episode(name="bandwidth", kinds=("bandwidth",), draw=links.bandwidth, nodes_min=2),
        Episode(name="crash", kinds=("crash",), draw=lives.crash),
        Episode(name="crash-loop", kinds=("crash",), draw=lives.crash_loop),
        Episode(name="rolling-restart", kinds=("crash",), draw=lives.rolling_restart, nodes_min=2),
        Episode(name="power-loss", kinds=("crash",), draw=lives.power_loss),
        Episode(name="leader-hops", kinds=("partition", "crash"), draw=stories.leader_hops, nodes_min=3, odds=2),
        Episode(name="duel", kinds=("delay", "forced-election", "crash"), draw=stories.duel, nodes_min=3, odds=2),
        Episode(
            name="amnesia",
            kinds=("partition", "crash", "forced-election"),
            draw=stories.amnesia,
            nodes_min=3,
            brisk=True,
            odds=2,
            lease_odds=8,
            whole=True,
        ),
        Episode(
            name="dozing-leader",
            kinds=("transfer", "delay", "pause", "partition", "forced-election"),
            draw=handovers.dozing_leader,
            nodes_min=3,
            brisk=True,
            odds=2,
            lease_odds=8,
            whole=True,
        ),
        Episode(
            name="deaf-handover",
            kinds=("partition", "transfer"),
            draw=handovers.deaf_handover,
            nodes_min=3,
            brisk=True,
            odds=2,
            whole=True,
        ),
        Episode(name="laggards", kinds=("partition", "crash"), draw=handovers.laggards, nodes_min=3, whole=True),
        Episode(
            name="recount",
            kinds=("crash", "delay", "forced-election"),
            draw=handovers.recount,
            nodes_min=3,
            whole=True,
        ),
        Episode(name="relay", kinds=("partition", "transfer"), draw=handovers.relay, nodes_min=3, whole=True),
        Episode(name="client-crash", kinds=("crash",), draw=lives.client_crash),
        Episode(name="client-pause", kinds=("pause",), draw=lives.client_pause),
        Episode(name="pause", kinds=("pause",), draw=lives.pause),
        Episode(name="clock-rate", kinds=("clock-rate",), draw=clocks.clock_rate),
        Episode(name="clock-step", kinds=("clock-step",), draw=clocks.clock_step),
        Episode(name="clock-reset", kinds=("clock-step",), draw=clocks.clock_reset, most=1),
        Episode(name="clock-strobe", kinds=("clock-strobe",), draw=clocks.clock_strobe),
        Episode(name="lease-trap", kinds=("clock-rate", "partition"), draw=stories.lease_trap, nodes_min=2, odds=2),
        Episode(name="frozen-leader", kinds=("pause", "partition"), draw=stories.frozen_leader, nodes_min=3, odds=2),
        Episode(name="transfer", kinds=("transfer",), draw=administration.transfer, nodes_min=2, brisk=True),
        Episode(
            name="forced-election",
            kinds=("forced-election",),
            draw=administration.forced_election,
            nodes_min=2,
            brisk=True,
        ),
        Episode(name="compact", kinds=("compact",), draw=administration.compact, brisk=True),
        Episode(name="membership", kinds=("membership",), draw=administration.membership, nodes_min=2),
    )
}
"""Every episode by name."""

__all__ = ["EPISODES", "Episode", "Ground", "lasting"]
