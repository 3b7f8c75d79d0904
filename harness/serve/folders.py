"""Run folders as a browser may see them: by a run's name, right below the results folder, and never through a link.

Names come from strangers. One that is no run id leads nowhere; a folder or a file in it that is a symbolic link is not
followed, wherever it points to; and a report is made from the data each time, so that nothing which lies in a folder is
ever sent as a page.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from harness.archive.find import find
from harness.archive.layout import HISTORY, PLAN, TRACE, TRACE_COMPRESSED, VERDICT
from harness.errors import BadInput
from harness.reports.written import report_page

_RUN: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,150}")
_READ: Final = (PLAN, HISTORY, TRACE, TRACE_COMPRESSED, VERDICT)
_REPORTS_KEPT: Final = 16
MISFITS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What follows from files whose values nobody would have written, wherever they are used at last."""


def folder_of(results: Path, run: str) -> Path | None:
    """The folder of a run; None for what is no run id, has no folder, or is reached through a link."""
    if not _RUN.fullmatch(run):
        return None
    folder = results / run
    if folder.is_symlink() or not (folder / PLAN).is_file() or not (folder / VERDICT).is_file():
        return None
    if any((folder / name).is_symlink() for name in _READ):
        return None
    return folder


def report_of(results: Path, run: str) -> bytes | None:
    """The page of a run, or None where it has no folder. Raises BadInput for damaged files."""
    folder = folder_of(results, run)
    if folder is None:
        return None
    return _report(str(results), run, (folder / VERDICT).stat().st_mtime_ns)


@lru_cache(maxsize=_REPORTS_KEPT)
def _report(results: str, run: str, _changed_ns: int) -> bytes:
    try:
        return report_page(find(run, Path(results)), sandbox=f"/sandbox/run/{run}")
    except BadInput:
        raise
    except MISFITS as error:
        found = f"files of which no page can be made ({type(error).__name__}: {error})"
        raise BadInput(found, "those of a run, as foreshock stores them", run) from error
