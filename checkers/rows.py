"""From lines to rows: operations taken apart as they arrive, with no object kept of them.

A million operations as objects take a gigabyte; as columns a tenth of it, and less time. Of an operation only what the
checks of registers and of counters ask for is kept: when it was called and returned, what it saw and what it wrote or
added, and its key.

Only what is plain is taken: well-formed lines of reads, writes, cas and adds whose completions answer their invokes.
Anything else raises `NotPlain`, and the file is left to the readers that make objects. Operations are admitted as by
`checkers.admission`, under the source's conventions, and counted in the same words.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from functools import cache
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET

from checkers.conventions import Conventions
from checkers.kinds import FLOATS_DIFFER
from checkers.linearizability.fast import counters, zones
from checkers.linearizability.fast.zones import CAS, IGNORED, READ, REFUSED, WRITE
from checkers.op import NEMESIS, Op, OpType
from checkers.operation import INF, NEGATIVE_ANSWERS, Operation, pair
from checkers.values import freeze

LOOKED_AT: Final = 2_000
"""Rows after which a file whose values repeat is given up: it is for the general engines."""

ADD: Final = 16
GET: Final = 17
"""Kinds of rows of counters, beside READ: blind adds, and adds that were answered with the sum."""

_PENDING_READ: Final = 254

_FINAL: Final = bytes(IGNORED if kind == _PENDING_READ else kind for kind in range(256))
"""What a kind is once nothing more is to come: a read that is still pending says nothing."""

_OF_COUNTERS: Final = bytes({READ: counters.READ, ADD: counters.ADD, GET: counters.GET}.get(k, k) for k in range(256))

SCALARS: Final = frozenset({type(None), int, float, str})
"""Types of values and keys that rows are made of; others may be equal in ways of their own, or not be hashable."""

EXACT: Final = SCALARS - {float}
"""The same for sources in which a float is never equal to an integer."""

REGISTER: Final = frozenset({"read", "write", "cas"})
COUNTER: Final = frozenset({"read", "add", "add-and-get"})
"""Functions of which rows can be made."""


class Line(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A line of our own; an `Op` is as good."""

    process: int | str
    type: OpType
    f: str
    index: int | msgspec.UnsetType = msgspec.UNSET
    time: int | msgspec.UnsetType = msgspec.UNSET
    key: Any = None
    value: Any = None
    error: Any = None


OPTIONAL: Final = {"index": int, "time": int, "key": Any, "value": Any, "error": Any}
"""The members that a line may have, with their types."""


@cache
def line_with(members: frozenset[str]) -> type[Line]:
    """A line that has all of these optional members, be they null."""
    fields = [(name, kind) for name, kind in OPTIONAL.items() if name in members]
    kind = msgspec.defstruct("LineWith", fields, bases=(Line,), kw_only=True, gc=False, forbid_unknown_fields=True)
    return cast(type[Line], kind)


class NotPlain(Exception):
    """A line that this reader leaves to those that make objects."""


