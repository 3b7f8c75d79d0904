"""The timetable: which episodes a plan has, and when.

Drawn in the swarm manner (Groce et al., ISSTA 2012): each seed enables a random subset of what the profile may do, each
with a rhythm of its own. A plan with a few kinds of faults finds more than one with a little of everything, because the
kinds hide each other's effects: with all links lossy nobody stays leader for long enough to be deposed.

Every episode has streams of its own, one that decides whether it is enabled, one that draws what it does. What one kind
does, or that a system knows no such kind, changes nothing for the others.

When all are drawn, what cannot bite is taken out: nobody is killed or stopped who is down or stopped already. And
since a role may have no holder just then, one fault of each kind is aimed at somebody by name: a run in which a kind
never bit says nothing, and is counted as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from harness.faults.crashes import Crash
from harness.faults.fault import ROLES, Fault
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause

from .episodes import EPISODES, Episode, Ground
from .rng import Streams

FAULTS: Final = 80
"""So many faults a plan has at most; the latest are left out."""


_MILLISECOND: Final = 1_000_000


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """How many kinds a profile enables, and how often each one comes.

    `density_ppm` are the chances, of which a seed draws one, with which each episode is enabled. The mean gap between
    two episodes of a kind is log-uniform between so many election timeouts.
    """

    density_ppm: tuple[int, ...]
    gap_timeouts: tuple[int, int] = (8, 60)


def timetable(
    streams: Streams, ground: Ground, menu: Sequence[str], rhythm: Rhythm, kinds: Sequence[str]
) -> list[Fault]:
    """Draw the faults of a plan, without ids, sorted by begin."""
    possible = {
        name: EPISODES[name]
        for name in menu
        if set(EPISODES[name].kinds) <= set(kinds) and EPISODES[name].nodes_min <= len(ground.nodes)
    }
    faults = [
        fault
        for episode in _enabled(streams, ground, menu, possible, rhythm)
        for fault in _rounds(streams, ground, episode, rhythm)
    ]
    return sure(streams, ground, settled(faults)[:FAULTS])


def _odds(episode: Episode, ground: Ground) -> int:
    return episode.lease_odds if ground.leases and episode.lease_odds else episode.odds


def _enabled(
    streams: Streams, ground: Ground, menu: Sequence[str], possible: Mapping[str, Episode], rhythm: Rhythm
) -> list[Episode]:
    """The swarm: some of the episodes, one at least."""
    density_ppm = streams("faults/density").choice(rhythm.density_ppm)
    enabled = [
        episode
        for name, episode in possible.items()
        if streams(f"faults/{name}/enabled").chance_ppm(density_ppm * _odds(episode, ground))
    ]
    return enabled or [possible[name] for name in streams("faults/one").shuffled(menu) if name in possible][:1]


def _rounds(streams: Streams, ground: Ground, episode: Episode, rhythm: Rhythm) -> Iterable[Fault]:
    stream = streams(f"faults/{episode.name}")
    low, high = rhythm.gap_timeouts
    gap_ns = stream.log_uniform(low * ground.timeout_ns, high * ground.timeout_ns) // (4 if episode.brisk else 1)
    length_ns = ground.end_ns - ground.begin_ns
    # The first one comes for certain, or an enabled episode with a slow rhythm would mostly not come at all.
    at_ns = ground.begin_ns + stream.below(max(1, min(gap_ns, length_ns * 3 // 4)))
    for _ in range(episode.most):
        if at_ns >= ground.end_ns:
            return
        faults = episode.draw(stream, ground, at_ns)
        yield from faults
        if episode.whole:
            at_ns = max((fault.end_ns for fault in faults), default=at_ns)
        at_ns += ground.timeout_ns // 4 + stream.exponential(gap_ns)


def settled(faults: Iterable[Fault]) -> list[Fault]:
    """Sort by begin, and leave out who would be killed or stopped while a fault already keeps them so."""
    kept: list[Fault] = []
    busy_until: dict[str, int] = {}
    for fault in sorted(map(_in_milliseconds, faults), key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind)):
        if fault.end_ns <= fault.begin_ns:
            continue
        if isinstance(fault, Crash | Pause):
            free = tuple(name for name in fault.targets if busy_until.get(name, 0) <= fault.begin_ns)
            if not free:
                continue
            if free != fault.targets:
                fault = msgspec.structs.replace(fault, targets=free)
            busy_until.update((name, fault.end_ns) for name in free if not name.startswith("@"))
        kept.append(fault)
    return kept


def sure(streams: Streams, ground: Ground, faults: Sequence[Fault]) -> list[Fault]:
    """Where all faults of a kind are aimed at roles, aim the last one by name, at somebody who is not down then."""
    certain = list(faults)
    last_of: dict[str, int] = {}
    for place, fault in enumerate(faults):
        last_of[fault.kind] = -1 if last_of.get(fault.kind) == -1 or not _aims_at_role(fault) else place
    for kind, place in last_of.items():
        if place >= 0:
            fault = faults[place]
            order = streams(f"faults/sure/{kind}").shuffled(ground.nodes)
            free = [name for name in order if not _is_down(name, fault, certain)]
            if not free:
                continue
            field = "order" if isinstance(fault, Partition) else "targets"
            named = (free[0], *(name for name in order if name != free[0])) if field == "order" else (free[0],)
            certain[place] = msgspec.structs.replace(fault, **{field: named})
    return certain


def _aims_at_role(fault: Fault) -> bool:
    aim = fault.order[:1] if isinstance(fault, Partition) else getattr(fault, "targets", ())
    return any(name in ROLES for name in aim)


def _is_down(name: str, when: Fault, faults: Iterable[Fault]) -> bool:
    return any(
        name in fault.targets and fault.begin_ns < when.end_ns and when.begin_ns < fault.end_ns
        for fault in faults
        if isinstance(fault, Crash | Pause)
    )


def _in_milliseconds(fault: Fault) -> Fault:
    """Round begin and end down: nobody needs to read, or to shrink, the digits behind."""
    return msgspec.structs.replace(
        fault,
        begin_ns=fault.begin_ns // _MILLISECOND * _MILLISECOND,
        end_ns=fault.end_ns // _MILLISECOND * _MILLISECOND,
    )
