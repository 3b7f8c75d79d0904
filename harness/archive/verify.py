"""Whether what is stored is whole: every run folder against its record, and the index against the folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from harness.errors import BadInput
from harness.plans import plan as plans
from harness.record import RunRecord

from .documents import read_record
from .index import FILE, Index
from .layout import HISTORY, PLAN, TRACE, TRACE_COMPRESSED, VERDICT, read_trace

_NO_FOLDER: Final = "a row without its folder"
_NO_ROW: Final = "a folder without a row: `foreshock runs --reindex` adds it"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it was stored."""

    run: str
    what: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, and what of it is damaged."""

    folders: int
    rows: int
    damage: tuple[Damage, ...]


def verify(results: Path) -> Verified:
    """Look at every folder and row. Raises BadInput without an index, or when it cannot be read."""
    with Index(results) as index:
        known = index.folders()
        rows = len(index.runs())
        broken = [Damage(run=FILE, what=what) for what in index.check()]
    folders = [path for path in sorted(results.iterdir()) if _is_run(path)]
    found = [Damage(run=folder.name, what=what) for folder in folders for what in damage_of(folder)]
    there = {folder.name for folder in folders}
    found += [Damage(run=run, what=_NO_FOLDER) for run in sorted(known - there)]
    found += [Damage(run=run, what=_NO_ROW) for run in sorted(there - known)]
    return Verified(folders=len(folders), rows=rows, damage=(*broken, *found))


def damage_of(folder: Path) -> Iterator[str]:
    """What is damaged in a run folder."""
    try:
        record = read_record((folder / VERDICT).read_bytes(), VERDICT)
    except (BadInput, OSError) as error:
        yield f"{VERDICT} cannot be read: {_why(error)}"
        return
    if not isinstance(record, RunRecord):
        yield f"{VERDICT} is the record of no run"
        return
    yield from _plan(folder, record)
    yield from _history(folder, record)
    yield from _trace(folder, record)


def _plan(folder: Path, record: RunRecord) -> Iterator[str]:
    try:
        data = (folder / PLAN).read_bytes()
        plans.decode(data, PLAN)
    except (BadInput, OSError) as error:
        yield f"{PLAN} cannot be read: {_why(error)}"
        return
    if hashlib.sha256(data).hexdigest() != record.plan_sha256:
        yield f"{PLAN} is not the plan of its record"


def _history(folder: Path, record: RunRecord) -> Iterator[str]:
    try:
        data = (folder / HISTORY).read_bytes()
    except OSError as error:
        yield f"{HISTORY} cannot be read: {_why(error)}"
        return
    if hashlib.sha256(data).hexdigest() != record.history_sha256:
        yield f"{HISTORY} is not the history of its record"


def _trace(folder: Path, record: RunRecord) -> Iterator[str]:
    """A trace has no hash of its own: it has to be readable, whole, and as long as its run."""
    name = TRACE if (folder / TRACE).is_file() else TRACE_COMPRESSED
    try:
        events = read_trace(folder)
        rows = None if events is None else sum(1 for _ in events)
    except BadInput as error:
        yield f"{name} cannot be read: {_why(error)}"
        return
    if rows is not None and record.metrics.rows and rows != record.metrics.rows:
        yield f"{name} has {rows} events, and its run had {record.metrics.rows}"


def _is_run(path: Path) -> bool:
    return not path.is_symlink() and not path.name.startswith(".") and (path / VERDICT).is_file()


def _why(error: Exception) -> str:
    return error.found if isinstance(error, BadInput) else str(error)
