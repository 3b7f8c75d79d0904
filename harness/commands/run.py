"""`foreshock run`: one plan, drawn and run."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from checkers.trace import Row
from harness.errors import BadInput, Exit
from harness.quantities import SEED_MAX
from harness.run.drawing import Drawing, abilities_of

from .arguments import drawing_options, json_option, results_option, typed, verbose_option
from .printing import print_json
from .screen import print_plan, print_run

_DRAWN_SEED_BELOW: Final = 1_000_000_000
"""A seed that was not typed stays short enough to be read aloud."""

_DRAWING_WORDS: Final = ("seed", "workload", "profile", "nodes", "concurrency", "rate", "duration", "explicit")


@click.command("run")
@drawing_options(world=True, upgrade=True)
@click.option("--seed", type=click.IntRange(0, SEED_MAX), metavar="N", help="Which plan.  [default: a new one]")
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), metavar="FILE", help="Run this plan instead.")
@click.option("--stop-at-first", is_flag=True, help="End the run at the first broken invariant.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Live: N seeds one after another, a line for each.")
@verbose_option
@results_option
@json_option
def command(
    drawing: Drawing,
    system: str,
    seed: int | None,
    plan_file: Path | None,
    stop_at_first: bool,
    count: int | None,
    verbose: bool,
    results: Path,
    as_json: bool,
) -> int:
    """Draw one plan and run it: the plan, the verdict, where the run is, and the line that reproduces it.

    Example: foreshock run --seed 3 --workload register -o reads=lease. Exit 0 valid, 1 invalid, 2 unknown.
    """
    from .live import enter_network, run_live, run_many_live

    enter_network(drawing.network, drawing.world)
    if drawing.world == "live":
        if drawing.upgrade_from is not None:
            raise BadInput("--upgrade-from", "the simulated world, where versions are mixed", "--world live")
        if stop_at_first:
            raise BadInput("--stop-at-first", "nothing: a live run is judged when it is over", "--world live")
        if plan_file is not None:
            _refuse_both()
        if count is not None:
            if plan_file is not None:
                raise BadInput("--count beside --plan", "`foreshock replay --repeat N`", "--world live")
            return run_many_live(drawing, seed, count, results=results, as_json=as_json)
        return run_live(drawing, seed, plan_file, verbose=verbose, results=results, as_json=as_json)
    if count is not None:
        raise BadInput("--count", "`foreshock suite --count N`, or --world live", "--world simulated")
    from harness.archive.find import find
    from harness.archive.store import Archive, NotKept
    from harness.plans.labels import OLDER_LABEL
    from harness.plans.plan import load
    from harness.reports.written import REPORT, subject_of, write_page
    from harness.run.execution import execute, require_labels
    from harness.run.runner import RunOptions
    from harness.run.twice import require_function_of_plan
    from harness.systems import catalog
    from harness.systems.catalog import load_systems
    from harness.systems.checkouts import Checkouts

    with Archive(results) as archive, Checkouts() as checkouts:
        binding = catalog.bind(catalog.specs_of(system, drawing.upgrade_from), checkouts)
        if plan_file is not None:
            _refuse_both()
            plan = _read(load, plan_file)
            if drawing.upgrade_from is not None and OLDER_LABEL not in plan.codes:
                raise BadInput("--upgrade-from", "a plan that upgrades nodes", str(plan_file))
            require_labels(plan, binding, str(plan_file))
        else:
            seed = secrets.randbelow(_DRAWN_SEED_BELOW) if seed is None else seed
            plan = drawing.plan(seed, abilities_of(load_systems(binding).values()))
        lines_above = 0 if as_json else print_plan(plan, verbose=verbose)
        where = "the drawn plan" if plan_file is None else str(plan_file)
        failure: BadInput | None = None
        with archive.writer(plan) as writer:
            outcome = execute(plan, binding, RunOptions(stop_at_first=stop_at_first), where=where, sink=writer)
            require_function_of_plan(plan, binding, outcome)
            try:
                record = archive.keep(outcome, writer)
            except NotKept as error:  # the verdict was reached: it is said first
                failure, record = error, error.record
    if plan_file is None and seed is not None:
        again = drawing.command(seed)
    else:
        again = f"foreshock replay {record.run or plan_file}"
    page: Path | None = None
    rows: Sequence[Row] | None = None  # the trace that went to disk, where the page had it read
    if failure is None and record.run is not None and record.verdict == "invalid":
        try:
            stored = find(record.run, results)
            assert stored.folder is not None
            subject = subject_of(stored, again if seed is not None else None)
            rows = subject.rows
            page = write_page(subject, stored.folder / REPORT)
        except BadInput as error:  # no room for it, say: the run is stored all the same
            failure = error
    if as_json:
        extra = {} if page is None else {"report": str(page)}
        errors = {} if failure is None else {"error": failure.parts}
        print_json(record, reproduce=again, **extra, **errors)
    else:
        more = [] if page is None else [("report", str(page))]
        if record.run is not None and record.verdict == "invalid":
            more.append(("shrink", f"foreshock shrink {record.run}"))
        print_run(outcome, record, again, verbose=verbose, more=more, lines_above=lines_above, rows=rows)
    if failure is not None:
        click.echo(f"error: {failure}", err=True)
        return Exit.BAD_INPUT
    return outcome.exit_code


def _refuse_both() -> None:
    """A plan file is complete; what is typed beside it would silently do nothing."""
    both = [f"--{name}" if name != "explicit" else "-o" for name in _DRAWING_WORDS if typed(name)]
    if both:
        raise BadInput(f"{both[0]} beside --plan", "a plan file, or what to draw one from", "foreshock run")


def _read(load: Any, plan_file: Path) -> Any:
    try:
        return load(plan_file)
    except OSError as error:
        raise BadInput(f"a file that cannot be read ({error.strerror})", "a plan file", str(plan_file)) from None
