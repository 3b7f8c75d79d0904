"""A long history in columns: what clients saw, line by line, with no object kept of a line.

A run of an hour has hundreds of thousands of lines. As an `Op` each takes some 200 bytes; here it takes 40: an index, a
time, a process and a value of 8 bytes each, and 8 that name the rest, which repeats. What is no integer of 64 bits (the
pair of a compare-and-set, a list, a text) is kept as it is, beside the columns.

Each line becomes an `Op` again while it is looked at, equal to the one that was added. `checkers.check` judges long
ones from the columns where that is enough (`checkers.columns`).

Adding a line must cost a run next to nothing: lines are put down as tuples, and some hundred of them together are
turned into columns at once, without a call for each (`settle`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

from .op import Op, OpType, encode_known

_NOTHING: Final = -(1 << 63)
_APART: Final = _NOTHING + 1
"""What stands in the column of values for None, and for a value that is kept apart."""

_LEAST: Final = _APART + 1
_BEYOND: Final = 1 << 63
"""Integers from the one up to the other stand in the column themselves."""

_TOGETHER: Final = 4096
"""Lines that are copied out of the columns at a time."""

Line = tuple[int, int, int | str, OpType, str, str | None, Any, str | None]
"""Index, time, process, type, f, key, value and error of an op."""


class _Numbers(dict[Any, int]):
    """Numbers things in the order in which they are asked for first."""

    def __missing__(self, thing: Any) -> int:
        number = self[thing] = len(self)
        return number


class Lines(Sequence[Op]):
    """The lines of one history, in order. They are only added; whoever judges them does so when the last one was."""

    def __init__(self) -> None:
        self._indexes = array("q")
        self._times = array("q")
        self._processes = array("q")
        self._values = array("q")
        self._apart: dict[int, Any] = {}  # values that the column does not hold, by position
        self._words_at = array("I")
        self._words = _Numbers()  # (type, f, error, process where that is a text)
        self._keys_at = array("I")
        self._keys = _Numbers()
        self._recent: list[Line] = []
        self.add = self._recent.append
        """Add one line; may be kept at hand. Call `settle` now and then."""

    def settle(self) -> None:
        """Put what was added since into the columns."""
        if not self._recent:
            return
        begin = len(self._indexes)
        indexes, times, processes, types, functions, keys, values, errors = zip(*self._recent, strict=True)
        self._recent.clear()
        named = [process if process.__class__ is str else None for process in processes]
        held = [
            _NOTHING if value is None else value if value.__class__ is int and _LEAST <= value < _BEYOND else _APART
            for value in values
        ]
        self._indexes.extend(indexes)
        self._times.extend(times)
        self._processes.extend(process if name is None else 0 for process, name in zip(processes, named, strict=True))
        self._values.extend(held)
        self._apart |= {begin + place: values[place] for place, value in enumerate(held) if value == _APART}
        self._words_at.extend(map(self._words.__getitem__, zip(types, functions, errors, named, strict=True)))
        self._keys_at.extend(map(self._keys.__getitem__, keys))

    def to_jsonl(self, begin: int = 0) -> bytes:
        """Write the lines from a position on as JSON, as `History.to_jsonl` does."""
        return encode_known(self.between(begin, len(self)))

    def between(self, begin: int, end: int) -> list[Op]:
        """The lines from one position up to, and without, another."""
        self.settle()
        words, keys, apart = list(self._words), list(self._keys), self._apart
        columns = (self._indexes, self._times, self._processes, self._words_at, self._keys_at, self._values)
        return [
            Op(
                index=index,
                time=time,
                process=process if said[3] is None else said[3],
                type=said[0],
                f=said[1],
                key=keys[key_at],
                value=value if value >= _LEAST else None if value == _NOTHING else apart[position],
                error=said[2],
            )
            for position, index, time, process, words_at, key_at, value in zip(
                range(begin, end), *(column[begin:end] for column in columns), strict=True
            )
            for said in (words[words_at],)
        ]

    def __len__(self) -> int:
        return len(self._indexes) + len(self._recent)

    def __iter__(self) -> Iterator[Op]:
        for begin in range(0, len(self), _TOGETHER):
            yield from self.between(begin, min(begin + _TOGETHER, len(self)))

    @overload
    def __getitem__(self, position: int) -> Op: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Op]: ...
    def __getitem__(self, position: int | slice) -> Op | Sequence[Op]:
        places = range(len(self))[position]
        if isinstance(places, int):
            return self.between(places, places + 1)[0]
        if places.step == 1:
            return self.between(places.start, places.stop)
        return [self[place] for place in places]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Op.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # lines are added

    def __repr__(self) -> str:
        return f"<Lines: {len(self)} ops>"
