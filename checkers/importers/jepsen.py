"""Jepsen's histories: EDN (`history.edn`) and text logs (`history.txt`, `jepsen.log`).

In EDN an op is a map, or `#jepsen.history.Op{...}`, one after the other or all in one vector; keys in any order. A text
log has columns: process, type, f, value, and sometimes an error; other lines of a log are skipped.

The order of lines is the real-time order. A time that goes back is raised to the one before it: times are for people.
Values of independent keys (`[key value]`, in every op of the history) become key and value.

Conventions are the source's own. Knossos drops failed ops and takes a read of nil as a wildcard, so EDN does; the etcd
logs that Porcupine is tested with mean that a failed cas did not find `old`, and nil that nothing was there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from checkers.history import NEMESIS, Conventions, History, MalformedHistory, Op

from . import edn

EDN: Final = Conventions(source="edn", failed_cas="nothing", nil_read="anything")
LOG: Final = Conventions(source="jepsen-log", failed_cas="constraint", nil_read="absent")

TYPES: Final = ("invoke", "ok", "fail", "info")
FIELDS: Final = ("index", "time", "process", "type", "f", "key", "value", "error")

LINE: Final = re.compile(
    r"(?:.*\s-\s+)?(?P<process>\d+|:nemesis)\s+:(?P<type>invoke|ok|fail|info)\s+:(?P<f>\S+)(?:\s+(?P<rest>.*))?"
)
"""One line of a text log: `INFO  jepsen.util - 3  :invoke  :cas  [1 2]`, or the same without what comes before."""


def load_edn(text: str, *, source: str, lenient: bool = False, independent: bool | None = None) -> History:
    """Read a history in EDN. `independent` says whether values are [key value]; None finds out."""
    rows = [(_map(form.value, f"{source}:{form.line}"), form.line) for form in edn.read(text, source)]
    return build(rows, source=source, lenient=lenient, independent=independent, conventions=EDN)


def load_log(text: str, *, source: str, lenient: bool = False, independent: bool | None = None) -> History:
    """Read a text log."""
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        match = LINE.fullmatch(line.rstrip())
        if match is not None:
            rows.append((_columns(match, f"{source}:{number}"), number))
    if not rows:
        raise MalformedHistory("no line with an op", "process, :invoke, :f, value", f"{source}:1")
    return build(rows, source=source, lenient=lenient, independent=independent, conventions=LOG)


def _map(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedHistory(f"a {type(value).__name__}", "a map with :process, :type and :f", where)
    return value


def _columns(match: re.Match[str], where: str) -> dict[str, Any]:
    columns = edn.forms(match["rest"] or "nil", where)
    row: dict[str, Any] = {
        "process": NEMESIS if match["process"] == ":nemesis" else int(match["process"]),
        "type": match["type"],
        "f": match["f"],
        "value": columns[0],
        "error": columns[1] if len(columns) > 1 else None,
    }
    if row["type"] in ("fail", "info") and row["error"] is None and isinstance(row["value"], str):
        row["error"], row["value"] = row["value"], None  # `:info :write :timed-out`
        if row["f"] != "read":
            row["type"] = "info"  # a request that timed out may have been executed, whatever the log calls it
    return row


def build(
    rows: Sequence[tuple[dict[str, Any], int]],
    *,
    source: str,
    lenient: bool,
    independent: bool | None,
    conventions: Conventions,
) -> History:
    """Make a history of maps with their lines."""
    split = _is_independent(row for row, _ in rows) if independent is None else independent
    indexed = all(isinstance(row.get("index"), int) for row, _ in rows)
    ops: list[Op] = []
    time = 0
    for position, (row, line) in enumerate(rows):
        where = f"{source}:{line}"
        op = _op(row, position if not indexed else row["index"], split, where)
        time = max(time, op.time)
        ops.append(op if op.time == time else msgspec.structs.replace(op, time=time))
    lines = [line for _, line in rows]
    return History(ops, source=source, lines=lines, lenient=lenient, conventions=conventions)


def _op(row: dict[str, Any], index: int, split: bool, where: str) -> Op:
    for name in ("process", "type", "f"):
        if name not in row:
            raise MalformedHistory(f"an op without :{name}", "a map with :process, :type and :f", where)
    process, kind, key = row["process"], row["type"], row.get("key")
    value: Any = row.get("value")
    if type(process) is not int and process != NEMESIS:
        raise MalformedHistory(f"process {process!r}", "an integer or :nemesis", where)
    if kind not in TYPES:
        raise MalformedHistory(f"type {kind!r}", "one of " + ", ".join(f":{name}" for name in TYPES), where)
    if split and process != NEMESIS and _is_tuple(value):
        key, value = value
    time = row.get("time", 0)
    if not isinstance(time, int | float):
        raise MalformedHistory(f"time {time!r}", "nanoseconds", where)
    extra = {name: item for name, item in row.items() if name not in FIELDS}
    return Op(
        index=index,
        time=int(time),
        process=process,
        type=kind,
        f=str(row["f"]),
        key=key,
        value=value,
        error=_error(row.get("error")),
        extra=extra or None,
    )


def _error(error: Any) -> Any:
    """Take the word of an error like [:precondition-failed "expected 0, had 1"]."""
    if isinstance(error, list) and error and isinstance(error[0], str):
        return error[0]
    return error


def _is_tuple(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _is_independent(rows: Iterable[dict[str, Any]]) -> bool:
    """Whether every client's op carries [key value]: then a read is invoked with [key nil], and not with nil."""
    invokes = [
        row for row in rows if row.get("type") == "invoke" and row.get("process") != NEMESIS and "key" not in row
    ]
    return (
        bool(invokes)
        and all(_is_tuple(row.get("value")) and row.get("f") != "txn" for row in invokes)
        and any(row.get("f") != "cas" or isinstance(row["value"][1], list) for row in invokes)
    )
