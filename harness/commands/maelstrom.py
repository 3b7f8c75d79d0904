"""`foreshock maelstrom`: programs that speak the Maelstrom protocol, run live."""

from __future__ import annotations

import secrets
import shlex
import sys
from pathlib import Path
from typing import Final

import click

from harness import quantities
from harness.errors import BadInput, Exit, one_of
from harness.quantities import SEED_MAX

from .arguments import json_option, quantity, results_option, typed, verbose_option
from .printing import print_json, say
from .screen import print_live_run

_DRAWN_SEED_BELOW: Final = 1_000_000_000
_WORKLOADS: Final = (
    "echo", "unique-ids", "lin-kv", "broadcast", "g-set", "g-counter", "pn-counter",
    "txn-list-append", "txn-rw-register", "kafka",
)  # fmt: skip
"""Typed here so that help needs no checker; a test compares it with the workloads there are."""
_FAULTS: Final = ("partition", "kill", "pause")
_TIMES: Final = ("time_limit", "latency", "nemesis_interval", "quiet")
_NOT_DRAWN: Final = ("command_line", "seed", "verbose", "results", "as_json")


@click.command("maelstrom", context_settings={"show_default": True})
@click.argument("command_line", nargs=-1, required=True, metavar="COMMAND...")
@click.option("-w", "--workload", required=True, metavar="NAME", help=f"One of {', '.join(_WORKLOADS)}.")
@click.option("--nodes", type=click.IntRange(1, 50), default=3, metavar="N", help="Processes.")
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Clients.  [default: 2 for each node]")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=100.0, metavar="R", help="Requests a second.")
@click.option("--time-limit", type=quantity(quantities.duration), default="10s", metavar="TIME", help="Of requests.")
@click.option("--latency", type=quantity(quantities.duration), default="0", metavar="TIME", help="Mean, between nodes.")
@click.option(
    "--latency-shape", type=click.Choice(["constant", "uniform", "exponential"]), default="exponential",
    help="How delays are drawn; all but the constant ones reorder messages.",
)  # fmt: skip
@click.option("--loss", type=quantity(quantities.share), default="0", metavar="SHARE", help="Lost between nodes: 5%.")
@click.option("--duplicate", type=quantity(quantities.share), default="0", metavar="SHARE", help="Doubled: 5%.")
@click.option("--nemesis", metavar="KIND,...", help=f"Faults, of {', '.join(_FAULTS)}.")
@click.option(
    "--nemesis-interval", type=quantity(quantities.duration), metavar="TIME",
    help="One fault in each.  [default: a quarter of the time limit]",
)  # fmt: skip
@click.option("--quiet", type=quantity(quantities.duration), default="1s", metavar="TIME", help="Before final reads.")
@click.option("--topology", type=click.Choice(["grid", "line", "total"]), default="grid", help="Told in broadcast.")
@click.option(
    "--expect", multiple=True, metavar="MODEL", help="What transactions promise.  [default: strict-serializable]"
)
@click.option("--seed", type=click.IntRange(0, SEED_MAX), metavar="N", help="Of the plan.  [default: a new one]")
@verbose_option
@results_option
@json_option
def command(
    command_line: tuple[str, ...],
    workload: str,
    nodes: int,
    concurrency: int | None,
    rate: float,
    time_limit: int,
    latency: int,
    latency_shape: str,
    loss: float,
    duplicate: float,
    nemesis: str | None,
    nemesis_interval: int | None,
    quiet: int,
    topology: str,
    expect: tuple[str, ...],
    seed: int | None,
    verbose: bool,
    results: Path,
    as_json: bool,
) -> int:
    """Run a program of the Maelstrom protocol as several live processes, break their network, and judge the answers.

    Options of COMMAND itself stand behind `--`. A live run is not deterministic: its seed decides what is asked and
    what breaks, and not how long processes take.

    Example: foreshock maelstrom -w echo --time-limit 2s -- python3 docs/examples/maelstrom/echo.py.
    Exit 0 valid, 1 invalid, 2 unknown.
    """
    from harness.archive.store import Archive, NotKept
    from harness.maelstrom import drawing, live_run
    from harness.maelstrom.journal import write_journal
    from harness.maelstrom.workloads import WORKLOADS

    if workload not in WORKLOADS:
        raise BadInput(f"workload {workload!r}", one_of(WORKLOADS, typed=workload), "--workload")
    chosen = WORKLOADS[workload]
    if strangers := [name for name in expect if name not in chosen.expects]:
        expected = one_of(chosen.expects, typed=strangers[0]) if chosen.expects else "a workload of transactions"
        raise BadInput(f"model {strangers[0]!r}", expected, "--expect")
    concurrency = 2 * nodes if concurrency is None else concurrency
    if chosen.final and concurrency < nodes:
        raise BadInput(f"{concurrency} clients", f"at least {nodes}: each node is read at the end", "--concurrency")
    if time_limit == 0 or nemesis_interval == 0:
        raise BadInput("0 s", "a time", "--time-limit" if time_limit == 0 else "--nemesis-interval")
    settings = drawing.Settings(
        nodes=nodes,
        concurrency=concurrency,
        rate=rate,
        time_limit_ns=time_limit,
        latency_ns=latency,
        latency_shape=latency_shape,  # type: ignore[arg-type]  # one of click's choices
        loss_ppm=int(loss * 1_000_000),
        duplicate_ppm=int(duplicate * 1_000_000),
        faults=_faults(nemesis),
        interval_ns=nemesis_interval,
        quiet_ns=quiet,
        topology=topology,  # type: ignore[arg-type]  # one of click's choices
        expect=expect,
    )
    seed = secrets.randbelow(_DRAWN_SEED_BELOW) if seed is None else seed
    with Archive(results) as archive:
        plan = drawing.draw(settings, chosen, seed)
        if not as_json:
            counted = "1 node" if nodes == 1 else f"{nodes} nodes"
            say("plan", f"seed {seed}, workload {workload}, {counted}, {concurrency} clients, live")
            say("command", shlex.join(command_line), whole=True)
            sys.stdout.flush()
        result = live_run.run(plan, command_line)
        outcome, failure = result.outcome, None
        try:
            record = archive.keep(outcome)
            if record.path is not None:
                write_journal(Path(record.path), result.journal)
        except NotKept as error:  # the verdict was reached: it is said first
            failure, record = error, error.record
    again = _again(seed, command_line)
    if as_json:
        print_json(record, reproduce=again, live=True, **({} if failure is None else {"error": failure.parts}))
    else:
        print_live_run(outcome, record, again, verbose=verbose)
    if failure is not None:
        click.echo(f"error: {failure}", err=True)
        return Exit.BAD_INPUT
    return outcome.exit_code


def _faults(text: str | None) -> tuple[str, ...]:
    """Read the kinds of faults, each once, in a fixed order."""
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    for word in words:
        if word not in _FAULTS:
            raise BadInput(f"fault {word!r}", one_of(_FAULTS, typed=word), "--nemesis")
    return tuple(name for name in _FAULTS if name in words)


def _again(seed: int, command_line: tuple[str, ...]) -> str:
    """The line that draws the same plan again: what was typed, and the seed."""
    context = click.get_current_context()
    words = ["foreshock", "maelstrom"]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in _NOT_DRAWN or not typed(name):
            continue
        value = context.params[name]
        for one in value if isinstance(value, tuple) else (value,):
            words += [parameter.opts[-1], quantities.duration_text(one) if name in _TIMES else str(one)]
    return shlex.join([*words, "--seed", str(seed), "--", *command_line])
