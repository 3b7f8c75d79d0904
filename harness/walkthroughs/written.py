"""Writing the page of a walk-through to a file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from harness.archive.layout import writable
from harness.reports.written import replace_file
from harness.scenarios.runner import Result
from harness.systems.system import System

from .page import Acts, render


def page_of(result: Result, system: System, *, acts: Acts | None = None) -> bytes:
    """The page of a filmed scenario; with `acts` it is a sandbox."""
    return render(result, result.options, acts=acts).encode("utf-8", errors="replace")


def write_page(result: Result, system: System, path: Path) -> None:
    """Write the page of a filmed scenario. Raises BadInput where nothing can be written."""
    page = page_of(result, system)
    with writable(path):
        replace_file(path, page)
