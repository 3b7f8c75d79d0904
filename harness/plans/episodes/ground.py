"""The ground on which episodes are drawn: what they may know, and whom they may choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from harness.faults.fault import Fault
from harness.plans.rng import Stream

_TENTHS: Final = 10


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What an episode may know of the plan: actors, the span in which faults may be, the scale, the clocks' leash."""

    nodes: tuple[str, ...]
    voters: tuple[str, ...]
    clients: tuple[str, ...]
    begin_ns: int
    end_ns: int
    timeout_ns: int
    slowest_ppm: int
    fastest_ppm: int
    wall_offsets: dict[str, int] = {}
    leases: bool = False  # whether reads rest on leases, whose promises some episodes try

    def span(self, stream: Stream, low_tenths: int, high_tenths: int) -> int:
        """A length of time between so many tenths of the election timeout, log-uniform."""
        return stream.log_uniform(self.timeout_ns * low_tenths // _TENTHS, self.timeout_ns * high_tenths // _TENTHS)

    def until(self, begin_ns: int, length_ns: int) -> int:
        """When a fault of this length ends: with the phase at the latest, be it before it begins (see `in_time`)."""
        return min(begin_ns + length_ns, self.end_ns)


Draw = Callable[[Stream, Ground, int], tuple[Fault, ...]]
"""(stream, ground, when) -> faults, without ids."""


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """A named thing that the nemesis may do. It needs these kinds of faults, and so many nodes.

    A brisk one is over in an instant, or may find nobody to obey, and comes four times as often as others. None comes
    more than `most` times: beyond that a plan is not harder, only longer to read and to shrink. `odds` is how much
    more often than others one is enabled, `lease_odds` the same where reads rest on leases (0: no difference). One
    that is to be `whole` does not begin again before it is over.
    """

    name: str
    kinds: tuple[str, ...]
    draw: Draw
    nodes_min: int = 1
    brisk: bool = False
    odds: int = 1
    lease_odds: int = 0
    whole: bool = False
    most: int = 8


def a_node(stream: Stream, ground: Ground) -> str:
    """A target: by name, or by a role that decides much. Roles need somebody to hold them."""
    if len(ground.nodes) < 3:
        return stream.choice(ground.nodes)
    role = stream.weighted((("@leader", 35), ("@voter", 12), ("@follower", 8), ("", 45)))
    return role or stream.choice(ground.nodes)


def some_nodes(stream: Stream, ground: Ground) -> tuple[str, ...]:
    """One target mostly, at times several."""
    if len(ground.nodes) > 1 and stream.chance_ppm(250_000):
        return tuple(sorted(stream.sample(ground.nodes, stream.between(2, len(ground.nodes)))))
    return (a_node(stream, ground),)


def some_links(stream: Stream, ground: Ground) -> tuple[str, ...]:
    """All links in half of the cases, else those of some actors."""
    if stream.chance_ppm(500_000):
        return ()
    return some_nodes(stream, ground)


def some_clients(stream: Stream, ground: Ground) -> tuple[str, ...]:
    """Up to half of the clients, one at least."""
    return tuple(sorted(stream.sample(ground.clients, stream.between(1, max(1, len(ground.clients) // 2)))))


def half_of(stream: Stream, clients: tuple[str, ...]) -> tuple[str, ...] | None:
    """Half of the clients; or the links of all are left alone, as always those of a single one."""
    if len(clients) == 1 or stream.chance_ppm(500_000):
        return None
    return tuple(sorted(stream.sample(clients, len(clients) // 2)))


def clients_beside(stream: Stream, ground: Ground) -> tuple[str, ...] | None:
    """Who sits with the first side: some, nobody, or client links are left alone."""
    match stream.weighted((("some", 5), ("none", 2), ("apart", 3))):
        case "some" if ground.clients:
            return tuple(sorted(stream.sample(ground.clients, stream.between(1, max(1, len(ground.clients) - 1)))))
        case "apart":
            return None
        case _:
            return ()


def an_order(stream: Stream, ground: Ground, leader_first_ppm: int) -> tuple[str, ...]:
    """A permutation of the nodes, at times with whoever leads in front of it."""
    order = stream.shuffled(ground.nodes)
    return ("@leader", *order) if stream.chance_ppm(leader_first_ppm) else order


def in_time(faults: list[Fault], ground: Ground) -> tuple[Fault, ...]:
    """Those parts of a story that still begin within the phase and last."""
    return tuple(fault for fault in faults if fault.begin_ns < min(fault.end_ns, ground.end_ns))


def either_end(stream: Stream, low: int, high: int) -> int:
    """Either end of a range as often as something between, for bounds are wrong at their ends."""
    return stream.weighted(((low, 1), (high, 1), (stream.between(low, high), 2)))
