"""A history: what clients saw, one event a line, in Jepsen's shape.

The real-time order is the order of lines. Operation a precedes operation b exactly when the index of a's completion is
smaller than the index of b's invoke; intervals are closed, so operations that touch in one instant overlap.

A `History` is well-formed by construction: it pairs each invoke with its completion (`pairing`), and an `Operation` is
such a pair. Its values are frozen (`values`).
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from msgspec.structs import replace

from .conventions import Conventions
from .intervals import OPEN_CALL, Pair, as_lines
from .json_lines import NotJson, decode_lines, decode_row
from .lines import Lines
from .op import Op, encode_op
from .operation import Operation
from .pairing import Pairing


class History(Sequence[Op]):
    """A well-formed sequence of ops, paired. Constructing one raises `MalformedHistory` where it is not well-formed.

    With `lenient`, what strictness refuses is read in the widest sense: a second invoke makes the first one `info`, an
    operation of a process after its `info` is one more operation, a completion without invoke belongs to an operation
    that was called before the first line, and one with another f or key says nothing about what was asked.

    An `Operation` has the process whose calls it is in order with. Of intervals, `touches` says that some operations of
    one process were called at the instant at which the one before returned, so that their lines overlap; and
    `is_unordered` that some were called while it was open, so that the order of processes is not known.

    `counted` is what a reader passed over or read in a way that is not plain, in words; it comes back in `notes`, with
    what is counted here. `gaps` are things left out that could change a verdict: with one, no history is `valid`.
    """

    def __init__(
        self,
        ops: Iterable[Op],
        *,
        source: str = "history",
        lines: Sequence[int] | None = None,
        lenient: bool = False,
        conventions: Conventions | None = None,
        counted: Mapping[str, int] | None = None,
        gaps: Sequence[str] = (),
    ) -> None:
        self._ops: Sequence[Op] = ops if isinstance(ops, Lines) else tuple(ops)
        self._lines = lines
        self.source = source
        self.lenient = lenient
        self.conventions = conventions or Conventions()
        self.gaps = tuple(gaps)
        self.touches = False
        self.is_unordered = False
        self._counted = Counter(counted or {})
        self._paired = Pairing(self._ops, self.where, lenient=lenient, counted=self._counted).run()

    @classmethod
    def from_jsonl(cls, data: bytes | str | Path, *, source: str | None = None, lenient: bool = False) -> History:
        """Read JSON lines: bytes are the text itself, a path or a str names a file."""
        if not isinstance(data, bytes):
            source = source or str(data)
            data = Path(data).read_bytes()
        source = source or "history"
        counted: Counter[str] = Counter()
        ops, lines = decode_lines(data, source, lenient, counted)
        return cls(ops, source=source, lines=lines, lenient=lenient, counted=counted)

    @classmethod
    def from_json_rows(cls, rows: Sequence[tuple[bytes, int]], *, source: str, lenient: bool = False) -> History:
        """Read JSON objects, each with its line: what `from_jsonl` does of lines."""
        ops: list[Op] = []
        for text, line in rows:
            index, time = (ops[-1].index + 1, ops[-1].time) if ops else (0, 0)
            try:
                ops.append(decode_row(text, f"{source}:{line}", index, time))
            except NotJson as broken:
                raise broken.named(is_last=False) from None
        return cls(ops, source=source, lines=[line for _, line in rows], lenient=lenient)

    @classmethod
    def from_pairs(cls, pairs: Iterable[Pair], *, source: str = "history", **options: Any) -> History:
        """Make a history of operations that were called and returned at some instants, in any order.

        Instants are compared and nothing else is done with them: integers, seconds, datetimes. Intervals are closed,
        so all invokes of an instant come before its completions.

            History.from_pairs([Pair("write", 1, call=0.0, ret=0.7), Pair("read", result=1, call=0.5, ret=0.9)])
        """
        return cls._of_intervals(list(pairs), source=source, **options)

    @classmethod
    def of_rows(cls, pairs: Sequence[Pair], lines: Sequence[int], *, source: str, **options: Any) -> History:
        """Make a history of operations of a file that has one a row, each with its line: what `from_pairs` does."""
        return cls._of_intervals(pairs, rows=lines, source=source, **options)

    @classmethod
    def _of_intervals(cls, pairs: Sequence[Pair], *, rows: Sequence[int] | None = None, **options: Any) -> History:
        found = as_lines(pairs)
        lines = None if rows is None else [rows[number] for number in found.numbers]
        history = cls(found.ops, lines=lines, **options)
        if found.overlaps:
            history._counted[OPEN_CALL] += found.overlaps
            history.is_unordered = True
        if found.sessions:
            history._paired = tuple(
                replace(operation, process=found.sessions.get(operation.process, operation.process))
                for operation in history._paired
            )
            history.touches = True
        return history

    def to_jsonl(self) -> bytes:
        """Write JSON lines, the same bytes for the same ops on every machine."""
        return b"".join(encode_op(op) + b"\n" for op in self._ops)

    def operations(self, *, with_void: bool = False) -> list[Operation]:
        """List the clients' operations in the order of their calls; `with_void`: also those that did not happen."""
        if with_void:
            return list(self._paired)
        return [operation for operation in self._paired if not operation.is_void]

    def by_key(self, *, with_void: bool = False) -> dict[Any, list[Operation]]:
        """Split the operations by key, keys in the order of first use."""
        groups: dict[Any, list[Operation]] = {}
        for operation in self.operations(with_void=with_void):
            groups.setdefault(operation.key, []).append(operation)
        return groups

    def counts(self) -> dict[str, int]:
        """Count the operations by outcome."""
        tally = Counter(operation.type for operation in self._paired)
        return {outcome: tally[outcome] for outcome in ("ok", "fail", "info")}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was passed over or read in a way that is not plain: nothing is left out in silence."""
        return (*(f"{count} x {what}" for what, count in self._counted.items()), *self.gaps)

    def admitted(self, operations: Iterable[Operation]) -> History:
        """Return the same history with these operations in the place of its own: what is left to be judged."""
        twin = copy.copy(self)
        twin._paired = tuple(operations)
        return twin

    def where(self, position: int) -> str:
        """Name the place of the op at this position, for a message."""
        if self._lines is not None:
            return f"{self.source}:{self._lines[position]}"
        return f"{self.source}: op {position}"

    def where_index(self, index: int) -> str:
        """Name the place of the op with this index, for a message."""
        position = bisect_left(self._ops, index, key=lambda op: op.index)
        if position < len(self._ops) and self._ops[position].index == index:
            return self.where(position)
        return self.source

    def __len__(self) -> int:
        return len(self._ops)

    def __iter__(self) -> Iterator[Op]:
        return iter(self._ops)

    @overload
    def __getitem__(self, position: int) -> Op: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Op]: ...
    def __getitem__(self, position: int | slice) -> Op | Sequence[Op]:
        return self._ops[position]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and tuple(self._ops) == tuple(other._ops)

    __hash__ = None  # type: ignore[assignment]  # ops may hold lists

    def __repr__(self) -> str:
        return f"<History {self.source}: {len(self._ops)} ops>"
