"""A history as a picture in text: one lane a process, time from left to right.

    process 0   |- write 1 -|        |--- read -> 1 ---|
    process 1         |--- write 2 ---|

What counts is the order in which operations begin and end, so the picture is drawn in steps of that order and not of
clocks. An operation that is not known to have ended goes on to the right margin and ends in `>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def draw(operations: Sequence[Mapping[str, Any]]) -> str:
    """Draw operations as the evidence of an anomaly shows them: with `process`, `call`, `ret` and `text`."""
    ends = {end for one in operations for end in (one["call"], one["ret"]) if end is not None}
    step = {end: number for number, end in enumerate(sorted(ends))}
    last = len(step)
    spans = [(step[one["call"]], last if one["ret"] is None else step[one["ret"]]) for one in operations]
    width = max(
        (-(-(len(one["text"]) + 5) // (end - begin)) for one, (begin, end) in zip(operations, spans)), default=0
    )
    lanes: dict[Any, str] = {}
    for one, (begin, end) in sorted(zip(operations, spans), key=lambda item: item[1]):
        inner = f" {one['text']} ".center((end - begin) * width - 1, "-")
        bar = f"|{inner}{'>' if one['ret'] is None else '|'}"
        before = lanes.get(one["process"], "")
        lanes[one["process"]] = before[: begin * width].ljust(begin * width) + bar
    margin = max((len(str(process)) for process in lanes), default=0)
    rows = sorted(lanes.items(), key=lambda lane: str(lane[0]).rjust(margin))
    return "\n".join(f"process {process!s:<{margin}}   {lane}" for process, lane in rows)
