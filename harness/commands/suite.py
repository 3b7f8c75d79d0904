"""`foreshock suite`: many seeds, their failures grouped by signature."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click
import msgspec

from harness import quantities
from harness.archive.index import Index
from harness.archive.store import Archive
from harness.errors import BadInput, Exit
from harness.live.drawing import LATE
from harness.options import OptionSpec
from harness.plans.labels import DEFAULT_LABEL
from harness.plans.plan import DRAW_VERSION, Plan
from harness.run.drawing import Drawing, LiveNetwork
from harness.run.twice import require_function_of_plan
from harness.search import campaign as campaigns
from harness.search import compiling, detection, distributions, exports, known, mutants, suites
from harness.search.budgets import Budget
from harness.search.campaign import Baseline, Bindings, Execution, Failure, Settings, Summary
from harness.search.detection import MutantReport
from harness.search.executors import SECONDS_MAX, Pool
from harness.search.guided import WAYS, Way
from harness.search.known import Known
from harness.search.machines import Far
from harness.search.marks import families
from harness.search.suites import Suite
from harness.search.worlds import Simulated, World
from harness.shrink.campaigns import shrink_new
from harness.systems.binding import Binding
from harness.systems.checkouts import Checkouts, revision_of

from .arguments import (
    compile_option,
    drawing_options,
    jobs_option,
    json_option,
    quantity,
    results_option,
    run_timeout_option,
    typed,
)
from .live import NOT_DETERMINISTIC, enter_network, repeat_line
from .printing import coloured, print_json, print_message, print_table, progress, say, telling
from .watching import watching

_SEEDS_SHOWN: Final = 10
"""Seeds listed for people; `--json` has them all."""
_First = tuple[Plan, Binding]
"""A plan of a system of other people, to be run twice before the others."""
_TYPED: Final = {
    "workload": "workload",
    "profile": "profile",
    "nodes": "nodes",
    "concurrency": "concurrency",
    "rate": "rate",
    "duration": "duration_ns",
    "system": "system",
}
"""Options that, when typed, replace what every cell of the suite says; by their names in a drawing."""


@click.command("suite")
@click.argument("name", required=False, metavar="[NAME|FILE]")
@drawing_options(world=True, upgrade=True)
@click.option("--seeds", type=quantity(quantities.seeds), metavar="A..B", help="Which seeds, both ends included.")
@click.option(
    "--count", type=click.IntRange(1), metavar="N", help="How many seeds, from the first on.  [default: the suite's]"
)
@click.option(
    "--shard",
    type=quantity(quantities.shard),
    metavar="I/N",
    help="Only the I-th of N parts of the seeds, so that N machines share a suite.",
)
@click.option(
    "--time-budget", type=quantity(quantities.duration), metavar="TIME", help="Begin no seed after this time."
)
@click.option(
    "--disk-budget",
    type=quantity(quantities.size),
    metavar="SIZE",
    help="Begin no seed once the campaign's run folders and rows take this.",
)
@click.option(
    "--memory-budget",
    type=quantity(quantities.size),
    metavar="SIZE",
    help="For the suite and its workers together; the largest worker is ended beyond it, and its seed named.",
)
@run_timeout_option(f"A seed that takes longer hangs; {campaigns.HUNG_MAX} of them stop their cell.  [default: 5m]")
@click.option("--resume", metavar="ID", help="Go on with a campaign that left seeds unbegun; budgets may be new ones.")
@click.option(
    "--baseline",
    metavar="ID|latest",
    help="Say what is new, and what is gone, since this campaign; latest: of this suite, or begin with this one.",
)
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write a JUnit report.")
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write a summary for people.")
@click.option(
    "--bundles",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write a run of each failure that is news as a bundle.",
)
@click.option(
    "--max-unknown",
    type=quantity(quantities.share),
    metavar="SHARE",
    help="Exit 2 when more runs are unknown.  [default: the suite's, mostly 1%]",
)
@click.option(
    "--shrink",
    "shrink_ns",
    type=quantity(quantities.duration),
    metavar="TIME",
    help="Shrink one failure of each new signature, all within this time.",
)
@click.option(
    "--distribution",
    "distribution",
    metavar="FILE|stock",
    help="Name what is slower than the runs of this file were; stock: the one that comes with the harness.",
)
@click.option(
    "--record-distribution",
    "record_distribution",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the runs' recovery times, elections, messages and latencies for later campaigns.",
)
@click.option("--stop-at-first", is_flag=True, help="End each run at its first broken invariant.")
@click.option(
    "--search",
    type=click.Choice(WAYS),
    help="guided: vary plans that reached something rare, instead of drawing every seed.  [default: the suite's]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run the seeds on the workers of a dask scheduler, such as tcp://HOST:8786; see docs/scale.md.",
)
@compile_option
@jobs_option
@results_option
@json_option
def command(
    name: str | None,
    drawing: Drawing,
    system: str,
    seeds: range | None,
    count: int | None,
    shard: tuple[int, int] | None,
    time_budget: int | None,
    disk_budget: int | None,
    memory_budget: int | None,
    run_timeout: int | None,
    resume: str | None,
    baseline: str | None,
    junit: Path | None,
    markdown: Path | None,
    bundles: Path | None,
    max_unknown: float | None,
    shrink_ns: int | None,
    distribution: str | None,
    record_distribution: Path | None,
    stop_at_first: bool,
    search: Way | None,
    scheduler: str | None,
    no_compile: bool,
    jobs: int | None,
    results: Path,
    as_json: bool,
) -> int:
    """Run many seeds over a matrix of workloads and profiles; seed i runs in cell i modulo the number of cells.

    Without NAME: every workload in turn under the profile swarm. Options such as --profile replace what
    every cell says.

    With --world live: OS processes, one run at a time unless --jobs says more; every run is kept. No two runs are
    alike, so a seed that failed may pass the next time. Without NAME: the suite live.

    Example: foreshock suite nightly --count 500 --junit report.xml. Exit 0 when every failure is allowed or known, 1
    when one is not, 2 when too many runs are unknown.
    """
    _refuse_contradictions(name, seeds, count, resume, shard, search)
    simulated_only = {
        "--shrink": shrink_ns is not None,
        "--distribution": distribution is not None,
        "--record-distribution": record_distribution is not None,
        "--stop-at-first": stop_at_first,
        "--search guided": search == "guided",
        "--scheduler": scheduler is not None,
    }
    enter_network(drawing.network, drawing.world, jobs=jobs)
    typed_budget = Budget(time_ns=time_budget, disk_bytes=disk_budget, memory_bytes=memory_budget)
    usual = None if distribution is None else _Usual(distribution)
    began = time.monotonic()
    with Archive(results) as archive, Checkouts() as checkouts:
        index = archive.index
        if resume is None:
            named = name or (suites.LIVE if drawing.world == "live" else suites.DEFAULT)
            replaced = [field for option, field in _TYPED.items() if typed(option)]
            suite = campaigns.override(suites.load(named, world=drawing.world), drawing, replaced)
            suite = suite if search is None else msgspec.structs.replace(suite, search=search)
            numbers = _part(shard, _range(seeds, count, suite, time_budget))
            before = _baseline(index, baseline, suite.name, as_json)
            if drawing.world == "live":
                _refuse_live(simulated_only, suite)
            _refuse_several(suite, distribution, record_distribution)
            world = _world(drawing.world)
            bindings = campaigns.bind(suite, world, checkouts, drawing.upgrade_from)
            settings = Settings(
                suite=suite,
                system=" ".join(suite.systems),
                upgrade_from=drawing.upgrade_from,
                code_digest=campaigns.digest_of(bindings),
                first=numbers[0],
                last=numbers[1],
                budget=typed_budget.over(suite.budget),
                stop_at_first=stop_at_first,
                run_timeout_s=SECONDS_MAX if run_timeout is None else run_timeout / 1e9,
                draw_version=DRAW_VERSION,
                commit=_commit(bindings),
                canaries=suite.canaries_of(datetime.datetime.now(datetime.UTC).date()),
                world=drawing.world,
            )
            prepared = _begin(index, settings, world, bindings)
        else:
            prepared = _continue(index, checkouts, resume, typed_budget, run_timeout, jobs)
            if prepared.settings.world == "live":
                _refuse_live(simulated_only, prepared.settings.suite)
            _refuse_several(prepared.settings.suite, distribution, record_distribution)
            before = _baseline(index, baseline, prepared.settings.suite.name, as_json, but=prepared.campaign)
        canaries = _Canaries(prepared, checkouts)
        known_failures, expired = known.in_force(known.load(), datetime.datetime.now(datetime.UTC).date())
        execution = campaigns.Execution(
            prepared.campaign,
            prepared.settings,
            prepared.world if scheduler is None else _far(prepared, scheduler, results),
            prepared.bindings,
            index,
            results,
            known=known_failures,
            asked=() if before is None else before.seeds,
            jobs=jobs,
        )
        if not as_json:
            say("campaign", prepared.campaign)
            if prepared.settings.world == "live":
                say("note", NOT_DETERMINISTIC)
            if prepared.settings.last is not None and prepared.settings.first != 1:
                say("seeds", f"{prepared.settings.first}..{prepared.settings.last}")
        settings = prepared.settings
        is_here = settings.world != "live" and scheduler is None
        with compiling.code(
            _trials(prepared),
            telling("compiled", as_json),
            seeds=settings.total if is_here else 0,
            budget_ns=settings.budget.time_ns,
            no_compile=no_compile,
            jobs=jobs,
        ):
            failures = _run(execution, prepared, is_resumed=resume is not None)
            seconds = time.monotonic() - began  # what follows is no seed of the suite
            found = [] if failures else canaries.search(jobs)
        summary = _summarize(execution, prepared, max_unknown, found, before, seconds)
        summary = msgspec.structs.replace(summary, expired=_seen(expired, summary))
        if usual is not None:
            summary = usual.compared(summary, prepared, index)
        if record_distribution is not None:
            _record_distribution(record_distribution, prepared, index)
        if shrink_ns is not None:
            with _kept_for_the_end(failures), progress(None, "trials") as advance:
                small = shrink_new(
                    summary.failures,
                    prepared.settings.suite,
                    prepared.bindings,
                    archive,
                    budget_s=shrink_ns / 1e9,
                    jobs=jobs,
                    advance=advance,
                )
                summary = msgspec.structs.replace(summary, failures=small)
        if bundles is not None:
            with _kept_for_the_end(failures):
                small = tuple(_bundled(failure, results, bundles) for failure in summary.failures)
                summary = msgspec.structs.replace(summary, failures=small)
        with _kept_for_the_end(failures):
            index.end_campaign(prepared.campaign, summary, is_finished=summary.unbegun.is_nothing and not failures)
            _export(summary, index, junit, markdown, known_failures, prepared.settings.suite)
    return _report(summary, failures, as_json, prepared.settings.suite.cells[0].network)


def _far(prepared: _Prepared, address: str, results: Path) -> World:
    """The simulated world on other machines."""
    if prepared.settings.world == "live":
        raise BadInput("--scheduler", "nothing of that: live runs take place here", "foreshock suite --world live")
    return Far(address, results)


class _Prepared(NamedTuple):
    """A campaign that stands in the index: its id, what it runs, and the code that it runs."""

    campaign: str
    settings: Settings
    world: World
    bindings: Bindings


def _trials(prepared: _Prepared) -> list[compiling.Trial]:
    """First seeds of each system, by which builds are tried out."""
    settings = prepared.settings
    return [
        trial
        for spec, binding in prepared.bindings.items()
        for trial in compiling.first_seeds(
            binding, [cell for cell in settings.suite.cells if cell.system == spec], settings.seeds()
        )
    ]


def _refuse_several(suite: Suite, distribution: str | None, record_distribution: Path | None) -> None:
    """What is about one system."""
    asked = {
        "--distribution": distribution is not None,
        "--record-distribution": record_distribution is not None,
        "search = guided": suite.search == "guided",
    }
    for name, is_asked in asked.items():
        if is_asked and len(suite.systems) > 1:
            raise BadInput(f"{name} of {len(suite.systems)} systems", "a suite of one system", "foreshock suite")


def _baseline(
    index: Index, baseline: str | None, suite: str, as_json: bool, *, but: str | None = None
) -> Baseline | None:
    """Find what to compare with. In the first night there is no latest campaign: this one is what later ones see."""
    if baseline is None:
        return None
    if baseline != "latest":
        return Baseline(index.campaign(baseline))
    latest = index.latest(suite=suite, but=but)
    if latest is None and not as_json:
        say("baseline", f"no earlier campaign of {suite}: this one begins it")
    return None if latest is None else Baseline(latest)


def _world(word: str) -> World:
    if word == "live":
        from harness.search.live_world import Live  # with supervisor, proxies and systems

        return Live()
    return Simulated()


def _refuse_live(simulated_only: Mapping[str, bool], suite: Suite) -> None:
    """What rests on a run that is a function of its plan, or that is seen from inside."""
    asked = [option for option, is_asked in simulated_only.items() if is_asked]
    asked += ["canaries in the suite"] if suite.canaries or suite.canary else []
    asked += ["search = guided in the suite"] if suite.search == "guided" and not asked else []
    if asked:
        raise BadInput(asked[0], "nothing of that: no two live runs are alike", "foreshock suite --world live")


def _begin(index: Index, settings: Settings, world: World, bindings: Bindings) -> _Prepared:
    """Enter a new campaign into the index, unless a cell of it cannot run."""
    suite, first = settings.suite, dict[str, _First]()
    for cell in suite.cells:
        binding = bindings[cell.system]
        if not world.is_function_of_plan:  # a run is slow: what is asked of none of them is said before the first one
            cell.plan(settings.first, world.abilities(binding))
        elif binding.is_foreign and cell.system not in first:
            first[cell.system] = cell.plan(settings.first, world.abilities(binding)), binding
    if first:
        # Whoever gives no answer is named by the campaign, as all that hangs or dies.
        with Pool(_run_twice, jobs=1, seconds_max=3 * settings.run_timeout_s) as pool:
            for _ in pool.map(first.values()):
                pass
    campaign = campaigns.new_id(suite.name)
    index.begin_campaign(campaign, suite.name, settings)
    return _Prepared(campaign, settings, world, bindings)


def _run_twice(first: _First) -> None:
    require_function_of_plan(*first)


def _commit(bindings: Bindings) -> str:
    """What is tested: the commit of a ref, or the one that is checked out around the code."""
    codes = [code for binding in bindings.values() for code in binding.codes.values()]
    return " ".join(code.commit or revision_of(_folder(code.path)) for code in codes).strip()


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _continue(
    index: Index, checkouts: Checkouts, campaign: str, budget: Budget, run_timeout: int | None, jobs: int | None
) -> _Prepared:
    """Find a campaign that left seeds unbegun, with the code that it ran; raises BadInput when that has changed.

    The time budget counts anew; budgets and the limit of a run may be given anew.
    """
    stored = index.campaign(campaign)
    before = campaigns.read_settings(stored)
    world = _world(before.world)
    bindings = campaigns.bind(before.suite, world, checkouts, before.upgrade_from)
    settings = campaigns.resumable(stored, bindings)
    enter_network(settings.suite.cells[0].network, settings.world, jobs=jobs)
    settings = msgspec.structs.replace(settings, budget=budget.over(settings.budget))
    if settings.last is None and settings.budget.time_ns is None and settings.budget.disk_bytes is None:
        raise BadInput("seeds without end", "--time-budget or --disk-budget beside it", f"--resume {campaign}")
    if run_timeout is not None:
        settings = msgspec.structs.replace(settings, run_timeout_s=run_timeout / 1e9)
    return _Prepared(stored.id, settings, world, bindings)


def _run(execution: Execution, prepared: _Prepared, *, is_resumed: bool) -> list[BadInput]:
    """Run the seeds. Returns the error that ended them early, if what was found until then is worth a summary."""
    failures: list[BadInput] = []
    if is_resumed:
        execution.resume()
    try:
        with _kept_for_the_end(failures), watching(execution.tally, prepared.settings.total) as advance:
            execution.run(advance)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"go on with: foreshock suite --resume {prepared.campaign}") from None
    if failures and not execution.tally.total:
        raise failures[0]
    return failures


def _summarize(
    execution: Execution,
    prepared: _Prepared,
    max_unknown: float | None,
    canaries: Sequence[MutantReport],
    baseline: Baseline | None,
    wall_seconds: float,
) -> Summary:
    """Put together what was found. A canary that was missed makes an otherwise valid suite unknown."""
    suite = prepared.settings.suite
    exit_code = execution.tally.exit_code(suite.max_unknown if max_unknown is None else max_unknown)
    if not all(canary.found for canary in canaries) and exit_code == Exit.VALID:
        exit_code = Exit.UNKNOWN
    findings, unset = execution.tally.findings(), msgspec.UNSET
    changes = unset if baseline is None else baseline.changes(findings, prepared.settings, execution.tally.judged)
    return campaigns.summary(
        findings,
        campaign=prepared.campaign,
        suite=suite.name,
        world=prepared.settings.world,
        exit=exit_code,
        wall_seconds=wall_seconds,
        canaries=canaries,
        unbegun=execution.unbegun,
        baseline=changes,
    )


def _bundled(failure: Failure, results: Path, folder: Path) -> Failure:
    """Write a failure's run as a bundle, if it is news."""
    from harness.archive.bundles import SUFFIX
    from harness.archive.find import find

    from .bundle import write

    if not failure.is_news or failure.run is None:
        return failure
    bundled = write(find(failure.run, results), folder / f"{failure.run}{SUFFIX}")
    return msgspec.structs.replace(failure, bundle=bundled.path)


