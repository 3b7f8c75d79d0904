"""Texts that are written and appended to, each text once: an exact check in O(n log n), and in what was read.

Where no text is the beginning of another, and none is used twice, what a read returned tells which operations made it:
a write, and the appends after it, in their order. So the state is known by the last of them, and the history is one of
a register:

* an append that was read is a cas from the state before it, which is known, to its own;
* an append that was never read is a blind write of a state that nobody needs: what it leaves is seen by nobody before
  the next write, exactly as if it had stood there by itself;
* a write and a read are what they are. A read of what no operations can have made reads a state that nothing leaves.

An order of one history is an order of the other. From texts to registers: an append that was read is applied once, and
what was read begins with the state that it was applied to, because texts only grow; one that was never read is followed
by no read before the next write. From registers to texts: between an unread append and the next operation that needs a
state there is a write of a text, since nothing else leaves what is needed.

The register is decided by `zones`. What was read later decides what an append is, so prefixes are read anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from checkers.linearizability.failing_prefix import Bounds
from checkers.linearizability.result import Meter
from checkers.models import Model, kv
from checkers.operation import INF, Operation

from .fast_path import FastPath
from .zones import CAS, READ, WRITE, Columns, find_violation

NOTHING: Final = -1
"""The state at the beginning, the empty text; any other is the number of the operation that left it."""

IMPOSSIBLE: Final = -2
"""A state that nothing leaves."""

READ_AGAIN: Final = 24
"""More lengths of texts than this make reading slow; then this check does not apply."""


class Row(NamedTuple):
    """One operation: the text that was written, appended or read."""

    call: int
    ret: int
    f: str
    text: str


def rows_of(operations: Sequence[Operation], model: Model) -> list[Row] | str:
    """Make rows of one text's operations, or say why this check does not apply to them."""
    if model.step is not kv.step or model.init != "":
        return f"model {model.name} is no text that begins empty"
    rows: list[Row] = []
    for operation in sorted(operations, key=lambda operation: operation.call):
        if operation.type == "fail":
            return f"a failed {operation.f}"
        if operation.f != "read":
            rows.append(Row(operation.call, operation.ret, operation.f, operation.value))
        elif operation.type == "ok":
            rows.append(Row(operation.call, operation.ret, "read", operation.result or ""))
    texts = sorted(row.text for row in rows if row.f != "read")
    if any(later.startswith(text) for text, later in pairwise(texts)) or "" in texts[:1]:
        return "a text is the beginning of another"
    if len(set(map(len, texts))) > READ_AGAIN:
        return "the texts are of many lengths"
    return rows


def prefix(rows: list[Row], end: int) -> list[Row]:
    """Return the rows of the events with index <= `end`; a read without answer says nothing."""
    known = [row if row.ret <= end else row._replace(ret=INF) for row in rows if row.call <= end]
    return [row for row in known if row.f != "read" or row.ret != INF]


def _failure(rows: list[Row], meter: Meter) -> Bounds | None:
    """Decide rows. Where they are not linearizable all that is sure is that the whole of them is not."""
    violation = find_violation(columns_of(rows), meter)
    if violation is None:
        return None
    last = max(row.ret for row in rows if row.ret != INF)
    return Bounds(0, last, min(violation.bounds.upper, last))


def columns_of(rows: list[Row]) -> Columns:
    """Make the register that these rows stand for."""
    reading = _Reading(rows)
    read = reading.read_all()
    calls: list[int] = []
    returns: list[int] = []
    kinds = bytearray()
    olds: list[int | None] = []
    news: list[int | None] = []
    places: list[int] = []
    for number, row in enumerate(rows):
        kind: int = WRITE
        old: int | None = None
        new: int | None = number
        if row.f == "read":
            kind, old, new = READ, read[number], None
        elif number in reading.before and row.f == "append":
            kind, old = CAS, reading.before[number]
        elif row.ret == INF and number not in reading.before:
            continue  # a crashed one that nobody saw need not have happened
        calls.append(row.call)
        returns.append(row.ret)
        kinds.append(kind)
        olds.append(old)
        news.append(new)
        places.append(number)
    return Columns(calls, returns, bytes(kinds), olds, news, places, NOTHING)


class _Reading:
    """Reads texts as what made them. `before`: of each operation whose text was read, the state it was applied to."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.before: dict[int, int] = {}
        self._numbers = {row.text: number for number, row in enumerate(rows) if row.f != "read"}
        self._lengths = sorted({len(text) for text in self._numbers})
        self._chains: dict[int, tuple[str, dict[int, int]]] = {}  # first operation -> longest text, length -> state

    def read_all(self) -> dict[int, int]:
        """Return the state that each read saw, the longest texts first, of which others are beginnings."""
        found: dict[int, int] = {}
        reads = [number for number, row in enumerate(self.rows) if row.f == "read"]
        for number in sorted(reads, key=lambda number: -len(self.rows[number].text)):
            found[number] = self._state(self.rows[number].text)
        return found

    def _state(self, text: str) -> int:
        if not text:
            return NOTHING
        first = self._next(text, 0)
        if first is None:
            return IMPOSSIBLE
        longest, states = self._chains.get(first, ("", {}))
        if longest.startswith(text):
            return states.get(len(text), IMPOSSIBLE)
        return self._follow(text, first)

    def _follow(self, text: str, first: int) -> int:
        """Take a text apart; what it is made of must not stand elsewhere already."""
        state, place, states = NOTHING, 0, {}
        made: dict[int, None] = {}
        while place < len(text):
            number = self._next(text, place)
            if number is None or number in self.before or number in made:
                return IMPOSSIBLE
            if self.rows[number].f == "write" and place:
                return IMPOSSIBLE
            made[number] = None
            place += len(self.rows[number].text)
            states[place] = number
        for number in made:
            self.before[number] = state
            state = number
        self._chains[first] = text, states
        return state

    def _next(self, text: str, place: int) -> int | None:
        """Return the operation whose text stands at this place: at most one, as none is the beginning of another."""
        for length in self._lengths:
            number = self._numbers.get(text[place : place + length])
            if number is not None:
                return number
        return None


TEXTS: Final[FastPath[Any]] = FastPath(
    name="texts",
    rows_of=rows_of,
    size=len,
    failure=_failure,
    prefix=prefix,
)
