"""Shrinking a failure from end to end: what must be kept, the trials in worker processes, the last run with its trace.

The last run is a whole one, so that `foreshock replay` finds the same fingerprint.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness.archive.documents import run_record
from harness.archive.layout import writable
from harness.outcome import Outcome
from harness.plans.classify import PlanClass
from harness.plans.labels import OLDER_LABEL
from harness.plans.plan import Plan
from harness.record import RunRecord
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems.binding import Binding

from . import regression
from .memory import Memory, place
from .shrinker import Shrinker, Shrunk
from .trial import TRIAL, Target, target_of
from .workers import Workers


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A shrunk failure. `outcome` is its run with the trace, `test` the text of a pytest file, if one was asked for."""

    target: Target
    shrunk: Shrunk
    outcome: Outcome
    record: RunRecord
    test: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `shrink --json` prints. `shrunk` is the id of the run of the smallest plan."""

    shrunk: str | None
    path: str | None
    signature: str
    plan_class: PlanClass = msgspec.field(name="class")
    finished: bool
    gates: bool = False
    before: dict[str, int]
    after: dict[str, int]
    trials: int
    rounds: int
    wall_seconds: float
    plan_sha256: str
    fingerprint: str
    plan: Plan


def shrink(
    plan: Plan,
    binding: Binding,
    results: Path,
    *,
    jobs: int | None = None,
    time_limit_s: float | None = None,
    advance: Callable[[str], None] = lambda _: None,
    with_test: bool = False,
) -> Result | None:
    """Shrink a plan that fails under this code; None when it does not.

    Raises BadInput for a plan that this code cannot run, and when the results folder cannot be written.
    """
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    target = target_of(execute(plan, binding, TRIAL))
    if target is None:
        return None
    with Workers(binding, jobs=jobs) as workers, Memory(place(results, plan, target, binding)) as memory:
        shrunk = Shrinker(
            plan,
            target,
            workers,
            memory=memory,
            out_of_time=lambda: deadline is not None and time.monotonic() > deadline,
            advance=advance,
        ).shrink()
        outcome = execute(shrunk.plan, binding, RunOptions(keep_rows=True))
        record = run_record(outcome)
        test = ""
        if with_test:
            message = record.message_of(target.signature)
            seeds = _failing_seeds(shrunk.plan, target, workers)
            older = binding.codes[OLDER_LABEL].spec if OLDER_LABEL in shrunk.plan.codes else None
            test = regression.file_of(shrunk.plan, target, message, seeds, upgrade_from=older)
    return Result(target=target, shrunk=shrunk, outcome=outcome, record=record, test=test)


def _failing_seeds(plan: Plan, target: Target, workers: Workers) -> list[int]:
    """The seed of the schedule that failed, and some others that fail as well."""
    own = plan.schedule.seed
    seeds = [seed for seed in range(regression.REDRAWS_TRIED) if seed != own]
    plans = [regression.with_schedule_seed(plan, seed) for seed in seeds]
    failing = sorted(seeds[number] for number, answer in workers.answers(plans) if target.is_met_by(answer))
    return [own, *failing[: regression.REDRAWS_KEPT]]


def table(shrunk: Shrunk) -> list[tuple[str, Any, Any]]:
    """What there is of each thing before and after, for people."""
    before, after = shrunk.before, shrunk.after
    words = ("faults", "ops", "clients", "nodes", "settings")
    rows: list[tuple[str, Any, Any]] = [(word, getattr(before, word), getattr(after, word)) for word in words]
    rows.append(("seconds", round(before.length_ns / 1e9, 3), round(after.length_ns / 1e9, 3)))
    return rows


def report(result: Result, record: RunRecord, *, wall_seconds: float) -> Report:
    """Describe a shrunk failure whose last run was kept with this record."""
    shrunk = result.shrunk
    return Report(
        shrunk=record.run,
        path=record.path,
        signature=result.target.signature,
        plan_class=result.target.plan_class,
        finished=shrunk.finished,
        before=shrunk.before._asdict(),
        after=shrunk.after._asdict(),
        trials=shrunk.trials,
        rounds=shrunk.rounds,
        wall_seconds=round(wall_seconds, 3),
        plan_sha256=shrunk.plan.sha256,
        fingerprint=result.outcome.fingerprint,
        plan=shrunk.plan,
    )


def write(path: Path, content: bytes) -> None:
    """Write a file that a person asked for. Raises BadInput."""
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