def _export(
    summary: Summary,
    index: Index,
    junit: Path | None,
    markdown: Path | None,
    known_failures: Sequence[Known],
    suite: Suite,
) -> None:
    if junit is not None:
        runs = index.runs(campaign=summary.campaign)
        exports.write(junit, exports.junit(summary.suite, runs, known_failures, suite.command))
    if markdown is not None:
        exports.write(markdown, exports.markdown(summary).encode())


@contextlib.contextmanager
def _kept_for_the_end(failures: list[BadInput]) -> Iterator[None]:
    """Keep an error, mostly a disk without room, until what the suite found has been printed."""
    try:
        yield
    except BadInput as error:
        failures.append(error)


def _report(summary: Summary, failures: Sequence[BadInput], as_json: bool, network: LiveNetwork) -> int:
    error = failures[0] if failures else None
    if as_json:
        parts = {} if error is None else {"found": error.found, "expected": error.expected, "where": error.where}
        print_json(summary, **({"error": parts} if parts else {}))
    else:
        _print_summary(summary, network)
    if error is not None:
        click.echo(f"error: {error}", err=True)
        return Exit.BAD_INPUT
    return summary.exit


class _Usual:
    """The distribution that a campaign is compared with, read before the first seed."""

    def __init__(self, name: str) -> None:
        self._path = distributions.STOCK if name == "stock" else Path(name)
        self._name = name
        self._stored = distributions.load(self._path)

    def compared(self, summary: Summary, prepared: _Prepared, index: Index) -> Summary:
        """Name what is slower. An otherwise valid suite is invalid then."""
        comparison = distributions.compare(
            self._stored,
            prepared.settings.suite,
            (run.record() for run in index.runs(campaign=prepared.campaign)),
            file=self._name,
            options=_options(prepared),
        )
        is_worse = comparison.slower and summary.exit in (Exit.VALID, Exit.UNKNOWN)
        exit_code = Exit.INVALID if is_worse else summary.exit
        return msgspec.structs.replace(summary, distribution=comparison, exit=exit_code)


