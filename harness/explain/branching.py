"""Trials of plans that part at a redraw, run as branches: what they have in common is run once.

It answers as worker processes do that run each plan from its start, only sooner. Plans without a redraw, and those that
are alone in what comes before it, are left to such workers; so are all where this process cannot be forked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from harness.outcome import Outcome
from harness.plans.plan import Plan, Redraw
from harness.run.multiverse import Multiverse, why_not_fork
from harness.search.executors import default_jobs
from harness.shrink.shrinker import Judge
from harness.shrink.trial import TRIAL, Answer
from harness.systems.binding import Binding


class Branching:
    """A judge of plans by their branches, over one that judges plan by plan."""

    def __init__(self, binding: Binding, others: Judge, *, jobs: int | None = None) -> None:
        self._binding, self._others = binding, others
        self._jobs = jobs or default_jobs()

    def answers(self, plans: Iterable[Plan]) -> Iterator[tuple[int, Answer]]:
        """Give the answer for each plan with its position, as soon as it is there."""
        asked = list(plans)
        trunks: dict[bytes, tuple[Plan, list[tuple[int, Redraw]]]] = {}
        left = list(range(len(asked)))
        if not why_not_fork():
            for number, plan in enumerate(asked):
                if plan.schedule.redraws:
                    trunk = without_last_redraw(plan)
                    trunks.setdefault(trunk.to_json(), (trunk, []))[1].append((number, plan.schedule.redraws[-1]))
        for trunk, branches in trunks.values():
            if len(branches) > 1:
                left = sorted(set(left).difference(number for number, _ in branches))
                yield from self._branches(trunk, branches)
        for position, answer in self._others.answers(asked[number] for number in left):
            yield left[position], answer

    def _branches(self, trunk: Plan, branches: list[tuple[int, Redraw]]) -> Iterator[tuple[int, Answer]]:
        numbers: dict[Redraw, list[int]] = defaultdict(list)
        for number, redraw in branches:
            numbers[redraw].append(number)
        multiverse = Multiverse(trunk, self._binding, TRIAL, tell=_primary, jobs=self._jobs)
        for branch in multiverse.branches(numbers):
            for number in numbers[branch.redraw]:
                yield number, Answer(signature=branch.told, error=branch.error)


def without_last_redraw(plan: Plan) -> Plan:
    """The plan of which this one is a branch."""
    redraws = (plan.schedule.redraws or ())[:-1] or msgspec.UNSET
    return msgspec.structs.replace(plan, schedule=msgspec.structs.replace(plan.schedule, redraws=redraws))


def _primary(outcome: Outcome) -> str | None:
    return outcome.primary
