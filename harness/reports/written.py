"""Writing the page of a stored run to a file, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from checkers import History
from checkers.malformed import MalformedHistory
from checkers.trace import Row, as_row
from harness.archive.find import StoredRun, read_history
from harness.archive.layout import HISTORY, Event, read_trace, writable
from harness.errors import BadInput

from .page import Subject, render

REPORT: Final = "report.html"


def write_report(stored: StoredRun, *, reproduce: str | None = None, output: Path | None = None) -> Path:
    """Write the page of a run beside its other files, or to `output`. Returns where it is. Raises BadInput.

    `reproduce` is the command line that draws the run again, where it is known.
    """
    subject = subject_of(stored, reproduce)
    assert stored.folder is not None
    return write_page(subject, output or stored.folder / REPORT)


def write_page(subject: Subject, path: Path) -> Path:
    """Write the page of what was read already. Returns where it is. Raises BadInput."""
    page = _page(subject)
    with writable(path):
        replace_file(path, page)
    return path


def report_page(stored: StoredRun, *, sandbox: str = "") -> bytes:
    """The page of a stored run; `sandbox` is where its server lets a person act. Raises BadInput for damaged files."""
    return _page(msgspec.structs.replace(subject_of(stored), sandbox=sandbox))


def _page(subject: Subject) -> bytes:
    return render(subject).encode("utf-8", errors="replace")


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in its place whole. Raises OSError, and then leaves what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def subject_of(stored: StoredRun, reproduce: str | None = None) -> Subject:
    """Read what pictures of a run are made of. Raises BadInput for damaged files, and for a plan without a run."""
    if stored.folder is None or stored.record is None or stored.run is None:
        raise BadInput("a plan file", "a stored run, which has a history", "foreshock report")
    try:
        history = History.from_jsonl(read_history(stored.folder), source=str(stored.folder / HISTORY))
    except MalformedHistory as error:
        raise BadInput(error.found, error.expected, error.where) from error
    run = stored.run
    commands = [] if reproduce is None else [("reproduce", reproduce)]
    commands.append(("replay" if commands else "reproduce", f"foreshock replay {run}"))
    if stored.record.verdict == "invalid":
        commands += [("shrink", f"foreshock shrink {run}"), ("explain", f"foreshock explain {run}")]
    return Subject(
        plan=stored.plan,
        record=stored.record,
        history=history,
        rows=read_rows(stored.folder),
        commands=tuple(commands),
    )


def read_rows(folder: Path) -> list[Row] | None:
    """Read the stored trace; None when none was kept. Raises BadInput for a damaged one."""
    try:
        events = read_trace(folder)
        return None if events is None else [_row(event) for event in events]
    except BadInput:
        raise
    except (KeyError, TypeError, ValueError) as error:  # JSON it is, and no event that a run has
        raise BadInput(f"a damaged trace ({error})", "trace.jsonl as a run stores it", str(folder)) from None


def _row(event: Event) -> Row:
    row = as_row(event)
    if type(row[0]) is not int or not isinstance(row[2], str):
        raise ValueError(f"an event at {row[0]!r} of {row[2]!r}")
    return row
