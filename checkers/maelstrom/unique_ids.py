"""Unique ids: no two answers are equal."""

from __future__ import annotations

from typing import Any, Final

from checkers.history import History
from checkers.operation import Operation
from checkers.values import show
from checkers.verdict import Anomaly, Verdict

CHECKER: Final = "unique-ids"
SHOWN_MAX: Final = 10
"""Ids named in the evidence."""


def check(history: History) -> Verdict:
    """Look for an id that was handed out twice. Numbers and texts are told apart, and `true` is not 1."""
    answered = sorted((one for one in history.operations() if one.type == "ok"), key=lambda one: one.ret)
    first: dict[tuple[type, Any], Operation] = {}
    twice: list[tuple[Operation, Operation]] = []
    for one in answered:
        before = first.setdefault((type(one.result), one.result), one)
        if before is not one:
            twice.append((before, one))
    anomalies: tuple[Anomaly, ...] = ()
    if twice:
        before, one = twice[0]
        anomalies = (
            Anomaly(
                checker=CHECKER,
                kind="duplicate",
                index=one.ret,
                message=(
                    f"id {show(one.result)} was given to process {before.process} at index {before.ret} and to process "
                    f"{one.process} at index {one.ret}; {len(twice)} of {len(answered)} answers repeat an id"
                ),
                evidence={"ids": [again.result for _, again in twice[:SHOWN_MAX]], "count": len(twice)},
            ),
        )
    return Verdict(
        validity="invalid" if anomalies else "valid" if answered else "unknown",
        checker=CHECKER,
        engine="table",
        model="unique-ids",
        ops=len(answered),
        anomalies=anomalies,
        reason="" if answered else "no id was handed out",
        steps=len(answered),
    )
