"""Bisecting: one plan on the commits of a line, and which of them made it fail.

Only `raft_impl` comes from a commit. A commit on which the plan cannot run (its code cannot be loaded, it lacks an
option or a workload that the plan needs, the run hangs or says nothing) is skipped, with the reason. A run is bad when
it shows a wanted signature, or when a metric is beyond a limit between its values at the two ends. A quantile may be
infinite, where so few ops are answered that it lies beyond what was seen. It is beyond every limit then; half way to an
infinite end nothing else is.

Commits change when messages are sent, and so whether a plan that needs luck still fails. Hence a plan can be run under
several schedules on each commit: everything that was drawn into the plan stays, and what chance decides during the run
is drawn anew. Then a commit has a rate of failure, and `harness.search.bisection` weighs rates.

Each run is a function of the plan, the code of the commit and this harness. So its answer goes to a file as it comes,
and the same search, or another one over some of the same commits, finds it there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec

from checkers.json_lines import UNREADABLE
from harness.archive.layout import writable
from harness.archive.provenance import provenance
from harness.errors import BadInput
from harness.outcome import Outcome
from harness.plans.labels import DEFAULT_LABEL
from harness.plans.plan import Plan, decode
from harness.run.drawing import Abilities, abilities_of
from harness.run.execution import execute
from harness.systems import catalog
from harness.systems.binding import Binding
from harness.systems.catalog import load_systems
from harness.systems.checkouts import PACKAGE, Checkouts
from harness.systems.commits import Commit, Line

from .bisection import Certain, Noisy
from .executors import SECONDS_MAX, Pool, default_jobs
from .fitting import misfit, without_absent
from .measures import LOWER_IS_BETTER, Measures, measure
from .mutants import begins
from .statistics import median

FOLDER: Final = "bisections"
"""Where answers are kept, in the results folder."""
_BAD_RUNS_MIN: Final = 3
"""Runs of the bad end that must fail before the commits between are asked: a rate from fewer says little."""

_END_RUNS: Final = 8
"""Runs of each end from which the limit of a metric is taken, when there may be that many."""
_UNCLEAR_MAX: Final = 3
"""A commit that says nothing in that number of runs is skipped."""

Said = Literal["good", "bad", "unclear"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One run that a worker is asked for. `described` says which options may be left out."""

    plan: bytes
    binding: Binding
    described: Abilities


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit made of the plan. `cannot` says why it did not run, else it is empty."""

    cannot: str = ""
    verdict: str = ""
    reason: str = ""
    signatures: tuple[str, ...] = ()
    primary: str | None = None
    measures: Measures = {}


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An answer in the file: for which code, under which schedule.

    JSON has no infinity: `infinite` names the measures that were so.
    """

    tree: str
    schedule: int
    answer: Answer
    infinite: tuple[str, ...] = ()

    @classmethod
    def of(cls, tree: str, schedule: int, answer: Answer) -> _Stored:
        infinite = tuple(name for name, value in answer.measures.items() if value == inf)
        return cls(tree=tree, schedule=schedule, answer=answer, infinite=infinite)

    def whole(self) -> Answer:
        """The answer as it was given."""
        return msgspec.structs.replace(self.answer, measures=self.answer.measures | dict.fromkeys(self.infinite, inf))


class Criterion(Protocol):
    """What makes a run bad."""

    @property
    def name(self) -> str: ...

    def judge(self, answer: Answer) -> Said: ...


class Signature(msgspec.Struct, frozen=True):
    """A run is bad that shows this signature, or one that begins with these parts."""

    wanted: str

    @property
    def name(self) -> str:
        return self.wanted

    def judge(self, answer: Answer) -> Said:
        """A run that shows something else, or nothing, is good; one without a verdict says nothing."""
        if any(begins(signature, self.wanted) for signature in answer.signatures):
            return "bad"
        return "unclear" if answer.verdict == "unknown" else "good"


