"""Programs that the tests run as nodes, and a look at what processes there are."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

EXAMPLES: Final = Path(__file__).parents[3] / "docs" / "examples" / "maelstrom"


def python(source: str) -> list[str]:
    """A node written in a line or two."""
    return [sys.executable, "-c", source]


def example(name: str) -> list[str]:
    """An example of docs/maelstrom.md."""
    return [sys.executable, str(EXAMPLES / name)]


def processes_with(word: str) -> list[int]:
    """Processes whose command line has this word, but those that have ended; waits shortly for those about to."""
    deadline = time.monotonic() + 5
    while (found := running_with(word)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def running_with(word: str, *, whole: bool = False) -> list[int]:
    """Processes at this moment that run and whose command line has this word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        is_there = word.encode() in words if whole else any(word.encode() in one for one in words)
        if is_there and state != "Z" and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found
