"""Mutation testing of the general engines and of reading: change one thing, and see whether the ordinary tests notice.

    python -m tests.checkers.mutation_general search.frontier search.encoding [--every 1] [--timeout 120]
    python -m tests.checkers.mutation_general admission importers.jepsen columns

Each mutant exchanges a comparison, an arithmetic or a boolean operator, drops a `not`, shifts a small number, or leaves
out a statement that changes control flow or state. The tests of its part run against it in a process of its own, until
the first failure. What survives is printed with its line, to be looked at: it is a missing test, or it
changes nothing (a bound, an order, a shortcut).
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "checkers"
VARIABLE = "CHECKERS_MUTANT"
"""Environment variable that tells a process which mutant it is: MODULE:NUMBER."""

UNCHANGED = -1
"""The number of the mutant that is none: the tests must pass with it."""

TESTS = (
    "linearizability/search/test_jit",
    "linearizability/front/test_checker",
    "linearizability/explain/test_explain",
    "linearizability/search/test_agreement",
    "test_streaming",
)

READING = ("admission", "columns", "history", "recorder", "importers")
"""Modules and packages of reading; others are those of linearizability."""

TESTS_OF_READING = ("test_admission", "test_importers", "test_columns", "test_history", "test_round_trip")

EXCHANGE: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


def mutants(source: str) -> Iterator[tuple[int, str, ast.Module]]:
    """Yield (line, what was changed, the module) for each mutant."""
    for number, node in enumerate(ast.walk(ast.parse(source))):
        for change in _changes(node):
            tree = ast.parse(source)
            twin = list(ast.walk(tree))[number]
            what = change(twin)
            yield getattr(node, "lineno", 0), what, ast.fix_missing_locations(tree)


def _changes(node: ast.AST) -> list:  # type: ignore[type-arg]
    if isinstance(node, ast.Compare) and type(node.ops[0]) in EXCHANGE:
        return [_exchange_comparison]
    if isinstance(node, ast.BoolOp | ast.BinOp | ast.AugAssign) and type(node.op) in EXCHANGE:
        return [_exchange_operator]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return [_drop_not]
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) <= 2:
        return [_shift]
    if isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.If):
        places = [
            place
            for place, statement in enumerate(node.body)
            if isinstance(statement, ast.Continue | ast.Break | ast.Delete | ast.AugAssign)
            or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call))
        ]
        return [lambda twin, place=place: _leave_out(twin, place) for place in places]
    return []


def _exchange_comparison(node: ast.Compare) -> str:
    old = type(node.ops[0])
    node.ops[0] = EXCHANGE[old]()  # type: ignore[call-overload]
    return f"{old.__name__} -> {EXCHANGE[old].__name__}"


def _exchange_operator(node: ast.BoolOp | ast.BinOp) -> str:
    old = type(node.op)
    node.op = EXCHANGE[old]()  # type: ignore[assignment]
    return f"{old.__name__} -> {EXCHANGE[old].__name__}"


def _drop_not(node: ast.UnaryOp) -> str:
    node.operand = ast.UnaryOp(ast.Not(), node.operand)
    return "not dropped"


def _shift(node: ast.Constant) -> str:
    old = node.value
    node.value = int(str(old)) + 1
    return f"{old!r} -> {node.value!r}"


def _leave_out(node: ast.FunctionDef | ast.For | ast.While | ast.If, place: int) -> str:
    text = ast.unparse(node.body[place])
    node.body[place] = ast.Pass()
    return f"left out: {text}"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves one mutated module in the place of the real one."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self.name = _full_name(module)
        self.tree = tree

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.tree, f"mutant of {self.name}", "exec"), module.__dict__)


def _is_of_reading(module: str) -> bool:
    return module.split(".")[0] in READING


def _full_name(module: str) -> str:
    return f"checkers.{module}" if _is_of_reading(module) else f"checkers.linearizability.{module}"


def _file_of(module: str) -> Path:
    return FOLDER.joinpath(*_full_name(module).split(".")[1:]).with_suffix(".py")


def install() -> None:
    """Become the mutant that the environment names."""
    module, number = os.environ[VARIABLE].split(":")
    source = _file_of(module).read_text()
    tree = ast.parse(source) if int(number) == UNCHANGED else list(mutants(source))[int(number)][2]
    sys.meta_path.insert(0, _Finder(module, tree))


def survives(module: str, number: int, timeout_s: float) -> bool:
    """Run the tests against one mutant."""
    folder = Path(__file__).parent
    files = [str(folder / f"{name}.py") for name in (TESTS_OF_READING if _is_of_reading(module) else TESTS)]
    command = (
        "import sys, tests.checkers.mutation_general as mutation; mutation.install(); "
        "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    )
    environment = {**os.environ, VARIABLE: f"{module}:{number}"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", command, "-x", "-q", "-p", "no:cacheprovider", *files],
            env=environment,
            cwd=folder.parents[1],
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take every Nth mutant only")
    parser.add_argument("--timeout", type=float, default=120.0)
    options = parser.parse_args(arguments)
    for module in options.modules:
        found = [(line, what) for line, what, _ in mutants(_file_of(module).read_text())]
        if not survives(module, UNCHANGED, options.timeout):
            print(f"{module}: the tests fail without a mutant", file=sys.stderr)
            return 1
        tried = survived = 0
        for number in range(0, len(found), options.every):
            tried += 1
            if survives(module, number, options.timeout):
                survived += 1
                line, what = found[number]
                print(f"{module}.py:{line}: {what}: survived (mutant {number})", flush=True)
        print(f"{module}: {tried - survived} of {tried} mutants killed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
