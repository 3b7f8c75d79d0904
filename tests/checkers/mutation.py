"""Mutation testing of the fast paths: break them in one place, and see whether the differential campaign notices.

    python -m tests.checkers.mutation [MODULE ...] [--examples 3000]

A mutant is one small change of one expression: a condition that is always or never true, a comparison with another
sense, a minimum for a maximum, one arithmetic operation for another, a loop that ends early, a number off by one. It is
killed when an example of one of the module's paths gets a wrong verdict, a wrong shortest prefix or an error, or when
one takes far longer than it should. Survivors are printed with their line.

Those looked at so far (2,000 to 3,000 examples a path) are of five sorts:

* Applicability and evidence (`rows_of`, `culprits`): the named tests of
  `tests/checkers/linearizability/fast` hold them.
* The order of probes in `failing_prefix`, widths, strides and budgets in `counters_general`, what is cached or pruned:
  they cost time and change no verdict, which is the point of them. `test_long.py` bounds the probes.
* Shortcuts whose long way is exact too: a weaker filter in `failed_cas.open_demands` leaves more to the walk,
  `counters` agrees with itself when everything goes to `counters_general`, a free move in `failed_cas` is also found as
  one of many.
* Conditions that others imply: a block that is due can always run up to what is due, since its order was checked.
* Gaps of the campaign. Those that were found became named tests: which write makes room first, a value entered early
  and still to be seen, one large add against two small ones. `FAILED_CAS_PATH` and the scattered paths came of them.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib
import itertools
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.checkers.campaign import PATHS, campaign

PATHS_OF = {
    "fast.registers": ("register", "map", "register-failed-cas"),
    "fast.zones": ("register", "map", "register-failed-cas"),
    "fast.failed_cas": ("register-failed-cas", "register"),
    "fast.counters": ("counter-one-delta", "counter-small"),
    "fast.counters_general": (
        "counter-small-scattered",
        "counter-large-scattered",
        "counter-small-cramped",
        "counter-small",
    ),
    "fast.pending_sums": (
        "counter-small-scattered",
        "counter-large-scattered",
        "counter-large-cramped",
        "counter-large",
    ),
    "fast.sets": ("set",),
    "fast.queues": ("queue-scattered", "queue"),
    "fast.mutexes": ("mutex",),
    "fast.texts": ("text",),
    "failing_prefix": ("register", "counter-one-delta", "counter-small"),
}
"""Module -> the paths of the campaign that go through it."""

SECONDS_A_MUTANT = 40.0
"""A mutant that takes longer than this has made something endless."""

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}


def variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield (what changed, changed copy) of one node; its children stay as they are."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield "turn the comparison", _with(node, ops=[COMPARISONS[type(node.ops[0])]()])
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield "another operation", _with(node, op=ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield "and for or", _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        for place in range(len(node.values)):
            rest = node.values[:place] + node.values[place + 1 :]
            yield f"drop condition {place + 1}", rest[0] if len(rest) == 1 else _with(node, values=rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "drop not", node.operand
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "never", _with(node, test=ast.Constant(False))
        if not isinstance(node, ast.While):
            yield "always", _with(node, test=ast.Constant(True))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SWAPPED:
        yield "swap " + node.func.id, _with(node, func=ast.Name(SWAPPED[node.func.id], ast.Load()))
    elif isinstance(node, ast.Continue):
        yield "break for continue", ast.Break()
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield "one more", ast.Constant(node.value + 1)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk over a tree, but not into annotations, which nothing runs."""
    waiting = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                parts = value if isinstance(value, list) else [value]
                waiting.extend(part for part in parts if isinstance(part, ast.AST))


class _Replace(ast.NodeTransformer):
    """Puts one node in the place of the node with this number, counted in the order of `walk`."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old = old
        self.new = ast.copy_location(new, old)

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().visit(node)


def mutants(source: str) -> Iterator[tuple[int, str, ast.Module]]:
    """Yield (line, what changed, tree) for each mutant of a module."""
    for number, whole in enumerate(walk(ast.parse(source))):
        if not any(True for _ in variants(whole)):
            continue
        for variant in itertools.count():
            tree = ast.parse(source)
            node = next(itertools.islice(walk(tree), number, None))
            changed = next(itertools.islice(variants(node), variant, None), None)
            if changed is None:
                break
            what, new = changed
            mutated = _Replace(node, new).visit(tree)
            yield getattr(node, "lineno", 0), what, ast.fix_missing_locations(mutated)


def is_killed(module: ModuleType, tree: ast.Module, examples: int) -> bool:
    """Run the campaign with the mutant in the place of the module."""
    name = module.__name__.removeprefix("checkers.linearizability.")
    paths = [PATHS[path] for path in PATHS_OF[name]]
    kept = dict(vars(module))
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_MUTANT)
    try:
        exec(compile(tree, module.__file__ or name, "exec"), vars(module))
        with _in_place_of(kept, vars(module)) as renewed:
            for path in paths:
                campaign(replace(path, check=renewed(path.check)), range(examples))
    except Exception:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        vars(module).clear()
        vars(module).update(kept)
    return False


@contextlib.contextmanager
def _in_place_of(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Callable[[Any], Any]]:
    """Give the new function or class to every module that imported it by name."""
    pairs = {id(thing): (thing, new[name]) for name, thing in old.items() if callable(thing) and name in new}

    def renewed(thing: Any) -> Any:
        return pairs[id(thing)][1] if id(thing) in pairs else thing

    moved = []
    for name, module in list(sys.modules.items()):
        if name.startswith("checkers.linearizability.") and vars(module) is not new:
            for attribute, thing in list(vars(module).items()):
                if renewed(thing) is not thing:
                    moved.append((module, attribute, thing))
                    setattr(module, attribute, renewed(thing))
    try:
        yield renewed
    finally:
        for module, attribute, thing in moved:
            setattr(module, attribute, thing)


def _too_slow(*_: object) -> None:
    raise TimeoutError


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the mutants of some modules, and print those that no test notices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--examples", type=int, default=3_000)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGALRM, _too_slow)
    for name in options.modules or PATHS_OF:
        module = importlib.import_module(f"checkers.linearizability.{name}")
        source = Path(module.__file__ or "").read_text()
        lines = source.splitlines()
        killed = alive = 0
        for line, what, tree in mutants(source):
            if is_killed(module, tree, options.examples):
                killed += 1
            else:
                alive += 1
                print(f"{name}.py:{line}: {what}: {lines[line - 1].strip()}", flush=True)
        print(f"{name}: {killed} of {killed + alive} mutants killed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
