"""The run folder: one directory a run, written beside its final place and renamed, so that it is whole or absent.

History and trace are written while the run goes on (`RunWriter`), so that no run is ever in memory as a whole. What a
killed process leaves, in a folder whose name begins with `.tmp-`, reads up to where it was written.

    results/
      foreshock.db                      index over all runs
      latest -> <run id>                the newest run folder
      20261120T085828Z-register-s3-7f1c/
        plan.json                       what was run; `foreshock replay` needs nothing else
        history.jsonl                   what clients saw
        trace.jsonl  or  trace.jsonl.gz what actors did (compressed when large), absent when it was not kept
        verdict.json                    what it means, with the evidence
        tracebacks.txt                  where the code of a node raised, absent when it did not
        report.html                     the run as a page, when `run` found it invalid or `report` was asked for it

A run id begins with the UTC time, so that names sort by age, and ends with the first digits of the plan's hash, so that
people recognise two runs of one plan.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import gzip
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal

import msgspec

from checkers.op import encode_op
from checkers.trace import Row, as_event
from harness.errors import BadInput
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.record import RunRecord

from .documents import encode, run_record, with_evidence

Event = dict[str, Any]
"""A line of a history or trace, as JSON reads it."""

PLAN: Final = "plan.json"
HISTORY: Final = "history.jsonl"
TRACE: Final = "trace.jsonl"
TRACE_COMPRESSED: Final = "trace.jsonl.gz"
VERDICT: Final = "verdict.json"
TRACEBACKS: Final = "tracebacks.txt"
LATEST: Final = "latest"

TRACE_PLAIN_BYTES_MAX: Final = 1 << 20
"""Larger traces are compressed: a text editor still opens a megabyte, and a suite's failures stay small."""
_LEVEL: Final = 3
_GZIP: Final = 16 + zlib.MAX_WBITS
"""For zlib: how hard to compress, and in which format, without a date: equal traces are equal files."""
_BATCH: Final = 2048
"""Rows or lines that are encoded together."""
_TEMPORARY: Final = ".tmp-"
_ABANDONED_SECONDS: Final = 3600
"""A run writes more often than once an hour: an older temporary folder belongs to a process that was killed."""


def run_id(plan: Plan, now: datetime.datetime) -> str:
    """Name a run so that the name sorts by age and says what was run."""
    return f"{now:%Y%m%dT%H%M%SZ}-{plan.drawn.workload}-s{plan.drawn.seed}-{plan.sha256[:4]}"


def write_run(results: Path, outcome: Outcome) -> RunRecord:
    """Write the folder of a run that is in memory and point `latest` at it. Returns its record. Raises BadInput."""
    with RunWriter(results, outcome.plan) as writer:
        for begin in range(0, len(outcome.history), _BATCH):
            writer.lines(b"".join(encode_op(op) + b"\n" for op in outcome.history[begin : begin + _BATCH]))
        for begin in range(0, len(outcome.rows or ()), _BATCH):
            writer.rows(begin, (outcome.rows or [])[begin : begin + _BATCH])
        return writer.place(outcome)


class RunWriter:
    """A run folder while its run goes on; use as a context manager, which removes what was not given its place.

    A run does not end because a disk is full: the first error of the file system is kept, nothing more is written, and
    `place` raises it as BadInput.
    """

    def __init__(self, results: Path, plan: Plan) -> None:
        """Nothing is written before the run has begun."""
        self._results = results
        self._plan = plan
        self._folder: Path | None = None
        self._history: BinaryIO | None = None
        self._trace: _Trace | None = None
        self._error: OSError | None = None

    def rows(self, first: int, rows: list[Row]) -> None:
        """Add rows to the trace, the first of which has this index."""
        if self._error is not None:
            return
        with self._keeping_errors():
            if self._trace is None:
                self._trace = _Trace(self._opened())
            self._trace.write(encode_trace(rows, first))

    def lines(self, lines: bytes) -> None:
        """Add lines to the history."""
        if self._error is not None:
            return
        with self._keeping_errors():
            if self._history is None:
                self._history = (self._opened() / HISTORY).open("wb")
            self._history.write(lines)

    def place(self, outcome: Outcome) -> RunRecord:
        """Write the rest, rename the folder and point `latest` at it. Returns the run's record. Raises BadInput."""
        with writable(self._results):
            if outcome.rows == []:
                self.rows(0, [])
            self.lines(b"")
            self._close()
            if self._error is not None:
                raise self._error
            folder = self._opened()
            if outcome.tracebacks:
                (folder / TRACEBACKS).write_text("\n".join(outcome.tracebacks), encoding="utf-8")
            os.chmod(folder, 0o755)  # mkdtemp makes it private; results are for others to read
            record = _name_and_place(self._results, folder, outcome)
            self._folder = None
            return record

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _opened(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=self._results))
            (self._folder / PLAN).write_bytes(self._plan.to_json())
        return self._folder

    def _close(self) -> None:
        with self._keeping_errors():
            history, trace, self._history, self._trace = self._history, self._trace, None, None
            if history is not None:
                history.close()
            if trace is not None:
                trace.close()

    @contextlib.contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._error = self._error or error


