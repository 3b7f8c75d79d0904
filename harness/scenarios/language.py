"""The language of scenario files: parsing, and writing a transcript back between the commands."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from harness.errors import BadInput

_DURATION: Final = re.compile(r"(\d+)(ns|us|ms|s)")
_NS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_CLIENT: Final = re.compile(r"c\d+")
QUIETLY: Final = "quietly"
"""Goes before a command whose transcript is not wanted."""

REPLAY: Final = "replay"
"""The first command of a script that goes on from a run."""
_PLAN: Final = "#plan "
_PLAN_COLUMNS: Final = 100
_PLAN_BYTES_MAX: Final = 32 << 20

_LONG_RUN: Final = 6
"""Equal terms in a row from which on a list of terms is written shorter."""


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

    @property
    def actor_or_verb(self) -> str:
        """The word that says what is done, or by which client."""
        return self.words[1] if self.words[0] == QUIETLY and len(self.words) > 1 else self.words[0]


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed file. `after` are the lines behind the last step.

    `plan` is the JSON of the plan that a script goes on from, which stands at the end of its file, packed.
    """

    name: str
    steps: tuple[Step, ...]
    after: tuple[str, ...] = ()
    plan: bytes = b""

    @property
    def is_of_a_run(self) -> bool:
        """Whether it goes on from a moment of a run, and not from nothing."""
        return self.steps[0].words[0] == REPLAY

    @property
    def title(self) -> str:
        """The first comment line: what the scenario shows."""
        first = next(iter(self.steps[0].before), "")
        return first.removeprefix("#").strip()

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that have commands, sorted."""
        return tuple(sorted({step.actor_or_verb for step in self.steps if is_client(step.actor_or_verb)}))

    @property
    def violations(self) -> tuple[str, ...]:
        """The signatures that this scenario means to show; none: it must be valid."""
        return tuple(sorted(word for step in self.steps if step.words[0] == "expect" for word in step.words[1:]))


def parse(text: str, name: str) -> Script:
    """Read a scenario. Raises BadInput when its first command is neither `nodes` nor `replay` with a plan."""
    steps: list[Step] = []
    before: list[str] = []
    packed: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("> ") and line[2:].split():
            steps.append(Step(line=number, words=tuple(line[2:].split()), before=tuple(before)))
            before = []
        elif line.startswith(_PLAN):
            packed.append(line.removeprefix(_PLAN))
        elif not line.strip() or line.startswith("#") or not steps or before:
            before.append(line)
        else:
            steps[-1] = msgspec.structs.replace(steps[-1], expected=(*steps[-1].expected, line))
    if not steps or steps[0].words[0] not in ("nodes", REPLAY):
        raise BadInput("no `> nodes` first", "a scenario that begins with `> nodes A B C`", name)
    if packed and steps[0].words[0] != REPLAY:
        raise BadInput("a plan", f"a script with one to begin with `> {REPLAY} until TIME`", name)
    return Script(name=name, steps=tuple(steps), after=tuple(before), plan=_unpack(packed, name) if packed else b"")


def render(script: Script, transcripts: Sequence[Iterable[str]]) -> str:
    """The file with these transcripts in place of the expected ones."""
    lines: list[str] = []
    for step, transcript in zip(script.steps, transcripts, strict=True):
        lines += [*step.before, f"> {step.text}", *transcript]
    return "\n".join([*lines, *script.after, *_pack(script.plan)]) + "\n"


def _pack(plan: bytes) -> list[str]:
    """The lines that hold a plan."""
    text = base64.b64encode(zlib.compress(plan, 9)).decode() if plan else ""
    return [_PLAN + text[at : at + _PLAN_COLUMNS] for at in range(0, len(text), _PLAN_COLUMNS)]


def _unpack(lines: Sequence[str], where: str) -> bytes:
    """The plan in such lines. Raises BadInput for what is none, or would be too large."""
    try:
        unpacking = zlib.decompressobj()
        plan = unpacking.decompress(base64.b64decode("".join(lines), validate=True), _PLAN_BYTES_MAX)
    except (ValueError, zlib.error) as error:
        raise BadInput(f"a plan that cannot be unpacked ({error})", "the lines as they were saved", where) from None
    if not unpacking.eof:
        raise BadInput("a plan that is cut off, or is too large", f"at most {_PLAN_BYTES_MAX} bytes", where)
    return plan


def is_client(word: str) -> bool:
    """Whether a word names a client: `c` and a number."""
    return _CLIENT.fullmatch(word) is not None


def duration_ns(text: str, where: str) -> int:
    """Read `150ms`, `2s`. Raises BadInput."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise BadInput(f"duration {text!r}", "a number with ns, us, ms or s", where)
    return int(found[1]) * _NS[found[2]]


def whole(text: str, where: str) -> int:
    """Read a whole number. Raises BadInput."""
    if not (text.isascii() and text.isdecimal()):
        raise BadInput(f"{text!r}", "a whole number", where)
    return int(text)


def settings(words: Iterable[str], known: Iterable[str], where: str) -> dict[str, str]:
    """Read words of the form `name=value`. Raises BadInput for another form or another name."""
    found: dict[str, str] = {}
    names = tuple(known)
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in names:
            raise BadInput(f"{word!r}", " or ".join(f"{name}=..." for name in names), where)
        found[name] = value
    return found


def read_terms(text: str, where: str) -> list[int]:
    """Read the terms of a log: `1,1,2`, or `1*100,2` for a hundred entries of term 1 and one of term 2."""
    terms: list[int] = []
    for part in filter(None, text.split(",")):
        term, star, count = part.partition("*")
        terms += [whole(term, where)] * (whole(count, where) if star else 1)
    if terms != sorted(terms) or (terms and terms[0] < 1):
        raise BadInput(f"log {text!r}", "terms from 1 on that never fall", where)
    return terms


def write_terms(terms: Sequence[int]) -> str:
    """Write the terms of a log as `read_terms` reads them; long runs of one term are counted."""
    parts: list[str] = []
    start = 0
    for end in range(1, len(terms) + 1):
        if end == len(terms) or terms[end] != terms[start]:
            count = end - start
            parts += [f"{terms[start]}*{count}"] if count >= _LONG_RUN else [str(terms[start])] * count
            start = end
    return ",".join(parts)
