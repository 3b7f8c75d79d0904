"""The language of scenario files: parsing, and writing a transcript back between the commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from harness.errors import BadInput

_DURATION: Final = re.compile(r"(\d+)(ns|us|ms|s)")
_NS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One command with the lines that stood before it, and the transcript that the file expects."""

    line: int
    words: tuple[str, ...]
    before: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The command as it was typed."""
        return " ".join(self.words)


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed file. `after` are the lines behind the last step."""

    name: str
    steps: tuple[Step, ...]
    after: tuple[str, ...] = ()


def parse(text: str, name: str) -> Script:
    """Read a scenario. Raises BadInput when its first command is not `nodes`."""
    steps: list[Step] = []
    before: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("> "):
            steps.append(Step(line=number, words=tuple(line[2:].split()), before=tuple(before)))
            before = []
        elif not line.strip() or line.startswith("#") or not steps or before:
            before.append(line)
        else:
            steps[-1] = msgspec.structs.replace(steps[-1], expected=(*steps[-1].expected, line))
    if not steps or steps[0].words[0] != "nodes":
        raise BadInput("no `> nodes` first", "a scenario that begins with `> nodes A B C`", name)
    return Script(name=name, steps=tuple(steps), after=tuple(before))


def render(script: Script, transcripts: Sequence[Iterable[str]]) -> str:
    """The file with these transcripts in place of the expected ones."""
    lines: list[str] = []
    for step, transcript in zip(script.steps, transcripts, strict=True):
        lines += [*step.before, f"> {step.text}", *transcript]
    return "\n".join([*lines, *script.after]) + "\n"


def duration_ns(text: str, where: str) -> int:
    """Read `150ms`, `2s`. Raises BadInput."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise BadInput(f"duration {text!r}", "a number with ns, us, ms or s", where)
    return int(found[1]) * _NS[found[2]]
