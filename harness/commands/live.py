"""What `run` and `replay` do in the live world, where a plan does not decide the run."""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import click

from harness.archive.documents import run_record
from harness.archive.find import StoredRun, find
from harness.archive.store import Archive, NotKept
from harness.errors import BadInput, Exit
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.record import RunRecord
from harness.run.drawing import Drawing, LiveNetwork
from harness.systems.checkouts import Checkouts

from .printing import print_json, say
from .screen import print_live_run, print_plan, print_run

NOT_DETERMINISTIC: Final = (
    "a live execution is not deterministic: its plan decides what is asked and what breaks, no more"
)
_DRAWN_SEED_BELOW: Final = 1_000_000_000


def run_live(
    drawing: Drawing, seed: int | None, plan_file: Path | None, *, verbose: bool, results: Path, as_json: bool
) -> int:
    """Draw a plan, or take that of a file, and run it once with real processes."""
    from harness.live.drawing import possible
    from harness.live.systems.catalog import abilities_of_live, live_system

    with Archive(results) as archive, Checkouts() as checkouts:
        system = live_system(drawing.system, checkouts)
        able = abilities_of_live(system, drawing.network)
        if plan_file is not None:
            plan = find(str(plan_file), results).plan
            again = f"foreshock run --world live{_typed(drawing.network)} --system {drawing.system} --plan {plan_file}"
        else:
            seed = secrets.randbelow(_DRAWN_SEED_BELOW) if seed is None else seed
            plan, again = drawing.plan(seed, able), drawing.command(seed)
        shown = possible(plan, able.fault_kinds, tells_votes=system.tells_terms)
        lines_above = 0 if as_json else print_plan(shown, verbose=verbose)
        outcome, record, failure = _perform(plan, drawing.system, archive, checkouts, drawing.network)
    extra = {} if failure is None else {"error": failure.parts}
    if as_json:
        print_json(record, reproduce=again, live=True, **extra)
    else:
        more = []
        if record.run is not None and record.verdict == "invalid":
            more.append(("repeat", repeat_line(record.run, drawing.network)))
        print_live_run(outcome, record, again, verbose=verbose, more=more, lines_above=lines_above)
    return _exit(outcome.exit_code, failure)


def run_many_live(drawing: Drawing, first: int | None, count: int, *, results: Path, as_json: bool) -> int:
    """Run as many seeds one after the other, and say what they came to."""
    from harness.live.systems.catalog import abilities_of_live, live_system

    first = secrets.randbelow(_DRAWN_SEED_BELOW) if first is None else first
    tally = _Tally(as_json=as_json)
    with Archive(results) as archive, Checkouts() as checkouts:
        able = abilities_of_live(live_system(drawing.system, checkouts), drawing.network)
        for seed in range(first, first + count):
            plan = drawing.plan(seed, able)
            _, record, failure = _perform(
                plan, drawing.system, archive, checkouts, drawing.network, may_never_serve=count > 1
            )
            tally.add(f"seed {seed}", record, failure)
    return tally.end("runs", reproduce=drawing.command(first))


def replay_live(
    stored: StoredRun, spec: str, repeat: int, network: LiveNetwork, *, verbose: bool, results: Path, as_json: bool
) -> int:
    """Run a stored plan again with real processes, and say how often it fails. Every run is kept."""
    tally = _Tally(as_json=as_json, is_short=repeat > 1)
    with Archive(results) as archive, Checkouts() as checkouts:
        for number in range(1, repeat + 1):
            outcome, record, failure = _perform(
                stored.plan, spec, archive, checkouts, network, may_never_serve=repeat > 1
            )
            if repeat == 1 and not as_json:
                again = f"foreshock replay {record.run or stored.run}{_typed(network)}"
                print_live_run(outcome, record, again, verbose=verbose)
            tally.add(f"run {number}", record, failure)
    before = None if stored.record is None else stored.record.failure_signature
    return tally.end("repeated", before=before, note=NOT_DETERMINISTIC)


