"""Porcupine's shapes: its key-value logs, and its `Operation` values dumped as JSON.

The key-value logs of its tests are EDN lines with `:get`, `:put`, `:append` and a `:key`. Operations are JSON objects,
in one array or one a line:

    {"ClientId": 0, "Input": {"op": "get", "key": "x"}, "Call": 10, "Output": "v", "Return": 25}

An input names its function by `op` (a name, or the number that Porcupine's own example gives it: 0 get, 1 put,
2 append), and may have `key` and `value`. An output is the value itself or an object with `value`. Timestamps are any
integers; an operation without `Return`, or with a negative one, is of unknown outcome. Names are read in any case.

`get` and `put` become `read` and `write`; `append` stays, and is checked by the model `kv`, in which a key that was
never put reads as the empty text, as in Porcupine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from checkers.history import Conventions, History, MalformedHistory

from . import edn, jepsen
from .intervals import Interval, as_lines

CONVENTIONS: Final = Conventions(source="porcupine", failed_cas="constraint", nil_read="absent")

NAMES: Final = {"get": "read", "put": "write"}
NUMBERS: Final = ("get", "put", "append")


def load_kv(text: str, *, source: str, lenient: bool = False) -> History:
    """Read a key-value log."""
    rows = []
    for form in edn.read(text, source):
        if not isinstance(form.value, dict):
            raise MalformedHistory(f"a {type(form.value).__name__}", "a map", f"{source}:{form.line}")
        f = str(form.value.get("f"))
        rows.append(({**form.value, "f": NAMES.get(f, f)}, form.line))
    return jepsen.build(rows, source=source, lenient=lenient, independent=False, conventions=CONVENTIONS)


def load_operations(data: bytes, *, source: str, lenient: bool = False) -> History:
    """Read operations dumped as JSON."""
    intervals = []
    lines = []
    for row, line in _objects(data, source):
        intervals.append(_interval(row, f"{source}:{line}"))
        lines.append(line)
    return History(as_lines(intervals), source=source, lenient=lenient, conventions=CONVENTIONS)


def _objects(data: bytes, source: str) -> Iterator[tuple[dict[str, Any], int]]:
    if data.lstrip().startswith(b"["):
        try:
            rows = msgspec.json.decode(data, type=list[dict[str, Any]])
        except msgspec.DecodeError as error:
            raise MalformedHistory(f"JSON that cannot be read ({error})", "an array of objects", source) from None
        yield from ((row, number) for number, row in enumerate(rows, 1))
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                yield msgspec.json.decode(line, type=dict[str, Any]), number
            except msgspec.DecodeError as error:
                where = f"{source}:{number}"
                raise MalformedHistory(f"a line that cannot be read ({error})", "a JSON object", where) from None


def _lower(row: Any) -> dict[str, Any]:
    return {str(name).lower().replace("_", ""): item for name, item in row.items()}


def _interval(raw: dict[str, Any], where: str) -> Interval:
    row = _lower(raw)
    asked = row.get("input")
    if not isinstance(asked, dict) or not isinstance(row.get("call"), int):
        raise MalformedHistory("an operation without Input or Call", "ClientId, Input, Call, Output, Return", where)
    asked = _lower(asked)
    name = asked.get("op", asked.get("f"))
    if type(name) is int and 0 <= name < len(NUMBERS):
        name = NUMBERS[name]
    if not isinstance(name, str):
        raise MalformedHistory(f"op {name!r}", f"a name, or a number below {len(NUMBERS)}", where)
    f = NAMES.get(name.lower(), name.lower())
    told = row.get("output")
    told = _lower(told).get("value") if isinstance(told, dict) else told
    ret = row.get("return")
    known = isinstance(ret, int) and ret >= 0
    value = None if f == "read" else asked.get("value")
    return Interval(
        client=int(row.get("clientid", 0)),
        f=f,
        key=asked.get("key"),
        value=value,
        type="ok" if known else "info",
        result=told if f == "read" else value,  # what its model answers to a put or an append says nothing
        error=None,
        call=row["call"],
        ret=ret if known else None,
    )
