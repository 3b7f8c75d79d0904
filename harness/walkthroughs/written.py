"""Writing the page of a walk-through to a file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from harness.archive.layout import writable
from harness.reports.written import replace_file
from harness.scenarios.runner import Result

from .page import Acts, render


def page_of(result: Result, *, acts: Acts | None = None, is_served: bool = False) -> bytes:
    """The page of a filmed scenario; with `acts` it is a sandbox. `is_served`: among other pages."""
    return render(result, result.options, acts=acts, is_served=is_served).encode("utf-8", errors="replace")


def write_page(result: Result, path: Path) -> None:
    """Write the page of a filmed scenario. Raises BadInput where nothing can be written."""
    page = page_of(result)
    with writable(path):
        replace_file(path, page)
