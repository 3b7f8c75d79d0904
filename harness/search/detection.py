"""Detection: planted bugs searched over seeds, and what that says of the harness.

Each run of a mutant is compared with the run of the same plan by the code without it, by fingerprint. So there are
three kinds of runs: the bug did not act (the runs are the same), it acted and was judged wrong, and it acted and nobody
judged. A mutant that never acts needs other plans; one that acts and is never judged needs another oracle. One that
only makes things slower stays within every bound of a single run; over all runs it shows, and is named by what grew.

A mutant is searched until its first failing seed, or over all seeds, which gives rates. Seeds are handed out in order,
so the first failing seed is the same for any number of workers. Answers go to a ledger as they come, so that a search
that was stopped goes on.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from harness.archive.layout import writable
from harness.archive.provenance import provenance
from harness.errors import Exit
from harness.plans.plan import Plan
from harness.record import RunRecord
from harness.run.drawing import Abilities, Drawing
from harness.systems.binding import Binding

from .distributions import measured
from .executors import Pool
from .guided import Guide, Way
from .jobs import Job, perform
from .mutants import KnownBug, Mutant, begins, known_bugs
from .statistics import binomial_p, holm, wilson

LEDGER: Final = "mutants.jsonl"
"""Where answers are kept, in the results folder."""

NEVER_REACHED: Final = "never reached"
NOT_JUDGED: Final = "reached, not judged"
ONLY_SLOWER: Final = "reached, only slower"
FOUND: Final = "found"

SLOWER_P: Final = 0.001
"""Significance of the sign test over pairs of runs, corrected for the number of measures (Holm)."""
SLOWER_SHARE: Final = 0.05
"""By how much the sum over all runs has to grow, too: many pairs make any difference significant."""


HANGS: Final = "node/hangs"
"""Signature of a run that gave no answer in time: without the bug it takes a second or two."""
RUN_SECONDS_MAX: Final = 60.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as far as a search needs it. `signature` is None when it did not fail."""

    seed: int
    workload: str
    signature: str | None
    fingerprint: str
    simulated_seconds: float
    wall_seconds: float
    marks: tuple[str, ...] = ()
    """What a guide wants to know; kept only for one."""
    measures: dict[str, float] = {}
    """How slow the run was (`distributions.MEASURES`), as far as it can be said."""


class MutantReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the search for one mutant went, as `mutants --json` prints it.

    Of the runs of `seeds_tried`, the bug acted in `acted` and was judged wrong in `wrong`; `rate_low` and `rate_high`
    are the 95 % interval (Wilson) of the share that is judged wrong. Seconds are those of the runs up to the first
    failing one. `signatures` counts what was seen, `oracle` is who saw it first. `slower` says of a bug that no run
    shows what it makes worse over all of them, and by what share. `known_gap` says why it need not be found: what its
    header `Harmless` or `Missed` says.
    """

    name: str
    source: str
    expect: str
    found: bool
    seed: int | None
    workload: str | None
    seeds_tried: int
    signature: str | None
    as_expected: bool
    internal_errors: int
    simulated_seconds: float
    wall_seconds: float
    acted: int = 0
    wrong: int = 0
    rate_low: float = 0.0
    rate_high: float = 1.0
    oracle: str | None = None
    signatures: dict[str, int] = {}
    slower: dict[str, float] = {}
    known_gap: str = ""

    @property
    def state(self) -> str:
        """In words, how far the bug came."""
        if self.found:
            return FOUND
        if self.slower:
            return ONLY_SLOWER
        return NOT_JUDGED if self.acted else NEVER_REACHED


class Search(msgspec.Struct, kw_only=True):
    """How far the search for one mutant is: the answers and errors by seed, and the first seed that failed."""

    mutant: Mutant
    binding: Binding
    answers: dict[int, Answer] = {}
    errors: dict[int, str] = {}
    first_failure: int | None = None
    guide: Guide | None = None

    @property
    def system(self) -> str:
        """The spec that runs this mutant again."""
        return f"patch:{self.mutant.patch}"

    @property
    def hangs(self) -> bool:
        """Whether the first seed that failed gave no answer."""
        return self.first_failure is not None and self.answers[self.first_failure].signature == HANGS

    def drawing(self, cells: Sequence[Drawing], seed: int) -> Drawing:
        """What a seed runs: its cell, with the workload that the mutant names."""
        cell = cells[seed % len(cells)]
        return msgspec.structs.replace(cell, system=self.system, workload=self.mutant.workload or cell.workload)

    def add(self, answer: Answer) -> None:
        """Take an answer."""
        self.answers[answer.seed] = answer
        if answer.signature is not None:
            first = answer.seed if self.first_failure is None else self.first_failure
            self.first_failure = min(answer.seed, first)


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with what it depends on: the code, the harness, and the drawing of the plan."""

    code: str
    harness: str
    drawing: str
    answer: Answer
    way: Way = "random"