def _record_distribution(path: Path, prepared: _Prepared, index: Index) -> None:
    made = distributions.record(
        prepared.settings.suite,
        (run.record() for run in index.runs(campaign=prepared.campaign)),
        system=prepared.settings.system,
        options=_options(prepared),
    )
    distributions.write(made, path)


def _options(prepared: _Prepared) -> tuple[OptionSpec, ...]:
    (binding,) = prepared.bindings.values()
    return prepared.world.abilities(binding).options


class _Canaries:
    """A suite's planted bugs: prepared before the first seed, so that a patch that does not apply costs no night."""

    def __init__(self, prepared: _Prepared, checkouts: Checkouts) -> None:
        self._suite = prepared.settings.suite
        self._memory_bytes_max = prepared.settings.budget.memory_bytes
        # A planted bug is a patch of our Raft, so that system's cells search it.
        spec = next((spec for spec, one in prepared.bindings.items() if not one.is_foreign), self._suite.systems[0])
        self._cells = [cell for cell in self._suite.cells if cell.system == spec]
        names = prepared.settings.canaries or self._suite.canaries_of(datetime.date.min)
        self._mutants = [mutants.read(suites.canary_patch(name)) for name in names]
        codes = prepared.bindings[spec].codes
        planted = [mutants.plant(mutant, codes[DEFAULT_LABEL].path, checkouts) for mutant in self._mutants]
        self._bindings = [Binding(codes={**codes, **binding.codes}) for binding in planted]

    def search(self, jobs: int | None) -> list[MutantReport]:
        """Let the suite's own cells search the bugs."""
        return [
            detection.search_one(
                mutant,
                binding,
                self._cells,
                self._suite.canary_count,
                jobs=jobs,
                memory_bytes_max=self._memory_bytes_max,
            )
            for mutant, binding in zip(self._mutants, self._bindings, strict=True)
        ]


