"""Garbage: cycles of objects that nobody needs any more, collected after fixed numbers of rows, and never else.

Python collects after a number of new objects, which differs between interpreters, and what a finalizer does would
differ with it. So collection is off during a run. A long one would then keep every incarnation that was killed, whose
objects point at each other: a hundred megabytes in four minutes of faults. The rows of the log are the same in every
run of a plan, and so the same garbage is collected between the same events.

Whatever lives at the first collection of a run is left alone from then on (`gc.freeze`), until the run is over: modules
and the plan would be looked at again each time, and are ten times as many as what a run makes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .fingerprint import Log, Row

ROWS_BETWEEN: Final = 1 << 16
"""Rows between two collections: an ordinary run of half a minute has none."""


class Garbage:
    """The collections of one run."""

    __slots__ = ("_due_at", "_froze")

    def __init__(self) -> None:
        self._due_at = ROWS_BETWEEN
        self._froze = False

    def on_rows(self, first: int, rows: list[Row]) -> None:
        """Collect if it is time to: rows from this index on were hashed."""
        if first < self._due_at:
            return
        self._due_at = first + ROWS_BETWEEN
        gc.collect()
        if not self._froze and not gc.get_freeze_count():
            self._froze = True
            gc.freeze()

    def end(self) -> None:
        """Let everything be collected again."""
        if self._froze:
            self._froze = False
            gc.unfreeze()


@contextmanager
def collection_by_rows(log: Log | None) -> Iterator[None]:
    """Have garbage collected as the rows of a log are hashed, and never else; None: never."""
    garbage, collecting = Garbage(), gc.isenabled()
    gc.disable()
    if log is not None:
        log.takers.append(garbage.on_rows)
    try:
        yield
    finally:
        garbage.end()
        if collecting:
            gc.enable()
