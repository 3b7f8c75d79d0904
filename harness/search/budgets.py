"""Budgets of a campaign: until when it begins seeds, how much of the disk its results take, and how much memory.

Time and disk decide before each seed whether it is begun. What has begun by then is run to its end and kept, so results
may take somewhat more than their budget, by the runs that workers hold at that moment. What was not begun is said, and
`suite --resume` goes on with it.

What the results take are the folders of the campaign's runs and its rows in the index. They are looked at again when a
campaign is resumed: time counts anew then, while a disk budget holds for the whole campaign, less what was deleted.

Memory is the workers' affair (`executors`): while a campaign and its workers take more than they may together, the
largest worker is ended.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import msgspec

from harness.archive.documents import encode
from harness.archive.layout import folder_bytes
from harness.quantities import size_text
from harness.record import Record

_ROW: Final = 1.5
"""What a row takes in the index for each byte of its document: columns, their indexes, pages that are not full."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign may take; None: without a limit."""

    time_ns: int | None = None
    disk_bytes: int | None = None
    memory_bytes: int | None = None

    def over(self, other: Budget) -> Budget:
        """This budget where it says something, else the other one."""
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(other, **said)


class Spending:
    """What one sitting of a campaign has spent of its budget."""

    def __init__(self, budget: Budget, results: Path) -> None:
        self._budget = budget
        self._results = results
        self._began = time.monotonic()
        self._disk_bytes = 0
        self.reason = ""
        """Why no seed was begun any more; empty as long as seeds are begun."""

    def begin(self) -> None:
        """Let the time begin."""
        self._began = time.monotonic()

    def keep(self, record: Record) -> None:
        """Note that a run has a row in the index, and perhaps a folder."""
        if self._budget.disk_bytes is not None:
            self._disk_bytes += int(_ROW * len(encode(record)))
            self._disk_bytes += 0 if record.run is None else folder_bytes(self._results / record.run)

    def is_spent(self) -> bool:
        """Whether no seed may be begun any more."""
        budget = self._budget
        if budget.time_ns is not None and (time.monotonic() - self._began) * 1e9 > budget.time_ns:
            self.reason = "the time budget is spent"
        elif budget.disk_bytes is not None and self._disk_bytes >= budget.disk_bytes:
            self.reason = f"results take {size_text(self._disk_bytes)} of {size_text(budget.disk_bytes)}"
        return bool(self.reason)
