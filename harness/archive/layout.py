"""The run folder: one directory a run, written beside its final place and renamed, so that it is whole or absent.

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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

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
_TEMPORARY: Final = ".tmp-"
_ABANDONED_SECONDS: Final = 3600
"""No run folder takes an hour to write: an older temporary one belongs to a process that was killed."""


def run_id(plan: Plan, now: datetime.datetime) -> str:
    """Name a run so that the name sorts by age and says what was run."""
    return f"{now:%Y%m%dT%H%M%SZ}-{plan.drawn.workload}-s{plan.drawn.seed}-{plan.sha256[:4]}"


def write_run(results: Path, outcome: Outcome) -> RunRecord:
    """Write the folder of a run and point `latest` at it. Returns the run's record. Raises BadInput."""
    with writable(results):
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=results))
        try:
            (temporary / PLAN).write_bytes(outcome.plan.to_json())
            (temporary / HISTORY).write_bytes(b"".join(encode_op(op) + b"\n" for op in outcome.history))
            if outcome.rows is not None:
                _write_trace(temporary, outcome.rows)
            if outcome.tracebacks:
                (temporary / TRACEBACKS).write_text("\n".join(outcome.tracebacks), encoding="utf-8")
            os.chmod(temporary, 0o755)  # mkdtemp makes it private; results are for others to read
            return _name_and_place(results, temporary, outcome)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


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
            if time.time() - leftover.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)


def read_trace(folder: Path) -> Iterator[Event] | None:
    """Read the stored trace event by event; None when none was kept."""
    plain, compressed = folder / TRACE, folder / TRACE_COMPRESSED
    if plain.is_file():
        return _lines(plain.read_bytes())
    if compressed.is_file():
        return _lines(gzip.decompress(compressed.read_bytes()))
    return None


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


def _write_trace(folder: Path, rows: list[Row]) -> None:
    data = encode_trace(rows)
    if len(data) <= TRACE_PLAIN_BYTES_MAX:
        (folder / TRACE).write_bytes(data)
    else:
        (folder / TRACE_COMPRESSED).write_bytes(gzip.compress(data, compresslevel=3, mtime=0))


def _lines(data: bytes) -> Iterator[Event]:
    decode = msgspec.json.Decoder(Event).decode
    return (decode(line) for line in data.splitlines())


def point_latest(results: Path, run: str) -> None:
    """Replace the link atomically; where links cannot be made, do without."""
    with contextlib.suppress(OSError):
        temporary = results / f"{_TEMPORARY}latest-{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(run, target_is_directory=True)
        os.replace(temporary, results / LATEST)
