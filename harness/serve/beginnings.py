"""From which moments of which runs a sandbox begins: those with a folder, and those of the index whose plan is known.

A valid run of a suite keeps no folder, but its seed and its cell draw its plan again; that it is the same plan is seen
by its digest. Nothing is loaded that a results folder names: the sandbox acts with the code of this installation, and
refuses a run whose workload or model is a file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from checkers import History
from checkers.located import is_located
from harness.archive.documents import read_record
from harness.archive.find import find, read_history
from harness.archive.index import FILE
from harness.errors import BadInput
from harness.plans.plan import Plan
from harness.record import Record, RunRecord
from harness.run.drawing import Abilities, Drawing, abilities_of
from harness.search.campaign_pairs import RecordedCampaign
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.walkthroughs.replayed import NS_A_MS

from .addresses import BadAddress, number_in
from .folders import MISFITS, folder_of
from .questions import Questions
from .sandbox import Attempt, Beginning, TooLong, limited, make_file, make_sandbox

_MOMENTS_MAX: Final = 200
_FAILURES_MAX: Final = 20
_BEFORE_NS: Final = NS_A_MS
"""How long before a failure a sandbox begins, so that something can still be done about it."""
_EARLIEST_NS: Final = 1_000
"""At the very instant of the start nobody has begun yet."""
_MS_MAX: Final = Decimal(10**9)
_WHERE: Final = "the sandbox"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks of a run: its name or the number of its row, a moment in ms ("": none), and commands."""

    results: Path
    run: str
    ms: str
    commands: tuple[str, ...]


def make_run_sandbox(asked: Asked) -> bytes | None:
    """The page of a sandbox that begins in a run; None where there is no such run. Raises BadInput."""
    return _within_time(make_sandbox, asked)


def make_run_file(asked: Asked) -> bytes | None:
    """What was done in it as a scenario file; None where there is no such run. Raises BadInput."""
    return _within_time(make_file, asked)


def _within_time(make: Callable[[Attempt], bytes], asked: Asked) -> bytes | None:
    """Find the beginning and act from there, in one time: a row may ask for a plan of years, which is drawn first."""
    _abilities()  # code is loaded before the time begins: none of it ends in the middle of a module
    with limited():
        found = beginning_of(asked.results, Questions(asked.results), asked.run, asked.ms)
        return None if found is None else make(Attempt("", None, asked.commands, found))


def beginning_of(results: Path, questions: Questions, run: str, ms: str) -> Beginning | None:
    """The moment of a run that an address names; None where there is no such run.

    An address that names none means just before the first failure, or the middle of the faults.

    `run` is a run's name, or the number of its row. Raises BadAddress for a moment that is none, and BadInput for a run
    that cannot be made again here.
    """
    folder = folder_of(results, run)
    if folder is not None:
        stored = find(run, results)
        plan, record = stored.plan, stored.record
    else:
        number = number_in(run)
        row = questions.run(number) if number is not None and questions.is_there else None
        if row is None:
            return None
        found = read_record(row["document"], f"a row of {FILE}")
        if not isinstance(found, RunRecord):
            raise BadAddress("a run that ended in an internal error", "one with a verdict", _WHERE)
        plan, record = _drawn(questions, row["campaign"], found), found
    _refuse_file("model", plan.check.model)
    failures = _failures(record, folder)
    default_ns = min(failures)[0] if failures else max(1, (plan.phases.warmup_ns + plan.phases.heal_ns) // 2)
    moments = sorted({*_moments(plan), *failures})[:_MOMENTS_MAX]
    return Beginning(
        run=run,
        plan=plan.to_json(),
        at_ns=_at_ns(ms) if ms else default_ns,
        is_named=bool(ms),
        moments=tuple(moments),
        folder=folder,
        system="raft_impl" if record is None else record.binding.system,
    )


def drawing_of(questions: Questions, campaign: str | None, record: Record) -> Drawing:
    """What drew the plan of a row: the cell of its campaign, or else what the row says of it."""
    settings = "" if campaign is None else questions.settings(campaign)
    return RecordedCampaign.of(campaign or "", settings, []).drawing(record)


def _drawn(questions: Questions, campaign: str | None, record: RunRecord) -> Plan:
    """Draw the plan of a run again. Raises BadInput where it is another one now."""
    _refuse_file("workload", record.workload)
    drawing = drawing_of(questions, campaign, record)
    try:
        plan = drawing.plan(record.seed, _abilities())
    except BadInput:
        raise
    except MISFITS as error:
        found = f"a run of which no plan can be drawn ({type(error).__name__}: {error})"
        raise BadInput(found, "one that this version and its suite drew", _WHERE) from error
    if plan.sha256 != record.plan_sha256:
        raise BadInput(
            f"a plan of seed {record.seed} that is another one than the run had",
            "a run with a folder, or one that this version and its suite drew",
            _WHERE,
        )
    return plan


@lru_cache(maxsize=1)
def _abilities() -> Abilities:
    with Checkouts() as checkouts:
        return abilities_of(load_systems(bind("raft_impl", checkouts)).values())


def _refuse_file(word: str, name: str) -> None:
    """Raise BadInput for a workload or model that stands in a file: to look it up is to run that file."""
    if is_located(name):
        raise BadInput(
            f"{word} {name[:200]!r}, a file that the results name", f"a {word} that is installed here", _WHERE
        )


def _at_ns(ms: str) -> int:
    try:
        at = Decimal(ms)
    except InvalidOperation:
        raise BadAddress(f"the moment {ms[:40]!r}", "milliseconds of the run, such as 3250", _WHERE) from None
    if not at.is_finite() or not 0 <= at < _MS_MAX:
        raise BadAddress(f"the moment {ms[:40]!r}", "a moment of the run", _WHERE)
    return max(_EARLIEST_NS, int(at * NS_A_MS))


def _moments(plan: Plan) -> list[tuple[int, str]]:
    """When faults begin and end, and when all is healed."""
    moments = [(plan.phases.heal_ns, "the heal")]
    for fault in plan.faults:
        moments.append((fault.begin_ns, f"{fault.kind} {fault.id} begins"))
        if fault.end_ns < plan.phases.heal_ns:
            moments.append((fault.end_ns, f"{fault.kind} {fault.id} ends"))
    return moments


def _failures(record: RunRecord | None, folder: Path | None) -> list[tuple[int, str]]:
    """Just before each anomaly whose time is known by the history."""
    anomalies = () if record is None else record.anomalies
    wanted = [(one.index, one.signature) for one in anomalies if one.index is not None][:_FAILURES_MAX]
    if not wanted or folder is None:
        return []
    try:
        history = History.from_jsonl(read_history(folder), source=folder.name)
    except TooLong:
        raise
    except ValueError:  # a damaged history says nothing of moments
        return []
    found = []
    for index, signature in wanted:
        count = bisect_right(history, index, key=lambda op: op.index)
        if count:
            found.append((max(1, history[count - 1].time - _BEFORE_NS), f"just before {signature[:80]}"))
    return found