def _seen(expired: Sequence[Known], summary: Summary) -> tuple[Known, ...]:
    """Of the known failures whose time is over, those that failed the suite."""
    news = {failure.signature for failure in summary.failures if not failure.allowed and failure.known is None}
    return tuple(entry for entry in expired if entry.signature in news)


def _refuse_contradictions(
    name: str | None,
    seeds: range | None,
    count: int | None,
    resume: str | None,
    shard: tuple[int, int] | None,
    search: Way | None,
) -> None:
    if seeds is not None and count is not None:
        raise BadInput("both --seeds and --count", "one of them", "foreshock suite")
    kept = [
        name,
        seeds,
        count,
        shard,
        search,
        *(option for option in (*_TYPED, "explicit", "world", "network", "upgrade_from") if typed(option)),
    ]
    if resume is not None and any(value is not None for value in kept):
        raise BadInput(
            "--resume beside options of the campaign",
            "--resume ID with neither suite, seeds nor plan",
            "foreshock suite",
        )


def _part(shard: tuple[int, int] | None, numbers: tuple[int, int | None]) -> tuple[int, int | None]:
    """The seeds of a part, which follow each other, so that every part has all cells. Raises BadInput."""
    first, last = numbers
    if shard is None:
        return numbers
    part, parts = shard
    if last is None:
        raise BadInput("--shard of seeds without end", "--count or --seeds beside it", "foreshock suite")
    total = last - first + 1
    if total < parts:
        raise BadInput(f"--shard {part}/{parts} of {total} seeds", "a seed for every part", "foreshock suite")
    return first + total * (part - 1) // parts, first + total * part // parts - 1


