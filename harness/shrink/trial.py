"""Trials: does a smaller plan still fail in the same way?

The same way means: the primary signature is the same, and so is the class of the plan. `classify` is monotone, so
taking things out never makes the class worse; it may make it better, and then the plan is another finding. Gates are
off: that a small plan does little is the point of it.

A trial ends at the first broken invariant. The primary anomaly is the earliest broken invariant, so the rest of the run
could not change it, and where it is an anomaly of a checker, a run that breaks an invariant is none to be kept.
"""

from __future__ import annotations

from typing import Final

import msgspec

from harness.errors import BadInput
from harness.outcome import Outcome
from harness.plans.classify import PlanClass, classify
from harness.plans.plan import Plan
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems.binding import Binding

TRIAL: Final = RunOptions(stop_at_first=True, gates=False, explain=False, primary_only=True)
"""How a trial is run."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan must keep to be the same failure."""

    signature: str
    plan_class: PlanClass

    def could_be(self, plan: Plan) -> bool:
        """Whether a plan has the class; known without running it."""
        return classify(plan).plan_class == self.plan_class

    def is_met_by(self, answer: Answer) -> bool:
        """Whether a trial failed in the same way."""
        return answer.signature == self.signature


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A plan to run, for a worker process, with its place among those that were asked."""

    number: int
    plan: Plan
    binding: Binding


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial showed: the primary signature, None of a run without anomalies; `error` when it could not run."""

    signature: str | None
    error: str = ""


def perform(trial: Trial) -> Answer:
    """Run a plan in this process. A plan that cannot run fails in no way that anybody asked for."""
    try:
        outcome = execute(trial.plan, trial.binding, TRIAL)
    except (BadInput, ValueError) as error:
        return Answer(signature=None, error=" ".join(str(error).split()))
    return Answer(signature=outcome.primary)


def target_of(outcome: Outcome) -> Target | None:
    """What shrinking a run has to keep; None when it did not fail."""
    if outcome.primary is None:
        return None
    return Target(signature=outcome.primary, plan_class=classify(outcome.plan).plan_class)
