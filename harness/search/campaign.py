"""A campaign: one execution of a suite, and what it found.

`Tally` takes the records of runs one by one, in any order, and says at any time what they amount to: failures grouped
by signature, each with a line that reproduces it; how many runs are unknown, and why; what a baseline saw. It holds no
run in memory beyond those lines, so that a campaign may have a hundred thousand of them.

Seed i runs in cell i modulo the number of cells, so that a seed means the same run however many there are. One seed in
`PROVES_EVERY` is run twice, and its fingerprints must agree; not in the live world, where no two runs are alike.

A campaign is finished when all its seeds have run. One whose budget was spent, or of which a cell was stopped because
its runs hung, says how many seeds it left unbegun, and can be resumed.
"""

from __future__ import annotations

import datetime
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from checkers.json_lines import UNREADABLE
from harness.archive.index import Campaign, Index
from harness.errors import BadInput, Exit
from harness.plans.plan import DRAW_VERSION, Plan
from harness.record import ErrorRecord, Record, RunRecord
from harness.run.drawing import SYSTEM, Drawing
from harness.systems.binding import Binding
from harness.systems.checkouts import Checkouts

from .budgets import Budget, Spending
from .detection import MutantReport
from .distributions import Comparison
from .executors import SECONDS_MAX, Done, Mapper
from .guided import Guide
from .jobs import PROVES_EVERY, Job
from .known import Known, reason_of
from .suites import Suite
from .worlds import World

HUNG_MAX: Final = 3
"""Hung seeds that stop their cell. One may be the machine's fault; what hangs thrice hangs all night."""
_MOST: Final = "at most"
"""Ends the name of a mark that is the largest of a run, and not a number of times."""
_FLUSH_SECONDS: Final = 1.0
_FLUSH_RUNS: Final = 50


Bindings = Mapping[str, Binding]
"""The code of a suite's cells, by its spec."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign runs, complete enough to be resumed. `last` None: until the budget is spent.

    A seed means the same plan within one `draw_version` (0: of a campaign that did not say). `commit` is what was
    checked out around the code, with a + if it was changed since; empty when that is not known.
    """

    suite: Suite
    system: str
    """The specs of its cells, as one text."""
    code_digest: str
    upgrade_from: str | None = None
    first: int
    last: int | None
    budget: Budget = Budget()
    stop_at_first: bool = False
    run_timeout_s: float = SECONDS_MAX
    draw_version: int = 0
    commit: str = ""
    canaries: tuple[str, ...] = ()
    world: Literal["simulated", "live"] = "simulated"

    def seeds(self) -> Iterator[int]:
        """The seeds, in order."""
        return iter(count(self.first) if self.last is None else range(self.first, self.last + 1))

    @property
    def total(self) -> int | None:
        """How many seeds there are, when that is fixed."""
        return None if self.last is None else self.last - self.first + 1


class SmallFailure(msgspec.Struct, frozen=True, kw_only=True):
    """What shrinking made of a failure: its run, how much is left in it, and a test of it.

    `finished` unset: time ran out before nothing could be taken out any more.
    """

    run: str | None
    faults: int
    ops: int
    nodes: int
    finished: bool
    test: str


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The failures of one signature, with the smallest seed as the example. `seeds` are all of them."""

    signature: str
    runs: int
    allowed: bool
    known: str | None
    seed: int
    seeds: tuple[int, ...]
    workload: str
    profile: str
    message: str
    run: str | None
    reproduce: str
    small: SmallFailure | msgspec.UnsetType = msgspec.UNSET
    bundle: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_news(self) -> bool:
        """Whether nothing explains it and nobody knows it."""
        return not self.allowed and self.known is None


class Unclear(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that are unknown for one reason. `seeds` are all of them."""

    reason: str
    runs: int
    seeds: tuple[int, ...]
    run: str | None
    reproduce: str


class RunError(msgspec.Struct, frozen=True, kw_only=True):
    """A run that ended in an internal error."""

    seed: int
    error: str
    reproduce: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a number of runs amount to."""

    runs: dict[str, int]
    allowed: int
    failures: tuple[Failure, ...]
    unknown: tuple[Unclear, ...]
    errors: tuple[RunError, ...]
    simulated_seconds: float
    run_seconds: float
    messages: int
    marks: dict[str, int]
    marks_never_hit: tuple[str, ...]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Signatures that are new, still there and no longer seen since an earlier campaign.

    `fixed` are those of which every failing run of the baseline was run again, as the same plan, and judged. Where one
    was not, not seeing the signature says nothing: it is `not_run`.
    """

    campaign: str
    new: tuple[str, ...]
    still: tuple[str, ...]
    fixed: tuple[str, ...]
    not_run: tuple[str, ...] = ()


class StoppedCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that was stopped: `hung` are the seeds that gave no answer in time."""

    cell: int
    workload: str
    profile: str
    hung: tuple[int, ...]


class Unbegun(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign left: how many seeds never began (None where there is no last seed), and which cells stopped.

    `spent` says which budget ended it; empty when none did.
    """

    seeds: int | None = 0
    spent: str = ""
    stopped_cells: tuple[StoppedCell, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """True when all seeds have run."""
        return self.seeds == 0


NOTHING: Final = Unbegun()


class Summary(Findings, frozen=True, kw_only=True):
    """What `suite --json` prints, and what a campaign keeps."""

    campaign: str
    suite: str
    world: Literal["simulated", "live"] = "simulated"
    exit: int
    canaries: tuple[MutantReport, ...]
    wall_seconds: float
    unbegun: Unbegun = NOTHING
    expired: tuple[Known, ...] = ()
    """Known failures whose time is over, and that were seen."""
    baseline: Changes | msgspec.UnsetType = msgspec.UNSET
    distribution: Comparison | msgspec.UnsetType = msgspec.UNSET

    @property
    def since(self) -> dict[str, tuple[str, ...]]:
        """The signatures of this campaign and of its baseline, by what to call them; empty without a baseline.

        Of those called last it is not known whether they are fixed.
        """
        if self.baseline is msgspec.UNSET:
            return {}
        gone = "not run again" if self.world == "simulated" else "not seen again"
        changes = self.baseline
        return {"new": changes.new, "still": changes.still, "fixed": changes.fixed, gone: changes.not_run}


def summary(
    findings: Findings,
    *,
    campaign: str,
    suite: str,
    exit: int,
    wall_seconds: float,
    world: Literal["simulated", "live"] = "simulated",
    canaries: Sequence[MutantReport] = (),
    unbegun: Unbegun = NOTHING,
    expired: Sequence[Known] = (),
    baseline: Changes | msgspec.UnsetType = msgspec.UNSET,
) -> Summary:
    """Say what a campaign found; with a baseline, also what has changed since."""
    return Summary(
        **{name: getattr(findings, name) for name in Findings.__struct_fields__},
        campaign=campaign,
        suite=suite,
        world=world,
        exit=exit,
        canaries=tuple(canaries),
        expired=tuple(expired),
        wall_seconds=round(wall_seconds, 3),
        unbegun=unbegun,
        baseline=baseline,
    )


class _Group:
    """Runs that are told together, while they are counted; the one of the smallest seed is their example."""

    def __init__(self, example: RunRecord) -> None:
        self.example = example
        self.seeds: list[int] = []

    def add(self, record: RunRecord) -> None:
        self.seeds.append(record.seed)
        if record.seed < self.example.seed:
            self.example = record


class _Failures(_Group):
    """Failures of one signature."""

    def __init__(self, example: RunRecord) -> None:
        super().__init__(example)
        self.allowed = True
        self.known: str | None = None

    @property
    def status(self) -> Literal["news", "known", "allowed"]:
        """Whether the group is expected."""
        return "allowed" if self.allowed else "news" if self.known is None else "known"

    def add_failure(self, record: RunRecord, known: str | None) -> None:
        # One run that no entry covers is news, and so is its group.
        self.known = known if not self.seeds or self.known is not None else None
        self.allowed = self.allowed and record.is_allowed
        self.add(record)


class Find(NamedTuple):
    """A signature while a campaign goes on: how many runs, the smallest seed, and whether it is expected."""

    signature: str
    runs: int
    seed: int
    status: Literal["news", "known", "allowed"]


class Tally:
    """What the runs of a campaign amount to."""

    def __init__(
        self,
        suite: Suite,
        known: Sequence[Known] = (),
        marks: Iterable[str] = (),
        asked: Iterable[int] = (),
    ) -> None:
        """`marks` are all those that a run could hit; of the seeds `asked`, the tally notes which were judged."""
        self._suite = suite
        self._asked = frozenset(asked)
        self.judged: set[int] = set()
        self._possible_marks = frozenset(marks)
        self._known = known
        self._groups: dict[str, _Failures] = {}
        self._unknown: dict[str, _Group] = {}
        self._errors: list[RunError] = []
        self._marks: Counter[str] = Counter()
        self.verdicts = {"valid": 0, "invalid": 0, "unknown": 0, "error": 0}
        self.allowed = 0
        self.simulated_seconds = 0.0
        self.run_seconds = 0.0
        self.messages = 0

    def add(self, record: Record) -> None:
        """Count one run."""
        self.verdicts[record.verdict] += 1
        if isinstance(record, ErrorRecord):
            self._errors.append(RunError(seed=record.seed, error=record.error, reproduce=record.reproduce))
            return
        self.simulated_seconds += record.simulated_seconds
        self.run_seconds += record.wall_seconds
        self.messages += record.messages
        for mark, times in record.marks.items():
            before = self._marks[mark]
            self._marks[mark] = max(before, times) if mark.endswith(_MOST) else before + times
        if record.verdict != "unknown" and record.seed in self._asked:
            self.judged.add(record.seed)
        if record.verdict == "invalid":
            self._add_failure(record)
        elif record.verdict == "unknown":
            # Reasons that differ in their numbers only are one reason.
            reason = re.sub(r"\d+", "N", record.reason.split(";")[0])
            self._unknown.setdefault(reason, _Group(record)).add(record)

    @property
    def total(self) -> int:
        """Runs counted."""
        return sum(self.verdicts.values())

    @property
    def unexplained(self) -> int:
        """Runs whose failure is neither allowed nor known."""
        return sum(len(group.seeds) for group in self._groups.values() if not group.allowed and group.known is None)

    @property
    def unhit(self) -> tuple[str, ...]:
        """Marks that no run has hit yet."""
        return tuple(sorted(self._possible_marks - set(self._marks)))

    def finds(self) -> list[Find]:
        """The signatures so far, news first."""
        return [
            Find(signature, len(group.seeds), group.example.seed, group.status) for signature, group in self._ordered()
        ]

    def exit_code(self, max_unknown: float) -> Exit:
        """Decide in the order that the contract fixes: violations, our own bugs, too little said, or nothing at all."""
        if self.unexplained:
            return Exit.INVALID
        if self.verdicts["error"]:
            return Exit.INTERNAL
        if self.verdicts["unknown"] > max_unknown * self.total or not self.total:
            return Exit.UNKNOWN
        return Exit.VALID

    def findings(self) -> Findings:
        """Describe the runs so far."""
        unknown = sorted(self._unknown.items(), key=lambda entry: (-len(entry[1].seeds), entry[0]))
        return Findings(
            runs=dict(self.verdicts),
            allowed=self.allowed,
            failures=tuple(self._failure(signature, group) for signature, group in self._ordered()),
            unknown=tuple(self._unclear(group) for _, group in unknown),
            errors=tuple(self._errors),
            simulated_seconds=round(self.simulated_seconds, 3),
            run_seconds=round(self.run_seconds, 3),
            messages=self.messages,
            marks=dict(sorted(self._marks.items())),
            marks_never_hit=self.unhit,
        )

    def _add_failure(self, record: RunRecord) -> None:
        signature = record.failure_signature or "unnamed"
        self.allowed += record.is_allowed
        self._groups.setdefault(signature, _Failures(record)).add_failure(record, reason_of(record, self._known))

    def _ordered(self) -> list[tuple[str, _Failures]]:
        return sorted(self._groups.items(), key=lambda item: (item[1].allowed, item[1].known is not None, item[0]))

    def _failure(self, signature: str, group: _Failures) -> Failure:
        example = group.example
        return Failure(
            signature=signature,
            runs=len(group.seeds),
            allowed=group.allowed,
            known=group.known,
            seed=example.seed,
            seeds=tuple(sorted(group.seeds)),
            workload=example.workload,
            profile=example.profile,
            message=example.message_of(signature),
            run=example.run,
            reproduce=self._command(example),
        )

    def _unclear(self, group: _Group) -> Unclear:
        return Unclear(
            reason=group.example.reason,
            runs=len(group.seeds),
            seeds=tuple(sorted(group.seeds)),
            run=group.example.run,
            reproduce=self._command(group.example),
        )

    def _command(self, record: RunRecord) -> str:
        if record.varied is not msgspec.UNSET:
            return f"foreshock replay {record.run}"
        return self._suite.command(record.seed)


class Execution:
    """A campaign in progress: hands seeds to workers, and keeps what they answer."""

    def __init__(
        self,
        campaign: str,
        settings: Settings,
        world: World,
        bindings: Bindings,
        index: Index,
        results: Path,
        *,
        known: Sequence[Known] = (),
        asked: Iterable[int] = (),
        jobs: int | None = None,
    ) -> None:
        self.campaign = campaign
        self.settings = settings
        marks = (mark for binding in bindings.values() for mark in world.marks(binding))
        self.tally = Tally(settings.suite, known, marks, asked)
        self._world = world
        self._bindings = bindings
        self._index = index
        self._results = results
        self._jobs = jobs
        self._done: set[int] = set()  # seeds that an earlier sitting ran
        self._answered = 0
        self._hung: dict[int, list[int]] = {}  # seeds that gave no answer, by cell
        self._fingerprints: dict[int, str] = {}  # of seeds that are run twice, until the other one answers
        self._waiting: list[tuple[Record, int]] = []
        self._flushed = time.monotonic()
        self._spending = Spending(settings.budget, results)
        self._is_over = False  # no seed is begun any more, although some are left
        self._reached: dict[int, tuple[str, ...]] = {}  # the marks that runs hit, by seed, if a guide wants to know
        self._guide = Guide(settings.first, self._drawn) if settings.suite.search == "guided" else None

    def _drawn(self, seed: int) -> Plan:
        """The plan of a seed as it is drawn."""
        suite = self.settings.suite
        cell = suite.cells[suite.cell_of(seed)]
        return cell.plan(seed, self._world.abilities(self._bindings[cell.system]))

    def resume(self) -> None:
        """Take over what the index already has of this campaign."""
        for run in self._index.each(self.campaign):
            record = run.record()
            self._done.add(run.seed)
            self._spending.keep(record)
            self.tally.add(record)
            self._note_reached(record)

    def run(self, advance: Callable[[str], None]) -> None:
        """Run all seeds; call `advance` with a word on the state after each."""
        try:
            with self._world.pool(
                jobs=self._jobs,
                seconds_max=self.settings.run_timeout_s,
                memory_bytes_max=self.settings.budget.memory_bytes,
            ) as pool:
                for done in self._answers(pool):
                    if done.hung and done.item.seed not in self._hung.setdefault(done.item.cell, []):
                        self._hung[done.item.cell].append(done.item.seed)
                    if done.item.purpose == "prove":
                        self._prove(done.item, done.result, done.error)
                        continue
                    self._answered += 1
                    record = done.result if done.result is not None else self._error(done.item, done.error)
                    self.tally.add(record)
                    self._note_reached(record)
                    self._keep(record, done.item.cell)
                    if done.result is not None and self._is_proved(done.item.seed):
                        self._prove(done.item, done.result, "")
                    advance(self._state())
        finally:
            self._flush()

    def _answers(self, pool: Mapper[Job, RunRecord]) -> Iterator[Done[Job, RunRecord]]:
        """Run all seeds: at once, or with a guide generation by generation."""
        self._spending.begin()
        seeds = self.settings.seeds()
        if self._guide is None:
            yield from pool.map(self._items(seeds))
            return
        for generation in self._guide.generations(seeds):
            yield from pool.map(self._items(generation))
            if self._is_over:
                return
            self._guide.learn({seed: self._reached.pop(seed) for seed in generation if seed in self._reached})

    def _items(self, seeds: Iterable[int]) -> Iterator[Job]:
        settings = self.settings
        for seed in seeds:
            if seed in self._done:
                continue
            if self._spending.is_spent():
                self._is_over = True
                return
            recipe = None if self._guide is None else self._guide.recipe(seed)
            cell = settings.suite.cell_of(seed if recipe is None else recipe.root)
            if self._is_stopped(cell):
                if all(map(self._is_stopped, range(len(settings.suite.cells)))):
                    self._is_over = True
                    return
                continue
            job = Job(
                seed=seed,
                cell=cell,
                drawing=settings.suite.cells[cell],
                binding=self._bindings[settings.suite.cells[cell].system],
                results=str(self._results),
                stop_at_first=settings.stop_at_first,
                recipe=recipe,
            )
            yield job
            if self._is_proved(seed):
                yield msgspec.structs.replace(job, purpose="prove")

    @property
    def unbegun(self) -> Unbegun:
        """What is left to do."""
        total = self.settings.total
        return Unbegun(
            seeds=None if total is None else total - len(self._done) - self._answered,
            spent=self._spending.reason,
            stopped_cells=tuple(
                StoppedCell(
                    cell=cell,
                    workload=self.settings.suite.cells[cell].workload,
                    profile=self.settings.suite.cells[cell].profile,
                    hung=tuple(sorted(self._hung[cell])),
                )
                for cell in sorted(self._hung)
                if self._is_stopped(cell)
            ),
        )

    def _is_proved(self, seed: int) -> bool:
        """Whether a seed is run twice, to be compared."""
        return self._world.is_function_of_plan and seed % PROVES_EVERY == 0

    def _is_stopped(self, cell: int) -> bool:
        return len(self._hung.get(cell, ())) >= HUNG_MAX

    def _prove(self, job: Job, record: RunRecord | None, error: str) -> None:
        """Compare the two fingerprints of a seed as soon as both are there."""
        if record is not None:
            first = self._fingerprints.pop(job.seed, None)
            if first is None:
                self._fingerprints[job.seed] = record.fingerprint
                return
            if first == record.fingerprint:
                return
            error = f"not deterministic: two runs have the fingerprints {first} and {record.fingerprint}"
        failed = self._error(job, error)
        self.tally.add(failed)
        self._keep(failed, job.cell)

    def _error(self, job: Job, error: str) -> ErrorRecord:
        """Describe a run that ended in an internal error. A varied plan is kept, for nothing else names it."""
        reproduce = job.drawing.command(job.seed)
        if job.recipe is not None:
            path = self._results / f"plan-{self.campaign}-s{job.seed}.json"
            path.write_bytes(job.recipe.plan().to_json())
            reproduce = f"foreshock run --plan {path}"
        return ErrorRecord(
            seed=job.seed,
            workload=job.drawing.workload,
            profile=job.drawing.profile,
            error=error,
            binding=job.binding.recorded(),
            code_digest=job.binding.code_digest,
            reproduce=reproduce,
        )

    def _note_reached(self, record: Record) -> None:
        if self._guide is not None and isinstance(record, RunRecord):
            self._reached[record.seed] = tuple(record.marks)

    def _state(self) -> str:
        words = {word: number for word, number in self.tally.verdicts.items() if number and word != "valid"}
        return ", ".join(f"{number} {word}" for word, number in words.items())

    def _keep(self, record: Record, cell: int) -> None:
        self._waiting.append((record, cell))
        self._spending.keep(record)
        if len(self._waiting) >= _FLUSH_RUNS or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            with self._index.batch():
                for record, cell in waiting:
                    self._index.add(record, campaign=self.campaign, cell=cell)
        self._flushed = time.monotonic()


def new_id(suite: str) -> str:
    """Name a campaign so that names sort by age."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{suite}-{secrets.token_hex(2)}"


def read_settings(campaign: Campaign) -> Settings:
    """Read the settings of a stored campaign. Raises BadInput for those of an earlier version."""
    try:
        return msgspec.json.decode(campaign.settings, type=Settings)
    except UNREADABLE as error:
        found = f"settings that this version cannot read ({error})"
        raise BadInput(found, "a campaign of this version", f"campaign {campaign.id}") from None


def bind(suite: Suite, world: World, checkouts: Checkouts, upgrade_from: str | None = None) -> Bindings:
    """Find the code of all cells, by its spec. Raises BadInput."""
    return {spec: world.bind(spec, checkouts, upgrade_from) for spec in suite.systems}


def digest_of(bindings: Bindings) -> str:
    """Equal means the very same code."""
    return " ".join(binding.code_digest for binding in bindings.values())


def resumable(campaign: Campaign, bindings: Bindings) -> Settings:
    """Read the settings of a stored campaign that is to be resumed. Raises BadInput when the code has changed since."""
    if campaign.finished is not None:
        raise BadInput(f"campaign {campaign.id}, which is finished", "one that was interrupted", "--resume")
    settings = read_settings(campaign)
    if settings.code_digest != digest_of(bindings):
        raise BadInput("code that changed since", "the code that the campaign began with", f"--resume {campaign.id}")
    if settings.draw_version not in (0, DRAW_VERSION):
        expected = "the foreshock that the campaign began with"
        raise BadInput("seeds that mean other plans since", expected, f"--resume {campaign.id}")
    return settings


class _SeenFailure(msgspec.Struct, frozen=True):
    signature: str
    allowed: bool
    runs: int = 0
    seeds: tuple[int, ...] = ()


class _Seen(msgspec.Struct, frozen=True):
    """The part of a summary that a later campaign is compared with: alike in summaries of every version."""

    failures: tuple[_SeenFailure, ...] = ()


class Baseline:
    """An earlier campaign, as far as a later one is compared with it. Raises BadInput without a readable summary."""

    def __init__(self, campaign: Campaign) -> None:
        if campaign.summary is None:
            raise BadInput("a campaign that found nothing yet", "one that has ended", f"--baseline {campaign.id}")
        self.id = campaign.id
        try:
            seen = msgspec.json.decode(campaign.summary, type=_Seen).failures
        except UNREADABLE as error:
            found = f"a summary that cannot be read ({error})"
            raise BadInput(found, "what a campaign stores at its end", f"--baseline {campaign.id}") from None
        self._failures = {failure.signature: failure for failure in seen if not failure.allowed}
        try:
            self._settings: Settings | None = read_settings(campaign)
        except BadInput:  # of another version: what its seeds meant is not known
            self._settings = None

    @property
    def seeds(self) -> Iterator[int]:
        """Seeds that failed; whether they were judged this time decides what may be called fixed."""
        return (seed for failure in self._failures.values() for seed in failure.seeds)

    def changes(self, findings: Findings, settings: Settings, judged: Container[int]) -> Changes:
        """Sort the signatures of both; `judged` has the seeds with a verdict this time."""
        now = sorted(failure.signature for failure in findings.failures if not failure.allowed)
        seen = {failure.signature for failure in findings.failures}
        gone = [signature for signature in sorted(self._failures) if signature not in seen]
        fixed = tuple(signature for signature in gone if self._was_run(signature, settings, judged))
        return Changes(
            campaign=self.id,
            new=tuple(signature for signature in now if signature not in self._failures),
            still=tuple(signature for signature in now if signature in self._failures),
            fixed=fixed,
            not_run=tuple(signature for signature in gone if signature not in fixed),
        )

    def _was_run(self, signature: str, settings: Settings, judged: Container[int]) -> bool:
        """Whether all runs of the baseline that failed so were made again: same seed, same cell, same plan."""
        failure, before = self._failures[signature], self._settings
        if settings.world == "live":  # not seen again in runs that are not the same again
            return False
        if before is None or before.draw_version != settings.draw_version or len(failure.seeds) < failure.runs:
            return False
        return all(seed in judged and asks_alike(seed, before.suite, settings.suite) for seed in failure.seeds)


def asks_alike(seed: int, before: Suite, now: Suite) -> bool:
    """Whether a seed means the same plan in two suites; which code runs it is what may have changed.

    In a guided search it depends on what other runs reached as well, and so on the code.
    """
    if "guided" in (before.search, now.search):
        return False
    then, here = (suite.cells[suite.cell_of(seed)] for suite in (before, now))
    return msgspec.structs.replace(then, system=here.system) == here


def override(suite: Suite, drawing: Drawing, typed: Sequence[str]) -> Suite:
    """Replace in every cell what was typed on the command line; cells that become equal are merged."""
    values = msgspec.structs.asdict(drawing)
    cells = []
    for cell in suite.cells:
        changed = {name: values[name] for name in typed if name not in ("explicit", "system")}
        cells.append(
            msgspec.structs.replace(
                cell,
                **changed,
                world=drawing.world,
                network=drawing.network,
                system=drawing.system if "system" in typed or cell.system == SYSTEM else cell.system,
                upgrade_from=drawing.upgrade_from,
                explicit={**cell.explicit, **drawing.explicit},
            )
        )
    merged = [cell for position, cell in enumerate(cells) if cell not in cells[:position]]
    return msgspec.structs.replace(suite, cells=tuple(merged))
