"""Jepsen's histories: EDN (`history.edn`) and text logs (`history.txt`, `jepsen.log`), and what Knossos and Elle read.

In EDN an op is a map, or `#jepsen.history.Op{...}`, one after the other or all in one vector; keys in any order.
Knossos also writes `[process type f value]`. A text log has columns: process, type, f, value, and sometimes an error,
after whatever the logger puts before them; other lines of a log are counted.

    INFO  jepsen.util - 0  :invoke  :write  1
    INFO [2019-03-01 10:00:00,000] jepsen worker 0 - jepsen.util 0  :invoke  :write  1
    INFO [jepsen worker 0] jepsen.util: 0  :invoke  :write  1

The order of lines is the real-time order. A time that goes back is raised to the one before it: times are for people.
Values of independent keys (`[key value]`, in every op of the history) become key and value. The micro-operations
`[:read k v]` and `[:write k v]` of a transaction become `["r", k, v]` and `["w", k, v]`.

Examples of transactions often leave out `:f`, which is then `txn`; or the invokes, and `:process` too. Transactions
without any invoke are read in the widest sense that their processes allow: each was called when the one before it of
its process had returned, or before the first line; without `:process` each is of a process of its own.

Conventions are the source's own. Knossos drops failed ops and takes a read of nil as a wildcard, so EDN does; the etcd
logs that Porcupine is tested with mean that a failed cas did not find `old`, and nil that nothing was there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, Final

import msgspec

from checkers.conventions import Conventions
from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.op import NEMESIS, Op

from . import edn, edn_lines

EDN: Final = Conventions(source="edn", failed_cas="nothing", nil_read="anything")
LOG: Final = Conventions(source="jepsen-log", failed_cas="constraint", nil_read="absent")

TYPES: Final = ("invoke", "ok", "fail", "info")
FIELDS: Final = ("index", "time", "process", "type", "f", "key", "value", "error")
MICRO: Final = {"read": "r", "write": "w"}

LINE: Final = re.compile(
    r"(?:.*?(?:\s-\s+(?:\S+\s+)?|\s\S+:\s+))??"
    r"(?P<process>\d+|:nemesis)\s+:(?P<type>invoke|ok|fail|info)\s+:(?P<f>\S+)(?:\s+(?P<rest>.*))?"
)
"""One line of a text log, with or without what loggers put before it."""

_LIKE_A_LINE: Final = re.compile(r"(?:.*[\s:])?(?:\S*\d|nil|:nemesis)\s+:(?:invoke|ok|fail|info)\b.*")
"""What may be an op, but could not be read as one."""

_CUT_OFF: Final = re.compile(r".*\bjepsen\.util(?::|\s+-)?\s+(?:\d+|:nemesis)\s*(?::\w*)?\s*")
"""An op of which the line ends before its function: what was written last is not known."""


def load_edn(text: str, *, source: str, lenient: bool = False, independent: bool | None = None) -> History:
    """Read a history in EDN. `independent` says whether values are [key value]; None finds out."""
    if (read := edn_lines.read_lines(text, lone_op)) is not None:
        ops, lines = read
        if any(op.type == "invoke" for op in ops):
            if _tells_keys(ops) if independent is None else independent:
                ops = [_with_key(op) for op in ops]
            return History(ops, source=source, lines=lines, lenient=lenient, conventions=EDN)
    rows = [(_map(form.value, f"{source}:{form.line}"), form.line) for form in edn.read(text, source)]
    return build(rows, source=source, lenient=lenient, independent=independent, conventions=EDN)


def load_log(text: str, *, source: str, lenient: bool = False, independent: bool | None = None) -> History:
    """Read a text log."""
    rows = []
    counted: Counter[str] = Counter()
    kinds: edn.Kinds = {}
    asked: dict[Any, Any] = {}  # process -> the value of its last invoke
    for number, line in enumerate(text.split("\n"), 1):
        match = LINE.fullmatch(line.rstrip())
        if match is not None:
            row = _columns(match, f"{source}:{number}", kinds, asked)
            if row["type"] == "invoke":
                asked[row["process"]] = row["value"]
            rows.append((row, number))
        elif _LIKE_A_LINE.fullmatch(line):
            raise MalformedHistory(f"{line.strip()[:60]!r}", "process, :type, :f and value", f"{source}:{number}")
        elif _CUT_OFF.fullmatch(line):
            found = f"a line that is cut off ({line.strip()[-60:]!r})"
            raise MalformedHistory(found, "process, :type, :f and value", f"{source}:{number}")
        elif line.strip():
            counted["line of the log that is no operation"] += 1
    if not rows:
        raise MalformedHistory("no line with an op", "process, :invoke, :f, value", f"{source}:1")
    return build(rows, source=source, lenient=lenient, independent=independent, conventions=LOG, counted=counted)


def lone_op(row: dict[str, Any], index: int) -> Op:
    """Make an op of a map of its own, whose value keeps a key that may be in it."""
    return _op(_named(row), index, False, "line")


def _with_key(op: Op) -> Op:
    """Take the key of an independent object out of a value."""
    if op.process == NEMESIS or not _is_tuple(op.value):
        return op
    return msgspec.structs.replace(op, key=op.value[0], value=op.value[1])


def _tells_keys(ops: Iterable[Op]) -> bool:
    """Whether every client's op carries [key value], as `_is_independent` says of maps."""
    invokes = (op for op in ops if op.type == "invoke" and op.key is None)
    return _is_independent({"type": op.type, "process": op.process, "f": op.f, "value": op.value} for op in invokes)


