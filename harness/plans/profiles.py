"""Profiles: what a seed may draw. A versioned table of the harness, never read from the code under test.

A change of this table changes what a seed means, so it comes with a new `DRAW_VERSION`: a test keeps a digest of drawn
plans beside the version (tests/harness/plans/test_draw_version.py).

Profiles other than `beyond-*` draw plans that a correct system must survive; `beyond-*` break an assumption on purpose,
and show that the harness sees it.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from .plan import LinkSpec
from .swarm import Pacing

MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000


class Choices(msgspec.Struct, frozen=True):
    """Values with weights."""

    values: tuple[tuple[Any, int], ...]


def fixed(value: Any) -> Choices:
    """One value, always."""
    return Choices(((value, 1),))


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed may draw under one name.

    `nodes`, `clients`, `rates` (ops a second of all clients together), `options`, `routing` and the rest are each drawn
    from a stream of their own. `patterns` names the fault patterns that may occur; without any there are no faults.
    `clock_bound` says how far clock rates stray: within the drift bound that leases assume, or beyond it.
    `outsiders_ppm` is how often some nodes of a larger cluster begin as learners, or as no members at all.
    """

    name: str
    summary: str
    nodes: Choices
    clients: Choices
    rates: Choices
    duration_ns: int
    patterns: tuple[str, ...]
    pacing: Pacing = Pacing(density_ppm=(1_000_000,))
    clock_bound: Literal["within", "beyond"] = "within"
    options: dict[str, Choices]
    heartbeats: Choices = Choices(((3, 2), (5, 1)))
    routing: Choices
    links: Choices
    fsync_ns: Choices
    policy: Choices
    quantum_ns: Choices
    processing_ns: Choices
    outsiders_ppm: int = 0
    wrong_clocks_ppm: int = 0
    partial_heal_ppm: int = 500_000


_ELECTION_TIMEOUT_MS: Final = Choices(((100, 30), (150, 50), (300, 20)))

_BOUNDS: Final = Choices(((1.05, 50), (1.2, 30), (1.5, 15), (2.0, 5)))

_OPTIONS: Final[dict[str, Choices]] = {
    "election_timeout_ms": _ELECTION_TIMEOUT_MS,
    "pre_vote": Choices(((True, 85), (False, 15))),
    "check_quorum": Choices(((True, 80), (False, 20))),
    "reads": Choices((("quorum", 60), ("lease", 40))),
    "lease_drift_bound": _BOUNDS,
    "max_entries_per_append": Choices(((64, 60), (8, 20), (1, 20))),
    "max_inflight": Choices(((64, 50), (8, 30), (1, 20))),
    "max_append_bytes": Choices(((262_144, 80), (64, 20))),
    "snapshot_threshold": Choices(((0, 25), (200, 25), (30, 30), (5, 20))),
    "trailing_entries": Choices(((64, 40), (10, 30), (0, 30))),
    "snapshot_chunk_bytes": Choices(((65_536, 60), (200, 40))),
    "segment_bytes": Choices(((1 << 20, 60), (4_096, 40))),
    # From times in which no session of a run expires to some that expire between two ops, or two attempts of one.
    "session_ttl_ms": Choices(((600_000, 60), (0, 10), (3_000, 15), (1_000, 10), (300, 5))),
    "storage": Choices((("sync", 65), ("async", 35))),
    "client_timeout_ms": Choices(((500, 25), (1_000, 50), (2_000, 25))),
    "client_attempt_timeout_ms": Choices(((150, 30), (300, 50), (500, 20))),
}

_CALM_OPTIONS: Final[dict[str, Choices]] = {
    "election_timeout_ms": fixed(150),
    "reads": fixed("quorum"),
    "lease_drift_bound": fixed(1.05),
}

_FAST_LINK: Final = LinkSpec(delay_min_ns=200 * MICROSECOND, delay_max_ns=1 * MILLISECOND)

_LINKS: Final = Choices(
    (
        (_FAST_LINK, 40),
        (LinkSpec(delay_min_ns=1 * MILLISECOND, delay_max_ns=5 * MILLISECOND), 25),
        (LinkSpec(delay_min_ns=500 * MICROSECOND, delay_max_ns=3 * MILLISECOND, shape="exponential"), 15),
        (LinkSpec(delay_min_ns=5 * MILLISECOND, delay_max_ns=20 * MILLISECOND, duplicate_ppm=10_000), 12),
        # Close to the election timeout: elections split, and answers arrive in another term than they were asked in.
        (LinkSpec(delay_min_ns=5 * MILLISECOND, delay_max_ns=45 * MILLISECOND, loss_ppm=10_000), 6),
    )
)

