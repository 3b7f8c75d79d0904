"""What a run means, for people: a screen of it, or with `--verbose` everything.

The words are those of the JSON document. The plan goes before the run, so that a long run shows what it is busy with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import click

from harness.faults.fault import Fault
from harness.judged import JudgedAnomaly
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.record import RunRecord

from .printing import clipped, say, wrapped
from .verdicts import print_anomaly, print_verdict, print_verdict_line

_FAULTS_SHOWN: Final = 3
_MESSAGE_LINES: Final = 5
"""Lines of a counterexample: which operations contradict each other stands in the first ones."""


def print_plan(plan: Plan, *, verbose: bool) -> None:
    """Print what is about to run: in six lines, or with every fault."""
    from harness.plans import describe

    for line in describe.lines(plan) if verbose else describe.summary(plan):
        label, _, text = line.partition(" ")
        if label:
            say(label, text.lstrip())
        else:
            click.echo("\n".join(wrapped(line, indent="")))


def print_run(outcome: Outcome, record: RunRecord, reproduce: str, *, verbose: bool) -> None:
    """Print how a run went: faults, verdict, counters, and how to have it again."""
    _print_faults(outcome, record)
    click.echo()
    if verbose:
        print_verdict(record, plan_class=record.plan_class)
    else:
        _print_short_verdict(record, record.plan_class)
    ops = record.ops
    recovery = "" if record.recovery_ms is None else f"; first ok {record.recovery_ms:.0f} ms after the heal"
    say("ops", f"{ops.ok} ok, {ops.fail} fail, {ops.info} info{recovery}")
    simulated, wall = record.simulated_seconds, record.wall_seconds
    factor = simulated / max(wall, 1e-9)
    say(
        "time",
        f"{simulated:.2f} s simulated in {wall:.2f} s ({factor:.0f} times real time); {record.messages} messages",
    )
    say("fingerprint", record.fingerprint)
    if record.path is not None:
        say("run", record.path, whole=True)
    say("reproduce", reproduce, whole=True)


def print_live_run(outcome: Outcome, record: RunRecord, reproduce: str, *, verbose: bool) -> None:
    """Print how a run of real processes went. What a node did wrong is printed with all it said."""
    _print_faults(outcome, record)
    click.echo()
    if verbose or (record.primary or "").startswith("node/"):
        print_verdict(record)
    else:
        _print_short_verdict(record, plan_class="")
    ops = record.ops
    say("ops", f"{ops.ok} ok, {ops.fail} fail, {ops.info} info")
    marks = ", ".join(f"{count} {name}" for name, count in record.marks.items() if count)
    say("messages", f"{record.messages}{f': {marks}' if marks else ''}")
    say("time", f"{record.wall_seconds:.1f} s live: no two runs are alike, also of one seed")
    if record.path is not None:
        say("run", record.path, whole=True)
    say("again", reproduce, whole=True)


def _print_short_verdict(record: RunRecord, plan_class: str) -> None:
    """Print the verdict with the first lines of the counterexample under which the run is grouped."""
    print_verdict_line(record, plan_class)
    chosen = next((one for one in record.anomalies if one.signature == record.failure_signature), None)
    if chosen is None:
        return
    print_anomaly(chosen, _MESSAGE_LINES)
    others = Counter(_named(one) for one in record.anomalies if one is not chosen)
    if others:
        listed = (f"{name}, {times} times" if times > 1 else name for name, times in others.items())
        say("also", "; ".join(listed))


def _named(anomaly: JudgedAnomaly) -> str:
    return f"{anomaly.signature} (allowed)" if anomaly.allowed else anomaly.signature


def _print_faults(outcome: Outcome, record: RunRecord) -> None:
    """Print the faults by kind, and those that mattered most."""
    from harness.plans import describe

    counts, kinds = outcome.faults, Counter(fault.kind for fault in outcome.plan.faults)
    if not counts.planned:
        say("faults", "none")
        return
    states = (("effective", counts.effective), ("no-target", counts.no_target), ("no-effect", counts.no_effect))
    said = ", ".join(f"{number} {word}" for word, number in states if number)
    say("faults", f"{counts.planned} planned, {said}: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}")
    for line in describe.table(_mattered_most(outcome, record)):
        click.echo(clipped(line))


def _mattered_most(outcome: Outcome, record: RunRecord) -> tuple[Fault, ...]:
    """Faults in force when the run was first seen to be wrong, or the latest before; the longest ones if it was not."""
    effective = [fault for fault in outcome.plan.faults if outcome.fault_outcomes.get(fault.id) == "effective"]
    indexes = [one.index for one in outcome.anomalies if one.signature == outcome.primary and one.index is not None]
    time_ns = _time_of(indexes[0], outcome, record) if indexes else None
    if time_ns is not None:
        begun = [fault for fault in effective if fault.begin_ns <= time_ns]
        ordered: Iterable[Fault] = sorted(begun, key=lambda fault: (fault.end_ns < time_ns, -fault.begin_ns))
    else:
        ordered = sorted(effective, key=lambda fault: fault.begin_ns - fault.end_ns)
    chosen = [fault.id for fault in ordered][:_FAULTS_SHOWN]
    return tuple(fault for fault in outcome.plan.faults if fault.id in chosen)


def _time_of(index: int, outcome: Outcome, record: RunRecord) -> int | None:
    """When the event of this index happened, by the trace in memory or in the run's folder; None without one."""
    if outcome.rows is not None:
        return outcome.rows[index][0] if index < len(outcome.rows) else None
    if record.path is None:
        return None
    from harness.archive.layout import read_trace

    times = (event["time"] for event in islice(read_trace(Path(record.path)) or (), index, None))
    return next(times, None)
