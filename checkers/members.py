"""No object of a JSON text has a member twice: every reader of JSON takes the last one, and nobody judges the first.

To read a text again, member by member, takes five times as long as to read it, so it is proven by counting. A colon
outside of texts stands behind the name of a member and nowhere else, and no escape writes one: a JSON text has at most
as many members, at any depth, as it has colons. What was decoded from it has members of different names only. So where
that has as many members as the text has colons, the text had no others.

Colons in texts, nulls that look like what is absent, and objects in values only make the count fail. Such a piece is
decoded once more to count its members exactly, and if texts contain names too, looked at member by member.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, Protocol

import msgspec

from .malformed import MalformedHistory

PIECE: Final = 1 << 15
"""Bytes that are looked at together: in a piece that is not plain, all lines take the longer way."""

_SPACED: Final = (b" :", b"\t:", b"\r:", b"\n:")
_NESTED: Final = (dict, list)

_OPTIONAL: Final = {name: attrgetter(name) for name in ("value", "key", "error")}

_lines = msgspec.json.Decoder(dict[str, Any])


class _Optional(msgspec.Struct, gc=False):
    """What may be absent from a line, told from null."""

    key: Any = msgspec.UNSET
    value: Any = msgspec.UNSET
    error: Any = msgspec.UNSET


_optional = msgspec.json.Decoder(_Optional)


class Row(Protocol):
    """What is decoded from a line of a history: three of its members may be absent, which reads as None."""

    @property
    def key(self) -> Any: ...
    @property
    def value(self) -> Any: ...
    @property
    def error(self) -> Any: ...


class _Twice(Exception):
    """An object has this member twice."""


def are_single(lines: bytes, rows: Sequence[Row], sure: int, present: Collection[str] = ()) -> bool:
    """Whether no object of these JSON lines has a member twice.

    `rows` were decoded from them, one from each, and have no other members than `sure` that each line must have, and
    `key`, `value` and `error`; `present` are those of the three that each line must have, too, and are in `sure`.
    """
    colons = lines.count(b":")
    known = sure * len(rows)
    for name, of in _OPTIONAL.items():
        if known == colons:
            return True
        if name not in present:
            known += len(rows) - list(map(of, rows)).count(None)
    most = _at_most(lines)
    if known in (colons, most):
        return True
    if lines.count(b"{") == len(rows):  # no objects in values: nulls, then
        some = _optional.decode_lines(lines)
        absent = [list(map(of, some)).count(msgspec.UNSET) for name, of in _OPTIONAL.items() if name not in present]
        if sure * len(rows) + len(rows) * len(absent) - sum(absent) in (colons, most):
            return True
    return _counted(lines, _lines.decode_lines(lines)) or not any(map(_doubled, lines.split(b"\n")))


def require_single(lines: bytes, rows: Sequence[Row], sure: int, source: str) -> None:
    """Refuse JSON lines, of which none is blank, with a member that an object has twice: see `are_single`."""
    begin = 0
    for piece in _pieces(lines):
        end = begin + piece.count(b"\n") + (not piece.endswith(b"\n"))
        if not are_single(piece, rows[begin:end], sure):
            for number, line in enumerate(piece.split(b"\n"), begin + 1):
                require_single_line(line, f"{source}:{number}")
        begin = end


def require_single_value(text: bytes, value: object, where: str) -> None:
    """Refuse a JSON text in which an object has a member twice; `value` was decoded from all of it."""
    if not _counted(text, (value,)):
        require_single_line(text, where)


def require_single_line(text: bytes, where: str) -> None:
    """Refuse a JSON text in which an object has a member twice, looking at each."""
    if (found := _doubled(text)) is not None:
        raise MalformedHistory(found, "each member of an object once", where)


def _pieces(lines: bytes) -> Iterator[bytes]:
    """Yield whole lines, many at a time."""
    begin = 0
    while begin < len(lines):
        end = lines.find(b"\n", begin + PIECE) + 1 or len(lines)
        yield lines[begin:end]
        begin = end


def _counted(text: bytes, values: Iterable[object]) -> bool:
    """Whether counting proves it of a text and all that was decoded from it."""
    return _members(values) in (text.count(b":"), _at_most(text))


def _members(values: Iterable[Any]) -> int:
    """Count the members of objects, at any depth."""
    total = 0
    waiting = list(values)
    for value in waiting:  # which grows
        if value.__class__ is dict:
            total += len(value)
            waiting += [part for part in value.values() if part.__class__ in _NESTED]
        elif value.__class__ is list:
            waiting += [part for part in value if part.__class__ in _NESTED]
    return total


def _at_most(text: bytes) -> int:
    """More members are not in a text: where no colon has a blank before it, each of them follows a quote."""
    return text.count(b":" if any(spaced in text for spaced in _SPACED) else b'":')


def _doubled(text: bytes) -> str | None:
    """Find a member that an object has twice, in a text that is JSON or blank, and say so."""
    if not text.strip():
        return None
    try:
        _pairs.decode(text.decode())
    except _Twice as found:
        return f"an object with the member {found} twice"
    except (RecursionError, ValueError) as error:
        return f"JSON whose members cannot be compared ({error})"
    return None


def _require_names(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise _Twice(repr(next(name for name in names if names.count(name) > 1)[:60]))


_pairs = json.JSONDecoder(object_pairs_hook=_require_names, parse_int=len, parse_float=len, strict=False)
"""Of numbers nothing is needed, and one of a thousand digits is none for Python."""
