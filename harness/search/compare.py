"""Comparison: the same plans on two versions of an implementation, and whether the second is worse.

Each side has worker processes of its own, with a time limit and without network; only `raft_impl` comes from a ref, the
harness is the caller's. Plans are drawn once, here, from what both sides can be asked. A pair counts when both sides
could run the plan as it stands: a side that lacks an option may run it only if the plan has the option's neutral value;
otherwise the pair is `incomparable`, counted and shown, never run with the option dropped.

Several versions are compared with one, each as if alone, over the same plans; what counts as significant is divided by
their number (Bonferroni), so that the chance of any false accusation stays the same.

`sequential` looks after every pair instead, with tests that allow it (`harness.search.sequential`), and runs no further
plan once one of them accuses B. It never stops in B's favour: what is rare would be missed.

Pairs without two verdicts decide nothing, but bound what can be said: `Bounds` tells by how much B could be worse or
better whatever they would have been, and whether McNemar's test would come out the same.

B is worse when it shows a signature that A never shows, when significantly more of the disagreeing pairs went wrong on
B than on A (exact McNemar test, p below `SIGNIFICANT`), or when a metric is significantly and relevantly worse
(`harness.search.measures`). Significance alone decides nothing there: with equal plans on both sides even a harmless
change moves every run a little in one direction.
"""

from __future__ import annotations

import shlex
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final, Literal

import msgspec

from checkers.trace import Row, as_row
from harness.archive.documents import run_record
from harness.archive.layout import Event, RunWriter, encode_trace
from harness.errors import Exit, InternalError
from harness.options import OptionValues
from harness.plans.plan import Plan, decode
from harness.record import RunRecord
from harness.run.drawing import Abilities, Drawing, abilities_of, together
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems.binding import Binding, RecordedCode
from harness.systems.catalog import load_systems
from harness.walk.divergence import part

from .executors import Done, Pool, default_jobs
from .fitting import missing
from .measures import MAX_REGRESSION, SIGNIFICANT, Change, Measures, changes, measure
from .sequential import Looked, Sequential
from .statistics import binomial_p

COMPARABLE_MIN: Final = 0.5
"""When fewer of the pairs count, the rest decides nothing."""
DIVERGENCES: Final = 10
"""Pairs whose first different event is looked up, which costs two more runs each."""

Side = Literal["a", "b"]
SIDES: Final[tuple[Side, ...]] = ("a", "b")
Word = Literal["valid", "invalid", "unknown", "error"]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a plan that one side is asked for, perhaps with its trace in a file."""

    binding: Binding
    seed: int
    plan: bytes
    results: str | None = None
    trace: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a side made of a plan. Without a record it gave no verdict, and `error` says why."""

    record: RunRecord | None = None
    measures: Measures = {}
    error: str = ""

    @property
    def verdict(self) -> Word:
        """The verdict, or `error`."""
        return "error" if self.record is None else self.record.verdict

    @property
    def reason(self) -> str:
        """Why there is no verdict, or why it is unknown."""
        return self.error if self.record is None else self.record.reason

    @property
    def failure(self) -> str | None:
        """The signature of a failure that nothing explains."""
        if self.record is None or not self.record.is_failure:
            return None
        return self.record.failure_signature or "unnamed"


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """The first event in which two runs of one plan differ, also in words. A side is None when its run had ended.

    `why` is the command that shows what led to it on either side.
    """

    index: int
    time_ns: int
    a: Event | None
    b: Event | None
    a_text: str
    b_text: str
    why: str


class Pair(msgspec.Struct, kw_only=True):
    """One plan on both sides."""

    seed: int
    drawing: Drawing
    plan: Plan | None
    """None of runs that were stored: they are not made again."""
    answers: dict[Side, Answer] = {}
    first_divergence: Divergence | None = None

    @property
    def verdicts(self) -> tuple[Word, Word]:
        """What the runs of A and B came to."""
        return self.answers["a"].verdict, self.answers["b"].verdict

    @property
    def is_decided(self) -> bool:
        """Whether both sides came to a verdict."""
        return set(self.verdicts) <= {"valid", "invalid"}

    @property
    def identical(self) -> bool:
        """Whether everything happened alike on both sides."""
        a, b = self.answers["a"].record, self.answers["b"].record
        if a is None or b is None:
            return False
        # The fingerprint covers the plan, and a side that lacks an option ran the plan without its neutral value.
        if a.plan_sha256 != b.plan_sha256:
            return a.history_sha256 == b.history_sha256
        return a.fingerprint == b.fingerprint


