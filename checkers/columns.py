"""From the bytes of a long file of our own lines to columns of registers, with no object a line.

A million operations as objects take a gigabyte; as columns a tenth of it, and less time. So a file is read in pieces,
each line is taken apart at once, and of an operation only what the check of unique values asks for is kept: when it was
called and returned, what it saw and what it wrote, and its key.

This reader takes plain files only: well-formed lines of reads, writes and cas whose completions answer their invokes.
At the first line that is anything else it gives up, and the file is read again as objects; so it refuses nothing, and
what it says is what would be said of the objects. Operations are admitted as by `checkers.admission`, with one
convention (that of our own lines), and counted in the same words.
"""

from __future__ import annotations

import gzip
import time
import zlib
from collections import Counter
from collections.abc import Hashable, Iterator
from itertools import compress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET

from checkers.admission import Admission
from checkers.history import INF, NEMESIS, Conventions, MalformedHistory, Op, Operation, OpType, freeze, pair
from checkers.linearizability.fast.registers import REGISTERS
from checkers.linearizability.fast.zones import CAS, READ, REFUSED, WRITE, Columns
from checkers.linearizability.front.checker import verdict_of_columns
from checkers.linearizability.result import Limits
from checkers.models import MODELS
from checkers.models.choice import choose_among
from checkers.pause import collection_paused
from checkers.verdict import Verdict

PIECE: Final = 1 << 18
"""Bytes read at a time."""

LOOKED_AT: Final = 2_000
"""Rows after which a file whose values repeat is given up: it is for the general engines."""

GZIP: Final = b"\x1f\x8b"

_DROPPED: Final = 255
"""The kind of a row that constrains nothing."""

_PENDING_READ: Final = 254

_IS_KEPT: Final = bytes(kind < _PENDING_READ for kind in range(256))

FAMILY: Final = ("register", "cas-register")


class _Line(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    process: int | str
    type: OpType
    f: str
    index: int | msgspec.UnsetType = msgspec.UNSET
    time: int | msgspec.UnsetType = msgspec.UNSET
    key: Any = None
    value: Any = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Line)


class NotPlain(Exception):
    """A line that this reader leaves to the one that makes objects."""


def judge(file: Path | bytes, model: str, limits: Limits) -> Verdict | None:
    """Judge a file of our own lines, or its bytes; None: it is not plain, or not valid, and objects must be made.

    `model` is the name of a register, or "auto".
    """
    if model not in (*FAMILY, "auto"):
        return None
    reader = _Reader(chooses=model == "auto")
    try:
        with collection_paused():
            for piece in _pieces(file):
                reader.take(_decoder.decode_lines(piece))
            return _judge(reader, model, limits)
    except (NotPlain, MalformedHistory, msgspec.DecodeError, OSError, EOFError, zlib.error):
        return None


def _judge(reader: _Reader, name: str, limits: Limits) -> Verdict | None:
    columns, samples, counted = reader.finish()
    note = ""
    if name == "auto":
        choice = choose_among(reader.functions(), reader.representatives(), Conventions(), lambda _: "", "")
        name, note = choice.model.name, choice.note
    if name not in FAMILY:
        return None
    model = MODELS[name]
    results = [REGISTERS.decide_rows(part, limits) for part in columns]
    if any(result.validity != "valid" for result in results):
        return None
    admission = Admission(operations=samples, counted=counted)
    verdict = verdict_of_columns(model, admission, results, ops=len(reader.calls), began=reader.began)
    return msgspec.structs.replace(verdict, notes=(note, *verdict.notes)) if note else verdict


def _pieces(file: Path | bytes) -> Iterator[bytes]:
    """Yield whole lines, many at a time."""
    if isinstance(file, bytes):
        begin = 0
        while begin < len(file):
            end = file.find(b"\n", begin + PIECE) + 1 or len(file)
            yield file[begin:end]
            begin = end
        return
    with file.open("rb") as raw:
        is_packed = raw.peek(len(GZIP)).startswith(GZIP)
        stream = gzip.GzipFile(fileobj=raw) if is_packed else raw
        rest = b""
        while piece := stream.read(PIECE):
            whole, newline, rest = (rest + piece).rpartition(b"\n")
            if newline:
                yield whole
        yield rest


