"""Where two runs part: the first event in which they differ, in words, with what led to it on either side.

Up to that event both runs are one, so that the causes that lie before it are the same events in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from checkers.trace import Row, as_event
from harness.archive.layout import Event
from harness.plans.plan import Plan

from .causes import chain
from .standing import Standing
from .telling import tell


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An event in words."""

    index: int | None
    time_ns: int | None
    text: str


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One run at the point where they part. `event` is None when it had ended; causes come nearest first."""

    event: Event | None
    text: str
    causes: tuple[Told, ...]


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """The first event that differs, and how everything stood before it in both runs."""

    index: int
    time_ns: int
    a: Side
    b: Side
    plans_differ_in: tuple[str, ...] = ()


def part(plans: tuple[Plan, Plan], a: Iterable[Row], b: Iterable[Row]) -> Parting | None:
    """Lay two traces side by side; None when they are equal. Rows are those of one kind: both read, or both made."""
    common: list[Row] = []
    standings = Standing(plans[0]), Standing(plans[1])
    for row_a, row_b in zip_longest(a, b):
        if row_a == row_b:
            common.append(row_a)
            for standing in standings:
                standing.read(row_a)
            continue
        some = row_a if row_a is not None else row_b
        sides = [
            _side(common, row, standing, plan)
            for row, standing, plan in zip((row_a, row_b), standings, plans, strict=True)
        ]
        return Parting(
            index=len(common), time_ns=some[0], a=sides[0], b=sides[1], plans_differ_in=tuple(differing(*plans))
        )
    return None


def tell_causes(rows: Sequence[Row], index: int, plan: Plan) -> tuple[Told, ...]:
    """What led to an event, in words, the nearest first."""
    clients = {program.thread: program.client for program in plan.programs}
    causes = chain(rows, index, clients)
    wanted = {cause.index for cause in causes if cause.index is not None}
    texts: dict[int, str] = {}
    standing = Standing(plan)
    for at, row in enumerate(rows[: index + 1]):
        standing.read(row)
        if at in wanted:
            texts[at] = tell(row, standing)
    return tuple(
        Told(
            index=cause.index,
            time_ns=None if cause.index is None else rows[cause.index][0],
            text=cause.why if cause.index is None else texts[cause.index],
        )
        for cause in causes
    )


def differing(a: Plan, b: Plan) -> list[str]:
    """Where two plans differ: the paths of their values, such as `options.heartbeat_ms`."""
    return _paths("", msgspec.to_builtins(a), msgspec.to_builtins(b))


def _paths(path: str, a: Any, b: Any) -> list[str]:
    if a == b:
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        names = sorted(a.keys() | b.keys())
        return [one for name in names for one in _paths(f"{path}.{name}".lstrip("."), a.get(name), b.get(name))]
    return [path]


def _side(common: list[Row], row: Row | None, standing: Standing, plan: Plan) -> Side:
    if row is None:
        return Side(event=None, text="the run has ended", causes=())
    standing.read(row)
    rows = [*common, row]
    return Side(event=as_event(len(common), row), text=tell(row, standing), causes=tell_causes(rows, len(common), plan))
