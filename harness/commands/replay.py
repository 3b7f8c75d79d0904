"""`foreshock replay`: a stored run again, and the proof that it is the same run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click
import msgspec

from harness import quantities
from harness.archive.find import StoredRun, find
from harness.errors import Exit
from harness.plans.plan import Plan
from harness.record import RunRecord
from harness.run.replay import Replayed, replay
from harness.run.runner import RunOptions
from harness.systems.binding import Binding

from .arguments import json_option, quantity, results_option, verbose_option
from .printing import print_json, say
from .screen import print_run

_EXPECTED: Final = "the same run from the same plan, code, harness and interpreter"
_SHOWN_EVENTS: Final = 20
"""Events shown before the point where `--until` stopped: about a screen."""


def _until(text: str) -> RunOptions:
    """Read `1500` as an index and `1500ms` as a time."""
    if re.fullmatch(r"\d+", text):
        return RunOptions(keep_rows=True, until_index=int(text))
    return RunOptions(keep_rows=True, until_ns=quantities.duration(text))


@click.command("replay")
@click.argument("run", metavar="RUN|PLAN_FILE")
@click.option("--system", metavar="SPEC", help="Code to run.  [default: that of the stored run]")
@click.option(
    "--until", type=quantity(_until), metavar="TIME|INDEX", help="Stop at 1500ms, or at index 1500, and show the state."
)
@click.option("--repeat", type=click.IntRange(1), default=1, metavar="N", help="Run it N times; all must be the same.")
@click.option("--require-identical", is_flag=True, help="Exit 1 also when other code explains a difference.")
@click.option("--stop-at-first", is_flag=True, help="End the run at the first broken invariant.")
@verbose_option
@results_option
@json_option
def command(
    run: str,
    system: str | None,
    until: RunOptions | None,
    repeat: int,
    require_identical: bool,
    stop_at_first: bool,
    verbose: bool,
    results: Path,
    as_json: bool,
) -> int:
    """Run a stored plan again and compare it with the stored run, event by event.

    RUN is a run id, the beginning of one, a run folder, or `latest`.

    Example: foreshock replay latest --until 1500ms. Exit code of the run; 255 when the same code gives another run.
    """
    from harness.archive.documents import run_record
    from harness.systems import catalog
    from harness.systems.checkouts import Checkouts

    stored = find(run, results)
    with Checkouts() as checkouts:
        binding = catalog.bind(system or specs(stored.record), checkouts)
        if until is not None:
            return _show_until(stored.plan, binding, until, as_json, verbose=verbose)
        options = RunOptions(keep_rows=True, stop_at_first=stop_at_first)
        chosen, fingerprints = _repeat(stored, binding, options, repeat)
    broken = chosen.broken or len(fingerprints) > 1
    found = f"{len(fingerprints)} fingerprints" if len(fingerprints) > 1 else "another fingerprint"
    error = {"found": found, "expected": _EXPECTED, "where": stored.run or run}
    record = run_record(chosen.outcome, run=stored.run)
    if as_json:
        print_json(
            record,
            identical=chosen.identical,
            differs=chosen.differs,
            first_difference=chosen.first_difference,
            fingerprints=fingerprints,
            **({"error": error} if broken else {}),
        )
    else:
        print_run(chosen.outcome, record, f"foreshock replay {run}", verbose=verbose)
        _print_comparison(chosen)
        if broken:
            click.echo(f"internal error: found {found}; expected {_EXPECTED}; {stored.run or run}", err=True)
    if broken:
        return Exit.INTERNAL
    if require_identical and chosen.identical is False:
        return Exit.INVALID
    return chosen.outcome.exit_code


def _repeat(stored: StoredRun, binding: Binding, options: RunOptions, repeat: int) -> tuple[Replayed, list[str]]:
    """Run a plan several times. Returns the first run that differs from the stored one, else the first, and all
    fingerprints that were seen. Nothing else of a run is kept, however often it is repeated.
    """
    chosen = replay(stored, binding, options)
    fingerprints = {chosen.outcome.fingerprint: None}
    for _ in range(repeat - 1):
        again = replay(stored, binding, options)
        fingerprints[again.outcome.fingerprint] = None
        if again.identical is False and chosen.identical is not False:
            chosen = again
    return chosen, list(fingerprints)


def specs(record: RunRecord | None) -> str | dict[str, str]:
    """The specs that the stored run was bound to, read anew: `raft_impl` means today's code."""
    if record is None:
        return "raft_impl"
    return {label: code.spec for label, code in record.binding.codes.items()}


def _print_comparison(replayed: Replayed) -> None:
    if replayed.identical is None:
        say("identical", "nothing to compare with: the plan file has no stored run")
    elif replayed.identical:
        say("identical", "yes: every event happened as it did before")
    else:
        explained = ", ".join(replayed.differs) or "nothing else: determinism is broken"
        say("identical", f"no; what else differs: {explained}")
    difference = replayed.first_difference
    if difference is not None:
        at = f"{difference.time_ns / 1e6:.3f} ms"
        click.echo(f"first difference in the {difference.stream}, at index {difference.index}, {at}")
        for side, event in (("before", difference.before), ("now", difference.now)):
            click.echo(f"  {side:<7} {'(the run had ended)' if event is None else msgspec.json.encode(event).decode()}")


def _show_until(plan: Plan, binding: Binding, options: RunOptions, as_json: bool, *, verbose: bool) -> int:
    """Run a prefix and show where everything stands."""
    from harness.archive.documents import run_record
    from harness.run.execution import execute
    from harness.run.replay import trace_events

    outcome = execute(plan, binding, options)
    record = run_record(outcome)
    last = list(trace_events(outcome))[-_SHOWN_EVENTS:]
    if as_json:
        print_json(record, identical=None, events=last, state=outcome.metrics.state or None)
        return outcome.exit_code
    for event in last:
        fields = {name: value for name, value in event.items() if name not in ("index", "time", "actor", "kind")}
        click.echo(
            f"{event['index']:>7} {event['time'] / 1e6:>12.3f} ms  {event['actor']:<5} {event['kind']:<12} "
            + msgspec.json.encode(fields).decode()
        )
    for actor, state in outcome.metrics.state.items():
        click.echo(f"{actor}: {msgspec.json.encode(state).decode()}")
    print_run(outcome, record, "without --until, for the whole run", verbose=verbose)
    return outcome.exit_code