_FSYNC_NS: Final = Choices(
    (
        ((500 * MICROSECOND, 2 * MILLISECOND), 60),
        ((100 * MICROSECOND, 300 * MICROSECOND), 15),
        ((2 * MILLISECOND, 15 * MILLISECOND), 20),
        ((5 * MILLISECOND, 40 * MILLISECOND), 5),
    )
)

_PARTITIONS: Final = ("partition", "nested-partitions", "isolate-leader")
_PACKETS: Final = ("loss", "duplicate", "delay", "reorder", "corrupt", "clog", "swizzle-clog", "slow-node", "bandwidth")
_CRASHES: Final = ("crash", "crash-loop", "rolling-restart", "power-loss", "client-crash")
_DISKS: Final = (
    "disk-error",
    "fsync-error-before-power-loss",
    "disk-full",
    "slow-disk",
    "power-cut",
    "voters-power-cut-between-candidates",
    "bit-rot",
    "damaged-write",
    "wiped-disk",
)
_PAUSES: Final = ("pause", "client-pause")
_CLOCKS: Final = ("clock-rate", "clock-step", "clock-reset", "clock-strobe", "isolated-leader-slow-clock")
_ADMINISTRATION: Final = ("transfer", "forced-election", "compact", "membership")
_LEADERSHIP: Final = (
    "paused-leader-stale-acks",
    "one-way-cut-during-transfer",
    "lagging-follower-elected",
    "stale-votes",
    "snapshot-across-leaders",
    "snapshot-cut-off-half-way",
)
_MEMBERSHIP: Final = ("change-asked-of-a-cut-off-leader", "lagging-learner-promoted", "return-with-a-later-term")
_COMPOUND: Final = (
    "leader-crash-after-minority-append",
    "contending-candidates",
    "lease-forgotten-on-restart",
    *_LEADERSHIP,
    *_MEMBERSHIP,
)

_NODES: Final = Choices(((1, 3), (2, 4), (3, 40), (4, 6), (5, 40), (6, 3), (7, 4)))
_CLIENTS: Final = Choices(((2, 10), (3, 25), (5, 40), (8, 25)))
_RATES: Final = Choices(((25, 20), (50, 50), (100, 30)))
_ROUTING: Final = Choices((("leader", 50), ("home", 25), ("any", 25)))
_BUSY_CLIENTS: Final = Choices(((5, 60), (8, 40)))
_BUSY_RATES: Final = Choices(((60, 50), (120, 50)))
_BUSY_ROUTING: Final = Choices((("leader", 25), ("home", 25), ("any", 50)))
_POLICY: Final = Choices((("random", 50), ("fifo", 25), ("pct", 25)))
_QUANTUM_NS: Final = Choices(((0, 50), (100 * MICROSECOND, 25), (1 * MILLISECOND, 25)))
_PROCESSING_NS: Final = Choices(((0, 30), (200 * MICROSECOND, 40), (2 * MILLISECOND, 25), (10 * MILLISECOND, 5)))


def _swarm_like(
    name: str,
    summary: str,
    patterns: tuple[str, ...],
    density_ppm: tuple[int, ...],
    *,
    clock_bound: Literal["within", "beyond"] = "within",
    options: dict[str, Choices] | None = None,
    outsiders_ppm: int = 150_000,
    wrong_clocks_ppm: int = 300_000,
    busy: bool = False,
) -> Profile:
    """A profile over the common tables.

    A busy one has more clients, which send more ops, to any node: a stale lease read is possible for a fraction of an
    election timeout only, and is found only if a client reads in that time.
    """
    return Profile(
        name=name,
        summary=summary,
        nodes=_NODES,
        clients=_BUSY_CLIENTS if busy else _CLIENTS,
        rates=_BUSY_RATES if busy else _RATES,
        duration_ns=10 * SECOND,
        patterns=patterns,
        pacing=Pacing(density_ppm=density_ppm),
        clock_bound=clock_bound,
        options=_OPTIONS | (options or {}),
        routing=_BUSY_ROUTING if busy else _ROUTING,
        links=_LINKS,
        fsync_ns=_FSYNC_NS,
        policy=_POLICY,
        quantum_ns=_QUANTUM_NS,
        processing_ns=_PROCESSING_NS,
        outsiders_ppm=outsiders_ppm,
        wrong_clocks_ppm=wrong_clocks_ppm,
    )


CALM: Final = Profile(
    name="calm",
    summary="no faults: 5 nodes, 5 clients, 50 ops a second together, 30 s",
    nodes=fixed(5),
    clients=fixed(5),
    rates=fixed(50),
    duration_ns=30 * SECOND,
    patterns=(),
    options=_CALM_OPTIONS,
    heartbeats=fixed(3),
    routing=fixed("leader"),
    links=fixed(_FAST_LINK),
    fsync_ns=fixed((500 * MICROSECOND, 2 * MILLISECOND)),
    policy=fixed("random"),
    quantum_ns=fixed(0),
    processing_ns=fixed(200 * MICROSECOND),
    partial_heal_ppm=0,
)

