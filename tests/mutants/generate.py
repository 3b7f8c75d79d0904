"""Plant bugs that nobody thought of: patches made by a program, each of which changes one expression or statement.

    python -m tests.mutants.generate FOLDER [--count 60] [--seed 1]
    foreshock mutants FOLDER --suite nightly --count 46

The corpus beside this file holds bugs that systems had and people planted, so what it measures leans towards what
people think of. These are drawn blindly from the functions of the protocol, the runtime and the machines, each kind of
change as often as any other. Many change only how fast something is, or nothing at all; so a share of them that is
found says little. What is worth reading, one by one, are those that acted in many runs and were judged wrong in none
(`foreshock mutants` says so), and those that no run ever reached.

The same seed draws the same patches from the same code.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness.systems.hunks import anchored
from tests.checkers.mutation import variants, walk

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("protocol", "runtime", "machines")
UNJUDGED = ("mark(", "notes", "raise ")
"""What stands in lines that are no bug when they are changed: what is told to people, or counted."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a line, from one byte to another, and what is to stand there."""

    path: Path
    line: int
    begin: int
    end: int
    new: str
    kind: str


def changes(path: Path) -> Iterator[Change]:
    """Yield all changes of one line that the functions of a module offer."""
    tree = ast.parse(path.read_text())
    lines = path.read_bytes().splitlines()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for statement in function.body:
            for node in walk(statement):
                for kind, place, new in _of(node, is_beginning=function.name == "__init__"):
                    line = place.lineno - 1
                    if place.lineno != place.end_lineno or any(word in lines[line].decode() for word in UNJUDGED):
                        continue
                    begin, end = place.col_offset, place.end_col_offset or 0
                    if lines[line][begin:end].decode() != new:
                        yield Change(path=path, line=line, begin=begin, end=end, new=new, kind=kind)


def _of(node: ast.AST, *, is_beginning: bool) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """Yield (kind, what is replaced, by which text) for one node."""
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr):
        changes_state = not isinstance(node, ast.Assign) or isinstance(node.targets[0], ast.Attribute | ast.Subscript)
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if changes_state and not is_text and not is_beginning:
            yield "left out", node, "pass"
        return
    for what, changed in variants(node):
        place, new = node, changed
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            place, new = node.test, changed.test  # type: ignore[attr-defined]
        if isinstance(place, ast.expr | ast.stmt):
            yield what.rstrip(" 0123456789"), place, ast.unparse(new)


def draw(count: int, seed: int) -> list[Change]:
    """Draw changes, each kind in turn, so that none crowds out the others."""
    by_kind: dict[str, list[Change]] = defaultdict(list)
    for path in sorted(path for part in PARTS for path in (ROOT / "raft_impl" / part).glob("*.py")):
        for change in dict.fromkeys(changes(path)):  # what is in an inner function comes twice
            by_kind[change.kind].append(change)
    drawn = []
    chance = random.Random(seed)
    kinds = sorted(by_kind)
    for kind in kinds:
        chance.shuffle(by_kind[kind])
    while len(drawn) < count and any(by_kind.values()):
        drawn += [by_kind[kind].pop() for kind in kinds if by_kind[kind]]
    return drawn[:count]


def patch(change: Change, number: int) -> tuple[str, str]:
    """The name and the text of the patch that makes a change."""
    before = change.path.read_text()
    lines = before.splitlines(True)
    old = lines[change.line].encode()
    lines[change.line] = (old[: change.begin] + change.new.encode() + old[change.end :]).decode()
    path = change.path.relative_to(ROOT).as_posix()
    diff = "".join(difflib.unified_diff(before.splitlines(True), lines, f"a/{path}", f"b/{path}"))
    name = f"made-{number:03}-{change.path.stem.replace('_', '-')}-{change.line + 1}"
    return name, f"Name: {name}\nSource: made by a program: {change.kind}\nExpect: \n\n{anchored(diff, before)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the patches into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    if any(options.folder.iterdir()):
        parser.error(f"found files in {options.folder}; expected a new folder")
    for number, change in enumerate(draw(options.count, options.seed), 1):
        name, text = patch(change, number)
        (options.folder / f"{name}.patch").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
