"""A counterexample as intervals in text: a row for each process, a bar for each operation, and the states between.

    index        2538        2706         3717          3971  4181          4538
    process 2    [write 95---]
    process 4    [write 83~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~?
    process 7                             [read -> 83---]     [=read -> 95==]
                                                               ^ fits no order
    possible     null        95 or 83                   83                  none

On the axis stand the calls and returns of these operations in the order of their indexes and not in proportion to
time, for the order alone decides; the time of each is written beside it where it is known.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from harness.reports.selection import Selection, Shown, Transaction, select

from .drawing import Drawing, Glyphs, Style, cut, cut_inside, one_cell

TimeOf = Callable[[int], int | None]
"""The time of an index, in nanoseconds, if it is known."""

_LABEL: Final = 12
_WAYS: Final = tuple((text_max, gap) for text_max in (48, 32, 24, 18, 14) for gap in (10, 8, 6, 4, 2))
"""How long texts in bars may be and how far instants are apart; the first way that fits is taken."""
_GAPS: Final = (3, 2, 1)
"""Then bars have letters, which are explained below."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SELECTED_MAX: Final = 10_000
_OPERATIONS_MAX: Final = 40
_ROWS_MAX: Final = 10
_STATES_SHOWN: Final = 3
_HELPERS_MAX: Final = 3
"""More operations than these that are needed, whenever they took effect, are told and not drawn."""
_EXPLAINED_MAX: Final = 6
_NEEDED_LINES: Final = 3


