"""Counters that converge (`g-counter`, `pn-counter`): after a quiet time, every node has the sum of what was added.

Additions that were acknowledged count, those of unknown outcome may. A final read must be one of the sums that this
leaves possible: exactly, by the set of all sums. Any other read must lie between the sum of all negative and of all
positive deltas asked for until it returned; less can be asked of a store that promises convergence only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from checkers.history import History
from checkers.operation import Operation
from checkers.values import show
from checkers.verdict import Anomaly, Verdict

from .quiet import final_reads

CHECKER: Final = "converging-counter"
SUMS_MAX: Final = 1_000_000
"""Possible sums that are kept; there are as many as deltas of unknown outcome add up to, at most."""


def check(history: History) -> Verdict:
    """Ask of each final read whether it is a possible sum, and of every read whether it is possible at all."""
    operations = history.operations()
    adds = [one for one in operations if one.f == "add"]
    reads = [one for one in operations if one.f == "read" and one.type == "ok"]
    finals = final_reads(operations)
    known = sum(one.value for one in adds if one.type == "ok")
    sums = possible_sums(known, (one.value for one in adds if one.type == "info"))
    anomalies = [found for read in reads if (found := _beyond(read, adds))]
    if sums is not None:
        anomalies += [_wrong(read, known, sums) for read in finals if read.result not in sums]
    anomalies.sort(key=lambda anomaly: anomaly.index or 0)
    first = {anomaly.kind: anomaly for anomaly in reversed(anomalies)}
    reason = ""
    if sums is None:
        reason = f"more than {SUMS_MAX} sums are possible"
    elif not finals:
        reason = "no read was answered after the last add"
    return Verdict(
        validity="invalid" if first else "unknown" if reason else "valid",
        checker=CHECKER,
        engine="sums",
        model="counter",
        ops=len(operations),
        anomalies=tuple(sorted(first.values(), key=lambda anomaly: anomaly.index or 0)),
        reason="" if first else reason,
        steps=len(operations),
        details={"acknowledged": known, "possible_sums": len(sums or ()), "final_reads": len(finals)},
    )


def possible_sums(known: int, uncertain: Iterable[int]) -> frozenset[int] | None:
    """List what a sum may be if each of the uncertain deltas may count or not; None where that is too many."""
    sums = {known}
    for delta in uncertain:
        sums |= {one + delta for one in sums}
        if len(sums) > SUMS_MAX:
            return None
    return frozenset(sums)


def _beyond(read: Operation, adds: list[Operation]) -> Anomaly | None:
    asked = [one.value for one in adds if one.call < read.ret]
    low, high = sum(delta for delta in asked if delta < 0), sum(delta for delta in asked if delta > 0)
    if type(read.result) is int and low <= read.result <= high:
        return None
    message = f"process {read.process} read {show(read.result)}; what was asked for until then allows {low} to {high}"
    evidence = {"value": read.result, "low": low, "high": high}
    return Anomaly(checker=CHECKER, kind="out-of-bounds", index=read.ret, message=message, evidence=evidence)


def _wrong(read: Operation, known: int, sums: frozenset[int]) -> Anomaly:
    allowed = str(known) if len(sums) == 1 else f"{known}, and {len(sums)} sums in all with those of unknown outcome"
    message = f"the final read of process {read.process} is {show(read.result)}; acknowledged additions make {allowed}"
    evidence = {"value": read.result, "acknowledged": known, "possible_sums": len(sums)}
    return Anomaly(checker=CHECKER, kind="wrong-sum", index=read.ret, message=message, evidence=evidence)
