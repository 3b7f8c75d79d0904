"""`foreshock replay`: a stored run again, and the proof that it is the same run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import msgspec

from harness import quantities
from harness.archive.find import StoredRun
from harness.errors import BadInput, Exit
from harness.live.specs import NODE, WORLD, is_ours
from harness.plans.labels import DEFAULT_LABEL, OLDER_LABEL
from harness.plans.plan import Plan
from harness.run.drawing import LiveNetwork
from harness.run.replay import Replayed, replay
from harness.run.runner import RunOptions
from harness.search.fitting import fitted
from harness.systems.binding import Binding

from .arguments import json_option, network_option, quantity, results_option, verbose_option
from .live import enter_network, replay_live, simulate
from .printing import print_json, say
from .reading import read_run
from .screen import print_run

if TYPE_CHECKING:
    from harness.systems.checkouts import Checkouts

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
    "--world", type=click.Choice(["simulated", "live"]), help="Where to run it.  [default: where the stored run was]"
)
@network_option
@click.option(
    "--until", type=quantity(_until), metavar="TIME|INDEX", help="Stop at 1500ms, or at index 1500, and show the state."
)
@click.option("--step", is_flag=True, help="Walk from event to event, with breakpoints; reads commands from stdin.")
@click.option("--diff", metavar="RUN", help="Show the first event in which another stored run differs.")
@click.option(
    "--against", metavar="REF", help="Show the first event in which other code differs: a git ref, or a SPEC."
)
@click.option(
    "--repeat",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Run it N times; all must be the same. Live: how often it fails.",
)
@click.option(
    "--schedules",
    type=click.IntRange(1),
    metavar="N",
    help="Of a live run, with --world simulated: try N schedules, and keep the first run that fails alike.",
)
@click.option("--require-identical", is_flag=True, help="Exit 1 also when other code explains a difference.")
@click.option("--stop-at-first", is_flag=True, help="End the run at the first broken invariant.")
@verbose_option
@results_option
@json_option
def command(
    run: str,
    system: str | None,
    world: str | None,
    network: LiveNetwork,
    until: RunOptions | None,
    step: bool,
    diff: str | None,
    against: str | None,
    repeat: int,
    schedules: int | None,
    require_identical: bool,
    stop_at_first: bool,
    verbose: bool,
    results: Path,
    as_json: bool,
) -> int:
    """Run a stored plan again and compare it with the stored run, event by event.

    RUN is a run id, the beginning of one, a run folder, `latest`, a bundle, or a plan file. It may also be a line
    copied from a log, if a run id or a command `foreshock run --seed ...` stands in it, or the name of a test case of a
    JUnit report, such as "register.swarm.seed 12".

    --until shows how everything stands there: role, term and log of each replica, messages on their way, operations and
    faults. --step reads commands such as `break leader`, `continue`, `show` and `why`; `help` lists them. --diff and
    --against say in words where two runs part, and what led to it.

    Example: foreshock replay latest --until 1500ms. Exit code of the run; 255 when the same code gives another run.
    With --diff and --against: 0 when every event is the same, 1 when one differs.
    """
    from harness.archive.documents import run_record
    from harness.systems import catalog
    from harness.systems.checkouts import Checkouts

    _refuse_several({"--until": until is not None, "--step": step, "--diff": bool(diff), "--against": bool(against)})
    if step and as_json:
        raise BadInput("--step with --json", "one of them", "foreshock replay")
    stored = read_run(run, results)
    listed = list(specs(stored).values())
    ran_live = any(spec.startswith(WORLD) for spec in listed)
    if world == "live" or (world is None and ran_live):
        if until is not None or step or diff or against or stop_at_first or require_identical:
            raise BadInput("an option about events of a simulated run", "--repeat, --system, --verbose", "a live run")
        enter_network(network, "live")
        spec = system or (listed[0].removeprefix(WORLD) if ran_live else NODE)
        return replay_live(stored, spec, repeat, network, verbose=verbose, results=results, as_json=as_json)
    enter_network(network, "simulated")
    if ran_live:
        system = system or _ours(listed[0].removeprefix(WORLD))
        if schedules is not None:
            return simulate(stored, system, schedules, verbose=verbose, results=results, as_json=as_json)
        stored = _simulated(stored)
    elif schedules is not None:
        raise BadInput("--schedules of a simulated run", "a live run: this one has a schedule", "foreshock replay")
    with Checkouts() as checkouts:
        binding = catalog.bind(specs(stored, system), checkouts)
        if diff is not None or against is not None:
            return _show_parting(stored, binding, _other(diff, against, stored, results, checkouts), as_json)
        if step:
            return _step(stored.plan, binding)
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
        again = _again(run, stored) + (" --world simulated" if ran_live else "")
        print_run(chosen.outcome, record, again, verbose=verbose)
        _print_comparison(chosen)
        if broken:
            click.echo(f"internal error: found {found}; expected {_EXPECTED}; {stored.run or run}", err=True)
    if broken:
        return Exit.INTERNAL
    if require_identical and chosen.identical is False:
        return Exit.INVALID
    return chosen.outcome.exit_code


def _again(typed: str, stored: StoredRun) -> str:
    """The line that does this once more, also when another run is the latest: a file, or the whole id of a run."""
    return shlex.join(["foreshock", "replay", typed if stored.run is None or Path(typed).exists() else stored.run])


def _ours(spec: str) -> str:
    """The system of a live run, if the simulated world has it."""
    if not is_ours(spec):
        expected = "a system that both worlds have; --system raft_impl runs the plan with ours"
        raise BadInput(f"a live run of {spec}", expected, "--world simulated")
    return spec


def _simulated(stored: StoredRun) -> StoredRun:
    """The plan of a live run for the simulated world, with nothing to compare with."""
    from harness.live.drawing import simulated

    return StoredRun(plan=simulated(stored.plan), run=stored.run, folder=stored.folder, record=None)


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


def specs(stored: StoredRun, system: str | None = None) -> dict[str, str]:
    """The specs that the stored run was bound to, read anew: `raft_impl` means today's code.

    A run that was imported from a bundle brought its code along. A `system` that was typed takes the place of the code
    to which nodes were upgraded, if any were.
    """
    from harness.archive.bundles import code_of
    from harness.systems import catalog

    if stored.record is None:
        found = catalog.specs_of(stored.spec or "raft_impl", stored.older)
    else:
        found = {label: code.spec for label, code in stored.record.binding.codes.items()}
        found |= {} if stored.folder is None else code_of(stored.folder)
    if system is None:
        return found
    return {DEFAULT_LABEL: system, **{label: spec for label, spec in found.items() if label == OLDER_LABEL}}


def _print_comparison(replayed: Replayed) -> None:
    if replayed.identical is None:
        say("identical", "nothing to compare with: this plan has no stored run")
    elif replayed.identical:
        although = f", although made by another {', '.join(replayed.differs)}" if replayed.differs else ""
        say("identical", f"yes: every event happened as it did before{although}")
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
    from harness.walk import tables
    from harness.walk.walk import Walk

    from .walking import print_event, print_standing

    outcome = execute(plan, binding, options)
    record = run_record(outcome)
    walk = Walk(plan, outcome.rows or ())
    walk.to_index(len(walk.rows) - 1 if options.until_index is None else options.until_index)
    if as_json:
        last = list(trace_events(outcome.rows or ()))[-_SHOWN_EVENTS:]
        state = outcome.metrics.state or None
        print_json(record, identical=None, events=last, state=state, standing=tables.document(walk.standing))
        return outcome.exit_code
    for told in walk.before(_SHOWN_EVENTS):
        print_event(told)
    click.echo()
    print_standing(walk.standing)
    if not walk.standing.has_roles:  # a system that makes no notes: what its servers say of themselves
        for actor, state in outcome.metrics.state.items():
            click.echo(f"{actor}: {msgspec.json.encode(state).decode()}")
    click.echo()
    print_run(outcome, record, "without --until, for the whole run", verbose=verbose, has_pictures=False)
    return outcome.exit_code


def _step(plan: Plan, binding: Binding) -> int:
    """Make the run once, and walk through it."""
    from harness.run.execution import execute

    from .walking import Conversation

    outcome = execute(plan, binding, RunOptions(keep_rows=True))
    at = next((one.index for one in outcome.anomalies if one.signature == outcome.primary), None)
    Conversation(plan, outcome.rows or (), at).hold()
    return outcome.exit_code


class _Other(NamedTuple):
    """The run that another is laid beside."""

    name: str
    plan: Plan
    binding: Binding


def _other(diff: str | None, against: str | None, stored: StoredRun, results: Path, checkouts: Checkouts) -> _Other:
    from harness.systems import catalog

    if diff is not None:
        other = read_run(diff, results)
        return _Other(other.run or diff, other.plan, catalog.bind(specs(other), checkouts))
    assert against is not None
    return _Other(against, stored.plan, catalog.bind(catalog.spec_of_version(against), checkouts))


def _show_parting(stored: StoredRun, binding: Binding, other: _Other, as_json: bool) -> int:
    """Run both, and show the first event in which they differ."""
    from harness.run.execution import execute
    from harness.walk.divergence import part

    from .walking import print_parting

    rows = [
        execute(fitted(plan, code), code, RunOptions(keep_rows=True, explain=False)).rows or ()
        for plan, code in ((stored.plan, binding), (other.plan, other.binding))
    ]
    parting = part((stored.plan, other.plan), *rows)
    name = stored.run or "the plan"
    if as_json:
        print_json({"runs": [name, other.name], "identical": parting is None, "parting": parting})
    else:
        print_parting(parting, (name, other.name))
    return Exit.VALID if parting is None else Exit.INVALID


def _refuse_several(given: dict[str, bool]) -> None:
    chosen = [name for name, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise BadInput(f"{chosen[0]} beside {chosen[1]}", "one of them", "foreshock replay")
