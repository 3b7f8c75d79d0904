"""Printing for people and for scripts: tables and progress on a terminal, plain lines elsewhere, one JSON document.

What a person reads goes to stdout, and with `--json` nowhere; what happens meanwhile (progress, warnings) goes to
stderr.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import click
import msgspec

PLAIN_PROGRESS_SECONDS: Final = 10
"""How often progress is told where no terminal redraws it: rare enough for a log, often enough to see life."""

_COLOURS: Final = {"valid": "green", "invalid": "red", "unknown": "yellow", "error": "magenta"}


def print_json(document: Any, **more: Any) -> None:
    """Print the one JSON document of a command; `more` are fields that the command adds to a record."""
    if more:
        document = {**msgspec.to_builtins(document, enc_hook=repr, str_keys=True), **more}
    click.echo(msgspec.json.format(msgspec.json.encode(document, enc_hook=repr), indent=2).decode())


def coloured(word: str) -> str:
    """Colour a verdict on a terminal; click drops the colour elsewhere."""
    return click.style(word, fg=_COLOURS.get(word), bold=word != "valid")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under headings; numbers stand to the right."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    numeric = [
        bool(rows) and all(row[at] is None or isinstance(row[at], int | float) for row in rows)
        for at in range(len(columns))
    ]
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD)
        for at, (column, right) in enumerate(zip(columns, numeric, strict=True)):
            table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=at == 0)
        for text in texts:
            table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in text))
        Console().print(table)
        return
    widths = [max(len(line[at]) for line in [list(columns), *texts]) for at in range(len(columns))]
    for line in [list(columns), *texts]:
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


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
    done, told = 0, time.monotonic()

    def advance(state: str) -> None:
        nonlocal done, told
        done += 1
        if time.monotonic() - told >= PLAIN_PROGRESS_SECONDS:
            told = time.monotonic()
            click.echo(f"{what}: {done}{f' of {total}' if total else ''} {state}".rstrip(), err=True)

    yield advance
