"""When a failure was bound to happen: everything after a moment is drawn anew, many times, and the failures counted.

Up to the moment a run with a redraw is the run itself, so the share of failures at a moment is the probability of the
failure given everything that had happened by then. Where it jumps, something happened; where it reaches one, the rest
is only waiting for it to show. Redraws are part of a plan (`Schedule.redraws`), so each such run can be run again.

The moments are spread evenly over the run up to the failure, and once more over the interval in which the share changes
most.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from harness.plans.plan import Plan, Redraw, with_redraw
from harness.search.statistics import wilson
from harness.shrink.shrinker import Judge
from harness.shrink.trial import Target

_WIDTH: Final = 40
"""Letters of a full bar."""
_BOUND: Final = 0.9
"""From this share on a failure counts as bound to happen."""


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the runs that were drawn anew from this moment on failed in the same way."""

    at_ns: int
    failed: int
    runs: int

    @property
    def share(self) -> float:
        """The share of failures."""
        return self.failed / self.runs


def chances(
    plan: Plan, target: Target, judge: Judge, *, failed_ns: int, moments: int, redraws: int
) -> tuple[Chance, ...]:
    """The chance of the failure at `moments` moments up to the one at which it showed, and at some more between.

    Of the further ones there are half as many. All have `redraws` runs each.
    """
    found = _at(plan, target, judge, [failed_ns * part // (moments - 1) for part in range(moments)], redraws)
    steepest = max(pairwise(found), key=lambda pair: abs(pair[1].share - pair[0].share))
    begin_ns, width_ns = steepest[0].at_ns, steepest[1].at_ns - steepest[0].at_ns
    parts = moments // 2 + 1
    between = sorted({begin_ns + width_ns * part // parts for part in range(1, parts)} - {one.at_ns for one in found})
    return tuple(sorted((*found, *_at(plan, target, judge, between, redraws)), key=lambda one: one.at_ns))


def chart(found: Sequence[Chance]) -> list[str]:
    """The chances as bars, one line a moment, with the interval in which the probability lies."""
    lines = []
    for one in found:
        low, high = wilson(one.failed, one.runs)
        bar = "#" * round(_WIDTH * one.share)
        interval = f"{100 * low:>3.0f} to {100 * high:>3.0f} %"
        lines.append(f"{one.at_ns / 1e9:>9.3f} s  {one.failed:>4} of {one.runs}  {interval}  {bar}".rstrip())
    return lines


def conclusion(found: Sequence[Chance]) -> str:
    """In one sentence: from when on the failure was bound to happen, and how likely it was just before."""
    free = [at for at, one in enumerate(found) if one.share < _BOUND]
    if not free:
        return "It was bound to happen from the beginning: whatever is drawn, the plan fails."
    last = free[-1]
    before = (
        f"{100 * found[last].share:.0f} % of the runs that were drawn anew from {_second(found[last].at_ns)} on fail"
    )
    if last + 1 == len(found):
        return f"It was open until it showed: {before}."
    after = found[last + 1]
    return (
        f"It was bound to happen from {_second(after.at_ns)} on, where {100 * after.share:.0f} % fail; "
        f"at {_second(found[last].at_ns)} it was open: {before}."
    )


def _at(plan: Plan, target: Target, judge: Judge, moments: Sequence[int], redraws: int) -> list[Chance]:
    plans = [
        (at, with_redraw(plan, Redraw(at_ns=moment, salt=salt)))
        for at, moment in enumerate(moments)
        for salt in range(redraws)
    ]
    failed = [0] * len(moments)
    for number, answer in judge.answers(one for _, one in plans):
        failed[plans[number][0]] += target.is_met_by(answer)
    return [Chance(at_ns=moment, failed=failed[at], runs=redraws) for at, moment in enumerate(moments)]


def _second(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3f} s"
