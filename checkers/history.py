"""Histories: what clients saw, one event a line, in Jepsen's shape.

The real-time order is the order of lines (`Op.index`), never `Op.time`, which is for people and latencies. Operation a
precedes operation b exactly when the index of a's completion is smaller than the index of b's invoke; intervals are
closed, so operations that touch in one instant overlap. That is why sources with timestamps alone must put all invokes
of an instant before its completions:

    process 0   |-- write 1 --|               both return at t = 5, and process 1 calls at t = 5: nothing says that
    process 1                 |-- read 0 --|  write 1 took effect before read 0 was asked, so read 0 is legal

A `History` is well-formed by construction. It pairs each invoke with its completion, and an `Operation` is such a pair:

* `ok`: it happened, with `result`.
* `fail` with a word of `NEGATIVE_ANSWERS`: the object was asked and said no. That is an observation, and it constrains.
* `fail` otherwise: it did not happen, and is as if it had never been invoked.
* `info`, also an invoke without any completion: it may take effect at any time after its call, or never.

Values are frozen (lists become tuples), so that models may use them in states; numbers and booleans compare as Python
does.
"""

from __future__ import annotations

import contextlib
import copy
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, overload

import msgspec

OpType = Literal["invoke", "ok", "fail", "info"]
OutcomeType = Literal["ok", "fail", "info"]

NEMESIS: Final = "nemesis"
"""The one process that is not an integer. Its lines are for people: they constrain nothing."""

NEGATIVE_ANSWERS: Final = frozenset({"precondition-failed", "absent", "exists", "empty", "held"})
"""Words of a `fail` with which the state machine answered: such a `fail` is an observation and constrains the state."""

INF: Final = 1 << 62
"""The return index of an operation that never returned: later than any line, and still a machine-size integer."""


