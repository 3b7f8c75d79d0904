"""Long files and histories judged from columns: from the bytes to a verdict with no object a line.

A file is read in pieces; `checkers.rows` takes each line apart at once. So are read our own lines, and EDN with one map
a line, if all of it is plain and about registers of unique values or counters. At the first line that is anything else
the reader gives up, and the file is read again as objects; so it refuses nothing, and what it says is what would be
said of the objects.

A long history that is made of objects already is taken apart in the same way, line by line: its operations would have
to be admitted, divided by key and turned into rows one by one, which takes three times as long.
"""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Hashable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec

from checkers.admission import Admission
from checkers.conventions import Conventions
from checkers.history import History
from checkers.importers import detect, edn_lines, jepsen
from checkers.json_lines import stand_one_a_line
from checkers.linearizability.fast.counters import COUNTERS
from checkers.linearizability.fast.registers import REGISTERS
from checkers.linearizability.fast.zones import Columns
from checkers.linearizability.front.checker import verdict_of_columns
from checkers.linearizability.result import Limits, LinearizabilityResult
from checkers.lines import Lines
from checkers.malformed import MalformedHistory
from checkers.members import are_single
from checkers.models import MODELS
from checkers.models.choice import choose_among
from checkers.op import Op
from checkers.operation import INF, Operation
from checkers.pause import collection_paused
from checkers.rows import COUNTER, OPTIONAL, REGISTER, Line, NotPlain, RowReader, line_with, of_counter
from checkers.verdict import Verdict

PIECE: Final = 1 << 15
"""Bytes read at a time: what is made of them fits into the cache of a core, which saves a fifth of the time."""

GZIP: Final = b"\x1f\x8b"

LINES: Final = 1 << 12
"""Lines of a history taken at a time."""

FUNCTIONS: Final = {"register": REGISTER, "cas-register": REGISTER, "map": REGISTER, "counter": COUNTER}
"""Model -> the functions of it that rows are made of."""

OURS: Final = Conventions()

SURE: Final = len(Line.__struct_fields__) - len(OPTIONAL)
"""How many members each of our lines has."""


def judge(file: Path | bytes, model: str, limits: Limits, format: str = "auto") -> Verdict | None:
    """Judge a file of our own lines or of EDN, or its bytes; None: it is not plain, or not valid: make objects.

    `model` is the name of a register or counter, or "auto"; `format` is "jsonl", "edn" or "auto".
    """
    if model not in (*FUNCTIONS, "auto"):
        return None
    began = time.monotonic()
    try:
        with collection_paused():
            pieces = _pieces(file)
            first = next(pieces, b"")
            kind = detect(first) if format == "auto" else format
            if kind not in _READERS:
                return None
            conventions, lines_of = _READERS[kind]
            reader = RowReader(conventions, chooses=model == "auto")
            for lines in lines_of(first, pieces):
                reader.take(lines)
            return _judge(reader, model, limits, began)
    except (NotPlain, ValueError, RecursionError):  # of which damage, in JSON or in text, is a kind
        return None
    except (OSError, EOFError, zlib.error):
        return None  # what loads objects says what is wrong


def judge_history(history: History | Lines, model: str, limits: Limits) -> Verdict | None:
    """Judge a history from its lines; None: it is not plain, or not valid, or has notes of its own: make objects."""
    if model not in (*FUNCTIONS, "auto") or (isinstance(history, History) and (history.lenient or history.notes)):
        return None
    began = time.monotonic()
    reader = RowReader(history.conventions if isinstance(history, History) else OURS, chooses=model == "auto")
    try:
        with collection_paused():
            for begin in range(0, len(history), LINES):
                reader.take(history[begin : begin + LINES])
            return _judge(reader, model, limits, began)
    except (NotPlain, MalformedHistory):
        return None


def _our_lines(first: bytes, pieces: Iterator[bytes]) -> Iterator[list[Line]]:
    """Yield the lines of each piece. What all have that the first one has need not be counted in each of them."""
    one = msgspec.json.decode(first.partition(b"\n")[0])
    members = frozenset(one).intersection(OPTIONAL) if isinstance(one, dict) else frozenset()
    fewer = [frozenset[str](), members & {"index", "time"}]
    decoder = msgspec.json.Decoder(line_with(members))
    for piece in chain([first], pieces):
        while True:
            try:
                lines = decoder.decode_lines(piece)
                break
            except msgspec.ValidationError:
                if not fewer:
                    raise NotPlain from None
                members = fewer.pop()
                decoder = msgspec.json.Decoder(line_with(members))
        if not (stand_one_a_line(piece, len(lines)) and are_single(piece, lines, SURE + len(members), members)):
            raise NotPlain
        yield lines


def _edn_lines(first: bytes, pieces: Iterator[bytes]) -> Iterator[list[Any]]:
    reader = edn_lines.LineReader.of(first.decode().partition("\n")[0], _op_of)
    if reader is None:
        raise NotPlain
    for piece in chain([first], pieces):
        for part in edn_lines.pieces(piece.decode()):
            yield reader.take(part)


def _op_of(row: dict[str, Any], index: int) -> Op:
    """Make an op of a map that the reader of forms read; one with a key or fields of its own is not plain."""
    op = jepsen.lone_op(row, index)
    if op.extra is not None or op.key is not None:
        raise NotPlain
    return op


_READERS: Final = {"jsonl": (OURS, _our_lines), "edn": (jepsen.EDN, _edn_lines)}


def _judge(reader: RowReader, name: str, limits: Limits, began: float) -> Verdict | None:
    columns = reader.finish()
    note = ""
    if name == "auto":
        functions, telling = list(reader.functions), reader.representatives()
        choice = choose_among(functions, telling, reader.conventions, lambda _: "", "")
        name, note = choice.model.name, choice.note
    if name not in FUNCTIONS or not reader.functions.keys() <= FUNCTIONS[name]:
        return None
    model = MODELS[name]
    decide = _decide_register if FUNCTIONS[name] is REGISTER else _decide_counter
    results, samples, spent = [], [], 0
    for key, part in columns.items():
        steps = None if limits.steps is None else max(1, limits.steps - spent)
        result = decide(part, msgspec.structs.replace(limits, steps=steps))
        if result.validity != "valid":
            return None
        results.append(result)
        samples.append(_sample(key, part))
        spent += result.steps
    admission = Admission(operations=samples, counted=reader.counts())
    ops = len(reader.calls)
    verdict = verdict_of_columns(model, admission, reader.conventions, results, ops=ops, began=began)
    return msgspec.structs.replace(verdict, notes=(note, *verdict.notes)) if note else verdict


def _decide_register(part: Columns, limits: Limits) -> LinearizabilityResult:
    return REGISTERS.decide_rows(part, limits)


def _decide_counter(part: Columns, limits: Limits) -> LinearizabilityResult:
    return COUNTERS.decide_rows(of_counter(part.without_ignored()), limits)


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


def _sample(key: Hashable, part: Columns) -> Operation:
    """Make an operation that stands for a key and says whether anything of it is known."""
    ret = min(part.returns, default=INF)
    return Operation(0, "write", key, None, None, "info" if ret == INF else "ok", None, 0, ret)
