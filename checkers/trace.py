"""The trace: what actors did, one event a row, in one index shared with the history.

An event in memory is a plain tuple, because a run makes a hundred thousand of them:

    (time_ns, kind, actor, *fields)

`time_ns` is true (virtual) time, `kind` one of `FIELDS`, `actor` the name of the actor (or "" for the world itself),
and `fields` are the values that `FIELDS[kind]` names, in that order. A row's index is its position in the sequence.
`as_event` turns a row into the dictionary that `trace.jsonl` holds, one JSON object a line.

The list of kinds is closed. Digests are 8 bytes (16 hexadecimal digits in JSON).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

Row = tuple[Any, ...]
"""(time_ns, kind, actor, *fields)"""

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    # the life of an actor; incarnation counts its starts from 1
    "start": ("incarnation", "code"),
    "stop": ("incarnation", "reason"),
    "crash": ("incarnation", "reason"),
    "refuse": ("incarnation", "reason"),
    # what a replica of a group said of itself (notes of the core)
    "role": ("group", "role", "term"),
    "term": ("group", "term"),
    "vote": ("group", "term", "candidate"),
    "log-append": ("group", "first", "entries"),  # entries: ((term, digest), ...), contiguous from index `first`
    "log-truncate": ("group", "from"),  # entries with index >= from are gone
    "commit": ("group", "log_index"),
    "apply": ("group", "log_index", "command", "state"),  # digest of the entry, digest of the state after it
    "config": ("group", "log_index", "voters", "outgoing", "learners"),  # in force from now on
    "snapshot": ("group", "how", "log_index", "term", "state"),  # how: taken | installed | recovered
    # facts of the network model
    "send": ("id", "target", "kind", "size"),
    "deliver": ("id", "source"),
    "drop": ("id", "reason"),
    "duplicate": ("id", "copy"),
    # facts of the disk model; durable: what this fsync made durable, as (group, last index, term, vote[,
    # last term[, ((index, term, voters, outgoing, learners), ...)]])
    "fsync": ("files", "durable"),
    "persist-fail": ("operation", "reason"),
    # clocks, faults, the rest
    "clock": ("what", "value"),
    "fault-begin": ("fault", "kind", "targets"),
    "fault-end": ("fault", "kind", "outcome"),
    "mark": ("name",),  # a rare event that runs should reach; `Outcome.marks` counts them
    "note": ("group", "text"),
    # a line of the history stands in the same sequence
    "op": ("op",),
}


def as_event(index: int, row: Row) -> dict[str, Any]:
    """Name the fields of a row: the form in which an event is stored and shown."""
    time_ns, kind, actor, *fields = row
    event: dict[str, Any] = {"index": index, "time": time_ns, "actor": actor, "kind": kind}
    event.update(zip(FIELDS[kind], map(_plain, fields), strict=True))
    return event


def as_row(event: dict[str, Any]) -> Row:
    """Read a stored event again as a row. Digests stay text, and tuples are lists.

    Where a kind has a field `kind` of its own (a message's, a fault's), that one is stored under the name, and the
    other fields tell which kind of row it was. Raises KeyError for an event that has not the fields of its kind.
    """
    kind = next((name for name, needed in _SHADOWED.items() if needed <= event.keys()), event["kind"])
    return (event["time"], kind, event["actor"], *(event[name] for name in FIELDS[kind]))


_SHADOWED: Final = {kind: frozenset(names) for kind, names in FIELDS.items() if "kind" in names}
"""Kinds of rows whose own field `kind` hides theirs, with the fields that no other kind has together."""


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
