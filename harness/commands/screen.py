"""What a run means, for people: a screen of it, or with `--verbose` everything.

The words are those of the JSON document. The plan goes before the run, so that a long run shows what it is busy with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import click
import msgspec

from checkers.trace import Row
from harness.charts.drawing import Drawing
from harness.charts.fault_table import fault_table
from harness.charts.intervals import TimeOf
from harness.charts.picture import counterexample, focus_of, time_by
from harness.charts.spacetime import spacetime
from harness.charts.whole_run import whole_run
from harness.faults.fault import Fault
from harness.judged import JudgedAnomaly
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.record import RunRecord
from harness.reports.page import Subject
from harness.reports.written import read_rows

from .printing import TOGETHER, drawn, glyphs, labelled, print_drawing, prose_width, screen_height, wrapped
from .verdicts import INDENT, headline, picture_width, print_verdict, said_below, title, verdict_lines

_FAULTS_SHOWN: Final = 3
_MESSAGE_LINES: Final = 3
"""Lines of a counterexample, where its picture has no room."""
_MESSAGES_SHOWN: Final = 16
_MESSAGES_VERBOSE: Final = 30
_MESSAGES_MIN: Final = 7
"""Lines of the messages around a failure: on a screen, with `--verbose`, and the fewest that say anything."""
_UNBOUNDED: Final = 1_000
"""Lines where no terminal says how many it has: as many as the pictures need."""


def print_plan(plan: Plan, *, verbose: bool) -> int:
    """Print what is about to run: in six lines, or with every fault. Returns how many lines of the screen that took."""
    from harness.plans import describe

    count = 0
    for line in describe.lines(plan) if verbose else describe.summary(plan):
        label, _, text = line.partition(" ")
        lines = labelled(label, text.lstrip()) if label else wrapped(line, indent="")
        click.echo("\n".join(lines))
        count += len(lines)
    return count


def print_run(
    outcome: Outcome,
    record: RunRecord,
    reproduce: str,
    *,
    verbose: bool,
    more: Sequence[tuple[str, str]] = (),
    has_pictures: bool = True,
    lines_above: int = 0,
    rows: Sequence[Row] | None = None,
) -> None:
    """Print how a run went: faults, verdict, pictures of a failure, counters, and how to have it again.

    `more` are labelled lines to copy that stand at the end. On a terminal that is low, there are fewer pictures;
    `lines_above` of it are taken. `rows` are the trace, where it was read already.
    """
    ops = record.ops
    recovery = "" if record.recovery_ms is None else f"; first ok {record.recovery_ms:.0f} ms after the heal"
    simulated, wall = record.simulated_seconds, record.wall_seconds
    factor = simulated / max(wall, 1e-9)
    end = [
        *labelled("ops", f"{ops.ok} ok, {ops.fail} fail, {ops.info} info{recovery}"),
        *labelled(
            "time",
            f"{simulated:.2f} s simulated in {wall:.2f} s ({factor:.0f} times real time); {record.messages} messages",
        ),
        *labelled("fingerprint", record.fingerprint),
        *([] if record.path is None else labelled("run", record.path, whole=True)),
        *(line for label, text in (("reproduce", reproduce), *more) for line in labelled(label, text, whole=True)),
    ]
    screen = _Screen(_subject(outcome, record, rows), plan_class=record.plan_class, has_pictures=has_pictures)
    screen.print(end, verbose=verbose, lines_above=lines_above)


def print_live_run(
    outcome: Outcome,
    record: RunRecord,
    reproduce: str,
    *,
    verbose: bool,
    more: Sequence[tuple[str, str]] = (),
    lines_above: int = 0,
) -> None:
    """Print how a run of real processes went. What a node did wrong is printed with all it said."""
    ops = record.ops
    told = (f"{count} {name}" for name, count in record.marks.items() if count and (verbose or not is_coverage(name)))
    marks = ", ".join(told)
    end = [
        *labelled("ops", f"{ops.ok} ok, {ops.fail} fail, {ops.info} info"),
        *labelled("messages", f"{record.messages}{f': {marks}' if marks else ''}"),
        *labelled("time", f"{record.wall_seconds:.1f} s live: no two runs are alike, also of one seed"),
        *([] if record.path is None else labelled("run", record.path, whole=True)),
        *(line for label, text in (("reproduce", reproduce), *more) for line in labelled(label, text, whole=True)),
    ]
    says_all = verbose or (record.primary or "").startswith("node/")
    _Screen(_subject(outcome, record), plan_class="").print(end, verbose=says_all, lines_above=lines_above)


def is_coverage(name: str) -> bool:
    """Whether a mark is a rare situation that was reached, `subject: what`, and not a count of the network."""
    return ": " in name


def print_stored(subject: Subject) -> None:
    """Print a stored run as text: the plan in short, and everything that its page draws."""
    print_plan(subject.plan, verbose=False)
    record = subject.record
    end = labelled("run", record.path or "", whole=True) if record.path else []
    end += [line for label, text in subject.commands for line in labelled(label, text, whole=True)]
    _Screen(subject, plan_class=record.plan_class).print(end, verbose=True)


def _subject(outcome: Outcome, record: RunRecord, rows: Sequence[Row] | None = None) -> Subject:
    """A run that has just ended. Where its trace went to disk at once, it is read for the pictures of a failure."""
    whole = msgspec.structs.replace(record, anomalies=outcome.anomalies)
    rows = outcome.rows if rows is None else rows
    if rows is None and record.path is not None and record.verdict == "invalid":
        rows = read_rows(Path(record.path))
    return Subject(plan=outcome.plan, record=whole, history=outcome.history, rows=rows, commands=())


def print_counterexample(label: str, anomalies: Iterable[JudgedAnomaly], signature: str, time_of: TimeOf) -> None:
    """Print the picture of the first anomaly of this signature, or its first sentence; nothing where there is none."""
    anomaly = next((one for one in anomalies if one.signature == signature), None)
    if anomaly is None:
        return
    drawing = counterexample(anomaly, picture_width(), glyphs(), time_of)
    click.echo("\n".join([label, *headline(anomaly), *(["", *_lines(drawing, len(INDENT)), ""] if drawing else [])]))


class _Screen:
    """What stands on the screen after a run, in as many lines as it has."""

    def __init__(self, subject: Subject, *, plan_class: str, has_pictures: bool = True) -> None:
        self._plan, self._record, self._rows = subject.plan, subject.record, subject.rows
        self._history = subject.history
        self._plan_class, self._has_pictures = plan_class, has_pictures
        chosen = (one for one in self._record.anomalies if one.signature == self._record.failure_signature)
        self._anomaly = next(chosen, None)

    def print(self, end: Sequence[str], *, verbose: bool, lines_above: int = 0) -> None:
        """Print it, with these lines at the end."""
        if verbose:
            self._print_all(end)
            return
        height, width = screen_height(), prose_width()
        copied = sum(-(-len(line) // width) for line in end)  # a terminal breaks what is longer
        room = _UNBOUNDED if height is None else height - lines_above - copied
        click.echo("\n".join([*self._within(room), *end]))

    def _print_all(self, end: Sequence[str]) -> None:
        click.echo("\n".join([*self._fault_lines(), *_lines(self._faults(None), 0), ""]))
        print_verdict(self._record, plan_class=self._plan_class, time_of=time_by(self._rows))
        if self._is_wrong:
            for drawing in (self._whole_run, self._messages(_MESSAGES_VERBOSE)):
                if drawing is not None:
                    print_drawing(drawing)
                    click.echo()
        click.echo("\n".join(end))

    def _within(self, room: int) -> list[str]:
        """The faults, those that mattered, the verdict, and pictures below it, as far as there is room."""
        faults, verdict = self._fault_lines(), self._verdict_lines()
        room -= len(verdict) + 1
        if not self._is_wrong or self._anomaly is None:
            rows = self._rows_of_faults(room - len(faults))
            return [*faults, *rows, "", *verdict]
        also = self._also()
        room -= len(also)
        below = self._picture(room - len(faults))
        if below is None:
            short = self._fault_lines(has_kinds=False)
            below = self._picture(room - len(short))
            faults = faults if below is None else short
        room -= len(faults)
        if below is None:
            below = self._words(room)
        room -= len(below)
        rows = self._rows_of_faults(room)
        room -= len(rows)
        messages = self._messages(min(_MESSAGES_SHOWN, room - 2)) if room > _MESSAGES_MIN else None
        between = [] if below and not below[-1] and not also else [""]
        shown = [*between, *_lines(messages, 0), ""] if messages is not None else []
        return [*faults, *rows, "", *verdict, *below, *also, *shown]

    def _rows_of_faults(self, room: int) -> list[str]:
        table = self._faults(_FAULTS_SHOWN)
        return _lines(table, 0) if table is not None and table.height <= room else []

    @property
    def _is_wrong(self) -> bool:
        return self._record.verdict == "invalid" and self._has_pictures

    # -- words ----------------------------------------------------------------------------------------------------

    def _fault_lines(self, *, has_kinds: bool = True) -> list[str]:
        """How many faults there were, and of which kinds."""
        counts, kinds = self._record.faults, Counter(fault.kind for fault in self._plan.faults)
        if not counts.planned:
            return labelled("faults", "none")
        states = (("effective", counts.effective), ("no-target", counts.no_target), ("no-effect", counts.no_effect))
        said = ", ".join(f"{number}{TOGETHER}{word}" for word, number in states if number)
        listed = ", ".join(f"{n}{TOGETHER}{kind}" for kind, n in kinds.most_common())
        return labelled("faults", f"{counts.planned} planned, {said}{f': {listed}' if has_kinds else ''}")

    def _verdict_lines(self) -> list[str]:
        lines = [*verdict_lines(self._record, self._plan_class)]
        if self._anomaly is not None:
            lines += [*title(self._anomaly), *headline(self._anomaly)]
        return lines

    def _also(self) -> list[str]:
        others = Counter(_named(one) for one in self._record.anomalies if one is not self._anomaly)
        listed = (f"{name}, {times} times" if times > 1 else name for name, times in others.items())
        return labelled("also", "; ".join(listed)) if others else []

    # -- pictures -------------------------------------------------------------------------------------------------

    def _picture(self, room: int) -> list[str] | None:
        """The picture of the anomaly, or of the whole run where it has none; None where neither has room."""
        assert self._anomaly is not None
        for is_short in (False, True):
            drawing = counterexample(self._anomaly, picture_width(), glyphs(), time_by(self._rows), is_short=is_short)
            if drawing is None:
                drawing = self._whole_run
            space = 0 if is_short else 2
            if drawing is not None and drawing.height + space <= room:
                lines = _lines(drawing, len(INDENT))
                return lines if is_short else ["", *lines, ""]
        return None

    def _words(self, room: int) -> list[str]:
        """What else is said of the anomaly, as far as there is room."""
        assert self._anomaly is not None
        said = said_below(self._anomaly)
        if len(said) <= room:
            return said
        shown = said[: max(0, min(_MESSAGE_LINES, room - 1))]
        return [*shown, f"    ... {len(said) - len(shown)} more lines with --verbose, and in verdict.json"]

    @cached_property
    def _whole_run(self) -> Drawing | None:
        if self._rows is None:
            return None
        index = None if self._anomaly is None else self._anomaly.index
        failed_ns = None if index is None else time_by(self._rows)(index)
        return whole_run(self._rows, self._plan, self._history, failed_ns, width=picture_width(), glyphs=glyphs())

    def _messages(self, lines_max: int) -> Drawing | None:
        if self._rows is None or self._anomaly is None:
            return None
        focus = focus_of(self._anomaly, self._rows)
        width = picture_width() + len(INDENT)
        return spacetime(self._rows, self._plan, focus, width=width, lines_max=lines_max, glyphs=glyphs())

    def _faults(self, count: int | None) -> Drawing | None:
        """The table of the faults that mattered most, or of all."""
        plan = self._plan
        if not plan.faults:
            return None
        chosen = plan.faults if count is None else _mattered_most(plan, self._record, self._rows, count)
        only = {fault.id for fault in chosen}
        width = picture_width() + len(INDENT)
        return fault_table(plan, self._record, self._rows, width=width, only=only) if only else None


def _lines(drawing: Drawing | None, indent: int) -> list[str]:
    return [] if drawing is None else [" " * indent + line for line in drawn(drawing)]


def _named(anomaly: JudgedAnomaly) -> str:
    return f"{anomaly.signature} (allowed)" if anomaly.allowed else anomaly.signature


def _mattered_most(plan: Plan, record: RunRecord, rows: Sequence[Row] | None, count: int) -> tuple[Fault, ...]:
    """Faults in force when the run was first seen to be wrong, or the latest before; the longest ones if it was not."""
    effective = [fault for fault in plan.faults if record.fault_outcomes.get(fault.id) == "effective"]
    indexes = [one.index for one in record.anomalies if one.signature == record.primary and one.index is not None]
    time_ns = time_by(rows)(indexes[0]) if indexes else None
    if time_ns is not None:
        begun = [fault for fault in effective if fault.begin_ns <= time_ns]
        ordered: Iterable[Fault] = sorted(begun, key=lambda fault: (fault.end_ns < time_ns, -fault.begin_ns))
    else:
        ordered = sorted(effective, key=lambda fault: fault.begin_ns - fault.end_ns)
    chosen = [fault.id for fault in ordered][:count]
    return tuple(fault for fault in plan.faults if fault.id in chosen)