class LedgerName(msgspec.Struct, frozen=True, kw_only=True):
    """What the code of answers is: a mutant with its patch, or the code without any, which has no name."""

    code: str
    name: str
    source: str = ""
    expect: str = ""
    harmless: str = ""
    missed: str = ""
    system: str = ""
    patch: str = ""
    bug: KnownBug | None = None


class Ledger:
    """Answers of earlier searches, in a file to which new ones are added; use as a context manager.

    Without a path nothing is kept. With `resume` unset, what is there is not used. Raises BadInput when the file cannot
    be written.
    """

    def __init__(self, path: Path | None, *, resume: bool = False) -> None:
        self._known: dict[tuple[str, str, int, Way], Answer] = {}
        self._path = path
        self._bugs = functools.cache(known_bugs)
        self._file = None
        if path is None:
            return
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        self._file.seek(0)
        decoder, line, harness = msgspec.json.Decoder(LedgerLine), b"\n", provenance().harness
        for line in self._file:
            with contextlib.suppress(msgspec.DecodeError):
                read = decoder.decode(line)
                if resume and read.harness == harness:
                    self._known[read.code, read.drawing, read.answer.seed, read.way] = read.answer
        if not line.endswith(b"\n"):
            self._file.write(b"\n")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def get(self, binding: Binding, drawing: Drawing, seed: int, way: Way = "random") -> Answer | None:
        """The answer of an earlier search, if there is one for this very code and plan."""
        return self._known.get((binding.code_digest, _text(drawing), seed, way))

    def add(self, binding: Binding, drawing: Drawing, answer: Answer, way: Way = "random") -> None:
        """Keep an answer."""
        drawn = _text(drawing)
        self._write(
            LedgerLine(code=binding.code_digest, harness=provenance().harness, drawing=drawn, answer=answer, way=way)
        )

    def name(self, binding: Binding, mutant: Mutant | None) -> None:
        """Say what a code is whose answers follow; None: it has no mutant in it."""
        if self._file is None:
            return
        if mutant is None:
            self._write(LedgerName(code=binding.code_digest, name=""))
            return
        self._write(
            LedgerName(
                code=binding.code_digest,
                name=mutant.name,
                source=mutant.source,
                expect=mutant.expect,
                harmless=mutant.harmless,
                missed=mutant.missed,
                system=f"patch:{mutant.patch}",
                patch=mutant.patch.read_text(encoding="utf-8", errors="replace"),
                bug=next((bug for bug in self._bugs(mutant.patch.parent) if bug.id == mutant.bug), None),
            )
        )

    def _write(self, line: LedgerLine | LedgerName) -> None:
        if self._file is None or self._path is None:
            return
        with writable(self._path):
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()


class Unmutated:
    """The runs of the same plans by the code without any mutant, each made once."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.answers: dict[tuple[str, int], Answer] = {}  # by workload and seed
        self.asked: set[tuple[str, int]] = set()

    def acted(self, answer: Answer) -> bool:
        """Whether a run of a mutant was another one than that of the code without it."""
        plain = self.answers.get((answer.workload, answer.seed))
        return answer.signature is not None or (plain is not None and plain.fingerprint != answer.fingerprint)

    def slower(self, answers: Sequence[Answer]) -> dict[str, float]:
        """By what share each measure is worse in these runs than in those of the same plans, where that is no chance.

        The exact sign test over pairs that differ, with Holm's correction for all measures, and the sum over all runs.
        """
        pairs: dict[str, list[tuple[float, float]]] = {}
        for answer in answers:
            plain = self.answers.get((answer.workload, answer.seed))
            for name, value in answer.measures.items():
                if plain is not None and name in plain.measures:
                    pairs.setdefault(name, []).append((plain.measures[name], value))
        counts = {name: (sum(b > a for a, b in both), sum(b < a for a, b in both)) for name, both in pairs.items()}
        corrected = holm([float(binomial_p(better, worse)) for worse, better in counts.values()])
        found = {}
        for (name, (worse, better)), p_value in zip(counts.items(), corrected, strict=True):
            before, after = (sum(side) for side in zip(*pairs[name], strict=True))
            if worse > better and p_value < SLOWER_P and after > before * (1 + SLOWER_SHARE):
                found[name] = round(after / before - 1, 3) if before else math.inf
        return found

    @property
    def failing(self) -> list[Answer]:
        """Runs without a mutant that fail all the same: a false alarm, or a bug of ours."""
        return [answer for answer in self.answers.values() if answer.signature is not None]


def search_one(
    mutant: Mutant,
    binding: Binding,
    cells: Sequence[Drawing],
    count: int,
    *,
    jobs: int | None = None,
    memory_bytes_max: int | None = None,
) -> MutantReport:
    """Search one planted bug, such as a suite's canary, until its first failing seed. Returns its report."""
    searched = Search(mutant=mutant, binding=binding, answers={}, errors={})
    seeds = range(1, count + 1)
    search([searched], cells, seeds, lambda _: None, jobs=jobs, memory_bytes_max=memory_bytes_max)
    return report(searched, seeds)