class Incomparable(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that one side cannot run as it stands: the options that it lacks, with the values they would need."""

    seed: int
    side: Side
    options: OptionValues


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs leave open in which a side gave no verdict, or could not be asked: `undecided` of `plans`.

    `least` and `most` are the share of plans on which B fails and A does not, less the share of which it is the other
    way round, if all that is open spoke for B, or against it. `p_for` and `p_against` are McNemar's p-values then.
    `holds`: whether B is significantly worse is the same either way.
    """

    undecided: int
    plans: int
    least: float
    most: float
    p_for: float
    p_against: float
    holds: bool


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts of each side, and of both together as `a/b`."""

    a: dict[str, int]
    b: dict[str, int]
    pairs: dict[str, int]


class NewSignature(msgspec.Struct, frozen=True, kw_only=True):
    """A failure that only B shows, with the line that reproduces it."""

    signature: str
    seed: int
    message: str
    reproduce: str


class ComparedPair(msgspec.Struct, frozen=True, kw_only=True):
    """One pair, as the summary lists it.

    `runs` are the sides whose run has a folder, `measures` what both came to, and `why` is the command that shows where
    the runs part; empty where they do not.
    """

    seed: int
    workload: str
    a: Word
    b: Word
    signatures: dict[Side, str]
    reasons: dict[Side, str]
    identical: bool
    first_divergence: Divergence | None
    runs: dict[Side, str] = {}
    measures: dict[Side, Measures] = {}
    why: str = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What `compare --json` prints."""

    a: RecordedCode
    b: RecordedCode
    exit: int
    verdicts: Verdicts
    identical: int
    worse: int
    better: int
    p_value: float
    new_signatures: tuple[NewSignature, ...]
    gone_signatures: tuple[str, ...]
    incomparable: tuple[Incomparable, ...]
    metrics: dict[str, Change]
    regressed: tuple[str, ...]
    pairs: tuple[ComparedPair, ...]
    bounds: Bounds | msgspec.UnsetType = msgspec.UNSET
    sequential: Looked | msgspec.UnsetType = msgspec.UNSET

    @property
    def accused(self) -> tuple[str, ...]:
        """By what B is worse: of a comparison that looked after every pair, what its tests accuse."""
        return self.regressed if self.sequential is msgspec.UNSET else self.sequential.accuses


def ask(binding: Binding) -> Abilities:
    """Say, in a worker of one side, what that side can be asked."""
    return abilities_of(load_systems(binding).values())


def perform(task: Task) -> Answer:
    """Do a task in a worker of one side."""
    plan = decode(task.plan, f"the plan of seed {task.seed}")
    outcome = execute(plan, task.binding, RunOptions(keep_rows=task.trace is not None))
    if task.trace is not None:
        Path(task.trace).write_bytes(encode_trace(outcome.rows or ()))
    if task.results is not None and outcome.verdict.validity != "valid":
        with RunWriter(Path(task.results), plan) as writer:
            record = writer.place(execute(plan, task.binding, sink=writer))
    else:
        record = run_record(outcome)
    return Answer(record=record, measures=measure(outcome))


class Comparison:
    """Two versions under the same plans.

    `max_regression` says from where on a worse metric is relevant; what it does not name is as `MAX_REGRESSION` has it.
    """

    def __init__(
        self,
        a: Binding,
        b: Binding,
        *,
        results: Path | None = None,
        jobs: int | None = None,
        max_regression: Mapping[str, float] = MAX_REGRESSION,
        significant: float = SIGNIFICANT,
        answers_of_a: dict[bytes, Answer] | None = None,
        divergences: int = DIVERGENCES,
        sequential: bool = False,
    ) -> None:
        """`significant` is smaller where several versions are compared with one.

        `sequential`: stop as soon as a test that may be looked at after every pair accuses B.

        `answers_of_a` has what A made of plans, by their JSON: it is asked first, and gets what A makes of more.
        """
        self._bindings: dict[Side, Binding] = {"a": a, "b": b}
        self._results = None if results is None else str(results)
        self._jobs = max(1, (jobs or default_jobs()) // 2)
        self._max_regression = {**MAX_REGRESSION, **max_regression}
        self._significant = significant
        self._divergences = divergences
        self._answers_of_a = {} if answers_of_a is None else answers_of_a
        self._sequential = Sequential(self._max_regression, significant) if sequential else None
        self._asked = 0  # pairs that both sides can run
        self.pairs: list[Pair] = []
        self.incomparable: list[Incomparable] = []

    def run(self, cells: Sequence[Drawing], seeds: Sequence[int], advance: Callable[[str], None]) -> None:
        """Run all pairs; call `advance` once a pair."""
        able = {side: self._abilities(side) for side in SIDES}
        with Pool(perform, jobs=self._jobs) as a, Pool(perform, jobs=self._jobs) as b:
            pools: dict[Side, Pool[Task, Answer]] = {"a": a, "b": b}
            drawn = [self._draw(cells[seed % len(cells)], seed, able) for seed in seeds]
            self.pairs = [pair for pair in drawn if pair is not None]
            self._asked = len(self.pairs)
            both = [pool.map(self._tasks(side, able)) for side, pool in pools.items()]
            self._gather(both, advance)
            if self._sequential is not None:
                self.pairs = self.pairs[: self._sequential.pairs]
            self._diverge(pools, able)

    def summary(self) -> Summary:
        """Describe the comparison."""
        table = Counter(pair.verdicts for pair in self.pairs)
        worse, better = _disagreements(self.pairs)
        metrics, tests = self._metrics(), self._sequential
        return Summary(
            a=self._version("a"),
            b=self._version("b"),
            exit=self.exit_code(metrics),
            verdicts=Verdicts(
                a=dict(Counter(a for a, _ in table.elements())),
                b=dict(Counter(b for _, b in table.elements())),
                pairs={f"{a}/{b}": number for (a, b), number in sorted(table.items())},
            ),
            identical=sum(pair.identical for pair in self.pairs),
            worse=worse,
            better=better,
            p_value=float(binomial_p(worse, better)),
            new_signatures=self._new_signatures(),
            gone_signatures=tuple(sorted(set(self._signatures("a")) - set(self._signatures("b")))),
            incomparable=tuple(self.incomparable),
            metrics=metrics,
            regressed=_regressed(metrics),
            pairs=tuple(_compared(pair, "" if pair.identical else self._why(pair)) for pair in self.pairs),
            bounds=self._bounds(),
            sequential=msgspec.UNSET if tests is None else tests.looked(self._asked),
        )

    def exit_code(self, metrics: Mapping[str, Change] | None = None) -> Exit:
        """1: B is worse. 2: undecided, or too little to decide from. 0: nothing speaks against B.

        `metrics` are those of the summary, if they are known: their intervals take thousands of resamples each.
        """
        worse, better = _disagreements(self.pairs)
        if self._new_signatures():
            return Exit.INVALID
        if self._sequential is not None:  # its tests stand in place of the others, which may be looked at only once
            if self._sequential.accuses:
                return Exit.INVALID
        elif self._is_worse(worse, better) or _regressed(self._metrics() if metrics is None else metrics):
            return Exit.INVALID
        decided = sum(pair.is_decided for pair in self.pairs)
        total = len(self.pairs) + len(self.incomparable)
        if worse > better or decided < COMPARABLE_MIN * total or not decided:
            return Exit.UNKNOWN
        return Exit.VALID

    # -- running ----------------------------------------------------------------------------------------------------

    def _abilities(self, side: Side) -> Abilities:
        with Pool(ask, jobs=1) as pool:
            (done,) = pool.map([self._bindings[side]])
        if done.result is None:
            raise InternalError(f"side {side} cannot be asked what it can do: {done.error}")
        return done.result

    def _draw(self, drawing: Drawing, seed: int, able: Mapping[Side, Abilities]) -> Pair | None:
        """Draw the plan of a pair; None, and counted, when a side lacks an option that matters in it."""
        both = together(able.values())
        plan = drawing.plan(seed, both)
        for side in SIDES:
            lacking = missing(plan, able[side], both)
            if lacking:
                options = {name: plan.options[name] for name in lacking}
                self.incomparable.append(Incomparable(seed=seed, side=side, options=options))
                return None
        return Pair(seed=seed, drawing=drawing, plan=plan, answers={})

    def _tasks(self, side: Side, able: Mapping[Side, Abilities]) -> Iterator[Task]:
        for pair in self.pairs:
            if self._sequential is not None and self._sequential.accuses:
                return
            task = self._task(side, pair, able)
            if side == "a" and (known := self._answers_of_a.get(task.plan)) is not None:
                pair.answers["a"] = known
            else:
                yield task

    def _task(self, side: Side, pair: Pair, able: Mapping[Side, Abilities], trace: str | None = None) -> Task:
        results = None if trace is not None else self._results
        assert pair.plan is not None
        plan = _without_absent(pair.plan, able, side).to_json()
        return Task(binding=self._bindings[side], seed=pair.seed, plan=plan, results=results, trace=trace)

    def _gather(self, both: Sequence[Iterator[Done[Task, Answer]]], advance: Callable[[str], None]) -> None:
        """Take the answers of both sides in turn, so that both keep working."""
        by_seed = {pair.seed: pair for pair in self.pairs}
        for answers in zip_longest(*both):
            for side, done in zip(SIDES, answers, strict=True):
                if done is None:
                    continue
                pair = by_seed[done.item.seed]
                pair.answers[side] = done.result or Answer(error=done.error)
                if side == "a":
                    self._answers_of_a[done.item.plan] = pair.answers["a"]
                if len(pair.answers) == len(SIDES):
                    self._look()
                    advance(" / ".join(pair.verdicts))

    def _look(self) -> None:
        """Let the sequential tests see the pairs that are complete, in the order of their seeds."""
        tests = self._sequential
        while tests is not None and not tests.accuses and tests.pairs < len(self.pairs):
            pair = self.pairs[tests.pairs]
            if len(pair.answers) < len(SIDES):
                return
            show(tests, pair)

    def _diverge(self, pools: Mapping[Side, Pool[Task, Answer]], able: Mapping[Side, Abilities]) -> None:
        """Find the first different event of the pairs that differ most: in their verdicts, then in anything."""
        differing = [pair for pair in self.pairs if not pair.identical and "error" not in pair.verdicts]
        differing.sort(key=lambda pair: (len(set(pair.verdicts)) == 1, pair.seed))
        for pair in differing[: self._divergences]:
            with tempfile.TemporaryDirectory(prefix="foreshock-") as folder:
                paths = {side: Path(folder, side) for side in SIDES}
                for side, pool in pools.items():
                    list(pool.map([self._task(side, pair, able, trace=str(paths[side]))]))
                pair.first_divergence = self._divergence(pair, paths)

    def _divergence(self, pair: Pair, paths: Mapping[Side, Path]) -> Divergence | None:
        assert pair.plan is not None
        with paths["a"].open("rb") as a, paths["b"].open("rb") as b:
            parting = part((pair.plan, pair.plan), _rows(a), _rows(b))
        if parting is None:
            return None
        return Divergence(
            index=parting.index,
            time_ns=parting.time_ns,
            a=parting.a.event,
            b=parting.b.event,
            a_text=parting.a.text,
            b_text=parting.b.text,
            why=self._why(pair),
        )

    def _why(self, pair: Pair) -> str:
        """The command that shows where the runs of a pair part, and why."""
        a_spec, b_spec = (self._bindings[side].recorded().system for side in SIDES)
        line = msgspec.structs.replace(pair.drawing, system=a_spec).command(pair.seed)
        return shlex.join(["foreshock", "replay", line, "--against", b_spec])

    # -- judging ----------------------------------------------------------------------------------------------------

    def _is_worse(self, worse: int, better: int) -> bool:
        """McNemar's test, in one direction."""
        return worse > better and binomial_p(worse, better) < self._significant

    def _bounds(self) -> Bounds:
        """The extremes of what the pairs without two verdicts could have been."""
        open_pairs = [pair for pair in self.pairs if not pair.is_decided]
        worse, better = _disagreements(pair for pair in self.pairs if pair.is_decided)
        against = sum(_could_be(pair, fails="b") for pair in open_pairs) + len(self.incomparable)
        in_favour = sum(_could_be(pair, fails="a") for pair in open_pairs) + len(self.incomparable)
        plans = len(self.pairs) + len(self.incomparable)
        return Bounds(
            undecided=len(open_pairs) + len(self.incomparable),
            plans=plans,
            least=round((worse - better - in_favour) / max(plans, 1), 4),
            most=round((worse + against - better) / max(plans, 1), 4),
            p_for=float(binomial_p(worse, better + in_favour)),
            p_against=float(binomial_p(worse + against, better)),
            holds=self._is_worse(worse, better + in_favour) == self._is_worse(worse + against, better),
        )

    def _metrics(self) -> dict[str, Change]:
        measured = [pair for pair in self.pairs if "error" not in pair.verdicts]
        a, b = ([pair.answers[side].measures for pair in measured] for side in SIDES)
        unrun = len(self.pairs) - len(measured) + len(self.incomparable)
        return changes(a, b, self._max_regression, self._significant, unrun=unrun)

    def _signatures(self, side: Side) -> dict[str, Pair]:
        """Signatures of a side's failures, each with the pair of the smallest seed."""
        first: dict[str, Pair] = {}
        for pair in sorted(self.pairs, key=lambda pair: pair.seed):
            signature = pair.answers[side].failure
            if signature is not None:
                first.setdefault(signature, pair)
        return first

    def _new_signatures(self) -> tuple[NewSignature, ...]:
        before = self._signatures("a")
        return tuple(
            self._new(signature, pair)
            for signature, pair in sorted(self._signatures("b").items(), key=lambda item: item[0])
            if signature not in before
        )

    def _new(self, signature: str, pair: Pair) -> NewSignature:
        record = pair.answers["b"].record
        assert record is not None
        drawing = msgspec.structs.replace(pair.drawing, system=self._bindings["b"].recorded().system)
        return NewSignature(
            signature=signature,
            seed=pair.seed,
            message=record.message_of(signature),
            reproduce=drawing.command(pair.seed),
        )

    def _version(self, side: Side) -> RecordedCode:
        (code,) = self._bindings[side].recorded().codes.values()
        return code


def show(tests: Sequential, pair: Pair) -> None:
    """Let sequential tests see a pair that both sides have answered."""
    a, b = (pair.answers[side] for side in SIDES)
    tests.add((a.failure is not None, b.failure is not None), a.measures, b.measures)


def _disagreements(pairs: Iterable[Pair]) -> tuple[int, int]:
    """Of how many pairs only B, and of how many only A, is invalid without an allowance."""
    failures = [(pair.answers["a"].failure, pair.answers["b"].failure) for pair in pairs]
    return sum(1 for a, b in failures if b and not a), sum(1 for a, b in failures if a and not b)


def _could_be(pair: Pair, *, fails: Side) -> bool:
    """Whether a pair of which something is open could have been one on which only this side fails."""
    other: Side = "b" if fails == "a" else "a"
    here, there = pair.answers[fails], pair.answers[other]
    return (here.failure is not None or here.verdict in ("unknown", "error")) and there.failure is None


def _regressed(metrics: Mapping[str, Change]) -> tuple[str, ...]:
    return tuple(name for name, change in metrics.items() if change.regressed)


def _compared(pair: Pair, why: str) -> ComparedPair:
    a, b = pair.verdicts
    failures = {side: pair.answers[side].failure for side in SIDES}
    runs = {side: record.run for side in SIDES if (record := pair.answers[side].record) is not None}
    return ComparedPair(
        seed=pair.seed,
        workload=pair.drawing.workload,
        a=a,
        b=b,
        signatures={side: signature for side, signature in failures.items() if signature is not None},
        reasons={side: pair.answers[side].reason for side in SIDES if pair.answers[side].reason},
        identical=pair.identical,
        first_divergence=pair.first_divergence,
        runs={side: run for side, run in runs.items() if run is not None},
        measures={side: pair.answers[side].measures for side in SIDES},
        why=why,
    )


def _without_absent(plan: Plan, able: Mapping[Side, Abilities], side: Side) -> Plan:
    """Leave out options that a side lacks (their value is neutral), for both sides where that changes nothing.

    When the other side's default is the neutral value too, the plan without the option means the same to both, and
    both run the very same plan, so that their fingerprints can be equal.
    """
    known = {name: {option.name for option in able[name].options} for name in able}
    defaults = {option.name: option.default for option in together(able.values()).options}
    options = {
        name: value
        for name, value in plan.options.items()
        if name in known[side] and (all(name in names for names in known.values()) or defaults[name] != value)
    }
    return msgspec.structs.replace(plan, options=options) if options != plan.options else plan


def _rows(lines: Iterable[bytes]) -> Iterator[Row]:
    """Rows of a stored trace."""
    return map(as_row, map(msgspec.json.Decoder(Event).decode, lines))
