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

from collections import Counter
from typing import Any, Final

import msgspec
from msgspec import UNSET

from checkers.conventions import Conventions
from checkers.history import History
from checkers.intervals import Pair
from checkers.json_lines import UNREADABLE
from checkers.malformed import MalformedHistory
from checkers.members import require_single_value

from . import edn, jepsen
from .elements import elements

CONVENTIONS: Final = Conventions(source="porcupine", failed_cas="constraint", nil_read="absent")

NAMES: Final = {"get": "read", "put": "write"}
NUMBERS: Final = ("get", "put", "append")
FIELDS: Final = frozenset({"clientid", "input", "call", "output", "return"})
INPUT_FIELDS: Final = frozenset({"op", "f", "key", "value"})


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
    pairs = []
    lines = []
    counted: Counter[str] = Counter()
    for text, line in elements(data, source):
        where = f"{source}:{line}"
        try:
            row = msgspec.json.decode(text, type=dict[str, Any])
        except UNREADABLE as error:
            raise MalformedHistory(f"what cannot be read ({error})", "a JSON object", where) from None
        require_single_value(text, row, where)
        pairs.append(_pair(row, where, counted))
        lines.append(line)
    options: Any = {"lenient": lenient, "conventions": CONVENTIONS, "counted": counted}
    return History.of_rows(pairs, lines, source=source, **options)


def _lower(row: dict[str, Any], where: str) -> dict[str, Any]:
    lowered = {name.lower().replace("_", ""): item for name, item in row.items()}
    if len(lowered) < len(row):
        found = f"an object with a member twice, in two spellings ({', '.join(map(repr, row))})"
        raise MalformedHistory(found, "each member of an object once", where)
    return lowered


def _pair(raw: dict[str, Any], where: str, counted: Counter[str]) -> Pair:
    row = _lower(raw, where)
    asked, call, ret, client = row.get("input"), row.get("call"), row.get("return"), row.get("clientid")
    if not isinstance(asked, dict) or type(call) is not int:
        raise MalformedHistory("an operation without Input or Call", "ClientId, Input, Call, Output, Return", where)
    if not (ret is None or type(ret) is int) or not (client is None or type(client) is int):
        raise MalformedHistory(f"ClientId {client!r} and Return {ret!r}", "integers", where)
    if ret is not None and 0 <= ret < call:
        raise MalformedHistory(f"a return at {ret} of a call at {call}", "a return that is not before its call", where)
    asked = _lower(asked, where)
    for field in sorted((row.keys() - FIELDS) | (asked.keys() - INPUT_FIELDS)):
        counted[f"field {field!r}, which is none of an operation's: not judged"] += 1
    name: Any = asked.get("op", asked.get("f"))
    if type(name) is int and 0 <= name < len(NUMBERS):
        name = NUMBERS[name]
    if not isinstance(name, str):
        raise MalformedHistory(f"op {name!r}", f"a name, or a number below {len(NUMBERS)}", where)
    f = NAMES.get(name.lower(), name.lower())
    known = ret is not None and ret >= 0
    told = row.get("output")
    if isinstance(told, dict):
        told = _lower(told, where)
        for field in sorted(told.keys() - {"value"}):
            counted[f"field {field!r} of an output: not judged"] += 1
        if known and f == "read" and "value" not in told:
            raise MalformedHistory("the output of a get without value", "a value, or an output that is one", where)
        told = told.get("value")
    return Pair(
        f=f,
        key=asked.get("key"),
        value=None if f == "read" else asked.get("value"),
        result=told if f == "read" else UNSET,  # what its model answers to a put or an append says nothing
        process=client,
        call=call,
        ret=ret if known else None,
    )
