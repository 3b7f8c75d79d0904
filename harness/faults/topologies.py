"""Topologies: which links a partition cuts, as Jepsen's grudges (who refuses to hear whom).

A shape reads the nodes from the left of a drawn order. Each actor has a position: that of node i is i, that of a
client that was put on the first side is that of `order[0]`, and that of any other client is behind all nodes, with the
rest. A shape is a rule that says, for two positions, whether a message from the first reaches the second.

| shape | what is cut |
| --- | --- |
| `one` | `order[0]` from all others |
| `halves` | the smaller half, with `order[0]`, from the larger |
| `majority-minority` | the smallest majority, with `order[0]`, from the others |
| `minority-third` | less than a third, with `order[0]`, from the others |
| `majorities-ring` | each hears a majority, no two the same one: the nearest neighbours on a ring |
| `bridge` | two halves that only `order[0]` reaches, both |
| `one-way-in` | what is sent to `order[0]`: it is deaf and still heard |
| `one-way-out` | what `order[0]` sends: it hears and is not heard |

Clients beside `order[0]` belong to its half of a bridge (the first one), and see of a ring what `order[0]` sees; the
other clients see all of a ring. `clients=None` leaves every link of a client alone, as Jepsen does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from .world import Edge

_Reaches = Callable[[int, int, int], bool]
"""(number of nodes, position of the source, position of the target): whether a message gets through."""


def _split(first_side: Callable[[int], int]) -> _Reaches:
    """Two sides: the first `first_side(size)` positions, and the rest."""

    def reaches(size: int, source: int, target: int) -> bool:
        side = first_side(size)
        return (source < side) == (target < side)

    return reaches


def _ring(size: int, source: int, target: int) -> bool:
    if size in (source, target):  # a client of the rest
        return True
    distance = abs(source - target)
    # A window of this radius is the smallest symmetric one that holds a majority: with Jepsen's one-sided windows six
    # or seven nodes would hear a majority and yet talk with a minority.
    return min(distance, size - distance) <= (size // 2 + 1) // 2


def _bridge(size: int, source: int, target: int) -> bool:
    if 0 in (source, target):
        return True
    half = size // 2
    return (source <= half) == (target <= half)


_SHAPES: Final[dict[str, _Reaches]] = {
    "one": _split(lambda size: 1),
    "halves": _split(lambda size: max(1, size // 2)),
    "majority-minority": _split(lambda size: size // 2 + 1),
    "minority-third": _split(lambda size: max(1, (size - 1) // 3)),
    "majorities-ring": _ring,
    "bridge": _bridge,
    "one-way-in": lambda size, source, target: target != 0,
    "one-way-out": lambda size, source, target: source != 0,
}

SHAPES: Final = tuple(_SHAPES)
"""Every shape by its word."""


def edges(
    shape: str,
    order: Sequence[str],
    clients: Sequence[str] | None,
    nodes: Sequence[str],
    all_clients: Sequence[str],
) -> tuple[Edge, ...]:
    """The directed links (source, target) that a partition cuts, sorted.

    Nodes missing in `order` follow in their own order; names in it that are no node, or stand twice (a role that
    was resolved), are passed over.
    """
    reaches = _SHAPES[shape]
    positions = _positions(order, nodes)
    size = len(positions)
    cut = [
        (source, target)
        for source, a in positions.items()
        for target, b in positions.items()
        if a != b and not reaches(size, a, b)
    ]
    for client in all_clients if clients is not None else ():
        beside_first = clients is not None and client in clients
        position = (1 if shape == "bridge" else 0) if beside_first else size
        for node, other in positions.items():
            if position != other and not reaches(size, position, other):
                cut.append((client, node))
            if position != other and not reaches(size, other, position):
                cut.append((node, client))
    return tuple(sorted(cut))


def shapes_for(size: int) -> tuple[str, ...]:
    """The shapes that cut something between `size` nodes, and are not another shape by another name."""
    return tuple(
        shape
        for shape, least in (
            ("one", 2),
            ("halves", 4),
            ("majority-minority", 3),
            ("minority-third", 7),
            ("majorities-ring", 4),
            ("bridge", 3),
            ("one-way-in", 2),
            ("one-way-out", 2),
        )
        if size >= least
    )


def _positions(order: Sequence[str], nodes: Sequence[str]) -> dict[str, int]:
    known = [name for name in order if name in nodes]
    return {name: position for position, name in enumerate(dict.fromkeys([*known, *nodes]))}
