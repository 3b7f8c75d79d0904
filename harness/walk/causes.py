"""Why an event happened: the chain of events that led to it, back through steps and messages.

A delivery was caused by the sending of its message, an fsync by what was written before it. What a node does in one
step (one instant of one actor) was caused by what reached it since its step before: a delivery, the end of an fsync,
its start. When nothing did, a timer of its own was due. These are all the ways in which actors act on each other, so
that no event outside the chain and its faults had a part in it, but for chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from checkers.trace import Row

_REACHING: Final = frozenset(("deliver", "fsync", "start"))
"""Kinds of rows after which an actor acts."""
_OWN: Final = frozenset((
    "role", "term", "vote", "log-append", "log-truncate", "commit", "apply", "config", "snapshot", "send", "note",
    "mark", "persist-fail", "stop",
))  # fmt: skip
"""Kinds of rows that an actor makes in its steps."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A link of the chain: the event at `index`, or a timer, which has no event (None)."""

    index: int | None
    why: str


def chain(rows: Sequence[Row], index: int, clients: dict[int, str], *, length_max: int = 8) -> list[Cause]:
    """What led to the event at `index`, the nearest cause first. `clients` names the client of each thread."""
    causes: list[Cause] = []
    at: int | None = index
    while at is not None and len(causes) < length_max:
        cause = _cause(rows, at, clients)
        if cause is None:
            break
        causes.append(cause)
        at = cause.index
    return causes


def _cause(rows: Sequence[Row], index: int, clients: dict[int, str]) -> Cause | None:
    _, kind, actor, *fields = rows[index]
    if kind in ("deliver", "drop"):
        return _sending(rows, index, fields[0])
    if kind == "duplicate":
        return _sending(rows, index, fields[0])
    if kind == "op":
        process, outcome, *_ = fields[0]
        if outcome == "invoke" or not isinstance(process, int):
            return None
        return _trigger(rows, index, clients.get(process % max(1, len(clients)), ""))
    if kind in _OWN:
        return _trigger(rows, index, actor)
    if kind == "fsync":
        return _writing(rows, index, actor)
    return None


def _sending(rows: Sequence[Row], index: int, id: int) -> Cause | None:
    for at in range(index - 1, -1, -1):
        row = rows[at]
        if row[1] == "send" and row[3] == id:
            return Cause(index=at, why="it was sent")
        if row[1] == "duplicate" and row[4] == id:
            return Cause(index=at, why="it is a copy")
    return None


def _trigger(rows: Sequence[Row], index: int, actor: str) -> Cause | None:
    """What reached the actor since its step before."""
    time_ns = rows[index][0]
    for at in range(index - 1, -1, -1):
        then_ns, kind, who = rows[at][:3]
        if who != actor:
            continue
        if kind in _REACHING:
            return Cause(index=at, why="it came first in this step")
        if kind in _OWN and then_ns < time_ns:
            since = f"nothing had reached it since {then_ns / 1e6:.3f} ms"
            return Cause(index=None, why=f"a timer of {actor} was due: {since}")
    return None


def _writing(rows: Sequence[Row], index: int, actor: str) -> Cause | None:
    """What a node did last before an fsync: that is what was written."""
    for at in range(index - 1, -1, -1):
        _, kind, who = rows[at][:3]
        if who == actor and (kind in _REACHING or (kind in _OWN and kind not in ("send", "mark"))):
            return Cause(index=at, why="it was written")
    return None
