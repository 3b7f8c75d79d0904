"""What a fault pattern may know of the plan, and the choices that patterns share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from harness.faults.fault import Fault
from harness.plans.rng import Stream

_TENTHS: Final = 10


class FaultContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a pattern may know of the plan.

    The actors; the phase in which faults may lie; the election timeout, which is the scale of all lengths; the slowest
    and the fastest clock rate; and how far each wall clock is off from the start.
    """

    nodes: tuple[str, ...]
    voters: tuple[str, ...]
    clients: tuple[str, ...]
    begin_ns: int
    end_ns: int
    timeout_ns: int
    slowest_ppm: int
    fastest_ppm: int
    wall_offsets: dict[str, int] = {}
    atlas: dict[str, tuple[str, ...]] = {}  # the nodes whose disks may be damaged, by region
    lease_reads: bool = False  # whether reads rely on leases, which some patterns attack

    def span(self, stream: Stream, low_tenths: int, high_tenths: int) -> int:
        """A length of time, log-uniform between two bounds in tenths of the election timeout."""
        return stream.log_uniform(self.timeout_ns * low_tenths // _TENTHS, self.timeout_ns * high_tenths // _TENTHS)

    def until(self, begin_ns: int, length_ns: int) -> int:
        """When a fault of this length ends: with the phase at the latest, even if it begins later (see `in_phase`)."""
        return min(begin_ns + length_ns, self.end_ns)


Draw = Callable[[Stream, FaultContext, int], tuple[Fault, ...]]
"""(stream, context, when) -> faults, without ids."""


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A fault pattern: what the nemesis may do at one moment, from one fault to several with a common purpose.

    `kinds` are the kinds of faults that it consists of, `nodes_min` the smallest cluster in which it makes sense.
    `weight` is how much more often than others it is enabled, `lease_weight` the same where reads rely on leases (0:
    `weight`). An enabled pattern occurs `rate_multiplier` times as often as others: what is over in an instant, or is
    often refused, has 4. A `non_overlapping` pattern does not begin again before it is over. No pattern occurs more
    than `occurrences_max` times in a phase as long as the profile's: more would make a plan longer to read and to
    shrink, and not harder to survive. In a longer phase it may occur more often in proportion.
    """

    name: str
    kinds: tuple[str, ...]
    draw: Draw
    nodes_min: int = 1
    weight: int = 1
    lease_weight: int = 0
    rate_multiplier: int = 1
    non_overlapping: bool = False
    occurrences_max: int = 8


def a_node(stream: Stream, context: FaultContext) -> str:
    """A target: a node by name, or a role. In groups of less than three nodes roles often have no holder."""
    if len(context.nodes) < 3:
        return stream.choice(context.nodes)
    role = stream.weighted((("@leader", 35), ("@voter", 12), ("@follower", 8), ("", 45)))
    return role or stream.choice(context.nodes)


def some_nodes(stream: Stream, context: FaultContext) -> tuple[str, ...]:
    """One target in most cases, several in a quarter."""
    if len(context.nodes) > 1 and stream.chance_ppm(250_000):
        return tuple(sorted(stream.sample(context.nodes, stream.between(2, len(context.nodes)))))
    return (a_node(stream, context),)


def some_links(stream: Stream, context: FaultContext) -> tuple[str, ...]:
    """All links in half of the cases, else those of some actors."""
    if stream.chance_ppm(500_000):
        return ()
    return some_nodes(stream, context)


def some_clients(stream: Stream, context: FaultContext) -> tuple[str, ...]:
    """Up to half of the clients, one at least."""
    return tuple(sorted(stream.sample(context.clients, stream.between(1, max(1, len(context.clients) // 2)))))


def half_of(stream: Stream, clients: tuple[str, ...]) -> tuple[str, ...] | None:
    """Half of the clients; or None: client links are left alone, as they are when there is only one client."""
    if len(clients) == 1 or stream.chance_ppm(500_000):
        return None
    return tuple(sorted(stream.sample(clients, len(clients) // 2)))


def clients_beside(stream: Stream, context: FaultContext) -> tuple[str, ...] | None:
    """Which clients are on the first side of a partition: some, none, or (None) their links are left alone."""
    match stream.weighted((("some", 5), ("none", 2), ("apart", 3))):
        case "some" if context.clients:
            return tuple(sorted(stream.sample(context.clients, stream.between(1, max(1, len(context.clients) - 1)))))
        case "apart":
            return None
        case _:
            return ()


def an_order(stream: Stream, context: FaultContext, leader_first_ppm: int) -> tuple[str, ...]:
    """A permutation of the nodes, preceded by the leader with the given probability."""
    order = stream.shuffled(context.nodes)
    return ("@leader", *order) if stream.chance_ppm(leader_first_ppm) else order


def in_phase(faults: list[Fault], context: FaultContext) -> tuple[Fault, ...]:
    """The faults of a pattern that begin within the phase and last for some time."""
    return tuple(fault for fault in faults if fault.begin_ns < min(fault.end_ns, context.end_ns))


def boundary_biased(stream: Stream, low: int, high: int) -> int:
    """An end of a range as often as a value between, because bounds are most often wrong at their ends."""
    return stream.weighted(((low, 1), (high, 1), (stream.between(low, high), 2)))
