"""The timetable: which fault patterns a plan has, and when.

It is drawn as in swarm testing (Groce et al., ISSTA 2012): each seed enables a random subset of the profile's patterns,
and each enabled pattern has its own mean gap between occurrences. A plan with a few kinds of faults finds more than one
with a little of every kind, because the kinds hide each other's effects: when all links are lossy, no node leads for
long enough to be deposed.

Every pattern has two streams: one decides whether it is enabled, the other draws what it does. What one pattern draws,
or that a system does not support one, changes nothing for the others.

Two passes follow over the drawn faults. `without_overlaps` removes what would have no effect: a crash or a pause of a
node that is already down or paused. `ensure_hit` gives one fault of each kind a target by name, because a role may have
no holder at that moment, and a run in which a kind of fault never had an effect does not count.

Bounds are those of a phase as long as the profile's. In a longer one (`--duration`) they grow with it, so that a minute
has six times the faults of ten seconds and not the same ones in its first ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from harness.faults.fault import Fault
from harness.faults.nodes import NodeFault

from .patterns import PATTERNS, FaultContext, Pattern
from .rng import Streams

FAULTS: Final = 80
"""Maximum number of faults in a phase as long as the profile's; later ones are dropped.

In a longer phase the maximum is larger in proportion, and what is too much is dropped evenly over the phase.
"""

_MILLISECOND: Final = 1_000_000


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """How many patterns a profile enables, and how often each one occurs.

    A seed draws one of `density_ppm`: the probability with which each pattern is enabled. The mean gap between two
    occurrences of a pattern is log-uniform in `gap_timeouts`, in units of the election timeout.
    """

    density_ppm: tuple[int, ...]
    gap_timeouts: tuple[int, int] = (8, 60)


def timetable(
    streams: Streams,
    context: FaultContext,
    patterns: Sequence[str],
    pacing: Pacing,
    kinds: Sequence[str],
    usual_ns: int | None = None,
) -> list[Fault]:
    """Draw the faults of a plan, without ids, sorted by begin. `usual_ns` is for how long a phase the bounds are."""
    length_ns = context.end_ns - context.begin_ns
    usual_ns = min(usual_ns or length_ns, length_ns)
    possible = {
        name: PATTERNS[name]
        for name in patterns
        if set(PATTERNS[name].kinds) <= set(kinds) and PATTERNS[name].nodes_min <= len(context.nodes)
    }
    faults = [
        fault
        for pattern in _enabled(streams, context, patterns, possible, pacing)
        for fault in _occurrences(streams, context, pattern, pacing, pattern.occurrences_max * length_ns // usual_ns)
    ]
    kept = without_overlaps(faults)
    kept = kept[:FAULTS] if length_ns == usual_ns else _thinned(kept, FAULTS * length_ns // usual_ns)
    return ensure_hit(streams, context, kept)


def _thinned(faults: Sequence[Fault], most: int) -> list[Fault]:
    """Drop what is too much, evenly."""
    count = max(len(faults), most)
    return [fault for place, fault in enumerate(faults, 1) if place * most // count > (place - 1) * most // count]


def _weight(pattern: Pattern, context: FaultContext) -> int:
    return pattern.lease_weight if context.lease_reads and pattern.lease_weight else pattern.weight


def _enabled(
    streams: Streams, context: FaultContext, patterns: Sequence[str], possible: Mapping[str, Pattern], pacing: Pacing
) -> list[Pattern]:
    """A random subset of the patterns, one at least."""
    density_ppm = streams("faults/density").choice(pacing.density_ppm)
    enabled = [
        pattern
        for name, pattern in possible.items()
        if streams(f"faults/{name}/enabled").chance_ppm(density_ppm * _weight(pattern, context))
    ]
    return enabled or [possible[name] for name in streams("faults/one").shuffled(patterns) if name in possible][:1]


def _occurrences(
    streams: Streams, context: FaultContext, pattern: Pattern, pacing: Pacing, most: int
) -> Iterable[Fault]:
    stream = streams(f"faults/{pattern.name}")
    low, high = pacing.gap_timeouts
    gap_ns = stream.log_uniform(low * context.timeout_ns, high * context.timeout_ns) // pattern.rate_multiplier
    length_ns = context.end_ns - context.begin_ns
    # The first occurrence lies within the phase whatever the gap, or a rare pattern would mostly be enabled in vain.
    at_ns = context.begin_ns + stream.below(max(1, min(gap_ns, length_ns * 3 // 4)))
    for _ in range(most):
        if at_ns >= context.end_ns:
            return
        faults = pattern.draw(stream, context, at_ns)
        yield from faults
        if pattern.non_overlapping:
            at_ns = max((fault.end_ns for fault in faults), default=at_ns)
        at_ns += context.timeout_ns // 4 + stream.exponential(gap_ns)


def without_overlaps(faults: Iterable[Fault]) -> list[Fault]:
    """Sort by begin, and remove faults that halt targets which another such fault halts already."""
    kept: list[Fault] = []
    busy_until: dict[str, int] = {}
    for fault in sorted(map(_in_milliseconds, faults), key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind)):
        if fault.end_ns <= fault.begin_ns:
            continue
        if isinstance(fault, NodeFault) and fault.halts_targets:
            free = tuple(name for name in fault.targets if busy_until.get(name, 0) <= fault.begin_ns)
            if not free:
                continue
            if free != fault.targets:
                fault = msgspec.structs.replace(fault, targets=free)
            busy_until.update((name, fault.end_ns) for name in free if not name.startswith("@"))
        kept.append(fault)
    return kept


def ensure_hit(streams: Streams, context: FaultContext, faults: Sequence[Fault]) -> list[Fault]:
    """Where all faults of a kind target roles, let the last one target a node by name that is not down then."""
    result = list(faults)
    last_of: dict[str, int] = {}
    for place, fault in enumerate(faults):
        last_of[fault.kind] = -1 if last_of.get(fault.kind) == -1 or not fault.targets_role else place
    for kind, place in last_of.items():
        if place >= 0:
            fault = faults[place]
            order = streams(f"faults/ensure-hit/{kind}").shuffled(context.nodes)
            free = [name for name in order if not _is_down(name, fault, result)]
            if not free:
                continue
            result[place] = fault.with_named_target((free[0], *(name for name in order if name != free[0])))
    return result


def _is_down(name: str, when: Fault, faults: Iterable[Fault]) -> bool:
    return any(
        name in fault.targets and fault.begin_ns < when.end_ns and when.begin_ns < fault.end_ns
        for fault in faults
        if isinstance(fault, NodeFault) and fault.halts_targets
    )


def _in_milliseconds(fault: Fault) -> Fault:
    """Round begin and end down to milliseconds: finer times are harder to read and to shrink, and find no more."""
    return msgspec.structs.replace(
        fault,
        begin_ns=fault.begin_ns // _MILLISECOND * _MILLISECOND,
        end_ns=fault.end_ns // _MILLISECOND * _MILLISECOND,
    )
