"""A verdict for people: the line that says it, and every anomaly with its counterexample."""

from __future__ import annotations

from typing import Protocol

import click

from harness.judged import JudgedAnomaly

from .printing import coloured, say, wrapped


class Judged(Protocol):
    """What has a verdict: the record of a run, or the report on a history."""

    @property
    def verdict(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def anomalies(self) -> tuple[JudgedAnomaly, ...]: ...


def print_verdict(judged: Judged, *, plan_class: str = "", headed: bool = True) -> None:
    """Print the verdict with every anomaly's counterexample; `headed` unset: its line stands there already."""
    if headed:
        print_verdict_line(judged, plan_class)
    for anomaly in judged.anomalies:
        click.echo()
        print_anomaly(anomaly, None)
    if judged.anomalies:
        click.echo()


def print_heading(verdict: str, plan_class: str = "") -> None:
    """Print the line that says the verdict."""
    say("verdict", f"{coloured(verdict)}{f' ({plan_class} plan)' if plan_class else ''}")


def print_verdict_line(judged: Judged, plan_class: str) -> None:
    """Print the line that says the verdict, and the reason of one that is unknown."""
    print_heading(judged.verdict, plan_class)
    if judged.reason:
        say("", judged.reason)


def print_anomaly(anomaly: JudgedAnomaly, lines_max: int | None) -> None:
    """Print an anomaly with the first lines of its counterexample."""
    allowed = ", allowed: a broken assumption of this plan explains it" if anomaly.allowed else ""
    where = "" if anomaly.index is None else f" at index {anomaly.index}"
    click.echo(f"{coloured('invalid')}: {anomaly.signature}{where}{allowed}")
    lines = [part for line in anomaly.message.splitlines() for part in wrapped(line, indent="    ")]
    for line in lines[:lines_max]:
        click.echo(line.rstrip())
    if lines_max is not None and len(lines) > lines_max:
        click.echo(f"    ... {len(lines) - lines_max} more lines with --verbose, and in verdict.json")