def search(
    searches: Sequence[Search],
    cells: Sequence[Drawing],
    seeds: range,
    advance: Callable[[str], None],
    *,
    unmutated: Unmutated | None = None,
    all_seeds: bool = False,
    ledger: Ledger | None = None,
    tell: Callable[[str], None] = lambda _: None,
    jobs: int | None = None,
    memory_bytes_max: int | None = None,
    run_seconds_max: float = RUN_SECONDS_MAX,
) -> None:
    """Search all mutants, seed by seed in turn, each until its first failing seed is known or over `all_seeds`.

    With `unmutated`, the plans are run without a mutant as well. A run of a mutant that takes longer than
    `run_seconds_max` has failed: it hangs. `advance` is called with a word on the state after
    each run, `tell` with a line when a mutant first fails.
    """
    by_system = {search.system: search for search in searches}
    ledger = ledger or Ledger(None)

    def take(drawing: Drawing, binding: Binding, answer: Answer, *, is_new: bool) -> None:
        if is_new:
            ledger.add(binding, drawing, answer)
        found = by_system.get(drawing.system)
        if found is None:
            assert unmutated is not None
            unmutated.answers[answer.workload, answer.seed] = answer
            return
        if answer.signature is not None and found.first_failure is None:
            tell(f"{found.mutant.name}: {answer.signature}, seed {answer.seed}")
        found.add(answer)

    def runs() -> Iterator[Job]:
        for seed in seeds:
            for search in searches:
                if search.first_failure is not None and not all_seeds:
                    continue
                drawing = search.drawing(cells, seed)
                place = (drawing.workload, seed)
                if unmutated is not None and place not in unmutated.asked:
                    unmutated.asked.add(place)
                    plain = msgspec.structs.replace(drawing, system="raft_impl")
                    yield Job(seed=seed, drawing=plain, binding=unmutated.binding, explain=False)
                yield Job(seed=seed, drawing=drawing, binding=search.binding, stop_at_first=True, explain=False)

    def new_runs() -> Iterator[Job]:
        for job in runs():
            known = ledger.get(job.binding, job.drawing, job.seed)
            if known is None:
                yield job
            else:
                take(job.drawing, job.binding, known, is_new=False)

    if unmutated is not None:
        ledger.name(unmutated.binding, None)
    for search in searches:
        ledger.name(search.binding, search.mutant)
    with Pool(perform, jobs=jobs, memory_bytes_max=memory_bytes_max, seconds_max=run_seconds_max) as pool:
        for done in pool.map(new_runs()):
            job = done.item
            if done.result is not None:
                take(job.drawing, job.binding, _answer(done.result), is_new=True)
            elif done.hung and job.drawing.system in by_system:
                take(job.drawing, job.binding, _hung(job, run_seconds_max), is_new=False)
            elif job.drawing.system in by_system:
                by_system[job.drawing.system].errors[job.seed] = done.error
            advance(f"{sum(s.first_failure is not None for s in searches)} of {len(searches)} found")


