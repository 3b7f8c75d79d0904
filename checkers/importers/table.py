"""A table of intervals: one operation a row, separated by commas, as a spreadsheet or a few lines of any program write.

    process,f,key,value,result,call,return
    0,write,x,1,,0.0,0.7
    1,read,x,,1,0.5,

The first row names the columns, in any order. `f`, `call` and `return` must be there; `process`, `key`, `value`,
`result`, `type` and `error` may be. A cell that is JSON is what it says (`1`, `[1, 2]`, `"1"`), any other one is a
text, and an empty one is null. Processes are numbers, or else names, which are numbered in the order of the rows. Call
and return are numbers, whole or decimal, in any unit: they are compared, exactly, and nothing else is done with them.
An operation without return, or of type info, is of unknown outcome.

Intervals are closed: an operation that returns at the instant at which another is called may take effect after it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from checkers.conventions import Conventions
from checkers.history import History
from checkers.intervals import Pair
from checkers.malformed import MalformedHistory
from checkers.members import require_single_value

CONVENTIONS: Final = Conventions(source="csv", failed_cas="by-error", nil_read="absent")

NEEDED: Final = ("f", "call", "return")
COLUMNS: Final = ("process", "f", "key", "value", "result", "type", "error", "call", "return")
TYPES: Final = ("ok", "fail", "info")


def load(text: str, *, source: str, lenient: bool = False) -> History:
    """Read a table."""
    pairs: list[Pair] = []
    clients: dict[Any, int] = {}
    lines: list[int] = []
    counted: Counter[str] = Counter()
    for row, line in _rows(text, source):
        where = f"{source}:{line}"
        for name in row.keys() - set(COLUMNS):
            if row[name]:
                counted[f"column {name!r}, which is none of a table's: not judged"] += 1
        pairs.append(_pair(row, where, clients))
        lines.append(line)
    options: Any = {"lenient": lenient, "conventions": CONVENTIONS, "counted": counted}
    return History.of_rows(pairs, lines, source=source, **options)


def is_header(first: str) -> bool:
    """Whether a first line names the columns of such a table."""
    try:
        cells = next(csv.reader([first], strict=True), [])
    except csv.Error:
        return False
    names = [name.strip().lower() for name in cells]
    return len(names) > 1 and "f" in names and all(name.isidentifier() for name in names)


def _rows(text: str, source: str) -> Iterator[tuple[dict[str, str], int]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    line = 1
    try:
        for cells in reader:
            where, line = f"{source}:{line}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip().lower() for cell in cells]
                if missing := [name for name in NEEDED if name not in names]:
                    raise MalformedHistory(f"no column {missing[0]!r}", f"columns {', '.join(COLUMNS)}", where)
                if len(set(names)) < len(names):
                    raise MalformedHistory("a column twice", "each column once", where)
                continue
            if len(cells) != len(names):
                raise MalformedHistory(f"{len(cells)} cells", f"{len(names)}, as in the first row", where)
            yield dict(zip(names, map(str.strip, cells), strict=True)), int(where.rpartition(":")[2])
    except csv.Error as error:
        raise MalformedHistory(f"a row that cannot be read ({error})", "a table", f"{source}:{line}") from None


def _pair(row: dict[str, str], where: str, clients: dict[Any, int]) -> Pair:
    kind = row.get("type", "")
    if kind and kind not in TYPES:
        raise MalformedHistory(f"type {kind!r}", f"one of {', '.join(TYPES)}, or nothing", where)
    process = _cell(row.get("process", ""), where)
    if process is not None:
        if type(process) not in (int, str) or any(type(client) is not type(process) for client in clients):
            raise MalformedHistory(f"process {process!r}", "integers for all, or names for all", where)
        process = clients.setdefault(process, process if type(process) is int else len(clients))
    call = _instant(row["call"], where)
    ret = _instant(row["return"], where) if row["return"] else None
    if not row["f"]:
        raise MalformedHistory("no f", "the name of a function", where)
    if ret is not None and ret < call:
        raise MalformedHistory(f"a return at {ret} of a call at {call}", "a return that is not before its call", where)
    if ret is None and kind in ("ok", "fail"):
        raise MalformedHistory(f"type {kind} without return", "a return, or type info", where)
    value, result = _cell(row.get("value", ""), where), _cell(row.get("result", ""), where)
    return Pair(
        f=row["f"],
        key=_cell(row.get("key", ""), where),
        value=value,
        result=result,
        process=process,
        type=kind or None,  # type: ignore[arg-type]  # one of the three
        error=_cell(row.get("error", ""), where),
        call=call,
        ret=ret,
    )


def _cell(text: str, where: str) -> Any:
    if not text:
        return None
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    except RecursionError as error:
        raise MalformedHistory(f"a cell that cannot be read ({error})", "a value", where) from None
    if "{" in text:
        require_single_value(text.encode(), value, where)
    return value


def _instant(text: str, where: str) -> Decimal:
    try:
        instant = Decimal(text)
    except InvalidOperation:
        raise MalformedHistory(f"an instant {text!r}", "a number", where) from None
    if not instant.is_finite():
        raise MalformedHistory(f"an instant {text!r}", "a finite number", where)
    return instant