class _Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where things stand: columns of calls and returns, and the texts in the bars by the index of their call."""

    columns: dict[int, int]
    end: int
    texts: dict[int, str]


def intervals(
    evidence: Mapping[str, Any], width: int, glyphs: Glyphs, time_of: TimeOf, *, is_short: bool = False
) -> Drawing | None:
    """Draw the operations of a linearizability anomaly; None where its evidence has none that contradict each other.

    A short drawing has no row of times, and says in one row with the operation that it fits no order.
    """
    if not evidence.get("minimal_history"):
        return None
    selection = select(evidence, _SELECTED_MAX)
    if selection is None:
        return None
    helpers = [one for one in selection.operations if one.role == "helper"]
    if len(helpers) > _HELPERS_MAX:
        shown = tuple(one for one in selection.operations if one.role != "helper")
        selection = msgspec.structs.replace(selection, operations=shown)
    operations, left_out = _of_few_processes(selection)
    chart = _Chart(operations, width, glyphs, (lambda _: None) if is_short else time_of)
    chart.axis()
    for process in sorted({one.process for one in chart.operations}):
        chart.process(process, is_short=is_short)
    chart.states(selection)
    chart.explain(selection, left_out + len(operations) - len(chart.operations))
    if len(helpers) > _HELPERS_MAX:
        chart.add_needed([_asked(one) for one in helpers])
    return chart.drawing


def bars(transactions: Sequence[Transaction], width: int, glyphs: Glyphs, time_of: TimeOf) -> Drawing | None:
    """Draw transactions as bars with their names; None where the evidence does not say when they ran."""
    operations = [
        Shown(text=one.name, process=one.process, role="kept", call=one.call, ret=one.ret)
        for one in transactions
        if one.call is not None and one.process is not None
    ]
    if len(operations) < 2:
        return None
    chart = _Chart(sorted(operations, key=lambda one: one.call), width, glyphs, time_of)
    chart.axis()
    for process in sorted({one.process for one in chart.operations}):
        chart.process(process)
    return chart.drawing


def _of_few_processes(selection: Selection) -> tuple[Sequence[Shown], int]:
    """The operations of the processes that were active last, and how many others there are."""
    processes = list(dict.fromkeys(one.process for one in reversed(selection.operations)))[:_ROWS_MAX]
    kept = [one for one in selection.operations if one.process in processes][-_OPERATIONS_MAX:]
    return kept, selection.left_out + len(selection.operations) - len(kept)


class _Chart:
    """Draws row after row."""

    def __init__(self, operations: Sequence[Shown], width: int, glyphs: Glyphs, time_of: TimeOf) -> None:
        self.drawing = Drawing(width)
        self.operations = operations
        self._glyphs, self._time_of = glyphs, time_of
        longest = max(len(str(one.process)) for one in operations)
        self._left = max(_LABEL, len("process ") + longest + 1)
        self._layout = self._fit(width)
        self._notes: list[str] = []

    def _fit(self, width: int) -> _Layout:
        texts = {one.call: _asked(one) for one in self.operations}
        for text_max, gap in _WAYS:
            layout = self._place({call: cut_inside(text, text_max) for call, text in texts.items()}, gap)
            if layout.end < width:
                return layout
        while True:
            letters = {one.call: letter for one, letter in zip(self.operations, _LETTERS, strict=False)}
            for gap in _GAPS:
                layout = self._place(letters, gap)
                if layout.end < width or len(self.operations) == 1:
                    return layout
            self.operations = self.operations[1:]

    def _place(self, texts: Mapping[int, str], gap: int) -> _Layout:
        """Place calls and returns from left to right so that each text fits into its bar."""
        ends = {one.ret: one for one in self.operations if one.ret is not None}
        columns: dict[int, int] = {}
        column = self._left
        for instant in sorted({one.call for one in self.operations} | ends.keys()):
            if instant in ends:
                call = ends[instant].call
                column = max(column, columns[call] + len(texts[call]) + 1)
            columns[instant] = column
            column += gap
        open_ends = [columns[one.call] + len(texts[one.call]) + 4 for one in self.operations if one.ret is None]
        return _Layout(columns=columns, end=max([column - gap + 1, *open_ends]), texts=dict(texts))

    # -- rows -----------------------------------------------------------------------------------------------------

    def axis(self) -> None:
        """The indexes of calls and returns, as many as have room, and their times."""
        drawing, columns = self.drawing, self._layout.columns
        row = drawing.line(("index", "dim"))
        blocked = next((one for one in self.operations if one.role == "blocked"), self.operations[-1])
        first = [at for at in (blocked.ret, blocked.call) if at is not None]
        order = [*first, *sorted(at for at in columns.keys() - set(first) if at >= 0)]
        shown = [at for at in order if self._mark(row, columns[at], str(at))]
        times = {at: time_ns for at in shown if (time_ns := self._time_of(at)) is not None}
        if len(times) < len(shown):
            return
        row = drawing.line(("seconds", "dim"))
        for at in shown:
            self._mark(row, columns[at], f"{times[at] / 1e9:.3f}")

    def _mark(self, row: int, column: int, text: str) -> bool:
        """Write at a column, or a little before it at the right edge, if there is room."""
        column = min(column, self.drawing.width - len(text))
        before = 1 if column > self._left else 0
        if not self.drawing.is_free(row, column - before, len(text) + before):
            return False
        after = column + len(text)
        if after < self.drawing.width and not self.drawing.is_free(row, after, 1):
            return False
        self.drawing.put(row, column, text, "dim")
        return True

    def process(self, process: int, *, is_short: bool = False) -> None:
        """The row of a process, and below it which of its operations fits no order."""
        drawing, columns = self.drawing, self._layout.columns
        row = drawing.line((f"process {process}", "strong"))
        mine = [one for one in self.operations if one.process == process]
        for one in mine:
            self._bar(row, one)
        for one in mine:
            if one.role == "blocked" and not is_short:
                below, text = drawing.row(), f"{self._glyphs.mark} fits no order"
                drawing.put(below, min(columns[one.call] + 1, drawing.width - len(text)), text, "wrong")
            elif one.role == "blocked" and one.ret is not None:
                text = "fits no order"
                if drawing.is_free(row, columns[one.ret] + 2, len(text)):
                    drawing.put(row, columns[one.ret] + 2, text, "wrong")

    def _bar(self, row: int, one: Shown) -> None:
        drawing, glyphs, columns = self.drawing, self._glyphs, self._layout.columns
        begin = columns[one.call]
        end = self._layout.end - 1 if one.ret is None else columns[one.ret]
        ways: dict[str, tuple[Style, str]] = {
            "blocked": ("wrong", glyphs.wrong), "helper": ("dim", glyphs.loose), "placed": ("dim", glyphs.bar),
        }  # fmt: skip
        style, line = ways.get(one.role, ("", glyphs.bar))
        drawing.put(row, begin, glyphs.begin + line * (end - begin - 1), style)
        drawing.put(row, end, glyphs.unknown if one.ret is None else glyphs.end, style)
        drawing.put(row, begin + 1, self._layout.texts[one.call], style)

    def states(self, selection: Selection) -> None:
        """Which states were possible between the returns: in a row, or with numbers of lines below."""
        drawing, columns = self.drawing, self._layout.columns
        blocked = next((one for one in self.operations if one.role == "blocked"), None)
        moments = [moment for moment in selection.moments if moment.ret in columns]
        texts = [_states(moment.states, moment.more) for moment in moments]
        places = [columns[moment.ret] for moment in moments]
        if selection.starts:
            texts.insert(0, _states(selection.starts, 0))
            places.insert(0, self._left)
        if blocked is not None and blocked.ret in columns:
            texts.append("none")
            places.append(min(columns[blocked.ret], drawing.width - 4))
        if not texts:
            return
        row = drawing.line(("possible", "strong"))
        ends = [*places[1:], drawing.width + 1]
        for place, end, text in zip(places, ends, texts, strict=True):
            fits = len(text) < end - place
            if not fits:
                self._notes.append(text)
            drawing.put(row, place, text if fits else f"({len(self._notes)})", "wrong" if text == "none" else "")

    def explain(self, selection: Selection, left_out: int) -> None:
        """What did not fit into the chart."""
        drawing = self.drawing
        for number, text in enumerate(self._notes, 1):
            drawing.line((f"  ({number}) {cut(text, drawing.width - 8)}", ""))
        shortened = [one for one in self.operations if self._layout.texts[one.call] != _asked(one)]
        for one in shortened[:_EXPLAINED_MAX] if len(shortened) > _EXPLAINED_MAX + 1 else shortened:
            short, full = self._layout.texts[one.call], _asked(one)
            name = short if short in _LETTERS else f"process {one.process}"
            drawing.line((f"  {name}  {cut_inside(full, drawing.width - len(name) - 5)}", ""))
        if len(shortened) > _EXPLAINED_MAX + 1:
            drawing.line((f"  and {len(shortened) - _EXPLAINED_MAX} more", "dim"))
        if selection.since is not None:
            drawing.line((f"  from index {selection.since} on, where the state was known", "dim"))
        if left_out:
            drawing.line((f"  {left_out} earlier operations that belong to it are left out", "dim"))

    def add_needed(self, texts: Sequence[str]) -> None:
        """Operations that are needed, whenever they took effect."""
        counts = Counter(texts)
        told = [text if count == 1 else f"{count} x {text}" for text, count in counts.most_common()]
        text = f"they need others, whenever those took effect: {', '.join(told)}"
        lines = textwrap.wrap(text, self.drawing.width - 2)
        for line in lines[:_NEEDED_LINES]:
            self.drawing.line((f"  {line}", "dim"))


def _asked(one: Shown) -> str:
    """What was asked for; that its outcome is unknown is seen at the end of its bar."""
    return one_cell(one.text).removesuffix(" -> ?")


def _states(states: Sequence[str], more: int) -> str:
    more += max(0, len(states) - _STATES_SHOWN)
    told = [one_cell(state) for state in states[:_STATES_SHOWN]]
    return " or ".join([*told, *([f"{more} more"] if more else [])]) or "none"
