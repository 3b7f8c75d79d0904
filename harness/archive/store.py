"""The archive: run folders and index in one object."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from harness.outcome import Outcome
from harness.record import RunRecord

from .index import Index
from .layout import prepare, write_run


class Archive:
    """The opened results folder; use as a context manager. Opening it raises BadInput when it cannot be written."""

    def __init__(self, results: Path) -> None:
        prepare(results)
        self.results = results
        self.index = Index(results)

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.index.__exit__(kind, error, traceback)

    def keep(self, outcome: Outcome) -> RunRecord:
        """Write the folder of a run and its row. Returns the run's record."""
        record = write_run(self.results, outcome)
        self.index.add(record)
        return record
