"""The archive: run folders and index in one object."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from harness.errors import BadInput
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.record import RunRecord

from .documents import run_record
from .index import Index
from .layout import RunWriter, prepare, write_run


class NotKept(BadInput):
    """A run that ended, but could not be stored whole. Its record holds the verdict that was reached."""

    def __init__(self, why: BadInput, record: RunRecord) -> None:
        super().__init__(why.found, why.expected, why.where)
        self.record = record


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

    def writer(self, plan: Plan) -> RunWriter:
        """A folder for a run that is about to begin."""
        return RunWriter(self.results, plan)

    def keep(self, outcome: Outcome, writer: RunWriter | None = None) -> RunRecord:
        """Write the folder of a run and its row, or finish the folder to which history and trace were written.

        Returns the run's record. Raises NotKept, which has the record too.
        """
        try:
            record = write_run(self.results, outcome) if writer is None else writer.place(outcome)
        except BadInput as error:
            raise NotKept(error, run_record(outcome)) from error
        try:
            self.index.add(record)
        except BadInput as error:
            raise NotKept(error, record) from error
        return record
