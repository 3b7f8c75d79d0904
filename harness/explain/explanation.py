"""The whole explanation of one failing plan: its run, its faults one by one, and the chances from each moment on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from harness.judged import JudgedAnomaly
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.shrink.edits import all_ops
from harness.shrink.shrinker import Judge
from harness.shrink.trial import Answer, Target, target_of
from harness.shrink.workers import Workers
from harness.systems.binding import Binding

from .branching import Branching
from .chances import Chance, chances
from .deeds import Deed, deeds, sentences
from .necessity import Necessity, necessity


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What `explain --json` prints. `failed_ns` is when the failure was certain, `ops` how many the plan has."""

    signature: str
    message: str
    failed_ns: int
    ops: int
    faults: tuple[Necessity, ...]
    sentences: dict[str, str]
    deeds: tuple[Deed, ...]
    chances: tuple[Chance, ...]


class _Counting:
    """A judge that tells how many runs were made."""

    def __init__(self, judge: Judge, advance: Callable[[str], None]) -> None:
        self._judge, self._advance = judge, advance

    def answers(self, plans: Iterable[Plan]) -> Iterator[tuple[int, Answer]]:
        for answer in self._judge.answers(plans):
            self._advance("")
            yield answer


def failed_at(outcome: Outcome, target: Target) -> int:
    """The index of the row in which an outcome fails as the target says: the last one if the anomaly names none."""
    last, index = len(outcome.rows or ()) - 1, _anomaly(outcome, target).index
    return last if index is None else min(index, last)


def _anomaly(outcome: Outcome, target: Target) -> JudgedAnomaly:
    return next(one for one in outcome.anomalies if one.signature == target.signature)


def explain(
    plan: Plan,
    binding: Binding,
    *,
    redraws: int,
    moments: int,
    jobs: int | None = None,
    advance: Callable[[str], None] = lambda _: None,
) -> Explanation | None:
    """Explain why a plan fails under this code; None when it does not. Raises BadInput for a plan that cannot run."""
    outcome = execute(plan, binding, RunOptions(keep_rows=True, stop_at_first=True, gates=False))
    target = target_of(outcome)
    if target is None:
        return None
    rows, until = outcome.rows or [], failed_at(outcome, target)
    failed_ns = rows[until][0]
    told = deeds(rows, plan, until)
    with Workers(binding, jobs=jobs) as workers:
        judge = _Counting(Branching(binding, workers, jobs=jobs), advance)
        faults = necessity(plan, target, judge, redraws=redraws)
        likely = chances(plan, target, judge, failed_ns=failed_ns, moments=moments, redraws=redraws)
    return Explanation(
        signature=target.signature,
        message=_anomaly(outcome, target).message,
        failed_ns=failed_ns,
        ops=len(all_ops(plan)),
        faults=faults,
        sentences=sentences(told),
        deeds=tuple(told),
        chances=likely,
    )
