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
import itertools
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import hypothesis  # noqa: F401  # imported here, so that no mutant's process has to
import pytest

FOLDER = Path(__file__).parents[2] / "checkers"
UNCHANGED = -1
"""The number of the mutant that is none: the tests must pass with it."""

TESTS = (
    "linearizability/search/test_jit",
    "linearizability/front/test_checker",
    "linearizability/explain/test_explain",
    "linearizability/search/test_agreement",
    "test_streaming",
)

TESTS_OF_READING = {
    "admission": ("test_admission", "test_columns", "test_importers"),
    "columns": ("test_columns",),
    "history": ("test_history", "test_importers", "test_admission", "test_columns", "test_round_trip"),
    "intervals": ("test_history", "test_importers", "test_round_trip", "test_recorder"),
    "json_lines": ("test_history", "test_importers", "test_columns", "test_round_trip"),
    "op": ("test_history", "test_round_trip"),
    "operation": ("test_history", "test_admission", "test_round_trip"),
    "pairing": ("test_history", "test_importers", "test_admission", "test_round_trip"),
    "importers": ("test_importers", "test_round_trip", "test_admission", "test_columns"),
    "recorder": ("test_recorder",),
    "rows": ("test_columns",),
    "values": ("test_history", "test_admission", "test_importers"),
}
"""Module or package of reading -> its tests, the most telling first. Other modules are those of linearizability."""

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
    return module.split(".")[0] in TESTS_OF_READING


def _tests_of(module: str) -> Sequence[str]:
    return TESTS_OF_READING.get(module.split(".")[0], TESTS)


def _full_name(module: str) -> str:
    return f"checkers.{module}" if _is_of_reading(module) else f"checkers.linearizability.{module}"


def _file_of(module: str) -> Path:
    return FOLDER.joinpath(*_full_name(module).split(".")[1:]).with_suffix(".py")


def _run(module: str, number: int) -> None:
    """Become a mutant, and run the tests of its part; the exit code is theirs."""
    source = _file_of(module).read_text()
    whole = ast.parse(source) if number == UNCHANGED else next(itertools.islice(mutants(source), number, None))[2]
    sys.meta_path.insert(0, _Finder(module, whole))
    folder = Path(__file__).parent
    os.chdir(folder.parents[1])
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    files = [str(folder / f"{name}.py") for name in _tests_of(module)]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    os._exit(pytest.main([*options, *files]))


def survives(module: str, number: int, timeout_s: float) -> bool:
    """Run the tests against one mutant, in a process that is forked before anything of `checkers` is imported."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(module, number))
    process.start()
    process.join(timeout_s)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take every Nth mutant only")
    parser.add_argument("--first", type=int, default=0, help="begin with this mutant")
    parser.add_argument("--timeout", type=float, default=120.0)
    options = parser.parse_args(arguments)
    for module in options.modules:
        found = [(line, what) for line, what, _ in mutants(_file_of(module).read_text())]
        if not survives(module, UNCHANGED, options.timeout):
            print(f"{module}: the tests fail without a mutant", file=sys.stderr)
            return 1
        tried = survived = 0
        for number in range(options.first, len(found), options.every):
            tried += 1
            if survives(module, number, options.timeout):
                survived += 1
                line, what = found[number]
                print(f"{module}.py:{line}: {what}: survived (mutant {number})", flush=True)
        print(f"{module}: {tried - survived} of {tried} mutants killed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