class RowReader:
    """Takes lines apart into columns, one row an operation, in the order of calls."""

    def __init__(self, conventions: Conventions, *, chooses: bool) -> None:
        self.conventions = conventions
        self.chooses = chooses
        self.nil_says_nothing = conventions.nil_read == "anything"
        self.scalars = EXACT if conventions.source in FLOATS_DIFFER else SCALARS
        self.calls = array("q")
        self.returns = array("q")
        self.kinds = bytearray()
        self.olds: list[Any] = []
        self.news: list[Any] = []
        self.keys: list[Hashable] = []
        self.has_keys = False
        self.functions: dict[str, None] = {}  # those that were called, in the order of their first calls
        self.rows: dict[
            int, tuple[int, Line | Op] | None
        ] = {}  # process -> row and invoke of its open operation, or ended
        self.forms: dict[Hashable, Operation] = {}
        self.known: dict[Hashable, int] = {}  # types of an ok operation -> its first call
        self.counted: dict[str, list[int]] = {}  # words -> how often, and the first call
        self.needed: set[Hashable] = set()  # keys of operations that were judged and have no row
        self.index = -1
        self.time = 0  # as that of a line without time
        self.looked = False

    def take(self, ops: Iterable[Line | Op]) -> None:
        """Take some lines."""
        index, last_time = self.index, self.time
        rows, known, chooses, functions = self.rows, self.known, self.chooses, self.functions
        has_read, has_write = "read" in functions, "write" in functions
        calls, returns, kinds, olds, news, keys = (
            self.calls,
            self.returns,
            self.kinds,
            self.olds,
            self.news,
            self.keys,
        )
        nil_says_nothing, scalars = self.nil_says_nothing, self.scalars
        for op in ops:
            here, instant = op.index, op.time
            if here is UNSET:
                index += 1
            elif index < here < INF:
                index = here
            else:
                raise NotPlain
            if instant is not UNSET:
                if instant < last_time:
                    raise NotPlain
                last_time = instant
            process = op.process
            if type(process) is not int:
                if process != NEMESIS:
                    raise NotPlain
                continue
            if op.type == "invoke":
                if process in rows:
                    raise NotPlain
                f = op.f
                value = op.value
                if f == "write" and value.__class__ in scalars:
                    kinds.append(WRITE)
                    olds.append(None)
                    news.append(value)
                    if not has_write:
                        has_write, functions[f] = True, None
                elif f == "read" and value is None:
                    kinds.append(_PENDING_READ)
                    olds.append(None)
                    news.append(None)
                    if not has_read:
                        has_read, functions[f] = True, None
                else:
                    self.ask(f, value)
                key = op.key
                if key is not None:
                    if key.__class__ not in scalars:
                        raise NotPlain
                    self.has_keys = True
                rows[process] = len(calls), op
                calls.append(index)
                returns.append(INF)
                keys.append(key)
                continue
            entry = rows.pop(process, None)
            if entry is None:
                raise NotPlain
            row, invoke = entry
            f = invoke.f
            if op.f != f or (op.key is not None and op.key != invoke.key):
                raise NotPlain
            kind = op.type
            if kind == "ok":
                value = op.value
                if f == "write":
                    if value is not None and value is not True and value != invoke.value:
                        raise NotPlain
                elif f == "read":
                    if value.__class__ not in scalars:
                        raise NotPlain
                    if value is None and nil_says_nothing:
                        self.leave_out("read that saw null, which says nothing in this source: not judged", row)
                        continue
                    kinds[row] = READ
                    olds[row] = value
                else:
                    self.answer(f, value, invoke.value, row)
                returns[row] = index
            else:
                self.other(op, invoke, row, index)
            if chooses:
                form = f, kind, invoke.value.__class__, op.value.__class__
                if calls[row] < known.get(form, INF):
                    self.note_form(invoke, op, calls[row], index)
                    if f != "cas" and kind == "ok":
                        known[form] = calls[row]
        if index >= INF:
            raise NotPlain
        self.index, self.time = index, last_time
        if not self.looked and len(calls) >= LOOKED_AT:
            self.looked = True
            self.require_unique_values()

    def ask(self, f: str, value: Any) -> None:
        """Take the invoke of what is neither a read nor a write: what it may do while it is not answered."""
        self.functions[f] = None
        if f == "cas" and _is_pair(value, self.scalars):
            old, new = value
            # Without an answer it may have happened, unless it changes nothing.
            self.kinds.append(CAS if old != new else IGNORED)
            self.olds.append(old)
            self.news.append(new)
        elif (f == "add" or f == "add-and-get") and type(value) is int:
            self.kinds.append(ADD if value else IGNORED)
            self.olds.append(0)
            self.news.append(value)
        else:
            raise NotPlain

    def answer(self, f: str, told: Any, asked: Any, row: int) -> None:
        """Take the ok completion of what is neither a read nor a write."""
        if f == "add-and-get":
            if not (_is_pair(told, SCALARS) and type(told[0]) is type(told[1]) is int and told[0] == asked):
                raise NotPlain
            self.kinds[row] = GET if asked else READ
            self.olds[row] = told[1]
            return
        if not (told is None or told is True or told == asked or (f == "cas" and told == self.news[row])):
            raise NotPlain
        if self.kinds[row] == IGNORED:
            if f == "cas":
                self.kinds[row] = READ
            else:
                self.needed.add(self.keys[row])

    def other(self, op: Line | Op, invoke: Line | Op, row: int, index: int) -> None:
        """Take a completion that is not ok."""
        f, error = invoke.f, op.error
        if op.type == "info":
            self.rows[int(invoke.process)] = None
            if f == "read":
                self.leave_out("read of unknown outcome, which constrains nothing", row)
            elif self.kinds[row] == IGNORED:
                self.needed.add(self.keys[row])
        elif f == "cas" and self.conventions.failed_cas == "nothing":
            self.needed.add(self.keys[row])
            self.leave_out("failed cas, which says nothing in this source: taken as not executed", row)
        elif f == "cas" and error == "precondition-failed":
            self.kinds[row] = REFUSED
            self.returns[row] = index
        elif type(error) is str and error in NEGATIVE_ANSWERS:
            raise NotPlain
        else:
            self.needed.add(self.keys[row])
            self.leave_out(f"{f} that failed without being executed: as if never asked", row)

    def finish(self) -> Mapping[Hashable, zones.Columns]:
        """End the file: what is still open never returned. Return the columns of each key."""
        for row, invoke in filter(None, self.rows.values()):
            if invoke.f == "read":
                self.leave_out("read of unknown outcome, which constrains nothing", row)
            elif self.kinds[row] == IGNORED:
                self.needed.add(self.keys[row])
            if self.chooses:
                self.note_form(invoke, None, self.calls[row], INF)
        columns = self.split()
        if not self.needed <= columns.keys():
            raise NotPlain  # an object of which no row is known
        if not any(ret != INF for part in columns.values() for ret in part.returns):
            raise NotPlain  # nothing was judged
        return columns

    def counts(self) -> Counter[str]:
        """What was left out, in words, in the order of the operations."""
        ordered = sorted(self.counted.items(), key=lambda item: item[1][1])
        return Counter({what: count for what, (count, _) in ordered})

    def split(self) -> Mapping[Hashable, zones.Columns]:
        """Make the columns of each key of what was read so far."""
        whole = zones.Columns(self.calls, self.returns, bytes(self.kinds.translate(_FINAL)), self.olds, self.news)
        return whole.by_key(self.keys) if self.has_keys else {None: whole}

    def require_unique_values(self) -> None:
        """Give up early where a value was written twice, for which this reading would be in vain."""
        for part in self.split().values():
            values = part.written()
            if len(set(values)) < len(values):
                raise NotPlain

    def leave_out(self, what: str, row: int) -> None:
        """Count an operation that constrains nothing."""
        self.kinds[row] = IGNORED
        call = self.calls[row]
        entry = self.counted.setdefault(what, [0, call])
        entry[0] += 1
        entry[1] = min(entry[1], call)

    def note_form(self, invoke: Line | Op, completion: Line | Op | None, call: int, ret: int) -> None:
        """Keep the first operation of each form, by which a model is chosen."""
        f, value = invoke.f, invoke.value
        if completion is None or completion.type == "info":
            form: Any = (f, "info", _types(value))
        elif completion.type == "ok":
            form = (f, "ok", _types(value), _types(completion.value))
        else:
            form = (f, "fail", _types(value), freeze(completion.error))
        known = self.forms.get(form)
        if known is None or call < known.call:
            told = None if completion is None else _op(completion, ret)
            self.forms[form] = pair(_op(invoke, call), told)

    def representatives(self) -> list[Operation]:
        """The first operation of each form, in the order of their calls."""
        return sorted(self.forms.values(), key=lambda operation: operation.call)


def of_counter(columns: zones.Columns) -> counters.Columns:
    """Make the columns of a counter; raises `NotPlain` where a read saw what is no integer."""
    if set(map(type, columns.olds)) - {int}:
        raise NotPlain
    deltas = [new or 0 for new in columns.news]
    return counters.Columns(columns.calls, columns.returns, columns.kinds.translate(_OF_COUNTERS), deltas, columns.olds)


def _op(line: Line | Op, index: int) -> Op:
    return Op(
        index=index,
        time=0,
        process=line.process,
        type=line.type,
        f=line.f,
        key=line.key,
        value=line.value,
        error=line.error,
    )


def _is_pair(value: Any, scalars: frozenset[type]) -> bool:
    return value.__class__ in (list, tuple) and len(value) == 2 and all(part.__class__ in scalars for part in value)


def _types(value: Any) -> Any:
    return tuple(part.__class__ for part in value) if value.__class__ in (list, tuple) else value.__class__
