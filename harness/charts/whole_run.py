"""A whole run on one axis of time in text: who led, which faults were in force, how much was answered.

    seconds    0         2         4         6         8         10        12
    n1         |||CLLLLLLLLL      |||||||LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLL
    n2         ||||||||||||||C|LLLLL         ||||||||||||||||||||||||||||||||
    faults     112222334444555666665555666665555554443333332111111
    ok         .:-=+*##**==---...              ..::--==++
    failed at                                ^

A column is some hundredths of a second: what happened within it is told by the most telling character, a leader before
a candidate before a follower before a node that is down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from checkers.op import NEMESIS, Op
from checkers.trace import Row
from harness.plans.plan import Plan

from .drawing import Drawing, Glyphs, Style, cut, one_cell

_LABEL: Final = 12
_ACTORS_MAX: Final = 9
_DIGITS_MAX: Final = 9
_STEPS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_TICK_MIN: Final = 9
_RANKS: Final = {"leader": 3, "candidate": 2, "follower": 1, "down": 0}


def whole_run(
    rows: Sequence[Row], plan: Plan, history: Sequence[Op], failed_ns: int | None, *, width: int, glyphs: Glyphs
) -> Drawing | None:
    """Draw a run of which there is a trace; None for one in which nothing happened."""
    if not rows or rows[-1][0] <= 0:
        return None
    return _Strips(rows, plan, width, glyphs).draw(history, failed_ns)


class _Strips:
    """One row for each thing that is followed."""

    def __init__(self, rows: Sequence[Row], plan: Plan, width: int, glyphs: Glyphs) -> None:
        self._rows, self._plan, self._glyphs = rows, plan, glyphs
        self._drawing = Drawing(width)
        self._columns = width - _LABEL
        self._end_ns = int(rows[-1][0])

    def draw(self, history: Sequence[Op], failed_ns: int | None) -> Drawing:
        self._axis()
        shown = self._plan.nodes[:_ACTORS_MAX]
        roles = self._roles()
        if roles:
            for node in shown:
                self._node(node, roles.get(node, []))
            if len(self._plan.nodes) > len(shown):
                self._drawing.line((f"{len(self._plan.nodes) - len(shown)} more nodes", "dim"))
        self._faults()
        self._answers(history)
        if failed_ns is not None:
            self._failed(failed_ns)
        return self._drawing

    def _column(self, time_ns: int) -> int:
        return min(self._columns - 1, time_ns * self._columns // (self._end_ns + 1))

    def _strip(self, label: str, cells: Sequence[tuple[str, Style]]) -> None:
        row = self._drawing.line((cut(one_cell(label), _LABEL - 1), "strong"))
        for at, (character, style) in enumerate(cells):
            self._drawing.put(row, _LABEL + at, character, style)

    def _axis(self) -> None:
        seconds = self._end_ns / 1e9
        fitting = self._columns / _TICK_MIN
        step = next((step for step in _STEPS if seconds / step <= fitting), _STEPS[-1])
        row = self._drawing.line(("seconds", "dim"))
        for at in range(0, int(seconds) + 1, step):
            column = _LABEL + self._column(at * 1_000_000_000)
            if self._drawing.is_free(row, column - 1, len(str(at)) + 1):
                self._drawing.put(row, column, str(at), "dim")

    # -- nodes ----------------------------------------------------------------------------------------------------

    def _roles(self) -> Mapping[str, list[tuple[int, str]]]:
        """When each node's role changed, in nanoseconds; of several groups the highest role counts."""
        roles: dict[tuple[str, str], str] = {}
        changes: dict[str, list[tuple[int, str]]] = {}
        for row in self._rows:
            time_ns, kind, actor = row[:3]
            if kind == "role":
                roles[actor, row[3]] = row[4]
            elif kind in ("crash", "stop", "refuse"):
                for group in [group for name, group in roles if name == actor]:
                    roles[actor, group] = "down"
            else:
                continue
            had = [role for (name, _), role in roles.items() if name == actor]
            if had:
                highest = max(had, key=lambda role: _RANKS.get(role, 1))
                changes.setdefault(actor, []).append((time_ns, highest))
        return changes

    def _node(self, node: str, changes: Sequence[tuple[int, str]]) -> None:
        ranks = [-1] * self._columns
        ends = [*(time_ns for time_ns, _ in changes[1:]), self._end_ns]
        for (begin_ns, role), end_ns in zip(changes, ends, strict=False):
            for column in range(self._column(begin_ns), self._column(end_ns) + 1):
                ranks[column] = max(ranks[column], _RANKS.get(role, 1))
        glyphs = self._glyphs
        cells: dict[int, tuple[str, Style]] = {
            3: (glyphs.lead_flat, "good"), 2: (glyphs.stand, "warning"), 1: (glyphs.line, "dim"), 0: (glyphs.down, ""),
            -1: (" ", ""),
        }  # fmt: skip
        self._strip(node, [cells[rank] for rank in ranks])

    # -- faults, answers, failure ---------------------------------------------------------------------------------

    def _faults(self) -> None:
        """How many faults were in force in each column."""
        began: dict[str, int] = {}
        counts = [0] * self._columns
        for row in self._rows:
            if row[1] == "fault-begin":
                began[row[3]] = self._column(row[0])
            elif row[1] == "fault-end" and row[3] in began:
                for column in range(began.pop(row[3]), self._column(row[0]) + 1):
                    counts[column] += 1
        for first in began.values():
            for column in range(first, self._columns):
                counts[column] += 1
        if any(counts):
            shown = [str(count) if count <= _DIGITS_MAX else "+" for count in counts]
            self._strip("faults", [(" " if text == "0" else text, "warning") for text in shown])

    def _answers(self, history: Sequence[Op]) -> None:
        """How many operations ended well in each column, beside the busiest one."""
        counts = [0] * self._columns
        for op in history:
            if op.type == "ok" and op.process != NEMESIS:
                counts[self._column(op.time)] += 1
        most = max(counts)
        if not most:
            self._drawing.line((f"{'ok':<{_LABEL}}", "strong"), ("no operation was answered", "wrong"))
            return
        ramp = self._glyphs.ramp
        self._strip("ok", [(ramp[-(-count * (len(ramp) - 1) // most)], "good") for count in counts])

    def _failed(self, failed_ns: int) -> None:
        text = f"wrong at {failed_ns / 1e9:.3f} s"
        column = _LABEL + self._column(failed_ns)
        row = self._drawing.row()
        before = column - len(text) - 1
        self._drawing.put(row, column, self._glyphs.mark, "wrong")
        fits = column + len(text) + 2 <= self._drawing.width
        self._drawing.put(row, column + 2 if fits else before, text, "wrong")
