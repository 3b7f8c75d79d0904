"""What is wrong with an answer of a set that only grows, in one sentence: the element that is there or is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checkers.linearizability.partition import Part
from checkers.models import Model
from checkers.operation import Operation
from checkers.values import show


def impossible_set(part: Part, model: Model, kept: Sequence[Operation], blocked: Operation) -> str:
    """Say which element a set cannot have had or lacked at an answer; "" where no element tells alone."""
    if model.name != "set" or not isinstance(model.init, frozenset):
        return ""
    initial: frozenset[Any] = model.init
    who = f"process {blocked.process}"
    adds = [operation for operation in part.operations if operation.f == "add" and operation.type != "fail"]
    if blocked.f == "add" and blocked.type == "fail":
        is_there = blocked.value in initial or any(a.value == blocked.value and a.call < blocked.ret for a in adds)
        return "" if is_there else f"{who} was told that {show(blocked.value)} exists, which no operation had added"
    if blocked.f == "add" or blocked.type != "ok":
        return ""
    seen = frozenset(blocked.result)
    if len(seen) < len(blocked.result):
        twice = next(element for place, element in enumerate(blocked.result) if element in blocked.result[:place])
        return f"{who} read {show(twice)} twice in one set"
    called = {add.value for add in adds if add.call < blocked.ret}
    strange = [element for element in blocked.result if element not in called and element not in initial]
    if strange:
        return f"{who} read {_with_others(strange)}{_no_source(part, adds, strange[0])}"
    return _missing(part, initial, seen, blocked)


def _no_source(part: Part, adds: Sequence[Operation], element: Any) -> str:
    later = min((add for add in adds if add.value == element), key=lambda add: add.call, default=None)
    if later is not None:
        return f" before process {later.process} called its add of {show(element)}"
    failed = next((void for void in part.voids if void.f == "add" and void.value == element), None)
    if failed is not None:
        return f", but the add of {show(element)} of process {failed.process} failed"
    return ", which was never added"


def _missing(part: Part, initial: frozenset[Any], seen: frozenset[Any], blocked: Operation) -> str:
    """Say what was there before the read was called and is not in it."""
    missing: dict[Any, str] = dict.fromkeys(sorted(initial - seen, key=show), "was there from the beginning")
    before = sorted((o for o in part.operations if o.ret < blocked.call), key=lambda operation: operation.ret)
    for operation in before:
        if operation.f == "add" and operation.value not in seen:
            did = "had been told that it exists" if operation.type == "fail" else "had added"
            missing.setdefault(operation.value, f"process {operation.process} {did}")
        elif operation.f == "read" and operation.type == "ok":
            for element in operation.result:
                if element not in seen:
                    missing.setdefault(element, f"process {operation.process} had read")
    if not missing:
        return ""
    elements = list(missing)
    return f"process {blocked.process} read a set without {_with_others(elements)}, which {missing[elements[0]]}"


def _with_others(elements: Sequence[Any]) -> str:
    more = len(elements) - 1
    return show(elements[0]) + (f" (and {more} more)" if more else "")