_LEASES: Final[dict[str, Choices]] = {
    "reads": Choices((("lease", 80), ("quorum", 20))),
    "client_attempt_timeout_ms": Choices(((100, 50), (200, 50))),
}

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        CALM,
        _swarm_like(
            "partitions",
            "partitions of every shape, nested and overlapping, of client links too",
            _PARTITIONS,
            (600_000, 1_000_000),
        ),
        _swarm_like(
            "crashes",
            "crashes and restarts: one, several, all, in loops, in the middle of a write; clients too",
            (*_CRASHES, "leader-crash-after-minority-append"),
            (400_000, 700_000),
        ),
        _swarm_like(
            "clocks",
            "rates within the bound that leases assume, steps, strobes and resets, under partitions and pauses",
            (*_CLOCKS, *_PARTITIONS, "pause", "lease-forgotten-on-restart"),
            (400_000, 700_000),
            options=_LEASES,
            wrong_clocks_ppm=700_000,
            busy=True,
        ),
        _swarm_like(
            "beyond-clocks",
            "rates beyond the bound that leases assume, leaders stopped with their clocks: lease reads may be stale",
            (*_CLOCKS, *_PARTITIONS, "pause", "isolated-leader-stopped-clock"),
            (500_000, 800_000),
            clock_bound="beyond",
            options=_LEASES,
            wrong_clocks_ppm=700_000,
            busy=True,
        ),
        _swarm_like(
            "membership",
            "voters and learners come and go, leadership moves, logs are compacted, under partitions and crashes",
            (
                *_ADMINISTRATION,
                *_MEMBERSHIP,
                *_PARTITIONS,
                "crash",
                "crash-loop",
                "leader-crash-after-minority-append",
                "contending-candidates",
                "delay",
                "loss",
            ),
            (250_000, 500_000),
            options={"snapshot_threshold": Choices(((200, 30), (30, 35), (5, 35)))},
            outsiders_ppm=500_000,
        ),
        _swarm_like(
            "disks",
            "disks that fail calls, are full, slow or damaged within the budget, under power cuts at every moment",
            (*_DISKS, "crash", "power-loss", "partition", "isolate-leader", "compact"),
            (300_000, 600_000),
            options={"snapshot_threshold": Choices(((0, 10), (200, 20), (30, 40), (5, 30)))},
        ),
        _swarm_like(
            "damage",
            "what disks hold decays, or was written elsewhere or nowhere, and is read again at starts",
            ("bit-rot", "damaged-write", "rolling-restart"),
            (1_000_000,),
            options={"snapshot_threshold": Choices(((200, 20), (30, 40), (5, 40)))},
            outsiders_ppm=0,  # a node without data holds nothing to damage
        ),
        _swarm_like(
            "packets",
            "messages lost, sent twice, late, out of order, damaged and squeezed, while clients come and go",
            (*_PACKETS, "client-crash", "client-pause", "stale-votes"),
            (300_000, 600_000),
            outsiders_ppm=0,
        ),
        _swarm_like(
            "slow",
            "disks and work in the background that take longer than an election, while leaders and snapshots change",
            (
                "slow-background",
                "slow-disk",
                "slow-node",
                "isolated-leader-slow-disk",
                "snapshot-across-leaders",
                "snapshot-cut-off-half-way",
                "lagging-follower-elected",
                "isolate-leader",
                "partition",
                "compact",
                "crash",
                "power-loss",
            ),
            (300_000, 600_000),
            options={
                "storage": Choices((("async", 70), ("sync", 30))),
                "snapshot_threshold": Choices(((200, 20), (30, 40), (5, 40))),
            },
        ),
        _swarm_like(
            "transfers",
            "leadership is handed over again and again, under pauses and cuts that keep a leader from hearing of it",
            (
                "transfer",
                "paused-leader-stale-acks",
                "one-way-cut-during-transfer",
                "order-to-campaign-arrives-late",
            ),
            (600_000, 900_000),
            options={"election_timeout_ms": fixed(300), "reads": fixed("lease")},
            outsiders_ppm=0,
        ),
        _swarm_like(
            "beyond-disks",
            "disks that lie, lose their latest write or all: what was acknowledged may be forgotten",
            (
                *_DISKS,
                "lie-before-power-loss",
                "last-write-lost",
                "wiped-under-its-name",
                "crash",
                "power-loss",
                "partition",
            ),
            (300_000, 600_000),
        ),
        _swarm_like(
            "swarm",
            "a random subset of nearly everything that a correct system must survive",
            (*_PARTITIONS, *_PACKETS, *_CRASHES, *_DISKS, *_PAUSES, *_CLOCKS, *_ADMINISTRATION, *_COMPOUND),
            (100_000, 180_000, 300_000),
        ),
    )
}
"""Every profile by name."""