class _Reader:
    """Takes lines apart into columns, one row an operation, in the order of calls."""

    def __init__(self, *, chooses: bool) -> None:
        self.began = time.monotonic()
        self.chooses = chooses
        self.calls: list[int] = []
        self.returns: list[int] = []
        self.kinds = bytearray()
        self.olds: list[Any] = []
        self.news: list[Any] = []
        self.keys: list[Hashable] = []
        self.has_keys = False
        self.rows: dict[int, tuple[int, _Line]] = {}  # process -> row and invoke of its open operation
        self.ended: set[int] = set()
        self.forms: dict[Hashable, Operation] = {}
        self.known: dict[Hashable, int] = {}  # types of an ok operation -> its first call
        self.counted: dict[str, list[int]] = {}  # words -> how often, and the first call
        self.index = -1
        self.time = 0  # as that of a line without time
        self.failed_keys: set[Hashable] = set()
        self.looked = False

    def take(self, ops: list[_Line]) -> None:
        """Take some lines."""
        index, last_time = self.index, self.time
        rows, ended, known, chooses = self.rows, self.ended, self.known, self.chooses
        calls, returns, kinds, olds, news, keys = (
            self.calls,
            self.returns,
            self.kinds,
            self.olds,
            self.news,
            self.keys,
        )
        for op in ops:
            here, instant = op.index, op.time
            if here is UNSET:
                index += 1
            elif here > index:
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
                if process in rows or process in ended:
                    raise NotPlain
                f = op.f
                value = op.value
                if f == "write" and value.__class__ is not list and value.__class__ is not dict:
                    kinds.append(WRITE)
                    olds.append(None)
                    news.append(value)
                elif f == "read" and value is None:
                    kinds.append(_PENDING_READ)
                    olds.append(None)
                    news.append(None)
                elif f == "cas" and _is_pair(value):
                    old, new = value
                    # Without an answer it may have happened, unless it changes nothing.
                    kinds.append(CAS if old != new else _DROPPED)
                    olds.append(old)
                    news.append(new)
                else:
                    raise NotPlain
                key = op.key
                if key is not None:
                    if key.__class__ is list or key.__class__ is dict:
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
                    if value.__class__ is list or value.__class__ is dict:
                        raise NotPlain
                    kinds[row] = READ
                    olds[row] = value
                else:
                    if not (value is None or value is True or value == invoke.value or value == news[row]):
                        raise NotPlain
                    if kinds[row] == _DROPPED:
                        kinds[row] = READ
                returns[row] = index
            else:
                self.other(op, invoke, row, index)
            if chooses:
                form = f, kind, invoke.value.__class__, op.value.__class__
                if calls[row] < known.get(form, INF):
                    self.note_form(invoke, op, calls[row], index)
                    if f != "cas" and kind == "ok":
                        known[form] = calls[row]
        self.index, self.time = index, last_time
        if not self.looked and len(calls) >= LOOKED_AT:
            self.looked = True
            self.split()

    def other(self, op: _Line, invoke: _Line, row: int, index: int) -> None:
        """Take a completion that is not ok."""
        f, error = invoke.f, op.error
        if op.type == "info":
            self.ended.add(int(invoke.process))
            if f == "read":
                self.count("read of unknown outcome, which constrains nothing", self.calls[row])
                self.kinds[row] = _DROPPED
            return
        if f == "cas" and error == "precondition-failed":
            self.kinds[row] = REFUSED
            self.returns[row] = index
        elif error in ("absent", "exists", "empty", "held", "precondition-failed"):
            raise NotPlain
        else:
            self.kinds[row] = _DROPPED
            self.failed_keys.add(self.keys[row])
            self.count(f"{f} that failed without being executed: as if never asked", self.calls[row])

    def finish(self) -> tuple[list[Columns], list[Operation], Counter[str]]:
        """End the file: what is still open never returned. Return columns by key, a sample of each, and counts."""
        for row, invoke in self.rows.values():
            if invoke.f == "read":
                self.count("read of unknown outcome, which constrains nothing", self.calls[row])
                self.kinds[row] = _DROPPED
            if self.chooses:
                self.note_form(invoke, None, self.calls[row], INF)
        columns = self.split()
        if not self.failed_keys <= columns.keys():
            raise NotPlain  # an object of which nothing but failures is known
        if not any(ret != INF for part in columns.values() for ret in part.returns):
            raise NotPlain  # nothing was judged
        counted = sorted(self.counted.items(), key=lambda item: item[1][1])
        samples = [_sample(key, part) for key, part in columns.items()]
        return list(columns.values()), samples, Counter({what: count for what, (count, _) in counted})

    def split(self) -> dict[Hashable, Columns]:
        """Make the columns of each key of what was read so far, if no value was written twice."""
        kept = self.kinds.translate(_IS_KEPT)
        if 0 not in kept:
            whole = Columns(self.calls, self.returns, bytes(self.kinds), self.olds, self.news)
            keys = self.keys
        else:
            kinds = bytes(compress(self.kinds, kept))
            calls, returns = list(compress(self.calls, kept)), list(compress(self.returns, kept))
            whole = Columns(calls, returns, kinds, list(compress(self.olds, kept)), list(compress(self.news, kept)))
            keys = list(compress(self.keys, kept))
        by_key: dict[Hashable, Columns] = whole.by_key(keys) if self.has_keys else {None: whole}
        for part in by_key.values():
            values = part.written()
            if len(set(values)) < len(values):
                raise NotPlain
        return by_key

    def count(self, what: str, call: int) -> None:
        entry = self.counted.setdefault(what, [0, call])
        entry[0] += 1
        entry[1] = min(entry[1], call)

    def note_form(self, invoke: _Line, completion: _Line | None, call: int, ret: int) -> None:
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
        return sorted(self.forms.values(), key=lambda operation: operation.call)

    def functions(self) -> list[str]:
        """The functions that were called, in the order of their first calls."""
        return list(dict.fromkeys(operation.f for operation in self.representatives()))


def _op(line: _Line, index: int) -> Op:
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


def _is_pair(value: Any) -> bool:
    return value.__class__ is list and len(value) == 2 and not any(part.__class__ in (list, dict) for part in value)


def _types(value: Any) -> Any:
    return tuple(part.__class__ for part in value) if value.__class__ is list else value.__class__


def _sample(key: Hashable, part: Columns) -> Operation:
    """Make an operation that stands for a key and says whether anything of it is known."""
    ret = min(part.returns, default=INF)
    return Operation(0, "write", key, None, None, "info" if ret == INF else "ok", None, 0, ret)
