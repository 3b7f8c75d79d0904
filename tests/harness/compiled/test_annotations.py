"""What is compiled is called with what its annotations say: interpreted code does not mind, a compiled build raises."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from tests.harness.compiled.test_modules import CHOSEN

FILES = frozenset(map(str, CHOSEN))
CHECKED = (bool, int, str, bytes, tuple, list, dict, set)
"""What is told apart here: of other classes mypyc asks too, and nearly nothing here lies about them."""

Misfits = dict[str, tuple[Any, str]]
"""function.argument -> (what is annotated, what came)."""


def fits(value: object, hint: Any) -> bool:
    """Whether a compiled function would take a value, as far as its type is one of `CHECKED`."""
    if isinstance(hint, typing.NewType):
        return fits(value, hint.__supertype__)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in typing.get_args(hint))
    if hint is None or hint is type(None):
        return value is None
    kind = typing.get_origin(hint) or hint
    return kind not in CHECKED or isinstance(value, kind)


@cache
def hints_of(code: types.CodeType) -> dict[str, Any]:
    """The annotations of a function that is compiled, by its code."""
    found = {}
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == code.co_filename:
            owners = [module, *(one for one in vars(module).values() if inspect.isclass(one))]
            for function in (one for owner in owners for one in vars(owner).values() if inspect.isfunction(one)):
                if function.__code__ is code:
                    try:
                        found = typing.get_type_hints(function)
                    except NameError:  # a name that only type checkers import
                        continue
    return found


@contextmanager
def watched() -> Iterator[Misfits]:
    """The arguments that do not fit, of all calls of what is compiled."""
    misfits: Misfits = {}

    def look(frame: types.FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or code.co_filename not in FILES:
            return
        hints, given = hints_of(code), frame.f_locals
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            if name in hints and name in given and not fits(given[name], hints[name]):
                misfits[f"{code.co_qualname}.{name}"] = hints[name], type(given[name]).__name__

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield misfits
    finally:
        sys.setprofile(before)


@pytest.mark.parametrize("workload", ["counter", "map", "orders"])
def test_what_is_compiled_is_called_with_what_its_annotations_say(workload: str) -> None:
    with Checkouts() as checkouts:
        binding = bind("raft_impl", checkouts)
        able = abilities_of(load_systems(binding).values())
        drawing = Drawing(workload=workload, profile="swarm", duration_ns=2_000_000_000)
        with watched() as misfits:
            outcome = execute(drawing.plan(3, able), binding)

    assert outcome.verdict.validity == "valid"
    assert misfits == {}


def test_an_argument_that_does_not_fit_is_seen() -> None:
    from checkers.raft.rules.wire import _vote

    with watched() as misfits:
        _vote(7)  # type: ignore[arg-type]

    assert misfits == {"_vote.vote": (str | None, "int")}
