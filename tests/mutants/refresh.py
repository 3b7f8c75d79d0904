"""Write the patches of planted bugs anew when the lines around them have changed.

    python -m tests.mutants.refresh

A patch is a claim about a few lines, and shows some of their neighbours. When only neighbours have changed, the lines
are found again by what of the context still stands, and the patch is written with the neighbours of today. Lines that
are not found exactly once are not guessed: such a patch is left as it is and named, with exit code 1, because then
the rule itself was rewritten and a person must plant the bug again.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "tests" / "mutants", ROOT / "harness" / "suites" / "canaries")

Hunk = list[str]
"""Lines of a hunk with their first letters: a space, a minus or a plus."""


def refreshed(patch: str, read: Callable[[str], str]) -> str:
    """The patch against the files that `read` gives by their paths. Raises LookupError for lines that are not found."""
    head, files = _parse(patch)
    text = head
    for path, hunks in files.items():
        before = read(path)
        after = before
        for hunk in hunks:
            after = _plant(after, hunk, path)
        lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}")
        text += "".join(lines)
    return text


def _parse(patch: str) -> tuple[str, dict[str, list[Hunk]]]:
    """What stands above the diff, and the hunks by file."""
    head, files = "", dict[str, list[Hunk]]()
    hunks: list[Hunk] = []
    for line in patch.splitlines(True):
        if line.startswith("--- a/"):
            hunks = files[line.removeprefix("--- a/").strip()] = []
        elif line.startswith("@@"):
            hunks.append([])
        elif not files:
            head += line
        elif not line.startswith("+++ "):
            hunks[-1].append(line)
    return head, files


def _plant(text: str, hunk: Hunk, path: str) -> str:
    """Change the lines of a hunk, found with as much of its context as still stands."""
    for part in _less_and_less_context(hunk):
        old = "".join(line[1:] for line in part if line[0] != "+")
        if text.count(old) == 1:
            return text.replace(old, "".join(line[1:] for line in part if line[0] != "-"))
    changed = "".join(line for line in hunk if line[0] != " ")
    raise LookupError(f"{path} does not have these lines exactly once:\n{changed}")


def _less_and_less_context(hunk: Hunk) -> Iterator[Hunk]:
    """The hunk with all its context, then with ever less at its ends; something old always stays to find it by."""
    changes = [position for position, line in enumerate(hunk) if line[0] != " "]
    before, behind = changes[0], len(hunk) - 1 - changes[-1]
    cuts = [(first, last) for first in range(before + 1) for last in range(behind + 1)]
    for first, last in sorted(cuts, key=sum):
        part = hunk[first : len(hunk) - last]
        if any(line[0] != "+" for line in part):
            yield part


def main() -> int:
    failed = 0
    for patch in sorted(patch for folder in FOLDERS for patch in folder.glob("*.patch")):
        before = patch.read_text()
        try:
            after = refreshed(before, lambda path: (ROOT / path).read_text())
        except LookupError as error:
            failed += 1
            print(f"{patch.relative_to(ROOT)}: {error}", file=sys.stderr)
            continue
        if after != before:
            patch.write_text(after)
            print(f"{patch.relative_to(ROOT)}: written anew")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
