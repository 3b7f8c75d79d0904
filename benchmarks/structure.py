"""The structure of the code in numbers: files, lines, functions, classes, attributes, untyped documents.

    python -m benchmarks.structure            the checkout that holds this file
    python -m benchmarks.structure --repo DIR  another checkout, also an older one
    python -m benchmarks.structure --largest 12  also the largest classes and functions, with their places

Lines of a function or class are those of its body, its docstring left out, as the survey of other projects counts them.
Attributes of a class are the distinct names that its own methods assign on `self`, and annotated fields of its body.
The limits that the project keeps stand in `LIMITS` and are held by tests/test_repository.py.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

PACKAGES: Final = ("harness", "workloads", "checkers", "raft_impl")
LIMITS: Final = {"class lines": 300, "class attributes": 20, "dict[str, Any] in harness": 24}
EXEMPT_LINES: Final = frozenset({"Raft", "Leader"})
"""Classes that are the protocol: better whole than scattered."""
EXEMPT_ATTRIBUTES: Final = frozenset({"Raft"})


class Part(NamedTuple):
    """A function or a class: where it is, and how large."""

    name: str
    place: str
    lines: int
    attributes: int


class Measured(NamedTuple):
    """What one set of files amounts to."""

    files: list[int]
    code: int
    docstrings: int
    functions: list[Part]
    classes: list[Part]
    untyped: int


def sources(root: Path, packages: tuple[str, ...] = PACKAGES) -> Iterator[Path]:
    """All modules of the given packages, sorted."""
    for package in packages:
        yield from sorted((root / package).rglob("*.py"))


def measure(root: Path, packages: tuple[str, ...] = PACKAGES) -> Measured:
    """Read all modules of some packages of a checkout."""
    found = Measured([], 0, 0, [], [], 0)
    code = docstrings = untyped = 0
    for file in sources(root, packages):
        text = file.read_text()
        found.files.append(text.count("\n"))
        tree = ast.parse(text)
        code += sum(1 for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
        untyped += _untyped(text)
        name = file.relative_to(root)
        for node in ast.walk(tree):
            docstrings += _docstring_lines(node)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.functions.append(Part(node.name, f"{name}:{node.lineno}", _body_lines(node), 0))
            elif isinstance(node, ast.ClassDef):
                attributes = len(_attributes(node))
                found.classes.append(Part(node.name, f"{name}:{node.lineno}", _body_lines(node), attributes))
    return found._replace(code=code - docstrings, docstrings=docstrings, untyped=untyped)


def too_large(root: Path) -> list[str]:
    """What breaks a limit, one line each."""
    measured = measure(root)
    found = [
        f"{part.place} {part.name}: {part.lines} lines; at most {LIMITS['class lines']}"
        for part in measured.classes
        if part.lines > LIMITS["class lines"] and part.name not in EXEMPT_LINES
    ]
    found += [
        f"{part.place} {part.name}: {part.attributes} attributes; at most {LIMITS['class attributes']}"
        for part in measured.classes
        if part.attributes > LIMITS["class attributes"] and part.name not in EXEMPT_ATTRIBUTES
    ]
    untyped = sum(_untyped(file.read_text()) for file in sources(root, ("harness",)))
    if untyped > LIMITS["dict[str, Any] in harness"]:
        found.append(f"harness: {untyped} uses of dict[str, Any]; at most {LIMITS['dict[str, Any] in harness']}")
    return found


def _untyped(text: str) -> int:
    return text.count("dict[str, Any]")


def _docstring_lines(node: ast.AST) -> int:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return 0
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return (first.end_lineno or first.lineno) - first.lineno + 1
    return 0


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)


def _attributes(node: ast.ClassDef) -> set[str]:
    """Names that the methods of a class assign on `self`, and the fields of records."""
    names = {
        statement.target.id
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and not _is_constant(statement)
    }
    for inner in ast.walk(node):
        targets: list[ast.expr] = []
        if isinstance(inner, ast.Assign):
            targets = inner.targets
        elif isinstance(inner, ast.AnnAssign | ast.AugAssign):
            targets = [inner.target]
        for target in targets:
            for leaf in ast.walk(target):
                if isinstance(leaf, ast.Attribute) and isinstance(leaf.value, ast.Name) and leaf.value.id == "self":
                    names.add(leaf.attr)
    return names


def _is_constant(statement: ast.AnnAssign) -> bool:
    return "Final" in ast.unparse(statement.annotation) or "ClassVar" in ast.unparse(statement.annotation)


def _row(name: str, found: Measured) -> str:
    def spread(values: list[int]) -> str:
        ordered = sorted(values) or [0]
        return f"{statistics.median(ordered):.0f}/{ordered[len(ordered) * 9 // 10 - 1]}/{ordered[-1]}"

    return (
        f"{name:12} {len(found.files):5} {found.code:6} {found.docstrings:6}  {spread(found.files):>13}"
        f"  {spread([part.lines for part in found.functions]):>9}"
        f"  {spread([part.lines for part in found.classes]):>10}"
        f"  {max((part.attributes for part in found.classes), default=0):5}  {found.untyped:7}"
    )


def main() -> int:
    """Print the table. Exit 1 with `--gate` when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--largest", type=int, default=0, metavar="N")
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--json", action="store_true", help="the totals as one JSON object")
    given = parser.parse_args()
    whole = measure(given.repo)
    if given.json:
        largest = max(whole.classes, key=lambda part: part.lines)
        widest = max(whole.classes, key=lambda part: part.attributes)
        totals = {"files": len(whole.files), "code": whole.code, "largest_class": largest, "widest_class": widest}
        print(json.dumps(totals | {"untyped": whole.untyped}))
        return 0
    print("package      files   code   docs  file m/p90/max  fn m/p90/max  class m/p90/max attrs  untyped")
    for package in PACKAGES:
        print(_row(package, measure(given.repo, (package,))))
    print(_row("product", whole))
    print(_row("tests", measure(given.repo, ("tests",))))
    for title, parts in (("classes by lines", whole.classes), ("functions by lines", whole.functions)):
        for part in sorted(parts, key=lambda part: -part.lines)[: given.largest]:
            print(f"{title}: {part.lines:4} {part.name} {part.place}")
    for part in sorted(whole.classes, key=lambda part: -part.attributes)[: given.largest]:
        print(f"classes by attributes: {part.attributes:4} {part.name} {part.place}")
    broken = too_large(given.repo)
    print(*broken, sep="\n")
    return 1 if given.gate and broken else 0


if __name__ == "__main__":
    sys.exit(main())
