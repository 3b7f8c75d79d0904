"""Printing for people and for scripts: tables and progress on a terminal, plain lines elsewhere, one JSON document.

What a person reads goes to stdout, and with `--json` nowhere; what happens meanwhile (progress, warnings) goes to
stderr.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from math import isinf
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from checkers.values import thaw

if TYPE_CHECKING:
    from harness.charts.drawing import Drawing, Glyphs

PLAIN_PROGRESS_SECONDS: Final = 10
"""How often progress is printed where no terminal redraws it: rare enough for a log, often enough to see progress."""

LABEL_WIDTH: Final = 11
"""As long as `fingerprint`."""
TOGETHER: Final = "\xa0"
"""A space at which no line is broken."""
_GAP: Final = "  "
_LAST_WIDTH_MIN: Final = 24
"""Narrower than that, a last column goes to lines of its own."""
_WRAPPING: Final[dict[str, Any]] = {"break_long_words": False, "break_on_hyphens": False}

PLAIN_WIDTH: Final = 80
"""Columns of prose and pictures that no terminal shows."""

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "": {"reset": False},
    "wrong": {"fg": "red", "bold": True},
    "good": {"fg": "green"},
    "warning": {"fg": "yellow"},
    "dim": {"dim": True},
    "strong": {"bold": True},
}
"""How the styles of drawings look."""

_COLOURS: Final = {"valid": "green", "invalid": "red", "unknown": "yellow", "error": "magenta"}
_VERDICT_WORD: Final = re.compile(rf"(?<=  )(?:{'|'.join(_COLOURS)})(?=  |$)")


def print_json(document: Any, **more: Any) -> None:
    """Print the one JSON document of a command; `more` are fields that the command adds to a record."""
    if more:
        document = {**msgspec.to_builtins(document, enc_hook=thaw, str_keys=True), **more}
    click.echo(msgspec.json.format(msgspec.json.encode(document, enc_hook=thaw), indent=2).decode())


def coloured(word: str) -> str:
    """Colour a verdict on a terminal; click drops the colour elsewhere."""
    return click.style(word, fg=_COLOURS.get(word), bold=word != "valid")


def say(label: str, text: str, *, whole: bool = False) -> None:
    """Print a labelled line. What is meant to be copied stays `whole`, however long it is."""
    for line in labelled(label, text, whole=whole):
        click.echo(line)


def telling(label: str, as_json: bool) -> Callable[[str], None]:
    """Say what happens meanwhile under a label; nothing where stdout is promised to one JSON document."""

    def tell(text: str) -> None:
        if not as_json:
            say(label, text)

    return tell


def labelled(label: str, text: str, *, whole: bool = False) -> list[str]:
    """The lines that `say` prints."""
    start = f"{label:<{LABEL_WIDTH}} "
    width = prose_width()
    plain = len(click.unstyle(text))
    if whole or len(start) + plain <= width:
        return [(start + text).rstrip().replace(TOGETHER, " ")]
    lines = textwrap.wrap(text, width, initial_indent=start, subsequent_indent=" " * len(start), **_WRAPPING)
    return [line.replace(TOGETHER, " ") for line in lines]


def wrapped(line: str, *, indent: str) -> list[str]:
    """Break a long line of prose at the width of the screen."""
    width = prose_width()
    if len(indent) + len(line) <= width:
        return [indent + line]
    inner = indent + line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(line.strip(), width, initial_indent=inner, subsequent_indent=inner + "  ", **_WRAPPING)


def clipped(line: str) -> str:
    """Cut a line at the width of the screen."""
    width = prose_width()
    return line if len(line) <= width else line[: width - 4] + " ..."


def print_message(message: str) -> None:
    """Print a counterexample, indented."""
    for line in message.splitlines():
        for part in wrapped(line, indent="    "):
            click.echo(part.rstrip())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, droppable: Sequence[str] = ()) -> None:
    """Print rows under headings; numbers stand to the right.

    On a terminal that is too narrow, the `droppable` columns go first, in that order; then the last column is broken
    at spaces, below its own heading. Elsewhere a row is one line with all its columns.
    """
    width = _terminal_width()
    kept = list(range(len(columns)))
    texts = [list(columns), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in texts) for at in range(len(columns))]
    for name in droppable:
        if width is not None and sum(widths[at] + len(_GAP) for at in kept) - len(_GAP) > width:
            kept.remove(columns.index(name))
    right = [
        bool(rows) and all(row[at] is None or isinstance(row[at], int | float) for row in rows)
        for at in range(len(columns))
    ]
    for line in texts:
        cells = [line[at].rjust(widths[at]) if right[at] else line[at].ljust(widths[at]) for at in kept[:-1]]
        start = "".join(cell + _GAP for cell in cells)
        last = line[kept[-1]].rjust(widths[kept[-1]]) if right[kept[-1]] else line[kept[-1]]
        _print_row(start, last, width)


def _cell(cell: object) -> str:
    if isinstance(cell, float) and isinf(cell):
        return "infinite" if cell > 0 else "-infinite"
    return "" if cell is None else str(cell)


def _print_row(start: str, last: str, width: int | None) -> None:
    if width is None or len(start) + len(last) <= width:
        text = (start + last).rstrip()
    elif width - len(start) < _LAST_WIDTH_MIN or max(map(len, last.split())) > width - len(start):
        below = textwrap.fill(last, width, initial_indent=" " * 4, subsequent_indent=" " * 4, **_WRAPPING)
        text = f"{start.rstrip()}\n{below}"
    else:
        text = textwrap.fill(last, width, initial_indent=start, subsequent_indent=" " * len(start), **_WRAPPING)
    click.echo(_VERDICT_WORD.sub(lambda match: coloured(match[0]), text))


def _terminal_width() -> int | None:
    """Columns of the terminal on stdout; None when something else reads it, and a row of a table is one line."""
    return _terminal()[0] if sys.stdout.isatty() else None


def prose_width() -> int:
    """Columns for prose and pictures: those of the terminal, 80 where something else reads them."""
    return _terminal_width() or PLAIN_WIDTH


def screen_height() -> int | None:
    """Lines of the terminal on stdout; None when something else reads it."""
    return _terminal()[1] if sys.stdout.isatty() else None


def _terminal() -> tuple[int, int]:
    """Columns and lines of the terminal."""
    import shutil  # slow, and needed on a terminal

    return shutil.get_terminal_size()


def glyphs() -> Glyphs:
    """Lines for a terminal that can show them; letters for all others, for files and for pipes."""
    from harness.charts.drawing import LINES, PLAIN

    is_capable = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return LINES if is_capable and "utf" in (sys.stdout.encoding or "").lower() else PLAIN


def print_drawing(drawing: Drawing, *, indent: str = "") -> None:
    """Print a drawing, in colour on a terminal that wants it."""
    for line in drawn(drawing):
        click.echo((indent + line).rstrip())


def drawn(drawing: Drawing) -> list[str]:
    """The lines of a drawing with their colours."""
    return ["".join(click.style(text, **_STYLES[style]) for text, style in spans) for spans in drawing.lines()]


@contextlib.contextmanager
def progress(total: int | None, what: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show how far a search is. Yields a function to call once for each finished item, with a word on the state."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        yield from _progress_bar(total, what)
    else:
        yield from _progress_lines(total, what)


def _progress_bar(total: int | None, what: str) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, TextColumn("{task.fields[state]}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, state="")
        yield lambda state: bar.update(task, advance=1, state=state)


def _progress_lines(total: int | None, what: str) -> Iterator[Callable[[str], None]]:
    done, reported_at = 0, time.monotonic()

    def advance(state: str) -> None:
        nonlocal done, reported_at
        done += 1
        if time.monotonic() - reported_at >= PLAIN_PROGRESS_SECONDS:
            reported_at = time.monotonic()
            click.echo(f"{what}: {done}{f' of {total}' if total else ''} {state}".rstrip(), err=True)

    yield advance