def _range(seeds: range | None, count: int | None, suite: Suite, time_budget: int | None) -> tuple[int, int | None]:
    """First and last seed; a time budget alone has no last one."""
    first = suite.first_seed(datetime.datetime.now(datetime.UTC).date())
    if seeds is not None:
        return seeds[0], seeds[-1]
    number = count or (suite.count if time_budget is None else None)
    return first, None if number is None else first + number - 1


def _print_summary(summary: Summary, network: LiveNetwork) -> None:
    runs = summary.runs
    say("runs", ", ".join(f"{runs[word]} {coloured(word)}" for word in runs if runs[word]))
    if summary.allowed:
        say("", f"{summary.allowed} of the invalid ones are allowed: a broken assumption explains them")
    wall = max(summary.wall_seconds, 1e-9)
    total = sum(runs.values())
    if summary.world == "live":
        say("time", f"{wall:.1f} s for {summary.simulated_seconds:.0f} s of live runs")
    else:
        say(
            "time",
            f"{wall:.1f} s, {total / wall:.1f} seeds a second, {summary.simulated_seconds:.0f} s simulated, "
            f"{summary.simulated_seconds / wall:.0f} times real time",
        )
    _print_unbegun(summary)
    for canary in summary.canaries:
        outcome = f"found at seed {canary.seed}" if canary.found else f"MISSED in {canary.seeds_tried} seeds"
        say("canary", f"{canary.name}: {outcome}")
    for entry in summary.expired:
        say("expired", f"{entry.signature} was known until {entry.expires}: {entry.text}")
    if summary.world == "live":
        say("late", f"{summary.marks.get(LATE, 0)} ms at most")
    else:
        _print_marks(summary)
    _print_failures(summary.failures, summary.world, network)
    _print_distribution(summary)
    for unknown in summary.unknown:
        click.echo(f"\nunknown, {unknown.runs} runs: {unknown.reason}\n    reproduce: {unknown.reproduce}")
    for error in summary.errors:
        click.echo(f"\ninternal error, seed {error.seed}: {_last_line(error.error)}\n    reproduce: {error.reproduce}")
    if summary.baseline is not msgspec.UNSET:
        click.echo(f"\nsince {summary.baseline.campaign}:")
        if not any(summary.since.values()):
            click.echo("    nothing new, and nothing gone")
        for word, signatures in summary.since.items():
            for signature in signatures:
                click.echo(f"    {word:<13} {signature}")