def search_guided(
    searches: Sequence[Search],
    cells: Sequence[Drawing],
    seeds: range,
    advance: Callable[[str], None],
    able: Abilities,
    *,
    all_seeds: bool = False,
    ledger: Ledger | None = None,
    tell: Callable[[str], None] = lambda _: None,
    jobs: int | None = None,
    run_seconds_max: float = RUN_SECONDS_MAX,
) -> None:
    """Search all mutants, each with a guide of its own that knows of nothing but this search.

    Generations of all mutants go side by side; in each, a mutant's seeds end with the first that fails. The plans are
    not run without the mutant, so nothing is said of runs in which a bug acted and was not judged.
    """
    by_system = {search.system: search for search in searches}
    ledger = ledger or Ledger(None)
    drawings = {search.system: partial(_drawn_plan, search, cells, able) for search in searches}
    rounds = {}
    for search in searches:
        ledger.name(search.binding, search.mutant)
        search.guide = Guide(seeds[0], drawings[search.system])
        rounds[search.system] = search.guide.generations(seeds)

    def take(search: Search, answer: Answer) -> None:
        if answer.signature is not None and search.first_failure is None:
            tell(f"{search.mutant.name}: {answer.signature}, seed {answer.seed}")
        search.add(answer)

    def jobs_of(generations: Mapping[str, Sequence[int]]) -> Iterator[Job]:
        for place in range(max(map(len, generations.values()))):
            for system, generation in generations.items():
                search = by_system[system]
                if place >= len(generation) or (search.first_failure is not None and not all_seeds):
                    continue
                seed, guide = generation[place], search.guide
                assert guide is not None
                recipe = guide.recipe(seed)
                drawing = search.drawing(cells, seed if recipe is None else recipe.root)
                known = ledger.get(search.binding, drawing, seed, "guided")
                if known is not None:
                    take(search, known)
                    continue
                yield Job(
                    seed=seed, drawing=drawing, binding=search.binding, stop_at_first=True, explain=False, recipe=recipe
                )

    with Pool(perform, jobs=jobs, seconds_max=run_seconds_max) as pool:
        while True:
            left = [search for search in searches if search.first_failure is None or all_seeds]
            begun = {search.system: next(rounds[search.system], ()) for search in left}
            begun = {system: generation for system, generation in begun.items() if generation}
            if not begun:
                return
            for done in pool.map(jobs_of(begun)):
                search = by_system[done.item.drawing.system]
                if done.hung:
                    take(search, _hung(done.item, run_seconds_max))
                elif done.result is None:
                    search.errors[done.item.seed] = done.error
                else:
                    answer = _answer(done.result, with_marks=True)
                    ledger.add(search.binding, done.item.drawing, answer, "guided")
                    take(search, answer)
                advance(f"{sum(s.first_failure is not None for s in searches)} of {len(searches)} found")
            for system, generation in begun.items():
                search = by_system[system]
                assert search.guide is not None
                answers = (search.answers[seed] for seed in generation if seed in search.answers)
                search.guide.learn({answer.seed: answer.marks for answer in answers})


def _hung(job: Job, seconds: float) -> Answer:
    return Answer(
        seed=job.seed,
        workload=job.drawing.workload,
        signature=HANGS,
        fingerprint="",
        simulated_seconds=0,
        wall_seconds=seconds,
    )


def _drawn_plan(search: Search, cells: Sequence[Drawing], able: Abilities, seed: int) -> Plan:
    return search.drawing(cells, seed).plan(seed, able)


def report(
    search: Search, seeds: range, unmutated: Unmutated | None = None, *, all_seeds: bool = False
) -> MutantReport:
    """Describe one search: its runs up to the first failing seed, or over all seeds."""
    seed, mutant = search.first_failure, search.mutant
    last = seeds[-1] if seed is None else seed
    to_find = [search.answers[number] for number in seeds if number <= last and number in search.answers]
    counted = [search.answers[number] for number in seeds if number in search.answers] if all_seeds else to_find
    failure = None if seed is None else search.answers[seed]
    signature = None if failure is None else failure.signature
    seen = Counter(answer.signature for answer in counted if answer.signature is not None)
    wrong = seen.total()
    low, high = wilson(wrong, len(counted))
    return MutantReport(
        name=mutant.name,
        source=mutant.source,
        expect=mutant.expect,
        found=failure is not None,
        seed=seed,
        workload=None if failure is None else failure.workload,
        seeds_tried=len(counted) + sum(1 for number in search.errors if all_seeds or number <= last),
        signature=signature,
        as_expected=signature is not None and begins(signature, mutant.expect),
        internal_errors=len(search.errors),
        simulated_seconds=round(sum(answer.simulated_seconds for answer in to_find), 3),
        wall_seconds=round(sum(answer.wall_seconds for answer in to_find), 3),
        acted=wrong if unmutated is None else sum(map(unmutated.acted, counted)),
        wrong=wrong,
        rate_low=round(low, 4),
        rate_high=round(high, 4),
        oracle=None if signature is None else signature.partition("/")[0],
        signatures=dict(seen.most_common()),
        slower={} if unmutated is None or wrong else unmutated.slower(counted),
        known_gap=mutant.harmless or mutant.missed,
    )


def exit_code(reports: Sequence[MutantReport]) -> Exit:
    """0 when all were found but known gaps."""
    return Exit.VALID if all(entry.found or entry.known_gap for entry in reports) else Exit.INVALID


def _answer(record: RunRecord, *, with_marks: bool = False) -> Answer:
    return Answer(
        seed=record.seed,
        workload=record.workload,
        signature=(record.failure_signature or "unnamed") if record.is_failure else None,
        fingerprint=record.fingerprint,
        simulated_seconds=record.simulated_seconds,
        wall_seconds=record.wall_seconds,
        marks=tuple(record.marks) if with_marks else (),
        measures={name: value for name, value in measured(record).items() if value is not None},
    )


def _text(drawing: Drawing) -> str:
    """What of a drawing decides the plan: all but whose code runs."""
    return msgspec.json.encode(msgspec.structs.replace(drawing, system=""), order="sorted").decode()