def _map(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, list) and len(value) in (3, 4) and value[1] in TYPES:
        return dict(zip(("process", "type", "f", "value"), value))
    if not isinstance(value, dict):
        expected = "a map with :process, :type and :f, or [process type f value]"
        raise MalformedHistory(f"a {type(value).__name__}", expected, where)
    return value


def _columns(match: re.Match[str], where: str, kinds: edn.Kinds, asked: Mapping[Any, Any]) -> dict[str, Any]:
    """Read the columns of a line. `asked` has what each process asked last: a text that repeats it is no error."""
    columns = edn.forms(match["rest"] or "nil", where, kinds, are_values=True)
    if len(columns) > 2:
        raise MalformedHistory(f"{len(columns)} forms after :{match['f']}", "a value, and perhaps an error", where)
    row: dict[str, Any] = {
        "process": NEMESIS if match["process"] == ":nemesis" else int(match["process"]),
        "type": match["type"],
        "f": match["f"],
        "value": columns[0] if columns else None,
        "error": columns[1] if len(columns) > 1 else None,
    }
    is_answer = row["type"] in ("fail", "info") and row["error"] is None
    if is_answer and isinstance(row["value"], str) and row["value"] != asked.get(row["process"]):
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
    counted: Mapping[str, int] | None = None,
) -> History:
    """Make a history of maps with their lines."""
    rows = [(_named(row), line) for row, line in rows]
    counts = Counter(counted or {})
    if rows and all(row.get("type") != "invoke" and row.get("f") == "txn" for row, _ in rows):
        rows = _with_invokes(rows, counts)
    split = _is_independent(row for row, _ in rows) if independent is None else independent
    indexed = all(type(row.get("index")) is int for row, _ in rows)
    ops: list[Op] = []
    time = 0
    for position, (row, line) in enumerate(rows):
        where = f"{source}:{line}"
        op = _op(row, position if not indexed else row["index"], split, where)
        time = max(time, op.time)
        ops.append(op if op.time == time else msgspec.structs.replace(op, time=time))
    lines = [line for _, line in rows]
    return History(ops, source=source, lines=lines, lenient=lenient, conventions=conventions, counted=counts)


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Give a transaction its name where it has none, and its micro-operations our names."""
    value: Any = row.get("value")
    if row.get("f", "txn") != "txn" or not _is_transaction(value):
        return row
    if not any(micro[0] in MICRO for micro in value):
        return row if "f" in row else {**row, "f": "txn"}
    return {**row, "f": "txn", "value": [[MICRO.get(micro[0], micro[0]), *micro[1:]] for micro in value]}


def _is_transaction(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(micro, list) and len(micro) == 3 and isinstance(micro[0], str) for micro in value
    )


def _with_invokes(
    rows: Sequence[tuple[dict[str, Any], int]], counted: Counter[str]
) -> list[tuple[dict[str, Any], int]]:
    """Put an invoke before each completion of a file that has none: as early as its process allows."""
    if not any("process" in row for row, _ in rows):
        rows = [({**row, "process": number}, line) for number, (row, line) in enumerate(rows)]
        counted["operation without process: one of its own"] += len(rows)
    later: dict[int, tuple[dict[str, Any], int]] = {}  # position of a completion -> the invoke that follows it
    first: list[tuple[dict[str, Any], int]] = []
    last: dict[Any, int] = {}  # process -> position of its last completion
    for position, (row, line) in enumerate(rows):
        process = row.get("process")
        if type(process) is not int or row.get("type") not in TYPES:
            continue
        invoke = ({**row, "type": "invoke", "error": None, "value": _asked(row)}, line)
        if process in last:
            later[last[process]] = invoke
        else:
            first.append(invoke)
        last[process] = position
        counted["completion in a file without invokes: called as early as its process allows"] += 1
    found = first
    for position, completion in enumerate(rows):
        found.append(completion)
        if position in later:
            found.append(later[position])
    return [({name: item for name, item in row.items() if name != "index"}, line) for row, line in found]


def _asked(row: Mapping[str, Any]) -> Any:
    """What a transaction asked, of which only the answer is known."""
    value: Any = row.get("value")
    if not _is_transaction(value):
        return value
    return [[f, key, None if f == "r" else item] for f, key, item in value]


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
    if not isinstance(time, int | float) or (isinstance(time, float) and not isfinite(time)):
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
    found = False
    for row in rows:
        if row.get("type") == "invoke" and row.get("process") != NEMESIS and "key" not in row:
            value: Any = row.get("value")
            if not _is_tuple(value) or row.get("f") == "txn":
                return False
            found = found or row.get("f") != "cas" or isinstance(value[1], list)
    return found
