"""What a bisection found: its report, and the run that shows the first bad commit at fault."""

from __future__ import annotations

import msgspec

from harness.archive.store import Archive
from harness.errors import Exit
from harness.record import RunRecord
from harness.run.execution import execute
from harness.systems.checkouts import Checkouts
from harness.systems.commits import Commit

from .bisect import Metric, Search, bind
from .bisection import Certain, Noisy
from .fitting import fitted


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of one commit, as the report lists them.

    `value` is the median of the metric, when one is bisected; an infinite one is null in JSON.
    """

    commit: str
    subject: str
    runs: int
    bad: int
    value: float | None
    skipped: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `bisect --json` prints.

    `first_bad` is None when several commits are possible: `candidates`, the most probable first. `confidence` is None
    when every run was believed. `wanted` is the signature or metric, with `limit` for a metric, which
    is null in JSON where only an infinite value is beyond it.
    """

    good: str
    bad: str
    commits: int
    changes: int
    wanted: str
    limit: float | None
    confidence: float | None
    first_bad: Commit | None
    candidates: tuple[Commit, ...]
    judged: tuple[Judgement, ...]
    runs: int
    run: str | None
    reproduce: str | None
    exit: int


def keep_run(search: Search, found: Certain | Noisy, checkouts: Checkouts, archive: Archive) -> RunRecord | None:
    """Run the first bad commit once more and store that; None when several commits are possible."""
    if len(found.candidates) != 1:
        return None
    commit = search.line.changes[found.candidates[0]]
    plan = search.failing_plan(commit)
    if plan is None:
        return None
    binding = bind(commit, checkouts)
    fitting = fitted(plan, binding)
    with archive.writer(fitting) as writer:
        return archive.keep(execute(fitting, binding, sink=writer), writer)


def report(search: Search, found: Certain | Noisy, kept: RunRecord | None) -> Report:
    """Say what was found."""
    line = search.line
    candidates = tuple(line.changes[at] for at in found.candidates)
    is_one = len(candidates) == 1
    asked = [commit for commit in (line.good, *line.changes) if commit.id in search.answers]
    judged = tuple(_judgement(search, commit) for commit in asked)
    return Report(
        good=line.good.id,
        bad=line.bad.id,
        commits=line.total,
        changes=len(line.changes),
        wanted=search.criterion.name,
        limit=search.criterion.limit if isinstance(search.criterion, Metric) else None,
        confidence=found.confidence,
        first_bad=candidates[0] if is_one else None,
        candidates=candidates,
        judged=judged,
        runs=sum(one.runs for one in judged),
        run=None if kept is None else kept.run,
        reproduce=None if kept is None else f"foreshock replay {kept.run}",
        exit=Exit.VALID if is_one else Exit.UNKNOWN,
    )


def _judgement(search: Search, commit: Commit) -> Judgement:
    return Judgement(
        commit=commit.id,
        subject=commit.subject,
        runs=len(search.answers[commit.id]),
        bad=search.said(commit).count("bad"),
        value=search.value(commit),
        skipped=search.skipped(commit),
    )
