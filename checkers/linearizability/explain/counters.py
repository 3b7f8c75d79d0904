"""What is wrong with an answer of a counter, in one sentence: a sum that the adds of the time cannot make.

The sums that are possible at an answer lie between two bounds: what had been added before its call, with all that may
have been subtracted by its return, and with all that may have been added. The same holds between two answers. Whether a
sum between the bounds can be made of the deltas is not asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from checkers.linearizability.partition import Part
from checkers.models import Model
from checkers.operation import Operation

from .wording import told

LOOKED_AT: Final = 50
"""How many of the latest answers before are compared with the one that cannot be."""

_ADDS: Final = ("add", "add-and-get")


class _Sum(NamedTuple):
    low: int
    high: int


def impossible_sum(part: Part, model: Model, kept: Sequence[Operation], blocked: Operation) -> str:
    """Say why a counter cannot have had the value of an answer; "" where the bounds do not tell."""
    if model.name != "counter" or type(model.init) is not int or not _sees(blocked):
        return ""
    operations = part.operations
    if any(operation.f not in ("read", *_ADDS) or operation.type == "fail" for operation in operations):
        return ""
    adds = [operation for operation in operations if operation.f in _ADDS and operation is not blocked]
    seen, own = _value(blocked), _own(blocked)
    what = _told(model, blocked)
    its_own = ", its own included," if blocked.f == "add-and-get" else ""
    sum_ = _bounds(adds, -1, -1, blocked)
    low, high = model.init + own + sum_.low, model.init + own + sum_.high
    if seen > high:
        failed = _failed(part, seen - high)
        return f"{what}, but all that was added by then{its_own} comes to {_at('most', low, high, high)}{failed}"
    if seen < low:
        return f"{what}, but what was added before{its_own} comes to {_at('least', low, high, low)}"
    before = [operation for operation in operations if operation.ret < blocked.call and _sees(operation)]
    latest = sorted(before, key=lambda operation: operation.ret)[-LOOKED_AT:]
    for other in [*(o for o in kept if o.ret < blocked.call and _sees(o)), *reversed(latest)]:
        between = _bounds([add for add in adds if add is not other], other.call, other.ret, blocked)
        low, high = own + between.low, own + between.high
        if not low <= seen - _value(other) <= high:
            return (
                f"{what} after {_told(model, other, had=True)}, and {_between(low, high, seen < _value(other) + low)}"
            )
    return ""


def _bounds(adds: Iterable[Operation], call: int, ret: int, until: Operation) -> _Sum:
    """Bound the sum of the adds that took effect between an answer (call, ret; -1 for the beginning) and `until`."""
    low = high = 0
    for add in adds:
        if add.ret > call and add.call < until.ret:
            is_sure = add.call > ret and add.ret < until.call
            low += add.value if is_sure else min(add.value, 0)
            high += add.value if is_sure else max(add.value, 0)
    return _Sum(low, high)


def _between(low: int, high: int, is_low: bool) -> str:
    if low == high == 0:
        return "nothing was added in between"
    if is_low and low == 0:
        return "nothing was subtracted in between"
    if not is_low and high == 0:
        return "only subtracted from in between"
    return (
        f"what was added in between comes to {_at('least' if is_low else 'most', low, high, low if is_low else high)}"
    )


def _at(word: str, low: int, high: int, bound: int) -> str:
    return f"{bound}" if low == high else f"at {word} {bound}"


def _failed(part: Part, missing: int) -> str:
    failed = next((void for void in part.voids if void.f in _ADDS and void.value == missing), None)
    return "" if failed is None else f"; the {failed.f} of {failed.value} by process {failed.process} failed"


def _told(model: Model, operation: Operation, *, had: bool = False) -> str:
    if operation.f == "read":
        return told(model, operation, had=had)
    verb = "had been answered" if had else "was answered"
    return f"process {operation.process} {verb} {_value(operation)} to its {operation.f} of {operation.value}"


def _sees(operation: Operation) -> bool:
    return operation.type == "ok" and operation.f in ("read", "add-and-get")


def _value(operation: Operation) -> int:
    return int(operation.result if operation.f == "read" else operation.result[1])


def _own(operation: Operation) -> int:
    return int(operation.value) if operation.f == "add-and-get" else 0
