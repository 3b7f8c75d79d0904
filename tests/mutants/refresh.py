"""Write the patches of planted bugs anew when the lines around them have changed.

    python -m tests.mutants.refresh

A patch is a claim about a few lines, and shows some of their neighbours. When only neighbours have changed it still
applies (`harness.systems.hunks`), and here it is written with the neighbours of today and the function it is in. Lines
that are not found exactly once are not guessed: such a patch is left as it is and named, with exit code 1, because then
the rule itself was rewritten and a person must plant the bug again.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from pathlib import Path

from harness.systems.hunks import anchored, parse, planted

ROOT = Path(__file__).resolve().parents[2]
CANARIES = ROOT / "harness" / "suites" / "canaries"
FOLDERS = (ROOT / "tests" / "mutants", ROOT / "tests" / "upgrades", CANARIES, CANARIES / "families")


def refreshed(patch: str, read: Callable[[str], str]) -> str:
    """The patch against the files that `read` gives by their paths. Raises LookupError for lines that are not found."""
    head, files = parse(patch)
    text = head
    for path, hunks in files.items():
        before = read(path)
        after = before
        for hunk in hunks:
            after = planted(after, hunk, path)
        lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}")
        text += anchored("".join(lines), before)
    return text


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
