"""A cycle of transactions in text: each must come before the next, and the last before the first.

    T10   process 1, 10..14   append x 1, r y []
     |  rw   T10 read y as [], before T12 appended 2
     v
    T12   process 2, 11..15   append y 2, r x []
     |  rw   T12 read x as [], before T10 appended 1
     v
    T10   again

Above it stand the transactions as bars on the axis of indexes, where the evidence says when they ran: an order in real
time is seen there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

from harness.reports.selection import steps_of, transactions

from .drawing import Drawing, Glyphs, Span, cut, one_cell
from .intervals import TimeOf, bars

_STEPS_MAX: Final = 8
_REASON_LINES: Final = 2
_TYPE_MAX: Final = 9


def cycle(
    evidence: Mapping[str, Any], width: int, glyphs: Glyphs, time_of: TimeOf, *, is_short: bool = False
) -> Drawing | None:
    """Draw the cycle of a transaction anomaly; None where its evidence has none. A short drawing has no bars."""
    steps = steps_of(evidence)
    if len(steps) < 2:
        return None
    shown = {one.name: one for one in transactions(evidence)}
    drawn = None if is_short else bars(list(shown.values()), width, glyphs, time_of)
    drawing = drawn or Drawing(width)
    if drawing.height:
        drawing.row()
    left = max(map(len, shown))
    kinds = min(_TYPE_MAX, max(len(str(step.get("type", ""))) for step in steps))
    for step in steps[:_STEPS_MAX]:
        name = one_cell(str(step["source"]))
        one = shown.get(str(step["source"]))
        drawing.line(*_transaction(name, one, left, width))
        kind, reason = str(step.get("type", "")), one_cell(str(step.get("because", "")))
        lines = textwrap.wrap(reason, width - left - kinds - 6)[:_REASON_LINES] or [""]
        for number, line in enumerate(lines):
            sign = glyphs.step if number < len(lines) - 1 or len(lines) == 1 else glyphs.step_end
            label = kind if number == 0 else ""
            drawing.line(
                (f" {sign:<{left}} ", "dim"), (f"{cut(one_cell(label), kinds):<{kinds}}", "warning"), (f"  {line}", "")
            )
        if len(lines) == 1:
            drawing.line((f" {glyphs.step_end}", "dim"))
    more = len(steps) - _STEPS_MAX
    if more > 0:
        drawing.line((f"... {more} more steps, the last of which leads back to the first", "dim"))
    else:
        last = one_cell(str(steps[-1]["target"]))
        again = "again: it would have to come before itself" if last == str(steps[0]["source"]) else ""
        drawing.line((f"{last:<{left}}  ", "strong"), (again, "wrong"))
    return drawing


def _transaction(name: str, one: Any, left: int, width: int) -> tuple[Span, ...]:
    if one is None or one.call is None:
        return ((name, "strong"),)
    when = f"{one.call}..{'?' if one.ret is None else one.ret}"
    place = f"  process {one.process}, {when}  "
    return (f"{name:<{left}}", "strong"), (place, "dim"), (cut(one_cell(one.text), width - left - len(place)), "")
