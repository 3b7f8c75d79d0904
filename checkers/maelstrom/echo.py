"""Echoes: what is answered is what was asked."""

from __future__ import annotations

from typing import Final

from checkers.history import History
from checkers.values import show
from checkers.verdict import Anomaly, Verdict

CHECKER: Final = "echo"


def check(history: History) -> Verdict:
    """Compare each answer with what was asked; only the first that differs is told."""
    answered = [operation for operation in history.operations() if operation.type == "ok"]
    wrong = sorted((one for one in answered if one.result != one.value), key=lambda one: one.ret)
    anomalies = tuple(
        Anomaly(
            checker=CHECKER,
            kind="different",
            index=one.ret,
            message=(
                f"process {one.process} asked for an echo of {show(one.value)} and got {show(one.result)}; "
                f"so did {len(wrong)} of {len(answered)} answers"
            ),
            evidence={"asked": one.value, "answered": one.result, "count": len(wrong)},
        )
        for one in wrong[:1]
    )
    return Verdict(
        validity="invalid" if anomalies else "valid" if answered else "unknown",
        checker=CHECKER,
        engine="equality",
        model="echo",
        ops=len(answered),
        anomalies=anomalies,
        reason="" if answered else "no echo was answered",
        steps=len(answered),
    )
