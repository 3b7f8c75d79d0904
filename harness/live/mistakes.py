"""Mistakes in the class of a live system that other people wrote: one line each, and no bug of ours.

What can be seen before a run is refused when the file is loaded (`systems.processes`); what a method raises shows in
the midst of it, in whichever task called it.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

from harness.errors import BadInput, HarnessError
from harness.systems.binding import Code
from harness.systems.loader import first_line_of


@contextlib.contextmanager
def mistakes_told(code: Code) -> Iterator[None]:
    """Raise BadInput, with the line that raised it, for what code of other people raised in the midst of a run."""
    try:
        yield
    except HarnessError:
        raise
    except BaseException as error:
        leaves = list(_leaves(error))
        if not code.is_foreign or not all(isinstance(leaf, Exception | SystemExit) for leaf in leaves):
            raise
        for leaf in leaves:
            if (place := _place_in(Path(code.directory), leaf)) is not None:
                raise BadInput(first_line_of(leaf), "methods that do not raise", place) from error
        raise


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _place_in(folder: Path, error: BaseException) -> str | None:
    """The last line of a folder's code by which an error came."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if _is_below(frame.filename, folder)]
    return places[-1] if places else None


def _is_below(file: str, folder: Path) -> bool:
    return Path(file).resolve().is_relative_to(folder.resolve())