def _print_unbegun(summary: Summary) -> None:
    left = summary.unbegun
    for stopped in left.stopped_cells:
        hung = ", ".join(map(str, stopped.hung))
        say("stopped", f"cell {stopped.cell} ({stopped.workload} under {stopped.profile}): seeds {hung} hung")
    if left.is_nothing:
        return
    if left.spent:
        say("budget", left.spent)
    what = "seeds without end" if left.seeds is None else f"{left.seeds} seeds"
    say("unbegun", f"{what}; go on with: foreshock suite --resume {summary.campaign}", whole=True)


def _print_distribution(summary: Summary) -> None:
    comparison = summary.distribution
    if comparison is msgspec.UNSET:
        return
    if comparison.reason:
        say("usual", f"not compared with {comparison.file}: {comparison.reason}", whole=True)
        return
    say(
        "usual", f"{len(comparison.compared)} measures compared with {comparison.file}: {len(comparison.slower)} slower"
    )
    for entry in comparison.slower:
        click.echo(f"\n{entry.signature}:")
        print_message(entry.message)


def _print_marks(summary: Summary) -> None:
    """Print how many marks were hit, and by family those that were not."""
    unhit = summary.marks_never_hit
    if not summary.marks and not unhit:
        return
    say("marks", f"{len(summary.marks)} of {len(summary.marks) + len(unhit)} hit{', but not:' if unhit else ''}")
    for family, situations in families(unhit).items():
        say("", f"{family}: {'; '.join(situations)}")


