"""Violations made into anomalies: when each became certain, and why, under one budget over all.

Imported where there is a violation: what explains one is half of what deciding takes to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checkers.linearizability.explain.budget import Budget
from checkers.linearizability.explain.explain import explain
from checkers.linearizability.partition import Part
from checkers.linearizability.result import CHECKER, NONLINEARIZABLE, Limits, LinearizabilityResult
from checkers.models import Model
from checkers.operation import Operation
from checkers.verdict import Anomaly

from .engines import decide

EXPLAINED: Final = 5
"""How many violated objects are explained in full; usually one explanation is read."""

Violation = tuple[Part, Model, LinearizabilityResult]


def describe(
    violated: Sequence[Violation], model: str, left: Limits, *, explained: bool, seconds: float | None
) -> list[Anomaly]:
    """Describe violations of a model; `left` is what is left of the limits, `seconds` what explanations may take.

    Where there is a limit of time they get what is left of it, or a second.
    """
    if left.seconds is not None:
        at_least = max(left.seconds, 1.0)
        seconds = at_least if seconds is None else min(at_least, seconds)
    budget = Budget(_decide_quickly, seconds=seconds, bytes_=left.bytes)
    found = []
    for number, (part, own_model, result) in enumerate(violated):
        full = explained and number < EXPLAINED
        share = budget.part(min(len(violated), EXPLAINED) - number if full else len(violated) - number)
        explanation = explain(part, own_model, result, share, full=full)
        found.append(
            Anomaly(
                checker=CHECKER,
                kind=NONLINEARIZABLE,
                detail=f"{model}/{explanation.f}",
                index=explanation.index,
                message=explanation.message,
                evidence=explanation.evidence,
            )
        )
    return found


def _decide_quickly(model: Model, operations: Sequence[Operation], limits: Limits) -> LinearizabilityResult:
    return decide(operations, model, limits)[0]
