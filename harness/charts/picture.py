"""The picture of one anomaly, whatever it is: its operations as intervals, its transactions as a cycle, or none."""

from __future__ import annotations

from collections.abc import Sequence

from checkers.trace import Row
from harness.judged import JudgedAnomaly
from harness.reports import selection

from .cycle import cycle
from .drawing import Drawing, Glyphs
from .intervals import TimeOf, intervals
from .spacetime import Focus


def counterexample(
    anomaly: JudgedAnomaly, width: int, glyphs: Glyphs, time_of: TimeOf, *, is_short: bool = False
) -> Drawing | None:
    """Draw what an anomaly shows; None where that is neither operations that contradict each other nor a cycle."""
    evidence = selection.evidence_of(anomaly)
    drawn = intervals(evidence, width, glyphs, time_of, is_short=is_short)
    return drawn or cycle(evidence, width, glyphs, time_of, is_short=is_short)


def focus_of(anomaly: JudgedAnomaly, rows: Sequence[Row]) -> Focus:
    """Where in a run to look for the reasons of an anomaly; its end, where it has no place of its own."""
    evidence = selection.evidence_of(anomaly)
    actor, call = evidence.get("actor"), evidence.get("call")
    index = len(rows) - 1 if anomaly.index is None else anomaly.index
    own = [(call, index)] if isinstance(call, int) else []
    return Focus(
        index=index,
        calls=(*selection.calls(evidence), *own),
        actors=(actor,) if isinstance(actor, str) else (),
    )


def time_by(rows: Sequence[Row] | None) -> TimeOf:
    """The times of indexes, from the rows of a trace, if there is one."""

    def time_of(index: int) -> int | None:
        return int(rows[index][0]) if rows is not None and 0 <= index < len(rows) else None

    return time_of
