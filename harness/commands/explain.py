"""`foreshock explain`: which faults a failure needs, who did what, and when it was bound to happen."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import Exit

from .arguments import jobs_option, json_option, results_option, verbose_option
from .printing import print_json, print_table, progress, say, wrapped
from .reading import read_run

_MANY_FAULTS = 10
_MANY_OPS = 50


@click.command("explain")
@click.argument("run", metavar="RUN|PLAN_FILE")
@click.option("--system", metavar="SPEC", help="Code to run.  [default: that of the stored run]")
@click.option(
    "--redraws", type=click.IntRange(1), default=40, show_default=True, metavar="N", help="Runs for each probability."
)
@click.option(
    "--moments",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    metavar="N",
    help="Moments of the chart at first.",
)
@jobs_option
@verbose_option
@results_option
@json_option
def command(
    run: str,
    system: str | None,
    redraws: int,
    moments: int,
    jobs: int | None,
    verbose: bool,
    results: Path,
    as_json: bool,
) -> int:
    """Say of a failing run which faults are necessary, which node did what, and when the failure was bound to happen.

    It explains the run as it is; one that was shrunk before has an explanation that can be read. With --verbose the
    deeds of all nodes are told in the order of time as well.

    Example: foreshock explain latest. Exit 0, or 2 when the run does not fail.
    """
    from harness.explain import chances, explanation, necessity
    from harness.systems import catalog
    from harness.systems.checkouts import Checkouts

    from .replay import specs

    stored = read_run(run, results)
    with Checkouts() as checkouts:
        binding = catalog.bind(specs(stored, system), checkouts)
        with progress(None, "runs") as advance:
            found = explanation.explain(
                stored.plan, binding, redraws=redraws, moments=moments, jobs=jobs, advance=advance
            )
    if found is None:
        if as_json:
            print_json({"explained": None, "reason": "the run does not fail"})
        else:
            say("unknown", "the run does not fail with gates off, so there is nothing to explain")
        return Exit.UNKNOWN
    if as_json:
        print_json(found)
        return Exit.VALID
    say("failure", f"{found.signature} at {found.failed_ns / 1e9:.3f} s")
    for line in found.message.splitlines()[:3]:
        click.echo(f"    {line}")
    if len(stored.plan.faults) > _MANY_FAULTS or found.ops > _MANY_OPS:
        say("hint", f"there is much in this run; first: foreshock shrink {run}")
    click.echo("\nwhich faults it needs (runs that fail when all is drawn anew from the begin of the fault)")
    if found.faults:
        print_table(("fault", "kind", "is", "with it", "without it"), necessity.rows(found.faults))
    else:
        click.echo("none: the plan has no faults")
    click.echo("\nwho did what")
    for actor, sentence in found.sentences.items():
        for line in wrapped(f"{actor} {sentence}.", indent="  "):
            click.echo(line)
    if verbose:
        click.echo("\nin the order of time")
        for deed in found.deeds:
            click.echo(f"  {deed.time_ns / 1e9:>8.3f} s  {deed.actor} {deed.text}")
    click.echo("\nwhen it was bound to happen (runs that fail when all is drawn anew from then on, 95 % interval)")
    for line in chances.chart(found.chances):
        click.echo(line)
    click.echo(chances.conclusion(found.chances))
    return Exit.VALID
