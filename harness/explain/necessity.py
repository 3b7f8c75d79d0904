"""Which faults are necessary: what becomes of the failure when one of them is taken out.

A fault may be necessary because it does something to the nodes, or only because taking it out shifts the messages after
it and a race is no longer lost. So the plan is run without it under the draws that failed, and then, with it and
without it, many times with everything drawn anew from the moment at which it begins: until then both are the same run,
so the two shares differ by what the fault does and by nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.faults.fault import Fault
from harness.plans.plan import Plan, Redraw, with_redraw
from harness.shrink.edits import without_faults
from harness.shrink.shrinker import Judge
from harness.shrink.trial import Target

Need = Literal["necessary", "helpful", "not needed"]


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How many of some runs failed in the same way."""

    failed: int
    runs: int

    def __str__(self) -> str:
        return f"{self.failed} of {self.runs}"


class Necessity(msgspec.Struct, frozen=True, kw_only=True):
    """What one fault has to do with the failure.

    `fails_without`: the plan without it fails under the draws that failed. `with_it` and `without_it`: how many runs
    fail when all is drawn anew from its begin on.
    """

    fault: str
    kind: str
    fails_without: bool
    with_it: Share
    without_it: Share

    @property
    def need(self) -> Need:
        """What that says of the fault; necessary: no run without it fails."""
        if self.fails_without:
            return "not needed"
        return "helpful" if self.without_it.failed else "necessary"


def necessity(plan: Plan, target: Target, judge: Judge, *, redraws: int) -> tuple[Necessity, ...]:
    """Run a failing plan without each of its faults, and with and without it under `redraws` other draws."""
    plans = [one for fault in plan.faults for one in _runs_of(plan, fault, redraws)]
    fails = [False] * len(plans)
    for number, answer in judge.answers(plans):
        fails[number] = target.is_met_by(answer)
    found, runs_each = [], 1 + 2 * redraws
    for at, fault in enumerate(plan.faults):
        own, *others = fails[at * runs_each : (at + 1) * runs_each]
        found.append(
            Necessity(
                fault=fault.id,
                kind=fault.kind,
                fails_without=own,
                with_it=Share(failed=sum(others[:redraws]), runs=redraws),
                without_it=Share(failed=sum(others[redraws:]), runs=redraws),
            )
        )
    return tuple(found)


def rows(found: Sequence[Necessity]) -> list[tuple[str, str, str, str, str]]:
    """A row for each fault: its id and kind, what it is for the failure, and how many runs fail with and without it."""
    return [(one.fault, one.kind, one.need, str(one.with_it), str(one.without_it)) for one in found]


def _runs_of(plan: Plan, fault: Fault, redraws: int) -> list[Plan]:
    """Without the fault under the same draws; then with it, and without it, under others."""
    without = without_faults(plan, {fault.id})
    others = [Redraw(at_ns=fault.begin_ns, salt=salt) for salt in range(redraws)]
    return [without, *(with_redraw(one, other) for one in (plan, without) for other in others)]
