"""`foreshock run`: one plan, drawn and run."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final, Protocol

import click

from harness.errors import BadInput, Exit
from harness.outcome import JudgedAnomaly
from harness.quantities import SEED_MAX
from harness.record import RunRecord
from harness.run.drawing import Drawing, abilities_of

from .arguments import drawing_options, json_option, results_option, typed
from .printing import coloured, print_json

_DRAWN_SEED_BELOW: Final = 1_000_000_000
"""A seed that was not typed stays short enough to be read aloud."""

_DRAWING_WORDS: Final = ("seed", "workload", "profile", "nodes", "concurrency", "rate", "duration", "explicit")


@click.command("run")
@drawing_options()
@click.option("--seed", type=click.IntRange(0, SEED_MAX), metavar="N", help="Which plan.  [default: a new one]")
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), metavar="FILE", help="Run this plan instead.")
@click.option("--stop-at-first", is_flag=True, help="End the run at the first broken invariant.")
@results_option
@json_option
def command(
    drawing: Drawing,
    system: str,
    seed: int | None,
    plan_file: Path | None,
    stop_at_first: bool,
    results: Path,
    as_json: bool,
) -> int:
    """Draw one plan and run it: the plan, the verdict, where the run is, and the line that reproduces it."""
    from harness.archive.store import Archive, NotKept
    from harness.plans import describe
    from harness.plans.plan import load
    from harness.run.execution import execute
    from harness.run.runner import RunOptions
    from harness.systems import catalog
    from harness.systems.catalog import load_systems
    from harness.systems.checkouts import Checkouts

    with Archive(results) as archive, Checkouts() as checkouts:
        binding = catalog.bind(system, checkouts)
        if plan_file is not None:
            _refuse_both()
            plan = _read(load, plan_file)
        else:
            seed = secrets.randbelow(_DRAWN_SEED_BELOW) if seed is None else seed
            plan = drawing.plan(seed, abilities_of(load_systems(binding).values()))
        if not as_json:
            for line in describe.lines(plan):
                click.echo(line)
        where = "the drawn plan" if plan_file is None else str(plan_file)
        outcome = execute(plan, binding, RunOptions(keep_rows=True, stop_at_first=stop_at_first), where=where)
        failure: NotKept | None = None
        try:
            record = archive.keep(outcome)
        except NotKept as error:  # the verdict was reached: it is said first
            failure, record = error, error.record
    if plan_file is None and seed is not None:
        again = drawing.command(seed)
    else:
        again = f"foreshock replay {record.run or plan_file}"
    if as_json:
        told = {} if failure is None else {"error": failure.parts}
        print_json(record, reproduce=again, **told)
    else:
        print_outcome(record, again)
    if failure is not None:
        click.echo(f"error: {failure}", err=True)
        return Exit.BAD_INPUT
    return outcome.exit_code


def print_outcome(record: RunRecord, again: str) -> None:
    """Print what a run means, for people."""
    click.echo()
    print_verdict(record, plan_class=record.plan_class)
    ops, faults = record.ops, record.faults
    click.echo(f"ops       {ops.ok} ok, {ops.fail} fail, {ops.info} unknown; {record.messages} messages")
    if faults.planned:
        bit = f"{faults.effective} effective, {faults.no_target} no-target, {faults.no_effect} no-effect"
        click.echo(f"faults    {faults.planned} planned: {bit}")
    if record.recovery_ms is not None:
        click.echo(f"recovery  first ok op {record.recovery_ms:.0f} ms after the heal")
    simulated, wall = record.simulated_seconds, record.wall_seconds
    click.echo(
        f"time      {simulated:.2f} s simulated in {wall:.2f} s ({simulated / max(wall, 1e-9):.0f} times real time)"
    )
    click.echo(f"print     {record.fingerprint}")
    if record.path is not None:
        click.echo(f"run       {record.path}")
    click.echo(f"again     {again}")


class Judged(Protocol):
    """What has a verdict: the record of a run, or the report on a history."""

    @property
    def verdict(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def anomalies(self) -> tuple[JudgedAnomaly, ...]: ...


def print_verdict(judged: Judged, *, plan_class: str = "") -> None:
    """Print the verdict with every anomaly's counterexample."""
    click.echo(f"verdict   {coloured(judged.verdict)}{f' ({plan_class} plan)' if plan_class else ''}")
    if judged.reason:
        click.echo(f"          {judged.reason}")
    for anomaly in judged.anomalies:
        allowed = ", allowed: a broken assumption of this plan explains it" if anomaly.allowed else ""
        where = "" if anomaly.index is None else f" at index {anomaly.index}"
        click.echo(f"\n{coloured('invalid')}: {anomaly.signature}{where}{allowed}")
        for line in anomaly.message.splitlines():
            click.echo(f"    {line}".rstrip())
    if judged.anomalies:
        click.echo()


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
