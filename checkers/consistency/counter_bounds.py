"""Counters out of bounds: a quick check that can accuse, and cannot acquit.

A read of a counter must lie between what is certainly in it and what may be in it: all additions that completed before
the read was invoked count, those that were running or whose outcome is unknown may count. Both bounds are kept while
walking through the lines once, so the check is linear and needs no search, whatever the deltas.

It is incomplete: two reads may each be within bounds and contradict each other. A violation is a violation under
linearizability; passing proves only that no single read is impossible. The exact check is
`check(history, "counter")`.

Operations: `add` d (d may be negative), `add-and-get` d -> [d, n], `read` -> n. A key on which the value is set
outright (`set`, `cas`, `create`) has no bounds of this kind, and makes the verdict `unknown`. So does one of which it
was said that there is no counter (`absent`). And where a history creates any counter, all of them begin as missing:
there the check can accuse, and says `unknown` otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any, Final

from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.operation import INF, Operation
from checkers.values import show
from checkers.verdict import Anomaly, Validity, Verdict

CHECKER: Final = "counter-bounds"
INCOMPLETE: Final = "incomplete: each read is possible on its own; whether all are together was not asked"

_SETS: Final = frozenset({"set", "cas", "create"})


def check(history: History, *, initial: int | None = None) -> Verdict:
    """Ask of each read whether its value is possible at all, given the additions before and beside it.

    `initial` is 0 unless a counter is created.
    """
    begin = time.perf_counter()
    anomalies: list[Anomaly] = []
    refused: dict[str, list[Hashable]] = {}
    worst = 0
    operations = history.operations()
    begins_missing = initial is None and any(o.f == "create" for o in history.operations(with_void=True))
    for key, of_key in history.by_key().items():
        if (why := _has_no_bounds(of_key)) is not None:
            refused.setdefault(why, []).append(key)
            continue
        if begins_missing:
            refused.setdefault("no counter was created", []).append(key)
        for operation, value, low, high in _impossible(of_key, initial or 0, history):
            worst = max(worst, low - value, value - high)
            anomalies.append(_anomaly(operation, value, low, high))
    validity: Validity = "invalid" if anomalies else "unknown" if refused else "valid"
    reasons = [] if anomalies else [f"{why} on {', '.join(map(show, keys))}" for why, keys in refused.items()]
    return Verdict(
        validity=validity,
        checker=CHECKER,
        engine="bounds",
        model="counter",
        ops=len(operations),
        anomalies=tuple(anomalies[:1]),
        reason="; ".join(reasons),
        steps=len(operations),
        seconds=time.perf_counter() - begin,
        notes=(INCOMPLETE,),
        details={"impossible": len(anomalies), "furthest": worst},
    )


def _has_no_bounds(operations: list[Operation]) -> str | None:
    """Say why additions alone do not tell what this counter can be, or None."""
    if any(operation.f in _SETS for operation in operations):
        return "values are set outright"
    return "there was no counter" if any(operation.is_negative for operation in operations) else None


def _impossible(operations: list[Operation], initial: int, history: History) -> list[tuple[Operation, int, int, int]]:
    """List the reads out of bounds, with their value and the bounds, in the order of their completions."""
    events = [(operation.call, False, operation) for operation in operations]
    events += [(operation.ret, True, operation) for operation in operations if operation.ret != INF]
    events.sort(key=lambda event: event[0])
    low = high = initial  # before the next line, whatever order explains the past
    rises = falls = 0  # sums of all positive and negative deltas invoked so far
    at_call: dict[int, tuple[int, int, int, int]] = {}
    found = []
    for _, completes, operation in events:
        delta = _delta(operation, history)
        if completes:
            value = _seen(operation, initial)
            if value is not None:
                low_then, high_then, rises_then, falls_then = at_call.pop(operation.call)
                lowest, highest = low_then + falls - falls_then, high_then + rises - rises_then
                if operation.f == "add-and-get":  # its own delta certainly counts
                    lowest, highest = lowest + max(delta, 0), highest + min(delta, 0)
                if not lowest <= value <= highest:
                    found.append((operation, value, lowest, highest))
            low, high = low + max(delta, 0), high + min(delta, 0)
        else:
            if _seen(operation, initial) is not None:
                at_call[operation.call] = (low, high, rises, falls)
            low, high = low + min(delta, 0), high + max(delta, 0)
            rises, falls = rises + max(delta, 0), falls + min(delta, 0)
    return found


def _delta(operation: Operation, history: History) -> int:
    if operation.f == "read":
        return 0
    if operation.f not in ("add", "add-and-get") or type(operation.value) is not int:
        found = f"{operation.f} {show(operation.value)}"
        raise MalformedHistory(found, "add or add-and-get of an integer, or read", history.where_index(operation.call))
    return operation.value


def _seen(operation: Operation, initial: int) -> int | None:
    if operation.type != "ok" or operation.f == "add":
        return None
    value: Any = operation.result[1] if operation.f == "add-and-get" else operation.result
    return initial if value is None else value if type(value) is int else None


def _anomaly(operation: Operation, value: int, low: int, high: int) -> Anomaly:
    what = "read" if operation.f == "read" else "got"
    return Anomaly(
        checker=CHECKER,
        kind="out-of-bounds",
        detail=operation.f,
        index=operation.ret,
        message=(
            f"process {operation.process} {what} {value} of {show(operation.key)} (indexes {operation.call} to "
            f"{operation.ret}); additions before and beside it allow {low} to {high}"
        ),
        evidence={"key": operation.key, "value": value, "low": low, "high": high, "call": operation.call},
    )
