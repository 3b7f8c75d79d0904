"""`foreshock mutants`: does the harness find the bugs that were planted?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import msgspec

from harness.run.drawing import Drawing
from harness.search.mutants import MutantReport

from .arguments import drawing_options, jobs_option, json_option
from .printing import print_json, print_table, progress


@click.command("mutants")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--count", type=click.IntRange(1), default=200, show_default=True, metavar="N", help="Seeds for each.")
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    default=("register", "counter"),
    show_default=True,
    help="What clients do; repeatable, in turn.",
)
@click.option("--only", multiple=True, metavar="NAME", help="Search these mutants only; repeatable.")
@drawing_options(workload=False, system=False)
@jobs_option
@json_option
def command(
    folder: Path,
    count: int,
    workloads: tuple[str, ...],
    only: tuple[str, ...],
    drawing: Drawing,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Apply each *.patch of DIR to a copy of raft_impl and search seeds until it is found.

    Example: foreshock mutants tests/mutants --only vote-not-persisted. Exit 0 when all are found, 1 when not.
    """
    from harness.errors import BadInput, one_of
    from harness.search import mutants
    from harness.systems.catalog import own_package
    from harness.systems.checkouts import Checkouts

    planted = mutants.read_all(folder)
    unknown = [name for name in only if name not in [mutant.name for mutant in planted]]
    if unknown:
        raise BadInput(
            f"mutant {unknown[0]!r}", one_of((mutant.name for mutant in planted), typed=unknown[0]), "--only"
        )
    chosen = [mutant for mutant in planted if not only or mutant.name in only]
    seeds = range(1, count + 1)
    cells = [msgspec.structs.replace(drawing, workload=workload) for workload in workloads]
    with Checkouts() as checkouts:
        searches = [
            mutants.Search(
                mutant=mutant, binding=mutants.plant(mutant, own_package(), checkouts), answers={}, errors={}
            )
            for mutant in chosen
        ]
        with progress(None, "seeds") as advance:
            mutants.search(searches, cells, seeds, advance, tell=partial(click.echo, err=True), jobs=jobs)
    reports = [mutants.report(search, seeds) for search in searches]
    if as_json:
        print_json({"mutants": reports})
    else:
        _print(reports)
    return mutants.exit_code(reports)


def _print(reports: Sequence[MutantReport]) -> None:
    rows = [
        (
            entry.name,
            "yes" if entry.found else "NO",
            entry.seeds_tried,
            entry.workload,
            round(entry.simulated_seconds),
            round(entry.wall_seconds, 1),
            entry.signature if entry.as_expected or not entry.found else f"{entry.signature}, not {entry.expect}",
        )
        for entry in reports
    ]
    columns = ("mutant", "found", "seeds", "workload", "simulated s", "wall s", "signature")
    print_table(columns, rows, droppable=("simulated s", "wall s", "workload"))
    found = sum(entry.found for entry in reports)
    click.echo(f"{found} of {len(reports)} found")