class Op(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One line of a history. `process` is an integer, or "nemesis"; `extra` keeps fields that other tools added."""

    index: int
    time: int
    process: int | str
    type: OpType
    f: str
    key: Any = None
    value: Any = None
    error: Any = None
    extra: dict[str, Any] | None = None


class Operation(msgspec.Struct, frozen=True, gc=False):
    """An invoke with its completion: what a client asked, what it was told, and between which two lines.

    `value` is what was asked, `result` what an `ok` completion carried. `call` and `ret` are indexes of lines; `ret` is
    `INF` for an operation whose outcome is unknown.
    """

    process: int
    f: str
    key: Any
    value: Any
    result: Any
    type: OutcomeType
    error: Any
    call: int
    ret: int
    call_time: int = 0
    ret_time: int = 0

    @property
    def is_negative(self) -> bool:
        """The object was asked and answered no."""
        return self.type == "fail" and type(self.error) is str and self.error in NEGATIVE_ANSWERS

    @property
    def is_void(self) -> bool:
        """It certainly did not happen, and told nothing: as if never invoked."""
        return self.type == "fail" and not self.is_negative

    @property
    def is_crashed(self) -> bool:
        """Its outcome is unknown: it may have happened, may yet happen, or never."""
        return self.type == "info"


class MalformedHistory(ValueError):
    """The input is no history: what was found, what was expected, and where. One line, for people."""

    def __init__(self, found: str, expected: str, where: str) -> None:
        self.found = found
        self.expected = expected
        self.where = where
        super().__init__(f"{where}: found {found}; expected {expected}")


class Conventions(msgspec.Struct, frozen=True, kw_only=True):
    """What a source means where tools differ. `check` follows it unless told otherwise, and prints it with the verdict.

    `failed_cas`: a failed cas constrains when its `error` is a negative answer (by-error), or always says that the
    state was not `old` (constraint: Porcupine's etcd logs), or says nothing (nothing: Knossos).
    `nil_read`: an ok read of null saw no value (absent), or says nothing (anything: Knossos).
    """

    source: str = "jsonl"
    failed_cas: Literal["by-error", "constraint", "nothing"] = "by-error"
    nil_read: Literal["absent", "anything"] = "absent"


class History(Sequence[Op]):
    """A well-formed sequence of ops, paired. Constructing one raises `MalformedHistory` where it is not well-formed.

    With `lenient`, what strictness refuses is read in the widest sense: a second invoke makes the first one `info`, an
    operation of a process after its `info` is one more operation, a completion without invoke belongs to an operation
    that was called before the first line, and one with another f or key says nothing about what was asked.

    `counted` is what a reader passed over or read in a way that is not plain, in words; it comes back in `notes`, with
    what is counted here. `gaps` are things left out that could change a verdict: with one, no history is `valid`.
    """

    def __init__(
        self,
        ops: Iterable[Op],
        *,
        source: str = "history",
        lines: Sequence[int] | None = None,
        lenient: bool = False,
        conventions: Conventions | None = None,
        counted: Mapping[str, int] | None = None,
        gaps: Sequence[str] = (),
    ) -> None:
        self._ops = tuple(ops)
        self._lines = lines
        self.source = source
        self.lenient = lenient
        self.conventions = conventions or Conventions()
        self.gaps = tuple(gaps)
        self._counted = Counter(counted or {})
        self._paired = _Pairing(self, self._counted).run()

    @classmethod
    def from_jsonl(cls, data: bytes | str | Path, *, source: str | None = None, lenient: bool = False) -> History:
        """Read JSON lines: bytes are the text itself, a path or a str names a file."""
        if not isinstance(data, bytes):
            source = source or str(data)
            data = Path(data).read_bytes()
        source = source or "history"
        counted: Counter[str] = Counter()
        ops, lines = _decode_lines(data, source, lenient, counted)
        return cls(ops, source=source, lines=lines, lenient=lenient, counted=counted)

    @classmethod
    def from_json_rows(cls, rows: Sequence[tuple[bytes, int]], *, source: str, lenient: bool = False) -> History:
        """Read JSON objects, each with its line: what `from_jsonl` does of lines."""
        ops: list[Op] = []
        for text, line in rows:
            index, time = (ops[-1].index + 1, ops[-1].time) if ops else (0, 0)
            try:
                ops.append(_decode_foreign(text, f"{source}:{line}", index, time))
            except _NotJson as broken:
                raise broken.named(cut_off=False) from None
        return cls(ops, source=source, lines=[line for _, line in rows], lenient=lenient)

    @classmethod
    def from_pairs(cls, pairs: Iterable[Pair], *, source: str = "history", **options: Any) -> History:
        """Make a history of operations that were called and returned at some instants, in any order.

        Instants are compared and nothing else is done with them: integers, seconds, datetimes. Intervals are closed,
        so all invokes of an instant come before its completions.

            History.from_pairs([Pair("write", 1, call=0.0, ret=0.7), Pair("read", result=1, call=0.5, ret=0.9)])
        """
        ops, _ = as_lines(list(pairs))
        return cls(ops, source=source, **options)

    def to_jsonl(self) -> bytes:
        """Write JSON lines, the same bytes for the same ops on every machine."""
        return b"".join(encode_op(op) + b"\n" for op in self._ops)

    def operations(self, *, with_void: bool = False) -> list[Operation]:
        """List the clients' operations in the order of their calls; `with_void`: also those that did not happen."""
        if with_void:
            return list(self._paired)
        return [operation for operation in self._paired if not operation.is_void]

    def by_key(self, *, with_void: bool = False) -> dict[Any, list[Operation]]:
        """Split the operations by key, keys in the order of first use."""
        groups: dict[Any, list[Operation]] = {}
        for operation in self.operations(with_void=with_void):
            groups.setdefault(operation.key, []).append(operation)
        return groups

    def counts(self) -> dict[str, int]:
        """Count the operations by outcome."""
        tally = Counter(operation.type for operation in self._paired)
        return {outcome: tally[outcome] for outcome in ("ok", "fail", "info")}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was passed over or read in a way that is not plain: nothing is left out in silence."""
        return (*(f"{count} x {what}" for what, count in self._counted.items()), *self.gaps)

    def admitted(self, operations: Iterable[Operation]) -> History:
        """Return the same history with these operations in the place of its own: what is left to be judged."""
        twin = copy.copy(self)
        twin._paired = tuple(operations)
        return twin

    def where(self, position: int) -> str:
        """Name the place of the op at this position, for a message."""
        if self._lines is not None:
            return f"{self.source}:{self._lines[position]}"
        return f"{self.source}: op {position}"

    def where_index(self, index: int) -> str:
        """Name the place of the op with this index, for a message."""
        position = bisect_left(self._ops, index, key=lambda op: op.index)
        if position < len(self._ops) and self._ops[position].index == index:
            return self.where(position)
        return self.source

    def __len__(self) -> int:
        return len(self._ops)

    def __iter__(self) -> Iterator[Op]:
        return iter(self._ops)

    @overload
    def __getitem__(self, position: int) -> Op: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Op]: ...
    def __getitem__(self, position: int | slice) -> Op | Sequence[Op]:
        return self._ops[position]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._ops == other._ops

    __hash__ = None  # type: ignore[assignment]  # ops may hold lists

    def __repr__(self) -> str:
        return f"<History {self.source}: {len(self._ops)} ops>"


class Pair(msgspec.Struct, frozen=True):
    """An operation between two instants: what was asked and what was told.

    `ret` None: it is not known to have returned, or what came of it is not known (`type` is then "info"). Without
    `process` it is an operation of a process of its own.
    """

    f: str
    value: Any = None
    key: Any = None
    result: Any = None
    call: Any = 0
    ret: Any = None
    process: int | None = None
    type: OutcomeType | None = None
    error: Any = None

    @property
    def outcome(self) -> OutcomeType:
        """What came of it: ok where it returned and nothing else is said."""
        return self.type or ("info" if self.ret is None else "ok")


def as_lines(pairs: Sequence[Pair]) -> tuple[list[Op], list[int]]:
    """Order the ends of intervals as lines, and say which pair each line came from.

    Intervals are closed: an operation that returns at the instant at which another is called may take effect after it.
    A client whose next call carries the instant of its last return has both open for that instant, so the second one
    gets a process number of its own; and so does what comes after an operation of unknown outcome.
    """
    events = [(pair.call, 0, number) for number, pair in enumerate(pairs)]
    events += [(pair.ret, 1, number) for number, pair in enumerate(pairs) if pair.ret is not None]
    events.sort()
    fresh = max((pair.process for pair in pairs if pair.process is not None), default=-1) + 1
    busy: set[int] = set()
    process: dict[int, int] = {}
    ops: list[Op] = []
    for index, (instant, is_return, number) in enumerate(events):
        pair = pairs[number]
        kind = pair.outcome
        if not is_return:
            client = pair.process
            if client is None or client in busy:
                client, fresh = fresh, fresh + 1
            process[number] = client
            busy.add(client)
        elif kind != "info":
            busy.discard(process[number])
        ops.append(
            Op(
                index=index,
                time=instant if type(instant) is int else index,
                process=process[number],
                type=kind if is_return else "invoke",
                f=pair.f,
                key=pair.key,
                value=pair.value if not is_return or kind != "ok" or pair.result is None else pair.result,
                error=pair.error if is_return else None,
            )
        )
    return ops, [number for _, _, number in events]


class FrozenObject:
    """A JSON object as a value of a state: hashable, equal to equal objects only, and written as an object again."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        self.pairs = tuple(sorted(pairs, key=repr))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenObject) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"FrozenObject({self.pairs!r})"


def freeze(value: Any) -> Any:
    """Make a JSON value hashable: lists become tuples, objects become `FrozenObject`."""
    kind = type(value)
    if kind is list or kind is tuple:
        return tuple(map(freeze, value))
    if kind is dict:
        return FrozenObject((name, freeze(item)) for name, item in value.items())
    return value


def thaw(value: Any) -> Any:
    """Say as what a value that JSON does not have is written: an object as one, a state of a model as its text."""
    if isinstance(value, FrozenObject):
        return dict(value.pairs)
    return str(value) if isinstance(value, Fraction) else repr(value)


UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What reading JSON raises: it is none, it is nested deeper than can be judged, or a text in it is no UTF-8."""

_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=thaw)
_decoder = msgspec.json.Decoder(Op)


def encode_op(op: Op) -> bytes:
    """Encode one op as a JSON object without a line end; fields of other tools come last, sorted."""
    if op.extra is None:
        return _encoder.encode(op)
    known = _encoder.encode(msgspec.structs.replace(op, extra=None))
    if not op.extra:
        return known
    return known[:-1] + b"," + _encoder.encode(op.extra)[1:]


class _BareLine(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A line that leaves its index and time to its place in the file."""

    process: int | str
    type: OpType
    f: str
    key: Any = None
    value: Any = None
    error: Any = None


_bare_decoder = msgspec.json.Decoder(_BareLine)


def _decode_lines(data: bytes, source: str, lenient: bool, counted: Counter[str]) -> tuple[list[Op], Sequence[int]]:
    """Decode the lines that are not blank, with their numbers: all at once if they are plain, else one by one."""
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    with contextlib.suppress(*UNREADABLE):
        ops = _decoder.decode_lines(data)
        if len(ops) == count and all(op.extra is None for op in ops):
            return ops, range(1, count + 1)
    with contextlib.suppress(*UNREADABLE):
        bare = _bare_decoder.decode_lines(data)
        if len(bare) == count:
            ops = [
                Op(index=index, time=0, process=b.process, type=b.type, f=b.f, key=b.key, value=b.value, error=b.error)
                for index, b in enumerate(bare)
            ]
            return ops, range(1, count + 1)
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
                op = _decode_foreign(row, f"{source}:{number}", index + 1, time)
        except UNREADABLE as error:
            try:
                op = _decode_foreign(row, f"{source}:{number}", index + 1, time, cause=error)
            except _NotJson as broken:
                is_last = next(numbered, None) is None
                if lenient and is_last:
                    if counted is not None:
                        counted["last line, cut off: left out"] += 1
                    return
                raise broken.named(cut_off=is_last) from None
        index, time = op.index, op.time
        yield number, op


class _NotJson(Exception):
    """A line that is not JSON, perhaps because the file ends in the middle of it."""

    def __init__(self, error: Exception, where: str) -> None:
        super().__init__(str(error))
        self.where = where

    def named(self, *, cut_off: bool) -> MalformedHistory:
        what = "a line that is cut off" if cut_off else "a line that is not JSON"
        return MalformedHistory(f"{what} ({self})", "one JSON object a line", self.where)


_KNOWN = tuple(name for name in Op.__struct_fields__ if name != "extra")


def _decode_foreign(row: bytes, where: str, index: int, time: int, *, cause: Exception | None = None) -> Op:
    """Decode a line that the fast decoder refused: it has fields of other tools or lacks some, or it is wrong."""
    try:
        fields = msgspec.json.decode(row)
    except UNREADABLE as error:
        raise _NotJson(error, where) from cause
    if not isinstance(fields, dict):
        raise MalformedHistory(f"JSON {type(fields).__name__}", "one JSON object a line", where)
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


class _Pairing:
    """One pass over the lines that checks their order and pairs invokes with completions."""

    def __init__(self, history: History, counted: Counter[str]) -> None:
        self.history = history
        self.lenient = history.lenient
        self.counted = counted
        self.paired: list[Operation | None] = []
        self.open: dict[int, tuple[Op, int, int]] = {}  # process -> invoke, position in `paired`, position of its line
        self.ended: dict[int, int] = {}  # process -> position of the line of its info
        self.headless: list[Operation] = []  # completions without invoke (lenient)

    def run(self) -> tuple[Operation, ...]:
        index, time = -1, None
        for position, op in enumerate(self.history):
            if op.index <= index:
                self.refuse(position, f"index {op.index} after {index}", "indexes that increase")
            if op.index >= INF:
                self.refuse(position, f"index {op.index}", f"indexes below {INF}, which stands for never")
            if time is not None and op.time < time and not self.lenient:
                self.refuse(position, f"time {op.time} after {time}", "times that never decrease")
            index, time = op.index, op.time
            if op.extra:
                for name in op.extra:
                    self.counted[f"field {name!r}, which is none of a history's: not judged"] += 1
            process = op.process
            if type(process) is int:
                if op.type == "invoke":
                    self.invoke(position, op, process)
                else:
                    self.complete(position, op, process)
            elif process != NEMESIS:
                self.refuse(position, f"process {process!r}", 'an integer or "nemesis"')
        for invoke, slot, _ in self.open.values():
            self.paired[slot] = pair(invoke, None)
        return (*reversed(self.headless), *(operation for operation in self.paired if operation is not None))

    def invoke(self, position: int, op: Op, process: int) -> None:
        if not self.lenient:
            if process in self.open:
                where = self.history.where(self.open[process][2])
                found = f"an invoke of process {process} whose invoke at {where} has no completion"
                self.refuse(position, found, "one completion between two invokes of a process")
            if process in self.ended:
                where = self.history.where(self.ended[process])
                found = f"an op of process {process} after its info at {where}"
                self.refuse(position, found, "a new process number after an info")
        elif process in self.open:
            earlier, slot, _ = self.open[process]
            self.paired[slot] = pair(earlier, None)
            self.counted["invoke without completion before the next one of its process: its outcome is unknown"] += 1
        elif process in self.ended:
            del self.ended[process]
            self.counted["op of a process after its info: taken as an operation of its own"] += 1
        self.open[process] = (op, len(self.paired), position)
        self.paired.append(None)

    def complete(self, position: int, op: Op, process: int) -> None:
        entry = self.open.pop(process, None)
        if entry is None:
            if not self.lenient:
                found = f"a completion ({op.type}) of process {process} without invoke"
                self.refuse(position, found, "an invoke of the same process before each completion")
            # Called before the first line: the widest interval that it can have had.
            self.counted["completion without invoke: called before the first line"] += 1
            start = msgspec.structs.replace(op, index=-1 - len(self.headless), type="invoke", error=None)
            self.headless.append(pair(start, op))
            return
        invoke, slot, _ = entry
        if found := other_operation(invoke, op):
            if not self.lenient:
                self.refuse(position, found, "the f and key of the invoke")
            self.counted["completion with another f or key than its invoke, whose outcome is unknown"] += 1
            self.paired[slot] = pair(invoke, None)
            return
        self.paired[slot] = pair(invoke, op)
        if op.type == "info":
            self.ended[process] = position

    def refuse(self, position: int, found: str, expected: str) -> NoReturn:
        raise MalformedHistory(found, expected, self.history.where(position))


def other_operation(invoke: Op, completion: Op) -> str:
    """Say how a completion is one of another operation than this invoke; empty if it is not."""
    if completion.f == invoke.f and (completion.key is None or completion.key == invoke.key):
        return ""
    return f"a completion of {_name(completion)} for an invoke of {_name(invoke)}"


def pair(invoke: Op, completion: Op | None) -> Operation:
    """Make an operation of an invoke and what came of it; None: nothing did."""
    process: Any = invoke.process
    f, key, value = invoke.f, freeze(invoke.key), freeze(invoke.value)
    if completion is None or completion.type == "info" or completion.type == "invoke":
        error = None if completion is None else freeze(completion.error)
        return Operation(process, f, key, value, None, "info", error, invoke.index, INF, invoke.time, INF)
    kind = completion.type
    result = freeze(completion.value) if kind == "ok" else None
    error = freeze(completion.error)
    return Operation(
        process, f, key, value, result, kind, error, invoke.index, completion.index, invoke.time, completion.time
    )


def _name(op: Op) -> str:
    return op.f if op.key is None else f"{op.f} of key {show(op.key)}"


def show(value: Any) -> str:
    """Print a value for people, as JSON where it is JSON."""
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(map(show, value))) + "}"
    if isinstance(value, FrozenObject):
        value = dict(value.pairs)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{show(key)}: {show(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(show, value)) + "]"
    if isinstance(value, bool | int | float | str) or value is None:
        return msgspec.json.encode(value).decode()
    return str(value) if isinstance(value, Fraction) else repr(value)
