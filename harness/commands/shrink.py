"""`foreshock shrink`: the smallest plan that fails in the same way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from harness import quantities
from harness.charts.picture import time_by
from harness.errors import Exit

from .arguments import jobs_option, json_option, quantity, results_option, verbose_option
from .printing import print_json, print_table, progress, say
from .reading import read_run
from .screen import print_counterexample, print_plan
from .verdicts import print_verdict

if TYPE_CHECKING:
    from harness.record import RunRecord
    from harness.shrink.shrinking import Result

_FAULTS_SHOWN_MAX: Final = 12
"""A plan with more faults is not small yet: then it is printed in short."""


@click.command("shrink")
@click.argument("run", metavar="RUN|PLAN_FILE")
@click.option("--system", metavar="SPEC", help="Code to run.  [default: that of the stored run]")
@click.option(
    "--time-limit",
    type=quantity(quantities.duration),
    metavar="TIME",
    help="Begin no trial after this time; the same command goes on later.",
)
@click.option("--emit-test", type=click.Path(path_type=Path), metavar="FILE", help="Write a pytest file with the plan.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the plan there as well.")
@jobs_option
@verbose_option
@results_option
@json_option
def command(
    run: str,
    system: str | None,
    time_limit: int | None,
    emit_test: Path | None,
    output: Path | None,
    jobs: int | None,
    verbose: bool,
    results: Path,
    as_json: bool,
) -> int:
    """Find the smallest plan that keeps the primary signature and the class of a failing run.

    Taken out or made plain are faults, operations, clients, nodes, time, targets, options, clocks, disks, links and
    ties. The result does not depend on --jobs, and shrinking it again changes nothing. Gates are off: that a small plan
    does little is no reason to doubt it. What was tried is kept in the results folder, so that the same command goes on
    after it was stopped.

    Example: foreshock shrink latest --emit-test test_it.py. Exit 0 with the smallest plan, 2 when the run does not fail
    or the time limit came first.
    """
    from harness.archive.store import Archive
    from harness.shrink import shrinking
    from harness.systems import catalog
    from harness.systems.checkouts import Checkouts

    from .replay import specs

    stored = read_run(run, results)
    began = time.monotonic()
    with Archive(results) as archive, Checkouts() as checkouts:
        binding = catalog.bind(specs(stored, system), checkouts)
        try:
            with progress(None, "trials") as advance:
                result = shrinking.shrink(
                    stored.plan,
                    binding,
                    results,
                    jobs=jobs,
                    time_limit_s=None if time_limit is None else time_limit / 1e9,
                    advance=advance,
                    with_test=emit_test is not None,
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"the same command goes on: foreshock shrink {run}") from None
        if result is None:
            if as_json:
                print_json({"shrunk": None, "reason": "the run does not fail"})
            else:
                say("unknown", "the run does not fail with gates off, so there is nothing to shrink")
            return Exit.UNKNOWN
        record = archive.keep(result.outcome)
    for path, content in ((output, result.shrunk.plan.to_json()), (emit_test, result.test.encode())):
        if path is not None:
            shrinking.write(path, content)
    if as_json:
        print_json(shrinking.report(result, record, wall_seconds=time.monotonic() - began))
    else:
        _print(result, stored.record, record.path, time.monotonic() - began, verbose=verbose)
        if record.run is not None:
            say("reproduce", f"foreshock replay {record.run}", whole=True)
            say("why", f"foreshock explain {record.run}", whole=True)
        if emit_test is not None:
            say("test", f"pytest {emit_test}", whole=True)
    return Exit.VALID if result.shrunk.finished else Exit.UNKNOWN


def _print(result: Result, before: RunRecord | None, path: str | None, wall_seconds: float, *, verbose: bool) -> None:
    from harness.shrink.shrinking import table

    shrunk = result.shrunk
    print_table(("", "before", "after"), table(shrunk))
    click.echo()
    print_plan(shrunk.plan, verbose=verbose or len(shrunk.plan.faults) <= _FAULTS_SHOWN_MAX)
    click.echo()
    record, signature, rows = result.record, result.target.signature, result.outcome.rows
    if verbose:
        whole = msgspec.structs.replace(record, anomalies=result.outcome.anomalies)
        print_verdict(whole, plan_class=record.plan_class, time_of=time_by(rows))
    else:
        say("verdict", f"{signature}, {result.target.plan_class} plan, gates off")
        print_counterexample("before", () if before is None else before.anomalies, signature, time_by(None))
        print_counterexample("after", result.outcome.anomalies, signature, time_by(rows))
    state = "nothing can be taken out any more" if shrunk.finished else "not finished: the same command goes on"
    say("shrunk", f"{shrunk.trials} trials in {shrunk.rounds} rounds, {wall_seconds:.1f} s; {state}")
    if path is not None:
        say("run", path, whole=True)
