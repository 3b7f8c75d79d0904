"""Sets that converge (`broadcast`, `g-set`): after a quiet time, every node has every element that was acknowledged.

`set_full` follows each element through all reads and forgives those that appear late. It asks whether *some* last read
has an element; here each of the final reads must have all, for each may be of another node.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from checkers.consistency import set_full
from checkers.history import History
from checkers.values import show
from checkers.verdict import Anomaly, Verdict, merge

from .quiet import final_reads

CHECKER: Final = "final-reads"
SHOWN_MAX: Final = 10


def check(history: History) -> Verdict:
    """Follow every element, and ask each final read for all that were acknowledged."""
    operations = history.operations()
    acknowledged = {one.value: one for one in operations if one.f == "add" and one.type == "ok"}
    finals = final_reads(operations)
    anomalies: list[Anomaly] = []
    for read in sorted(finals, key=lambda one: one.ret):
        missing = [element for element in acknowledged if element not in frozenset(read.result)]
        if missing and not anomalies:
            anomalies.append(_missing(read.process, read.ret, missing, acknowledged[missing[0]].ret))
    reason = "" if finals or anomalies else "no read was answered after the last add"
    final = Verdict(
        validity="invalid" if anomalies else "valid" if finals else "unknown",
        checker=CHECKER,
        model="set",
        ops=len(operations),
        anomalies=tuple(anomalies),
        reason=reason,
        steps=len(finals),
    )
    followed = set_full.check(history, linearizable=False)
    return msgspec.structs.replace(merge((followed, final), checker="convergence"), details=followed.details)


def _missing(process: int, index: int, missing: list[Any], added: int) -> Anomaly:
    named = ", ".join(map(show, missing[:SHOWN_MAX])) + (", ..." if len(missing) > SHOWN_MAX else "")
    return Anomaly(
        checker=CHECKER,
        kind="missing",
        index=index,
        message=(
            f"the final read of process {process} has not got {len(missing)} acknowledged elements: {named}; "
            f"{show(missing[0])} was acknowledged at index {added}"
        ),
        evidence={"missing": missing},
    )
