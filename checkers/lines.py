"""A long history in columns: what clients saw, line by line, with no object kept of a line.

A run of an hour has hundreds of thousands of lines. As an `Op` each takes some 200 bytes; here it takes 40: an index, a
time, a process and a value of 8 bytes each, and 8 that name the rest, which repeats. What is no integer of 64 bits (the
pair of a compare-and-set, a list, a text) is kept as it is, beside the columns.

Each line becomes an `Op` again while it is looked at, equal to the one that was added. `checkers.check` judges long
ones from the columns where that is enough (`checkers.columns`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

from .op import Op, OpType, encode_op

_NOTHING: Final = -(1 << 63)
_APART: Final = _NOTHING + 1
"""What stands in the column of values for None, and for a value that is kept apart."""

_LEAST: Final = _APART + 1
_BEYOND: Final = 1 << 63
"""Integers from the one up to the other stand in the column themselves."""

_Words = tuple[OpType, str, str | None, str | None]
"""Type, function and error of a line, and its process where that is no integer."""


class Lines(Sequence[Op]):
    """The lines of one history, in order. They are only added; whoever judges them does so when the last one was."""

    def __init__(self) -> None:
        self._indexes = array("q")
        self._times = array("q")
        self._processes = array("q")
        self._values = array("q")
        self._apart: dict[int, Any] = {}  # values that the column does not hold, by position
        self._words_at = array("I")
        self._words: list[_Words] = []
        self._number_of: dict[_Words, int] = {}
        self._keys_at = array("I")
        self._keys: list[str | None] = []
        self._key_number_of: dict[str | None, int] = {}

    def add(
        self,
        index: int,
        time: int,
        process: int | str,
        type_: OpType,
        f: str,
        key: str | None,
        value: Any,
        error: str | None,
    ) -> None:
        """Add one line."""
        name, number = (process, 0) if isinstance(process, str) else (None, process)
        words = (type_, f, error, name)
        if value is None:
            held = _NOTHING
        elif type(value) is int and _LEAST <= value < _BEYOND:
            held = value
        else:
            held = _APART
            self._apart[len(self._indexes)] = value
        self._indexes.append(index)
        self._times.append(time)
        self._processes.append(number)
        self._values.append(held)
        at = self._number_of.get(words)
        self._words_at.append(self._number_words(words) if at is None else at)
        at = self._key_number_of.get(key)
        self._keys_at.append(self._number_key(key) if at is None else at)

    def to_jsonl(self, begin: int = 0) -> bytes:
        """Write the lines from a position on as JSON, as `History.to_jsonl` does."""
        return b"".join(encode_op(self[position]) + b"\n" for position in range(begin, len(self)))

    def _number_words(self, words: _Words) -> int:
        number = self._number_of[words] = len(self._words)
        self._words.append(words)
        return number

    def _number_key(self, key: str | None) -> int:
        number = self._key_number_of[key] = len(self._keys)
        self._keys.append(key)
        return number

    def _at(self, position: int) -> Op:
        type_, f, error, name = self._words[self._words_at[position]]
        value: Any = self._values[position]
        if value < _LEAST:
            value = None if value == _NOTHING else self._apart[position]
        return Op(
            index=self._indexes[position],
            time=self._times[position],
            process=self._processes[position] if name is None else name,
            type=type_,
            f=f,
            key=self._keys[self._keys_at[position]],
            value=value,
            error=error,
        )

    def __len__(self) -> int:
        return len(self._indexes)

    def __iter__(self) -> Iterator[Op]:
        return map(self._at, range(len(self)))

    @overload
    def __getitem__(self, position: int) -> Op: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Op]: ...
    def __getitem__(self, position: int | slice) -> Op | Sequence[Op]:
        if isinstance(position, slice):
            return [self._at(one) for one in range(*position.indices(len(self)))]
        return self._at(range(len(self))[position])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Op.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # lines are added

    def __repr__(self) -> str:
        return f"<Lines: {len(self)} ops>"