def _print_failures(failures: Sequence[Failure], world: str, network: LiveNetwork) -> None:
    if not failures:
        return
    click.echo()
    rows = [(failure.signature, failure.runs, _some(failure.seeds), _status(failure)) for failure in failures]
    print_table(("signature", "runs", "seeds", "status"), rows, droppable=("seeds",))
    for failure in failures:
        click.echo(f"\n{failure.signature} ({_status(failure)}), seed {failure.seed}:")
        print_message(failure.message)
        click.echo(f"    reproduce: {failure.reproduce}")
        if failure.small is not msgspec.UNSET:
            small = failure.small
            more = "" if small.finished else ", and perhaps fewer with more time"
            click.echo(f"    shrunk: {small.faults} faults, {small.ops} ops, {small.nodes} nodes{more}: {small.run}")
            click.echo(f"    test: {small.test}")
        elif failure.run is not None and world == "live":
            click.echo(f"    repeat: {repeat_line(failure.run, network)}")
        elif failure.run is not None and not failure.allowed:
            click.echo(f"    shrink: foreshock shrink {failure.run}")
        if failure.bundle is not msgspec.UNSET:
            click.echo(f"    bundle: {failure.bundle}")


def _some(seeds: Sequence[int]) -> str:
    more = len(seeds) - _SEEDS_SHOWN
    return ", ".join(map(str, seeds[:_SEEDS_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _status(failure: Failure) -> str:
    if failure.allowed:
        return "allowed"
    return f"known: {failure.known}" if failure.known else "failure"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