class Metric(msgspec.Struct, frozen=True):
    """A run is bad whose metric is beyond the limit, or infinite."""

    name: str
    limit: float

    @classmethod
    def between(cls, name: str, before: float, after: float, share: float | None = None) -> Metric:
        """The limit half way between the ends, or by a share of GOOD's value. Raises BadInput if BAD is no worse."""
        is_worse = after > before if LOWER_IS_BETTER[name] else after < before
        if not is_worse:
            found = f"{name} {number(after)} of BAD, {number(before)} of GOOD"
            raise BadInput(found, "BAD to be worse", "the plan")
        if share is None:
            return cls(name, (before + after) / 2)
        sign = 1 if LOWER_IS_BETTER[name] else -1
        relative = 1.0 if name == "availability" else abs(before)
        return cls(name, before + sign * share * relative)

    def judge(self, answer: Answer) -> Said:
        """A run without a value says nothing."""
        value = answer.measures.get(self.name)
        if value is None:
            return "unclear"
        is_beyond = value > self.limit if LOWER_IS_BETTER[self.name] else value < self.limit
        return "bad" if is_beyond or value == inf else "good"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for. A `signature` may be left to the bad end; of a `metric` without a share, the limit lies half
    way between the ends.
    """

    signature: str | None = None
    metric: str | None = None
    share: float | None = None


def number(value: float) -> str:
    """The value of a metric in a line of text."""
    return "infinite" if value == inf else f"{value:.4g}"


def perform(trial: Trial) -> Answer:
    """Run a trial in a worker. What is wrong with a commit is an answer."""
    plan = decode(trial.plan, "the plan")
    try:
        systems = load_systems(trial.binding)
        able = abilities_of(systems.values())
        lacking = misfit(plan, able, trial.described)
        if lacking:
            return Answer(cannot=lacking)
        outcome = execute(without_absent(plan, able), trial.binding)
    except BadInput as error:
        folders = [f"{code.path.parent}{os.sep}" for code in trial.binding.codes.values()]
        return Answer(cannot=functools.reduce(lambda text, folder: text.replace(folder, ""), folders, error.found))
    return answer_of(outcome)


def answer_of(outcome: Outcome) -> Answer:
    """Keep of an outcome what a search asks for."""
    unexplained = [anomaly.signature for anomaly in outcome.anomalies if not anomaly.allowed]
    return Answer(
        verdict=outcome.verdict.validity,
        reason=outcome.verdict.reason,
        signatures=tuple(dict.fromkeys(unexplained)),
        primary=outcome.primary if outcome.primary in unexplained else next(iter(unexplained), None),
        measures=measure(outcome),
    )


class Search:
    """One search: asks commits for runs, and remembers what they answered."""

    def __init__(
        self,
        plan: Plan,
        line: Line,
        checkouts: Checkouts,
        results: Path,
        *,
        wanted: Wanted,
        runs_max: int = 1,
        confidence: float = 0.95,
        jobs: int | None = None,
        seconds_max: float = SECONDS_MAX,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`told` is called with a line for each run."""
        self._plan = plan
        self.line = line
        self._checkouts = checkouts
        self._wanted = wanted
        self._runs_max = runs_max
        self._confidence = confidence
        self._told = told
        self._memory = Memory(results, plan)
        self._described = abilities_of(load_systems(catalog.bind(PACKAGE, checkouts)).values())
        self._jobs = jobs or default_jobs()
        self._pool = Pool(perform, jobs=self._jobs, seconds_max=seconds_max)
        self.answers: dict[str, list[Answer]] = {}  # by commit, in the order of schedules
        self.criterion: Criterion = Signature(wanted.signature or "")

    def run(self) -> Certain | Noisy:
        """Find the first bad commit. Raises BadInput when the ends do not differ as they should."""
        with self._pool, self._memory:
            self._judge_ends()
            chosen: Certain | Noisy
            if self._runs_max == 1:
                chosen = Certain(len(self.line.changes))
            else:
                chosen = Noisy(len(self.line.changes), confidence=self._confidence, runs_max=self._runs_max)
                self._tell_ends(chosen)
            while (at := chosen.next()) is not None:
                self._try(chosen, at)
            return chosen

    def said(self, commit: Commit) -> list[Said]:
        """What the runs of a commit say under the criterion."""
        return [self.criterion.judge(answer) for answer in self.answers.get(commit.id, ()) if not answer.cannot]

    def skipped(self, commit: Commit) -> str:
        """Why a commit was skipped; empty if it was not."""
        answers = self.answers.get(commit.id, [])
        if not answers or {"good", "bad"} & set(self.said(commit)):
            return ""
        return answers[0].cannot or answers[0].reason or f"no {self.criterion.name}"

    def failing_plan(self, commit: Commit) -> Plan | None:
        """The plan of the first bad run of a commit."""
        for schedule, answer in enumerate(self.answers.get(commit.id, ())):
            if not answer.cannot and self.criterion.judge(answer) == "bad":
                return self._scheduled(commit, schedule)
        return None

    # -- the ends ---------------------------------------------------------------------------------------------------

    def _judge_ends(self) -> None:
        """Run both ends as often as their rates need, and fix what is looked for."""
        good, bad = self.line.good, self.line.changes[-1]
        if self._wanted.metric is not None:
            for commit in (good, bad):
                self._ask(commit, min(self._runs_max, _END_RUNS))
            self.criterion = self._limit(self._wanted.metric)
        else:
            self._run_bad_end(bad)
            self._ask(good, len(self.answers[bad.id]))
        for commit, name in ((good, "GOOD"), (bad, "BAD")):
            if why := self.skipped(commit):
                raise BadInput(f"no verdict of {name} ({why})", "a commit that can run the plan", commit.short)
        rates = [self._rate(commit) for commit in (good, bad)]
        if not rates[1]:
            wanted = self.criterion.name or "failure"
            again = "" if self._runs_max > 1 else "; --runs 20 tries other schedules too"
            raise BadInput(
                f"no {wanted} in {len(self.said(bad))} runs", f"a failure of BAD{again}", f"{bad.short}, BAD"
            )
        if rates[0] >= rates[1]:
            found = f"{self.criterion.name} in {self.said(good).count('bad')} of {len(self.said(good))} runs"
            raise BadInput(found, "fewer of GOOD than of BAD", f"{good.short}, GOOD")

    def _run_bad_end(self, bad: Commit) -> None:
        """Run the bad end until it has failed often enough; without a wanted signature, its first failure is wanted."""
        left = self._runs_max
        while left > 0:
            for answer in self._ask(bad, min(left, self._jobs)):
                if not self.criterion.name and answer.primary is not None:
                    self.criterion = Signature(answer.primary)
            left = self._runs_max - len(self.answers[bad.id])
            if self.answers[bad.id][0].cannot or (self.criterion.name and self._bad_count(bad) >= _BAD_RUNS_MIN):
                return

    def _limit(self, metric: str) -> Metric:
        ends = [self._median(commit, metric) for commit in (self.line.good, self.line.changes[-1])]
        for value, commit in zip(ends, (self.line.good, self.line.changes[-1]), strict=True):
            if value is None:
                why = self.answers[commit.id][0].cannot or "no run has a value"
                raise BadInput(f"no {metric} ({why})", "a commit that can run the plan", commit.short)
        before, after = ends
        assert before is not None
        assert after is not None
        return Metric.between(metric, before, after, self._wanted.share)

    def _median(self, commit: Commit, metric: str) -> float | None:
        values = [answer.measures.get(metric) for answer in self.answers[commit.id]]
        return median([value for value in values if value is not None])

    def value(self, commit: Commit) -> float | None:
        """The median of the metric that is bisected over a commit's runs; None when it is a signature."""
        if not isinstance(self.criterion, Metric) or commit.id not in self.answers:
            return None
        return self._median(commit, self.criterion.name)

    def _bad_count(self, commit: Commit) -> int:
        return self.said(commit).count("bad")

    def _rate(self, commit: Commit) -> float:
        said = [word for word in self.said(commit) if word != "unclear"]
        return said.count("bad") / len(said) if said else 0.0

    def _tell_ends(self, chosen: Noisy) -> None:
        for at, commit in ((-1, self.line.good), (len(self.line.changes) - 1, self.line.changes[-1])):
            for word in self.said(commit):
                if word != "unclear":
                    chosen.observe(at, is_bad=word == "bad")

    # -- runs -------------------------------------------------------------------------------------------------------

    def _try(self, chosen: Certain | Noisy, at: int) -> None:
        commit = self.line.changes[at]
        left = self._runs_max - len(self.answers.get(commit.id, ()))
        answers = self._ask(commit, min(left, self._jobs if isinstance(chosen, Noisy) else 1))
        for answer in answers:
            if not answer.cannot and (word := self.criterion.judge(answer)) != "unclear":
                chosen.observe(at, is_bad=word == "bad")
        tried = self.answers[commit.id]
        says_nothing = set(self.said(commit)) <= {"unclear"} and len(tried) >= min(_UNCLEAR_MAX, self._runs_max)
        if tried[0].cannot or says_nothing or len(tried) >= self._runs_max:
            chosen.skip(at)

    def _ask(self, commit: Commit, count: int) -> list[Answer]:
        """Have the next runs of a commit, from memory or from workers."""
        before = self.answers.setdefault(commit.id, [])
        schedules = range(len(before), len(before) + count)
        known = {schedule: self._memory.get(commit.tree, schedule) for schedule in schedules}
        for schedule, answer in self._perform(commit, [one for one in schedules if known[one] is None]):
            self._memory.add(commit.tree, schedule, answer)
            known[schedule] = answer
        answers = [answer for answer in known.values() if answer is not None]
        before.extend(answers)
        for answer in answers:
            self._told(f"{commit.short} {commit.subject}: {self._word(answer)}")
        return answers

    def _word(self, answer: Answer) -> str:
        if answer.cannot:
            return f"skipped: {answer.cannot}"
        if self._wanted.metric is None:
            return self.criterion.judge(answer) if self.criterion.name else answer.verdict
        value = answer.measures.get(self._wanted.metric)
        return f"{self._wanted.metric} {'unknown' if value is None else number(value)}"

    def _perform(self, commit: Commit, schedules: list[int]) -> Iterator[tuple[int, Answer]]:
        if not schedules:
            return
        try:
            binding = bind(commit, self._checkouts)
        except BadInput as error:
            yield from ((schedule, Answer(cannot=error.found)) for schedule in schedules)
            return
        plans = {self._scheduled(commit, schedule).to_json(): schedule for schedule in schedules}
        trials = [Trial(plan=plan, binding=binding, described=self._described) for plan in plans]
        for done in self._pool.map(trials):
            cannot = Answer(cannot=done.error.strip().rpartition("\n")[2])
            yield plans[done.item.plan], done.result or cannot

    def _scheduled(self, commit: Commit, schedule: int) -> Plan:
        """The plan under one of a commit's schedules; the first is the plan's own."""
        if schedule == 0:
            return self._plan
        name = f"{self._plan.schedule.seed}/{commit.tree}/{schedule}"
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6])
        return msgspec.structs.replace(self._plan, schedule=msgspec.structs.replace(self._plan.schedule, seed=seed))


