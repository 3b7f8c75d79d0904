"""A newcomer who follows a guide: from an empty folder, writes the files it shows and types its commands, in order.

The part of a guide under the heading `From an empty folder` needs nothing but what is installed. It makes a promise in
one line, which is held against what it took:

    **To write: 41 lines. To wait: under 3 minutes. First failure: command 2.**

Lines are those of its files that are not empty; the first failure is the first command that ends with exit code 1,
which is an invalid verdict. Commands take seconds where nothing else runs, and the promise holds on a busy machine.
`python -m tests.newcomers.following docs/trio.md ...` prints what each guide took.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests import pages

HEADING: Final = "From an empty folder"
SECONDS_MAX: Final = 120
"""How long one command may take, on a machine that has other work."""

_PROMISE: Final = re.compile(
    r"^\*\*To write: (\d+) lines?\. To wait: under (\d+) minutes?\. First failure: command (\d+)\.\*\*$", re.MULTILINE
)


@dataclass(frozen=True)
class Promise:
    """What a guide says that it takes: lines to write, minutes of waiting, and which command fails first, from 1."""

    lines: int
    minutes: int
    failing_command: int


@dataclass(frozen=True)
class Followed:
    """What it took: lines written, seconds of waiting for commands, and the first command that failed, from 1."""

    lines: int
    seconds: float
    failing_command: int | None
    failure: str

    def keeps(self, promise: Promise) -> bool:
        """Whether it took exactly the lines, less than the minutes, and failed where it was said."""
        return (
            self.lines == promise.lines
            and self.seconds < 60 * promise.minutes
            and self.failing_command == promise.failing_command
        )

    def __str__(self) -> str:
        found = f"command {self.failing_command}: {self.failure}" if self.failing_command else "none"
        return f"{self.lines} lines written, {self.seconds / 60:.2f} minutes of waiting, first failure: {found}"


def promise(guide: str) -> Promise:
    """What the part for newcomers promises."""
    found = _PROMISE.search(pages.section(guide, HEADING))
    assert found is not None, f"no promise under {HEADING!r}: To write, To wait, First failure"
    lines, minutes, failing_command = map(int, found.groups())
    return Promise(lines, minutes, failing_command)


def follow(guide: str, folder: Path) -> Followed:
    """Follow the part for newcomers in an empty folder. An output that is not as printed is an AssertionError."""
    assert not list(folder.iterdir()), f"{folder}: not empty"
    lines, seconds, commands = 0, 0.0, 0
    failing_command, failure = None, ""
    for step in pages.steps(pages.section(guide, HEADING)):
        if isinstance(step, pages.File):
            step.write(folder)
            lines += sum(bool(line.strip()) for line in step.content.splitlines())
            continue
        began = time.monotonic()
        done = pages.perform(step, folder, SECONDS_MAX)
        seconds += time.monotonic() - began
        commands += 1
        assert pages.fits(step.expected, done.output), f"{step.command[-1]}\n{done.output}"
        if done.code == 1 and failing_command is None:
            failing_command = commands
            failure = next((line for line in done.output.splitlines() if line.startswith("invalid: ")), "")
    assert commands, f"no command under {HEADING!r}"
    return Followed(lines, seconds, failing_command, failure)


def check(page: str, folder: Path) -> Followed:
    """Follow a guide, such as `docs/trio.md`, and hold it to its promise."""
    guide = (pages.ROOT / page).read_text(encoding="utf-8")
    followed = follow(guide, folder)
    assert followed.keeps(promise(guide)), f"{page}: {promise(guide)}, and it took {followed}"
    print(f"{page}: {followed}")
    return followed


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as empty:
            check(name, Path(empty))
