"""`foreshock new-system`: the files with which a system of one's own begins."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Final

import click

from harness.errors import BadInput, Exit

from .printing import say

_FILES: Final = ("system.py", "workload.py", "test_system.py", "suite.toml")


@click.command("new-system")
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path), metavar="DIR", help="Where to write.  [default: the name, from here]"
)
def command(name: str, folder: Path | None) -> int:
    """Write an adapter, a workload, a test and a suite for a system called NAME, which run as they are.

    Example: foreshock new-system shop. Nothing that is there already is replaced. docs/adapters.md says what to change.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise BadInput(repr(name), "a name of small letters, digits, - and _", "NAME")
    place = folder or Path(name)
    present = [file for file in _FILES if (place / file).exists()]
    if present:
        raise BadInput(f"a file {present[0]}", "a folder without one", str(place))
    try:
        place.mkdir(parents=True, exist_ok=True)
        for file in _FILES:
            (place / file).write_text(_filled(file, name, place.as_posix()), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"a folder that cannot be written ({error.strerror})", "another one", str(place)) from None
    for file in _FILES:
        say("wrote", str(place / file))
    system = f"{place.as_posix()}/system.py:System"
    say("run", f"foreshock run --system {system} --nodes 1", whole=True)
    say("test", f"pytest {place.as_posix()}", whole=True)
    return Exit.VALID


def _filled(file: str, name: str, folder: str) -> str:
    template = resources.files("harness.skeleton") / f"{file}.txt"
    return template.read_text(encoding="utf-8").replace("NAME", name).replace("FOLDER", folder)