class Memory:
    """The answers that were given for one plan, in a file of the results folder."""

    def __init__(self, results: Path, plan: Plan) -> None:
        self.path = results / FOLDER / f"{plan.sha256[:16]}-{provenance().harness[:8]}.jsonl"
        self._results = results
        self._answers: dict[tuple[str, int], Answer] = {}
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> Memory:
        with writable(self._results):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            whole = bytearray()
            for answered, text in self._read():
                self._answers[answered.tree, answered.schedule] = answered.whole()
                whole += text
            if self.path.exists() and self.path.read_bytes() != whole:  # the end of a line is missing: it was killed
                self.path.write_bytes(whole)
            self._file = self._opened.enter_context(self.path.open("ab"))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def get(self, tree: str, schedule: int) -> Answer | None:
        """An answer that was given before."""
        return self._answers.get((tree, schedule))

    def add(self, tree: str, schedule: int, answer: Answer) -> None:
        """Keep an answer. Raises BadInput when it cannot be written."""
        self._answers[tree, schedule] = answer
        with writable(self._results):
            self._file.write(msgspec.json.encode(_Stored.of(tree, schedule, answer)) + b"\n")
            self._file.flush()

    def _read(self) -> Iterator[tuple[_Stored, bytes]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for line in lines:
                with contextlib.suppress(*UNREADABLE):
                    if line.endswith(b"\n"):
                        yield msgspec.json.decode(line, type=_Stored), line


def bind(commit: Commit, checkouts: Checkouts) -> Binding:
    """The code of a commit. Raises BadInput when it has none."""
    return catalog.bind(f"{PACKAGE}@{commit.id}", checkouts)


def require_one_version(specs: Mapping[str, str]) -> None:
    """Raise BadInput for a run of several versions, or of another system: a commit is one version of raft_impl."""
    expected = f"a simulated run of one version of {PACKAGE}"
    if set(specs) != {DEFAULT_LABEL}:
        raise BadInput(f"the code labels {', '.join(specs)}", expected, "the run")
    spec = specs[DEFAULT_LABEL]
    if spec != PACKAGE and not spec.startswith((f"{PACKAGE}@", "path:", "patch:")):
        raise BadInput(f"a run of {spec}", expected, "the run")
