"""What of a live run is kept beside what every run has: the logs of its nodes, and the page of a failure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.archive.find import find
from harness.archive.layout import writable
from harness.record import RunRecord
from harness.reports.written import write_report

LOGS: Final = "logs"


def keep_beside(record: RunRecord, logs: Mapping[str, bytes], results: Path) -> None:
    """Write the logs of the nodes into the folder of a run, and a report of what failed. Raises BadInput."""
    if record.path is None:
        return
    folder = Path(record.path, LOGS)
    with writable(folder.parent):
        folder.mkdir(exist_ok=True)
        for name, log in logs.items():
            (folder / f"{name}.log").write_bytes(log)
    if record.run is not None and record.verdict == "invalid":
        write_report(find(record.run, results))
