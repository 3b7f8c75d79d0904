"""A verdict for people: the line that says it, and every anomaly with its counterexample."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

import click

from harness.judged import JudgedAnomaly

from .printing import coloured, glyphs, labelled, print_drawing, prose_width, say, wrapped

if TYPE_CHECKING:
    from harness.charts.intervals import TimeOf


class Judged(Protocol):
    """What has a verdict: the record of a run, or the report on a history."""

    @property
    def verdict(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def anomalies(self) -> tuple[JudgedAnomaly, ...]: ...


def print_verdict(
    judged: Judged, *, plan_class: str = "", headed: bool = True, time_of: TimeOf = lambda _: None
) -> None:
    """Print the verdict with every anomaly's counterexample; `headed` unset: its line stands there already.

    `time_of` gives the times of indexes, where they are known.
    """
    if headed:
        print_verdict_line(judged, plan_class)
    for anomaly in judged.anomalies:
        click.echo()
        print_anomaly(anomaly, time_of)
    if judged.anomalies:
        click.echo()


def print_heading(verdict: str, plan_class: str = "") -> None:
    """Print the line that says the verdict."""
    say("verdict", _verdict(verdict, plan_class))


def _verdict(verdict: str, plan_class: str) -> str:
    return f"{coloured(verdict)}{f' ({plan_class} plan)' if plan_class else ''}"


def print_verdict_line(judged: Judged, plan_class: str) -> None:
    """Print the line that says the verdict, and the reason of one that is unknown."""
    for line in verdict_lines(judged, plan_class):
        click.echo(line)


def verdict_lines(judged: Judged, plan_class: str) -> list[str]:
    """The lines that `print_verdict_line` prints."""
    reason = labelled("", judged.reason) if judged.reason else []
    return [*labelled("verdict", _verdict(judged.verdict, plan_class)), *reason]


def print_anomaly(anomaly: JudgedAnomaly, time_of: TimeOf) -> None:
    """Print an anomaly: what it is, its first sentence, its picture, and all else that is said of it."""
    from harness.charts.picture import counterexample

    for line in [*title(anomaly), *headline(anomaly)]:
        click.echo(line)
    drawing = counterexample(anomaly, picture_width(), glyphs(), time_of)
    if drawing is not None:
        click.echo()
        print_drawing(drawing, indent=INDENT)
        click.echo()
    for line in said_below(anomaly):
        click.echo(line)


INDENT: Final = "    "
_PICTURE_MAX: Final = 120
"""Wider pictures are not easier to read."""


def picture_width() -> int:
    """Columns that an indented picture may take."""
    return min(prose_width(), _PICTURE_MAX) - len(INDENT)


def title(anomaly: JudgedAnomaly) -> list[str]:
    """The line that names an anomaly and where it is, and what becomes of one that is allowed."""
    where = "" if anomaly.index is None else f" at index {anomaly.index}"
    allowed = ["allowed: a broken assumption of this plan explains it"] if anomaly.allowed else []
    return [f"{coloured('invalid')}: {anomaly.signature}{where}", *_indented(allowed)]


def headline(anomaly: JudgedAnomaly) -> list[str]:
    """The first sentence of an anomaly."""
    return _indented(anomaly.message.splitlines()[:1])


def said_below(anomaly: JudgedAnomaly) -> list[str]:
    """What is said of an anomaly below its first sentence."""
    return _indented(anomaly.message.splitlines()[1:])


def _indented(lines: Iterable[str]) -> list[str]:
    return [part.rstrip() for line in lines for part in wrapped(one_line(line), indent=INDENT)]


def one_line(text: str) -> str:
    """A line of a history by other people, without what could steer a terminal."""
    from harness.reports.texts import plain

    return plain(text, length_max=len(text))
