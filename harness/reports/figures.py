"""Figures of a counterexample: operations as intervals with the states between them, and transactions as a cycle.

Here is geometry only, in units of a drawing (CSS pixels at its natural size); the page's template draws it as SVG. On
the axis of intervals stand the calls and returns of the operations shown, in the order of their indexes and not in
proportion to time: the order alone decides what is linearizable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec

from .selection import Selection, Shown, select, steps_of, transactions
from .texts import plain

_LETTER: Final = 7.3
"""Width of a letter of the figures' type, which has letters of one width."""
_GAP: Final = 26.0
_LANE: Final = 40.0
_LEFT: Final = 96.0
_TOP: Final = 30.0
_TEXT_MAX: Final = 48
_OPS_MAX: Final = 60
"""More operations than these are no figure for a person; the last ones are shown."""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `role` is kept, helper, blocked or placed; `call` and `ret` are indexes, ret None: unknown."""

    text: str
    full: str
    process: int
    role: str
    call: int
    ret: int | None
    x: float
    y: float
    width: float


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A return, and the states that were possible right after it."""

    number: int
    x: float
    text: str
    states: tuple[str, ...]
    more: int


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    """The figure of a history that no order explains."""

    width: float
    height: float
    lanes: tuple[tuple[str, float], ...]
    bars: tuple[Bar, ...]
    moments: tuple[Moment, ...]
    blocked_x: float | None
    left_out: int


def intervals(evidence: Mapping[str, Any]) -> Intervals | None:
    """Lay out the operations of a linearizability anomaly; None where its evidence has none."""
    selected = select(evidence, _OPS_MAX)
    if selected is None:
        return None
    chosen = selected.operations
    positions, end = _positions(chosen)
    spans = [(positions[one.call], end if one.ret is None else positions[one.ret]) for one in chosen]
    places, lanes = _lanes(chosen, spans)
    bars, blocked_x = [], None
    for one, (x, right), lane in zip(chosen, spans, places, strict=True):
        if one.role == "blocked":
            blocked_x = right
        bars.append(
            Bar(
                text=_short(one.text),
                full=one.text,
                process=one.process,
                role=one.role,
                call=one.call,
                ret=one.ret,
                x=x,
                y=_TOP + lane * _LANE,
                width=right - x,
            )
        )
    return Intervals(
        width=end + 16,
        height=_TOP + len(lanes) * _LANE + 12,
        lanes=tuple((name, _TOP + at * _LANE) for at, name in enumerate(lanes)),
        bars=tuple(bars),
        moments=_moments(selected, positions),
        blocked_x=blocked_x,
        left_out=selected.left_out,
    )


def _lanes(operations: Sequence[Shown], spans: Sequence[tuple[float, float]]) -> tuple[list[int], list[str]]:
    """The lane of each operation, and the names of all lanes: those of a process that overlap have one each.

    A helper may have taken effect at any time after its call, so that later operations of its process overlap it.
    """
    ends: dict[int, list[float]] = {process: [] for process in sorted({one.process for one in operations})}
    chosen = []
    for one, (x, right) in zip(operations, spans, strict=True):
        lanes = ends[one.process]
        lane = next((at for at, lane_end in enumerate(lanes) if lane_end <= x), len(lanes))
        lanes[lane : lane + 1] = [right]
        chosen.append(lane)
    first = dict(zip(ends, accumulate(map(len, ends.values()), initial=0), strict=False))
    names = ["" if at else f"process {process}" for process, lanes in ends.items() for at in range(len(lanes))]
    return [first[one.process] + lane for one, lane in zip(operations, chosen, strict=True)], names


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"


def _positions(operations: Sequence[Shown]) -> tuple[dict[int, float], float]:
    """Place calls and returns from left to right so that each text fits into its interval."""
    ends = {one.ret: one for one in operations if one.ret is not None}
    instants = sorted({one.call for one in operations} | ends.keys())
    positions: dict[int, float] = {}
    x = _LEFT
    for instant in instants:
        if instant in ends:
            one = ends[instant]
            x = max(x, positions[one.call] + _width(one))
        positions[instant] = x
        x += _GAP
    openings = [positions[one.call] + _width(one) for one in operations if one.ret is None]
    return positions, max([x, *openings])


def _width(operation: Shown) -> float:
    return len(_short(operation.text)) * _LETTER + 18


def _moments(selected: Selection, positions: Mapping[int, float]) -> tuple[Moment, ...]:
    texts = {one.call: one.text for one in selected.operations}
    shown = [one for one in selected.moments if one.ret in positions]
    return tuple(
        Moment(
            number=number,
            x=positions[one.ret],
            text=plain(texts.get(one.call, "")),
            states=one.states,
            more=one.more,
        )
        for number, one in enumerate(shown, 1)
    )


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction of a cycle."""

    name: str
    text: str
    call: int | None
    x: float
    y: float


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """One must come before the other, by a dependency of this type."""

    type: str
    because: str
    path: str
    x: float
    y: float


class Circle(msgspec.Struct, frozen=True, kw_only=True):
    """The figure of a cycle of transactions."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def circle(evidence: Mapping[str, Any]) -> Circle | None:
    """Lay out the cycle of a transaction anomaly; None where its evidence has none."""
    steps = steps_of(evidence)
    if not steps:
        return None
    shown = {one.name: one for one in transactions(evidence)}
    names = list(shown)
    radius = max(80.0, len(names) * 34.0)
    centre_x, centre_y = radius + 150, radius + 40
    places = {
        name: (
            centre_x + radius * math.sin(2 * math.pi * at / len(names)),
            centre_y - radius * math.cos(2 * math.pi * at / len(names)),
        )
        for at, name in enumerate(names)
    }
    nodes = tuple(
        Node(name=name, text=shown[name].text, call=shown[name].call, x=round(x, 1), y=round(y, 1))
        for name, (x, y) in places.items()
    )
    edges = tuple(
        _edge(step, places[plain(str(step["source"]), 40)], places[plain(str(step["target"]), 40)]) for step in steps
    )
    return Circle(width=2 * centre_x, height=2 * centre_y, nodes=nodes, edges=edges)


def _edge(step: Mapping[str, Any], begin: tuple[float, float], end: tuple[float, float]) -> Edge:
    """Bend an edge to its left, so that two between the same transactions lie apart."""
    (x0, y0), (x1, y1) = begin, end
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    along = ((x1 - x0) / length, (y1 - y0) / length)
    bend = (along[1] * 0.24 * length, -along[0] * 0.24 * length)
    middle = ((x0 + x1) / 2 + bend[0], (y0 + y1) / 2 + bend[1])
    start, stop = _toward(begin, middle, 24), _toward(end, middle, 28)
    path = f"M{start[0]:.1f} {start[1]:.1f} Q{middle[0]:.1f} {middle[1]:.1f} {stop[0]:.1f} {stop[1]:.1f}"
    kind = plain(str(step.get("type", "")))
    beside = len(kind) * _LETTER / 2  # so that the names of two opposite edges lie apart too
    label = ((x0 + x1) / 4 + middle[0] / 2 + along[1] * beside, (y0 + y1) / 4 + middle[1] / 2 - along[0] * _LETTER)
    return Edge(
        type=kind, because=plain(str(step.get("because", "")), 600), path=path,
        x=round(label[0], 1), y=round(label[1], 1),
    )  # fmt: skip


def _toward(begin: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    length = math.hypot(end[0] - begin[0], end[1] - begin[1]) or 1.0
    part = min(distance, length / 2) / length
    return begin[0] + (end[0] - begin[0]) * part, begin[1] + (end[1] - begin[1]) * part
