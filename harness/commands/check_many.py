"""Many histories checked by one command: a line for each, and a count at the end.

One process checks them all, because to start takes longer than a short history takes to decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.errors import BadInput, Exit

from .printing import coloured, print_json, say, wrapped

UNREAD = "refused"
"""What is said of a file that is no history."""


class File(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file in the document of `--json`: the report on it, or the error of what is no history."""

    file: str
    report: Any = None
    error: str = ""


def files_of(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files, and those of folders in the order of their names, without hidden ones."""
    for path in paths:
        if path.is_dir():
            inside = (file for file in sorted(path.rglob("*")) if file.is_file())
            yield from (file for file in inside if not any(part[0] == "." for part in file.relative_to(path).parts))
        else:
            yield path


def check_many(paths: Sequence[Path], judge: Callable[[Path], Any], *, as_json: bool) -> Exit:
    """Judge each file and print what was found. `judge` returns a report, or raises BadInput for what is no history.

    The exit code is that of the worst: invalid, then refused, then unknown, then valid.
    """
    tally: Counter[str] = Counter()
    documents: list[File] = []
    for file in files_of(paths):
        try:
            found = judge(file)
        except BadInput as error:
            verdict = UNREAD
            documents.append(File(file=str(file), error=str(error)))
            if not as_json:
                _print(verdict, str(file), "", str(error))
        else:
            verdict = found.verdict
            documents.append(File(file=str(file), report=found))
            if not as_json:
                _print(verdict, str(file), f"{found.ops} ops of {found.model}, {found.seconds:.3f} s", _why(found))
        tally[verdict] += 1
    if not documents:
        raise BadInput("no file", "at least one history", ", ".join(map(str, paths)))
    if as_json:
        print_json({"files": documents, "counts": dict(tally)})
    else:
        click.echo()
        say("files", f"{len(documents)}: " + ", ".join(f"{count} {verdict}" for verdict, count in tally.items()))
    if tally["invalid"]:
        return Exit.INVALID
    return Exit.BAD_INPUT if tally[UNREAD] else Exit.UNKNOWN if tally["unknown"] else Exit.VALID


def _print(verdict: str, file: str, facts: str, why: str) -> None:
    click.echo(f"{coloured(verdict)}{' ' * (8 - len(verdict))}{file}{f'  {facts}' if facts else ''}")
    for line in wrapped(why, indent="        ") if why else ():
        click.echo(line.rstrip())


def _why(found: Any) -> str:
    """The first sentence of a violation, or the reason of what is unknown."""
    if found.anomalies:
        return str(found.anomalies[0].message.splitlines()[0])
    return str(found.reason)
