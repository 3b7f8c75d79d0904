"""The profiles of live runs: what can be done to OS processes, at the pace of real clocks.

They stand beside the table of `profiles`, since no simulated suite goes round them. A run takes some twenty seconds: a
few for an election, twelve of faults, and the rest for the heal and the final reads. What a system does not let in is
not drawn for it: clocks and disks of programs that are not ours, say.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .plan import LinkSpec
from .profiles import SECOND, Choices, Profile, fixed
from .swarm import Pacing

LIVE: Final = Profile(
    name="live",
    summary="for `--world live`: partitions, slow and lossy links, kills, pauses and clocks of processes, 12 s",
    nodes=Choices(((3, 70), (5, 30))),
    clients=Choices(((3, 30), (5, 70))),
    rates=Choices(((25, 50), (50, 50))),
    duration_ns=12 * SECOND,
    patterns=(
        "partition",
        "nested-partitions",
        "isolate-leader",
        "delay",
        "loss",
        "clog",
        "swizzle-clog",
        "bandwidth",
        "crash",
        "crash-loop",
        "rolling-restart",
        "leader-crash-after-minority-append",
        "client-crash",
        "pause",
        "clock-rate",
    ),
    pacing=Pacing(density_ppm=(200_000, 400_000), gap_timeouts=(10, 50)),
    options={
        "election_timeout_ms": Choices(((500, 70), (800, 30))),
        "reads": Choices((("quorum", 60), ("lease", 40))),
        "storage": Choices((("sync", 50), ("async", 50))),
        "snapshot_threshold": Choices(((20, 50), (200, 50))),
        "trailing_entries": Choices(((0, 50), (64, 50))),
        "client_timeout_ms": Choices(((1_000, 50), (3_000, 50))),
        "client_attempt_timeout_ms": Choices(((300, 50), (800, 50))),
    },
    routing=Choices((("leader", 50), ("home", 25), ("any", 25))),
    links=fixed(LinkSpec(delay_min_ns=0, delay_max_ns=0)),
    fsync_ns=fixed((0, 0)),
    policy=fixed("fifo"),
    quantum_ns=fixed(0),
    processing_ns=fixed(0),
    partial_heal_ppm=0,
)

LIVE_DISKS: Final = msgspec.structs.replace(
    LIVE,
    name="live-disks",
    summary="as `live`, and disks that fail calls, fill up or are slow",
    patterns=(*LIVE.patterns, "disk-error", "disk-full", "slow-disk"),
)

LIVE_MEMBERSHIP: Final = msgspec.structs.replace(
    LIVE,
    name="live-membership",
    summary="as `live`, and members that come and go, transfers of leadership and snapshots at any time",
    nodes=Choices(((4, 40), (5, 60))),
    patterns=(*LIVE.patterns, "membership", "lagging-learner-promoted", "transfer", "compact"),
)

LIVE_PROFILES: Final = {profile.name: profile for profile in (LIVE, LIVE_DISKS, LIVE_MEMBERSHIP)}
