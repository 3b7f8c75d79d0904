"""Hunks: the lines of a unified diff, found again in a file whose other lines have changed.

A hunk is a claim about a few lines and shows some of their neighbours. It is looked for with all its context, then with
ever less of it, down to the lines that it replaces; a place counts only when it is the only one, or the only one within
the function that the hunk names behind its second `@@` (`Member.post`, as `anchored` writes it). Lines that are not
found exactly once are not guessed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import msgspec

_HEAD = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@ ?(.*)")


class Hunk(msgspec.Struct, frozen=True, kw_only=True):
    """Lines with their first letters (a space, a minus or a plus), and the function that they are in, if named."""

    function: str
    lines: tuple[str, ...]

    @property
    def changed(self) -> str:
        """The lines that the hunk takes out and puts in."""
        return "".join(line for line in self.lines if line[0] != " ")


def parse(patch: str) -> tuple[str, dict[str, list[Hunk]]]:
    """What stands above the diff, and the hunks by file; new files are not among them."""
    head, files = "", dict[str, list[Hunk]]()
    hunks: list[Hunk] = []
    for line in patch.splitlines(True):
        if line.startswith("--- a/"):
            hunks = files[line.removeprefix("--- a/").strip()] = []
        elif begin := _HEAD.match(line):
            hunks.append(Hunk(function=begin[2].strip(), lines=()))
        elif not files:
            head += line
        elif not line.startswith("+++ ") and hunks:
            hunks[-1] = msgspec.structs.replace(hunks[-1], lines=(*hunks[-1].lines, line))
    return head, files


def planted(text: str, hunk: Hunk, path: str) -> str:
    """The file with the lines of a hunk changed. Raises LookupError when they are not found exactly once."""
    for part in _less_and_less_context(hunk.lines):
        old = "".join(line[1:] for line in part if line[0] != "+")
        new = "".join(line[1:] for line in part if line[0] != "-")
        places = [match.start() for match in re.finditer(rf"^{re.escape(old)}", text, re.MULTILINE)]
        if len(places) != 1 and hunk.function:
            places = [place for place in places if hunk.function in _around(text, text.count("\n", 0, place) + 1)]
        if len(places) == 1:
            (place,) = places
            return text[:place] + new + text[place + len(old) :]
    raise LookupError(f"{path} does not have these lines exactly once:\n{hunk.changed}")


def anchored(diff: str, before: str) -> str:
    """A unified diff against a Python file, each hunk with the function of its first changed line behind its `@@`."""
    lines = diff.splitlines(True)
    for at, line in enumerate(lines):
        if begin := _HEAD.match(line):
            inside = range(at + 1, len(lines))
            offset = next(step for step, row in enumerate(inside) if lines[row][0] in "+-")
            names = _around(before, int(begin[1]) + offset)
            lines[at] = f"{line.rstrip()} {names[-1]}\n" if names else line
    return "".join(lines)


def _around(text: str, line: int) -> list[str]:
    """The classes and functions around a line, by their qualified names, from the outside in."""
    names: list[str] = []
    body = ast.parse(text).body
    while body:
        inner = [
            node
            for node in body
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.lineno <= line <= (node.end_lineno or node.lineno)
        ]
        names += [f"{names[-1]}.{node.name}" if names else node.name for node in inner]
        body = inner[0].body if inner else []
    return names


def _less_and_less_context(lines: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The hunk with all its context, then with ever less at its ends; something old always stays to find it by."""
    changes = [position for position, line in enumerate(lines) if line[0] != " "]
    before, behind = changes[0], len(lines) - 1 - changes[-1]
    cuts = [(first, last) for first in range(before + 1) for last in range(behind + 1)]
    for first, last in sorted(cuts, key=sum):
        part = lines[first : len(lines) - last]
        if any(line[0] != "+" for line in part):
            yield part
