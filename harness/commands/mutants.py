"""`foreshock mutants`: does the harness find the bugs that were planted?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from harness import quantities
from harness.errors import BadInput, Exit, one_of
from harness.run.drawing import Drawing, abilities_of
from harness.search.guided import WAYS

from .arguments import drawing_options, jobs_option, json_option, quantity, results_option, run_timeout_option
from .printing import print_json, print_table, progress

if TYPE_CHECKING:
    from harness.search.detection import MutantReport, Search
    from harness.search.versus import Versus
    from harness.shrink.corpus import ShrunkMutant

_COUNT = 200


@click.command("mutants")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--count", type=click.IntRange(1), metavar="N", help=f"Seeds for each, from 1 on.  [default: {_COUNT}]")
@click.option("--seeds", type=quantity(quantities.seeds), metavar="A..B", help="Which seeds, both ends included.")
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    help="What clients do; repeatable, in turn.  [default: all that the system runs]",
)
@click.option("--suite", "suite_name", metavar="NAME|FILE", help="Search over the cells of a suite, in turn.")
@click.option("--only", multiple=True, metavar="NAME", help="Search these mutants only; repeatable.")
@click.option("--all-seeds", is_flag=True, help="Run all seeds for each, not only up to the first that fails.")
@click.option(
    "--search",
    type=click.Choice([*WAYS, "both"]),
    default="random",
    show_default=True,
    help="guided: vary plans that reached something rare; both: compare the two, seed by seed.",
)
@click.option(
    "--trials", type=click.IntRange(1), default=1, show_default=True, help="With both: searches of each kind."
)
@click.option("--resume", is_flag=True, help="Use the answers that earlier searches of the same code have left.")
@run_timeout_option("A run of a mutant that takes longer hangs, and so has found it; it is not shrunk.  [default: 1m]")
@click.option(
    "--shrink",
    "shrink_ns",
    type=quantity(quantities.duration),
    metavar="TIME",
    help="Shrink the first failure of each mutant, each within this time.",
)
@click.option(
    "--markdown",
    "page_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write a page for people: what is found, and what was not measured.",
)
@drawing_options(workload=False, system=False)
@jobs_option
@results_option
@json_option
def command(
    folder: Path,
    count: int | None,
    seeds: range | None,
    workloads: tuple[str, ...],
    suite_name: str | None,
    only: tuple[str, ...],
    all_seeds: bool,
    search: Literal["random", "guided", "both"],
    trials: int,
    resume: bool,
    run_timeout: int | None,
    shrink_ns: int | None,
    page_path: Path | None,
    drawing: Drawing,
    jobs: int | None,
    results: Path,
    as_json: bool,
) -> int:
    """Apply each *.patch of DIR to a copy of raft_impl and search seeds until it is found.

    Each run is compared with the run of the same plan without the bug: a bug that never acts was not reached, one that
    acts and is found by nobody was reached and not judged. What is found is told as it comes.

    With --search guided, each mutant is searched by a guide of its own; with both, also without one, and the seeds to
    the first find are compared. Another trial has other seeds.

    Example: foreshock mutants tests/mutants --only vote-not-persisted. Exit 0 when all are found but
    those whose header says Harmless or Missed, 1 when not.
    """
    from harness.archive.layout import prepare, writable
    from harness.search import detection, mutants, suites, versus
    from harness.search.detection_page import page
    from harness.systems.catalog import bind, load_systems, own_package
    from harness.systems.checkouts import Checkouts

    if seeds is not None and count is not None:
        raise BadInput("both --seeds and --count", "one of them", "foreshock mutants")
    if search == "both" and (page_path is not None or shrink_ns is not None or all_seeds):
        raise BadInput("--search both beside --markdown, --shrink or --all-seeds", "it alone", "foreshock mutants")
    if search == "guided" and shrink_ns is not None:
        raise BadInput("--search guided beside --shrink", "one of them", "foreshock mutants")
    if suite_name is not None and (workloads or drawing != Drawing(workload=drawing.workload)):
        raise BadInput("--suite beside --workload or options of the plan", "one of them", "foreshock mutants")
    suite = None if suite_name is None else suites.load(suite_name)
    planted = mutants.read_all(folder)
    unknown = [name for name in only if name not in [mutant.name for mutant in planted]]
    if unknown:
        raise BadInput(
            f"mutant {unknown[0]!r}", one_of((mutant.name for mutant in planted), typed=unknown[0]), "--only"
        )
    chosen = [mutant for mutant in planted if not only or mutant.name in only]
    seeds = seeds if seeds is not None else range(1, (count or _COUNT) + 1)
    run_seconds_max = detection.RUN_SECONDS_MAX if run_timeout is None else run_timeout / 1e9
    prepare(results)
    with Checkouts() as checkouts, detection.Ledger(results / detection.LEDGER, resume=resume) as ledger:
        unmutated = detection.Unmutated(bind("raft_impl", checkouts))
        able = abilities_of(load_systems(unmutated.binding).values())
        cells: list[Drawing] = (
            [msgspec.structs.replace(drawing, workload=workload) for workload in workloads or able.workloads]
            if suite is None
            else list(suite.cells)
        )
        searches = [
            detection.Search(
                mutant=mutant, binding=mutants.plant(mutant, own_package(), checkouts), answers={}, errors={}
            )
            for mutant in chosen
        ]
        tell = partial(click.echo, err=True)
        if search == "both":
            with progress(None, "runs") as advance:
                compared = versus.compare(
                    searches, cells, seeds, able, advance, trials=trials, ledger=ledger, tell=tell, jobs=jobs
                )
            if as_json:
                print_json(compared)
            else:
                _print_versus(compared)
            return Exit.VALID
        with progress(None, "runs") as advance:
            if search == "guided":
                detection.search_guided(
                    searches,
                    cells,
                    seeds,
                    advance,
                    able,
                    all_seeds=all_seeds,
                    ledger=ledger,
                    tell=tell,
                    jobs=jobs,
                    run_seconds_max=run_seconds_max,
                )
            else:
                detection.search(
                    searches,
                    cells,
                    seeds,
                    advance,
                    unmutated=unmutated,
                    all_seeds=all_seeds,
                    ledger=ledger,
                    tell=tell,
                    jobs=jobs,
                    run_seconds_max=run_seconds_max,
                )
        plain = unmutated if search == "random" else None
        reports = [detection.report(one, seeds, plain, all_seeds=all_seeds) for one in searches]
        shrunk = [] if shrink_ns is None else _shrink(searches, cells, results, shrink_ns / 1e9, jobs)
    failing = [
        {"seed": answer.seed, "workload": answer.workload, "signature": answer.signature}
        for answer in unmutated.failing
    ]
    if page_path is not None:
        in_turn = ", ".join(f"`{cell.workload}`" for cell in cells)
        mix = (
            f"profile `{drawing.profile}`, with the workloads {in_turn} in turn"
            if suite is None
            else f"suite `{suite.name}`, whose {len(cells)} cells take turns"
        )
        text = page(
            planted,
            mutants.known_bugs(folder),
            reports,
            {one.name: _size(one) for one in shrunk},
            seeds=seeds,
            mix=mix,
        )
        with writable(page_path):
            page_path.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"mutants": reports, "shrunk": shrunk, "unmutated_failures": failing})
    else:
        _print(reports)
        if shrunk:
            _print_shrunk(shrunk)
        for one in failing:
            click.echo(f"without any mutant seed {one['seed']} of {one['workload']} fails too: {one['signature']}")
    return detection.exit_code(reports)


def _print_versus(compared: Versus) -> None:
    rows = [
        (
            one.name,
            f"{one.random_found} of {one.trials}",
            f"{one.random_seeds:g}",
            f"{one.guided_found} of {one.trials}",
            f"{one.guided_seeds:g}",
        )
        for one in compared.mutants
    ]
    print_table(("mutant", "random found", "seeds", "guided found", "seeds"), rows)
    click.echo(
        f"guided needs {compared.ratio:.2f} times the seeds of random (95 % interval {compared.ratio_low:.2f} to "
        f"{compared.ratio_high:.2f}); a search that found nothing counts with its {compared.budget} seeds"
    )


def _shrink(
    searches: Sequence[Search], cells: Sequence[Drawing], results: Path, limit_s: float, jobs: int | None
) -> list[ShrunkMutant]:
    from harness.shrink import corpus

    found = [search for search in searches if search.first_failure is not None and not search.hangs]
    with progress(None, "trials") as advance:
        return corpus.shrink_found(
            found, cells, results, limit_s=limit_s, jobs=jobs, advance=advance, tell=partial(click.echo, err=True)
        )


def _size(one: ShrunkMutant) -> str:
    size = f"{one.after['faults']} faults, {one.after['ops']} ops, {one.after['nodes']} nodes"
    return size if one.finished else f"{size} (not finished)"


def _print(reports: Sequence[MutantReport]) -> None:
    rows = [
        (
            entry.name,
            "yes" if entry.found else "known gap" if entry.known_gap else "NO",
            entry.seeds_tried,
            entry.acted,
            entry.wrong,
            f"{100 * entry.rate_low:.0f} to {100 * entry.rate_high:.0f} %",
            entry.workload,
            round(entry.simulated_seconds),
            round(entry.wall_seconds, 1),
            entry.signature or entry.state if entry.as_expected or not entry.found else _unexpected(entry),
        )
        for entry in reports
    ]
    columns = ("mutant", "found", "seeds", "acted", "wrong", "rate", "workload", "simulated s", "wall s", "signature")
    print_table(columns, rows, droppable=("simulated s", "rate", "wall s", "workload", "acted", "wrong"))
    found = sum(entry.found for entry in reports)
    gaps = [entry for entry in reports if entry.known_gap and not entry.found]
    click.echo(f"{found} of {len(reports)} found" + (f", {len(gaps)} are known gaps" if gaps else ""))
    for entry in reports:
        if entry.known_gap and entry.found:
            click.echo(f"{entry.name} is found, though its header says that it is not: {entry.known_gap}")


def _unexpected(entry: MutantReport) -> str:
    return f"{entry.signature}, not {entry.expect}"


def _print_shrunk(shrunk: Sequence[ShrunkMutant]) -> None:
    from harness.search.statistics import median

    click.echo()
    rows = [
        (
            one.name,
            f"{one.before['faults']} -> {one.after['faults']}",
            f"{one.before['ops']} -> {one.after['ops']}",
            f"{one.before['nodes']} -> {one.after['nodes']}",
            f"{one.before['length_ns'] / 1e9:.1f} -> {one.after['length_ns'] / 1e9:.2f}",
            one.trials,
            round(one.wall_seconds, 1),
            one.signature if one.finished else f"{one.signature} (not finished)",
        )
        for one in shrunk
    ]
    columns = ("shrunk", "faults", "ops", "nodes", "seconds", "trials", "wall s", "signature")
    print_table(columns, rows, droppable=("wall s", "trials", "seconds"))
    middle = {what: median([one.after[what] for one in shrunk]) for what in ("faults", "ops", "nodes")}
    click.echo(f"median: {middle['faults']:g} faults, {middle['ops']:g} ops, {middle['nodes']:g} nodes")