class _Trace:
    """A trace that is plain while it is small, and compressed from its beginning on when it is not."""

    def __init__(self, folder: Path) -> None:
        self._plain = folder / TRACE
        self._compressed = folder / TRACE_COMPRESSED
        self._file: BinaryIO = self._plain.open("w+b")
        self._size = 0
        self._compressor: Any = None  # zlib does not name its type

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._compressor is None and self._size > TRACE_PLAIN_BYTES_MAX:
            self._begin_to_compress()
        self._file.write(data if self._compressor is None else self._compressor.compress(data))

    def close(self) -> None:
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
        self._file.close()

    def _begin_to_compress(self) -> None:
        self._file.seek(0)
        begun = self._file.read()
        self._file.close()
        self._plain.unlink()
        self._file = self._compressed.open("wb")
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._file.write(self._compressor.compress(begun))


def _name_and_place(results: Path, temporary: Path, outcome: Outcome) -> RunRecord:
    """Rename to the first free name; two runs of one plan within a second get a counter."""
    stem = run_id(outcome.plan, datetime.datetime.now(datetime.UTC))
    for run in _candidates(stem):
        folder = results / run
        record = run_record(outcome, run=run, path=str(folder))
        stored = encode(with_evidence(record, outcome))
        (temporary / VERDICT).write_bytes(msgspec.json.format(stored, indent=2))
        try:
            os.rename(temporary, folder)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                continue
            raise
        point_latest(results, run)
        return record
    raise AssertionError("an endless sequence of names ended")


def _candidates(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def prepare(results: Path) -> None:
    """Make the results folder and clear away what killed processes left. Raises BadInput when it cannot be written."""
    with writable(results):
        results.mkdir(parents=True, exist_ok=True)
        # Permission bits do not tell (root, read-only mounts, quotas): write.
        with tempfile.TemporaryFile(dir=results):
            pass
    for leftover in sorted(results.glob(_TEMPORARY + "*")):
        with contextlib.suppress(OSError):
            written = max(path.stat().st_mtime for path in (leftover, *leftover.glob("*")))
            if time.time() - written > _ABANDONED_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def read_trace(folder: Path) -> Iterator[Event] | None:
    """Read the stored trace event by event; None when none was kept. Raises BadInput where it is damaged."""
    plain, compressed = folder / TRACE, folder / TRACE_COMPRESSED
    if plain.is_file():
        return _events(plain, open)
    if compressed.is_file():
        return _events(compressed, gzip.open)
    return None


def decoded(lines: Iterable[bytes]) -> Iterator[Event]:
    """Decode lines of a stored history or trace. Raises ValueError or RecursionError for one that is none."""
    decode = msgspec.json.Decoder(Event).decode
    for line in lines:
        event = decode(line)
        if type(event.get("index")) is not int or type(event.get("time")) is not int:
            raise ValueError("an event without its index or time")
        yield event


def encode_trace(rows: Iterable[Row], first: int = 0) -> bytes:
    """Write rows as JSON lines, as `trace.jsonl` holds them."""
    encode = msgspec.json.Encoder(order="deterministic").encode
    return b"".join(encode(as_event(index, row)) + b"\n" for index, row in enumerate(rows, first))


@contextlib.contextmanager
def writable(results: Path) -> Iterator[None]:
    """Turn an error of the file system into one line about the results folder."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        raise BadInput(
            f"an error of the file system ({what})", "a results folder that can be written", str(results)
        ) from error


def _events(path: Path, opened: Callable[[Path, Literal["rb"]], BinaryIO | gzip.GzipFile]) -> Iterator[Event]:
    try:
        with opened(path, "rb") as file:
            yield from decoded(file)
    except BadInput:  # of whoever ends this from outside, such as a sandbox whose time is over
        raise
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:  # msgspec's errors are ValueErrors
        raise BadInput(f"a damaged trace ({error})", "a trace as a run stores it", str(path)) from None


def point_latest(results: Path, run: str) -> None:
    """Replace the link atomically; where links cannot be made, do without."""
    with contextlib.suppress(OSError):
        temporary = results / f"{_TEMPORARY}latest-{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(run, target_is_directory=True)
        os.replace(temporary, results / LATEST)
