"""From operations with timestamps to a history of lines: all invokes of an instant before its completions.

Intervals are closed: an operation that returns at the instant at which another is called may take effect after it. A
client whose next call carries the timestamp of its last return has both open for that instant, so the second one gets
a process number of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from checkers.history import Op


class Interval(NamedTuple):
    """An operation between two instants; `ret` None: it is not known to have returned."""

    client: int
    f: str
    key: Any
    value: Any
    type: Literal["ok", "fail", "info"]
    result: Any
    error: Any
    call: int
    ret: int | None


def as_lines(intervals: Sequence[Interval]) -> list[Op]:
    """Order the ends of intervals, and number clients so that none has two operations open."""
    events = [(interval.call, 0, number) for number, interval in enumerate(intervals)]
    events += [(i.ret, 1, number) for number, i in enumerate(intervals) if i.ret is not None]
    events.sort()
    fresh = max((interval.client for interval in intervals), default=-1) + 1
    busy: set[int] = set()
    process: dict[int, int] = {}
    ops: list[Op] = []
    for index, (time, is_return, number) in enumerate(events):
        interval = intervals[number]
        if not is_return:
            if interval.client in busy:
                process[number], fresh = fresh, fresh + 1
            else:
                process[number] = interval.client
                busy.add(interval.client)
        elif interval.type != "info":
            busy.discard(process[number])
        ops.append(
            Op(
                index=index,
                time=time,
                process=process[number],
                type=interval.type if is_return else "invoke",
                f=interval.f,
                key=interval.key,
                value=interval.result if is_return and interval.type == "ok" else interval.value,
                error=interval.error if is_return else None,
            )
        )
    return ops