def simulate(stored: StoredRun, spec: str, schedules: int, *, verbose: bool, results: Path, as_json: bool) -> int:
    """Look for a simulated run of a live plan that fails as the live one did, and keep it: it can be shrunk, explained
    and replayed event by event. Exit code of that run; 0 or 2 where none fails.
    """
    from harness.live.drawing import simulated
    from harness.run.execution import execute
    from harness.run.runner import RunOptions
    from harness.systems import catalog

    before = None if stored.record is None else stored.record.failure_signature
    with Archive(results) as archive, Checkouts() as checkouts:
        binding = catalog.bind(spec, checkouts)
        found: Outcome | None = None
        for number in range(schedules):
            outcome = execute(simulated(stored.plan, number), binding, RunOptions(keep_rows=True))
            failed_before = found is not None and found.verdict.validity == "invalid"
            if outcome.verdict.validity == "invalid" or not failed_before:
                found = found if failed_before and outcome.primary != before else outcome
            if outcome.verdict.validity == "invalid" and before in (None, outcome.primary):
                break
        assert found is not None, "one schedule at least"
        fails = found.verdict.validity == "invalid"
        record = archive.keep(found) if fails else run_record(found)
    alike = fails and found.primary == before
    if as_json:
        print_json(record, before=before, alike=alike, tried=number + 1)
        return found.exit_code
    print_run(found, record, f"foreshock replay {record.run or stored.run}", verbose=verbose)
    say("live", f"the stored run {'failed with ' + before if before else 'did not fail'}")
    if fails:
        say("schedules", f"{number + 1} tried; this one fails {'alike' if alike else 'otherwise'}")
        say("shrink", f"foreshock shrink {record.run}", whole=True)
    else:
        say("schedules", f"{number + 1} tried; none of them fails")
    return found.exit_code


class _Tally:
    """What several live runs came to."""

    def __init__(self, *, as_json: bool, is_short: bool = True) -> None:
        """`is_short`: each run is one line; unset where it is printed otherwise."""
        self._prints = is_short and not as_json
        self._as_json = as_json
        self._records: list[RunRecord] = []
        self._failure: BadInput | None = None  # the first one to keep a run

    def add(self, name: str, record: RunRecord, failure: BadInput | None) -> None:
        """Count one run."""
        self._records.append(record)
        self._failure = self._failure or failure
        if self._prints:
            said = record.failure_signature or record.reason or f"{record.ops.ok} ok"
            say(name, f"{record.verdict}: {said}  {record.run or ''}", whole=True)

    def end(self, word: str, *, before: str | None = None, **said: str) -> int:
        """Print the summary. Exit 1 when one run was invalid, 2 when one was unknown, else 0."""
        records, count = self._records, len(self._records)
        verdicts = Counter(record.verdict for record in records)
        signatures = Counter(record.failure_signature for record in records if record.failure_signature is not None)
        if self._as_json:
            print_json(
                records[-1],
                live=True,
                **{word: count},
                verdicts=dict(verdicts),
                failures=dict(signatures),
                before=before,
                **said,
                **({} if self._failure is None else {"error": self._failure.parts}),
            )
        else:
            listed = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
            say(word, f"{count} {'run' if count == 1 else 'runs'}: {listed}")
            for signature, number in signatures.most_common():
                say("", f"{number} of {count} with {signature}")
            if before is not None:
                say("before", f"the stored run failed with {before}; {signatures[before]} of {count} did so again")
            for name, text in said.items():
                say(name, text, whole=name == "reproduce")
        code = Exit.INVALID if verdicts["invalid"] else Exit.UNKNOWN if verdicts["unknown"] else Exit.VALID
        return _exit(code, self._failure)


def repeat_line(run: str, network: LiveNetwork) -> str:
    """The line that says how often a live run fails again."""
    return f"foreshock replay {run}{_typed(network)} --repeat 10"


def _typed(network: LiveNetwork) -> str:
    return "" if network == "proxies" else f" --network {network}"


def enter_network(network: LiveNetwork, world: str, *, jobs: int | None = None) -> None:
    """Where nodes are to have namespaces, go on in one of our own: this command is started once more in it.

    Raises BadInput in the simulated world, and for several runs at a time.
    """
    if network == "namespaces":
        if world != "live":
            expected = "a live run: the simulated world has its own network"
            raise BadInput("--network namespaces", expected, f"--world {world}")
        if jobs is not None and jobs > 1:
            raise BadInput(f"--jobs {jobs}", "one run at a time: they would share a bridge", "--network namespaces")
        from harness.live.namespaces import enter

        enter(sys.argv[1:])


def _perform(
    plan: Plan,
    spec: str,
    archive: Archive,
    checkouts: Checkouts,
    network: LiveNetwork,
    *,
    may_never_serve: bool = False,
) -> tuple[Outcome, RunRecord, BadInput | None]:
    """Run a plan once and keep the run with the logs of its nodes; the last item says why it could not be kept."""
    from harness.live.kept import keep_beside
    from harness.live.live_run import run
    from harness.live.systems.catalog import live_system

    result = run(plan, live_system(spec, checkouts), network=network, may_never_serve=may_never_serve)
    try:
        record = archive.keep(result.outcome)
        keep_beside(record, result.logs, archive.results)
    except NotKept as error:  # the verdict was reached: it is said first
        return result.outcome, error.record, error
    except BadInput as error:
        return result.outcome, record, error
    return result.outcome, record, None


def _exit(code: Exit, failure: BadInput | None) -> int:
    if failure is not None:
        click.echo(f"error: {failure}", err=True)
        return Exit.BAD_INPUT
    return code
