"""Rebuilding the index from the run folders, which are the truth.

A damaged index is moved aside, never deleted. What can still be read of it is taken over: campaigns, and the rows of
runs that kept no folder. Then every run folder without a row gets one.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from harness.errors import BadInput
from harness.record import RunRecord

from .documents import read_record
from .index import FILE, Index, utc_now
from .layout import VERDICT, writable

_BESIDE: Final = ("", "-wal", "-shm")
"""SQLite's files of one database."""
_BEGUN: Final = re.compile(r"(\d{8}T\d{6}Z)-")


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What rebuilding came to.

    Rows and campaigns `taken_over` from the old index, rows `added` from folders, folders that are `damaged` with the
    reason, and where the old index is now (None: there was none).
    """

    taken_over: int
    campaigns: int
    added: int
    damaged: dict[str, str]
    old_index: str | None


def rebuild(results: Path) -> Rebuilt:
    """Make a new index of a results folder. Raises BadInput when it cannot be written, or is in use."""
    if not results.is_dir():
        raise BadInput("no folder", "a results folder", str(results))
    _refuse_in_use(results)
    old = _move_aside(results)
    with Index(results) as index:
        campaigns, rows = (0, 0) if old is None else _take_over(index, old)
        known = index.folders()
        added, damaged = 0, {}
        for folder in sorted(path.parent for path in results.glob(f"*/{VERDICT}") if not path.parent.is_symlink()):
            if folder.name in known or folder.name.startswith("."):
                continue
            try:
                record = record_of(folder)
            except BadInput as error:
                damaged[folder.name] = error.found
                continue
            index.add(record, recorded=recorded_of(folder))
            added += 1
    return Rebuilt(
        taken_over=rows,
        campaigns=campaigns,
        added=added,
        damaged=damaged,
        old_index=None if old is None else str(old),
    )


def _take_over(index: Index, old: Path) -> tuple[int, int]:
    """Copy what can be read of an old index. Returns how many campaigns and rows that were."""
    with index.batch():
        campaigns = sum(index.take_over("campaigns", row) for row in _readable(old, "campaigns"))
        return campaigns, sum(index.take_over("runs", row) for row in _readable(old, "runs"))


def _readable(old: Path, table: str) -> Iterator[sqlite3.Row]:
    """Rows from the first on until one cannot be read, then from the last back; some twice."""
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.DatabaseError), _opened(old) as database:
            database.row_factory = sqlite3.Row
            yield from database.execute(f"SELECT * FROM {table} ORDER BY rowid {order}")


def record_of(folder: Path) -> RunRecord:
    """Read what a folder says of its run, without the evidence, which rows do not have."""
    path = folder / VERDICT
    try:
        record = read_record(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(f"a file that cannot be read ({error.strerror})", "the record of a run", str(path)) from None
    if not isinstance(record, RunRecord):
        raise BadInput("no run", "the record of a run", str(path))
    return msgspec.structs.replace(
        record,
        run=folder.name,
        path=str(folder),
        anomalies=tuple(msgspec.structs.replace(one, evidence=msgspec.UNSET) for one in record.anomalies),
        verdict_details=msgspec.UNSET,
    )


def recorded_of(folder: Path) -> str:
    """When a run was recorded, by its name; now, when it has another."""
    begun = _BEGUN.match(folder.name)
    if begun is None:
        return utc_now()
    when = datetime.datetime.strptime(begun[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    return when.isoformat(timespec="milliseconds")


def _refuse_in_use(results: Path) -> None:
    """Raise BadInput when another process writes the index: it would go on writing to the file that is moved."""
    with contextlib.suppress(sqlite3.DatabaseError), _opened(results / FILE) as database:
        try:
            database.execute("PRAGMA journal_mode = DELETE")  # fails as long as anybody else has it open
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                found = "an index that another process uses"
                raise BadInput(found, "no suite that runs meanwhile", str(results / FILE)) from None
            raise


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        yield sqlite3.connect(":memory:")
        return
    database = sqlite3.connect(path, timeout=1, isolation_level=None)
    try:
        yield database
    finally:
        database.close()


def _move_aside(results: Path) -> Path | None:
    """Rename the files of the old index. Returns the new path of the main one."""
    if not (results / FILE).is_file():
        return None
    old = results / f"{FILE}.old-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S%fZ}"
    with writable(results):
        for suffix in _BESIDE:
            if (results / (FILE + suffix)).exists():
                os.rename(results / (FILE + suffix), f"{old}{suffix}")
    return old
