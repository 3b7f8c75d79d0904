"""Our own format: a history as JSON objects, one a line, at once or as they come.

A line may leave out `index` and `time`, and have fields of other tools, which are kept.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from .malformed import MalformedHistory
from .members import require_single, require_single_line, require_single_value
from .op import Op, OpType

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What reading JSON raises: it is none, it is nested deeper than can be judged, or a text in it is no UTF-8."""

_decoder = msgspec.json.Decoder(Op)


class _BareLine(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A line that leaves its index and time to its place in the file."""

    process: int | str
    type: OpType
    f: str
    key: Any = None
    value: Any = None
    error: Any = None


_bare_decoder = msgspec.json.Decoder(_BareLine)

_SURE: Final = 5
"""Members that each line has which is an `Op`, and `_BARE` those of each that is a `_BareLine`."""

_BARE: Final = 3


def stand_one_a_line(data: bytes, count: int) -> bool:
    """Whether each of `count` objects stands on a line of its own, with no blank one between.

    `msgspec` reads two objects on one line, and one on two, without a word.
    """
    if not data:
        return count == 0
    ends = data.count(b"\n") - data.endswith(b"\n")
    return count == ends + 1 and data.count(b"}\n{") + data.count(b"}\r\n{") == ends


def decode_lines(data: bytes, source: str, lenient: bool, counted: Counter[str]) -> tuple[list[Op], Sequence[int]]:
    """Decode the lines that are not blank, with their numbers: all at once if they are plain, else one by one."""
    with contextlib.suppress(*UNREADABLE):
        ops = _decoder.decode_lines(data)
        if stand_one_a_line(data, len(ops)) and all(op.extra is None for op in ops):
            require_single(data, ops, _SURE, source)
            return ops, range(1, len(ops) + 1)
    with contextlib.suppress(*UNREADABLE):
        bare = _bare_decoder.decode_lines(data)
        if stand_one_a_line(data, len(bare)):
            require_single(data, bare, _BARE, source)
            ops = [
                Op(index=index, time=0, process=b.process, type=b.type, f=b.f, key=b.key, value=b.value, error=b.error)
                for index, b in enumerate(bare)
            ]
            return ops, range(1, len(ops) + 1)
    ops, lines = [], []
    for number, op in read_lines(data.split(b"\n"), source=source, lenient=lenient, counted=counted):
        ops.append(op)
        lines.append(number)
    return ops, range(1, len(lines) + 1) if not lines or lines[-1] == len(lines) else lines


def read_lines(
    rows: Iterable[bytes], *, source: str, lenient: bool = False, counted: Counter[str] | None = None
) -> Iterator[tuple[int, Op]]:
    """Decode JSON lines one by one, as they come, each with its number; blank ones are left out.

    A line without `index` gets the one after that of the line before, and one without `time` the same time. What is
    left out of a lenient file is added to `counted`.
    """
    numbered = ((number, row) for number, row in enumerate(rows, 1) if row.strip())
    index, time = -1, 0
    for number, row in numbered:
        try:
            op = _decoder.decode(row)
            if op.extra is not None:
                op = decode_row(row, f"{source}:{number}", index + 1, time)
            elif row.count(b":") > _SURE + (op.key is not None) + (op.value is not None) + (op.error is not None):
                require_single_line(row, f"{source}:{number}")
        except UNREADABLE as error:
            try:
                op = decode_row(row, f"{source}:{number}", index + 1, time, cause=error)
            except NotJson as broken:
                is_last = next(numbered, None) is None
                if lenient and is_last:
                    if counted is not None:
                        counted["last line, cut off: left out"] += 1
                    return
                raise broken.named(is_last=is_last) from None
        index, time = op.index, op.time
        yield number, op


class NotJson(Exception):
    """A line that is not JSON, perhaps because the file ends in the middle of it."""

    def __init__(self, error: Exception, where: str) -> None:
        super().__init__(str(error))
        self.where = where

    def named(self, *, is_last: bool) -> MalformedHistory:
        is_cut = is_last and "truncated" in str(self)
        what = "a line that is cut off" if is_cut else "a line that is not JSON"
        return MalformedHistory(f"{what} ({self})", "one JSON object a line", self.where)


_KNOWN = tuple(name for name in Op.__struct_fields__ if name != "extra")


def decode_row(row: bytes, where: str, index: int, time: int, *, cause: Exception | None = None) -> Op:
    """Decode a line that the fast decoder refused: it has fields of other tools or lacks some, or it is wrong."""
    try:
        fields = msgspec.json.decode(row)
    except UNREADABLE as error:
        raise NotJson(error, where) from cause
    if not isinstance(fields, dict):
        raise MalformedHistory(f"JSON {type(fields).__name__}", "one JSON object a line", where)
    require_single_value(row, fields, where)
    known = {name: fields.pop(name) for name in _KNOWN if name in fields}
    for name in ("process", "type", "f"):
        if name not in known:
            raise MalformedHistory(f"no field {name!r}", "process, type and f", where)
    known.setdefault("index", index)
    known.setdefault("time", time)
    try:
        op = msgspec.convert(known, Op)
    except msgspec.ValidationError as error:
        raise MalformedHistory(str(error), "an op as docs/checkers.md describes it", where) from None
    return msgspec.structs.replace(op, extra=fields or None)
