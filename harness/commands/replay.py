"""`foreshock replay`: a stored run again, and the proof that it is the same run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from harness import quantities
from harness.errors import Exit

from .arguments import json_option, quantity, results_option
from .printing import print_json
from .run import print_outcome

_SHOWN_EVENTS: Final = 20
"""Events shown before the point where `--until` stopped: about a screen."""


def _until(text: str) -> tuple[str, int]:
    """Read `1500` as an index and `1500ms` as a time."""
    return ("until_index", int(text)) if re.fullmatch(r"\d+", text) else ("until_ns", quantities.duration(text))


@click.command("replay")
@click.argument("run", metavar="RUN|PLAN_FILE")
@click.option("--system", metavar="SPEC", help="Code to run.  [default: that of the stored run]")
@click.option(
    "--until", type=quantity(_until), metavar="TIME|INDEX", help="Stop at 1500ms, or at index 1500, and show the state."
)
@click.option("--repeat", type=click.IntRange(1), default=1, metavar="N", help="Run it N times; all must be the same.")
@click.option("--require-identical", is_flag=True, help="Exit 1 also when other code explains a difference.")
@click.option("--stop-at-first", is_flag=True, help="End the run at the first broken invariant.")
@results_option
@json_option
def command(
    run: str,
    system: str | None,
    until: tuple[str, int] | None,
    repeat: int,
    require_identical: bool,
    stop_at_first: bool,
    results: Path,
    as_json: bool,
) -> int:
    """Run a stored plan again and compare it with the stored run, event by event.

    RUN is a run id, the beginning of one, a run folder, or `latest`.
    """
    from harness.archive.find import find
    from harness.run.replay import replay
    from harness.systems import catalog
    from harness.systems.checkouts import Checkouts

    stored = find(run, results)
    with Checkouts() as checkouts:
        binding = catalog.bind(system or _specs(stored.document), checkouts)
        if until is not None:
            return _show_until(stored.plan, binding, dict([until]), as_json)
        replayed = [replay(stored, binding, stop_at_first=stop_at_first) for _ in range(repeat)]
    fingerprints = list(dict.fromkeys(one.outcome.fingerprint for one in replayed))
    chosen = next((one for one in replayed if one.identical is False), replayed[0])
    document = _document(chosen, stored.run, fingerprints)
    broken = chosen.broken or len(fingerprints) > 1
    if broken:
        document["error"] = {
            "found": f"{len(fingerprints)} fingerprints" if len(fingerprints) > 1 else "another fingerprint",
            "expected": "the same run from the same plan, code, harness and interpreter",
            "where": stored.run or run,
        }
    if as_json:
        print_json(document)
    else:
        print_outcome(document, f"foreshock replay {run}")
        _print_comparison(document)
    if broken:
        return Exit.INTERNAL
    if require_identical and chosen.identical is False:
        return Exit.INVALID
    return chosen.outcome.exit_code


def _specs(document: dict[str, Any] | None) -> str | dict[str, str]:
    """The specs that the stored run was bound to, read anew: `raft_impl` means today's code."""
    if document is None:
        return "raft_impl"
    return {label: code["spec"] for label, code in document["binding"]["codes"].items()}


def _document(replayed: Any, run: str | None, fingerprints: list[str]) -> dict[str, Any]:
    from harness.archive.document import run_document
    from harness.archive.provenance import provenance

    document = run_document(replayed.outcome, run=run, path=None, provenance=provenance())
    difference = replayed.first_difference
    return {
        **document,
        "identical": replayed.identical,
        "differs": replayed.differs,
        "first_difference": None if difference is None else msgspec.to_builtins(difference),
        "fingerprints": fingerprints,
    }


def _print_comparison(document: dict[str, Any]) -> None:
    if document["identical"] is None:
        click.echo("identical nothing to compare with: the plan file has no stored run")
    elif document["identical"]:
        click.echo("identical yes: every event happened as it did before")
    else:
        explained = ", ".join(document["differs"]) or "nothing else: determinism is broken"
        click.echo(f"identical no; what else differs: {explained}")
    difference = document["first_difference"]
    if difference is not None:
        at = f"{difference['time_ns'] / 1e6:.3f} ms"
        click.echo(f"first difference in the {difference['stream']}, at index {difference['index']}, {at}")
        for side in ("before", "now"):
            line = difference[side]
            click.echo(f"  {side:<7} {'(the run had ended)' if line is None else msgspec.json.encode(line).decode()}")
    if "error" in document:
        error = document["error"]
        click.echo(f"internal error: found {error['found']}; expected {error['expected']}; {error['where']}", err=True)


def _show_until(plan: Any, binding: Any, until: dict[str, int], as_json: bool) -> int:
    """Run a prefix and show where everything stands; gates and liveness say nothing about a part of a run."""
    from harness.archive.document import run_document
    from harness.archive.provenance import provenance
    from harness.run.execution import execute
    from harness.run.replay import trace_events

    until_ns, until_index = until.get("until_ns"), until.get("until_index")
    outcome = execute(plan, binding, keep_rows=True, gates=False, until_ns=until_ns, until_index=until_index)
    document = run_document(outcome, run=None, path=None, provenance=provenance())
    last = list(trace_events(outcome))[-_SHOWN_EVENTS:]
    if as_json:
        print_json({**document, "identical": None, "events": last, "state": outcome.metrics.get("state")})
        return outcome.exit_code
    for event in last:
        fields = {name: value for name, value in event.items() if name not in ("index", "time", "actor", "kind")}
        click.echo(
            f"{event['index']:>7} {event['time'] / 1e6:>12.3f} ms  {event['actor']:<5} {event['kind']:<12} "
            + msgspec.json.encode(fields).decode()
        )
    for actor, state in (outcome.metrics.get("state") or {}).items():
        click.echo(f"{actor}: {msgspec.json.encode(state).decode()}")
    print_outcome(document, "without --until, for the whole run")
    return outcome.exit_code
