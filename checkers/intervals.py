"""Operations between instants, as sources with timestamps know them, put into an order of lines.

Intervals are closed, so all invokes of an instant come before its completions:

    process 0   |-- write 1 --|               both return at t = 5, and process 1 calls at t = 5: nothing says that
    process 1                 |-- read 0 --|  write 1 took effect before read 0 was asked, so read 0 is legal
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .op import Op
from .operation import OutcomeType


class Pair(msgspec.Struct, frozen=True):
    """An operation between two instants: what was asked and what was told.

    `ret` None: it is not known to have returned, or what came of it is not known (`type` is then "info"). Without
    `process` it is an operation of a process of its own.
    """

    f: str
    value: Any = None
    key: Any = None
    result: Any = None
    call: Any = 0
    ret: Any = None
    process: int | None = None
    type: OutcomeType | None = None
    error: Any = None

    @property
    def outcome(self) -> OutcomeType:
        """What came of it: ok where it returned and nothing else is said."""
        return self.type or ("info" if self.ret is None else "ok")


def as_lines(pairs: Sequence[Pair]) -> tuple[list[Op], list[int]]:
    """Order the ends of intervals as lines, and say which pair each line came from.

    Intervals are closed: an operation that returns at the instant at which another is called may take effect after it.
    A client whose next call carries the instant of its last return has both open for that instant, so the second one
    gets a process number of its own; and so does what comes after an operation of unknown outcome.
    """
    events = [(pair.call, 0, number) for number, pair in enumerate(pairs)]
    events += [(pair.ret, 1, number) for number, pair in enumerate(pairs) if pair.ret is not None]
    events.sort()
    fresh = max((pair.process for pair in pairs if pair.process is not None), default=-1) + 1
    busy: set[int] = set()
    process: dict[int, int] = {}
    ops: list[Op] = []
    for index, (instant, is_return, number) in enumerate(events):
        pair = pairs[number]
        kind = pair.outcome
        if not is_return:
            client = pair.process
            if client is None or client in busy:
                client, fresh = fresh, fresh + 1
            process[number] = client
            busy.add(client)
        elif kind != "info":
            busy.discard(process[number])
        ops.append(
            Op(
                index=index,
                time=instant if type(instant) is int else index,
                process=process[number],
                type=kind if is_return else "invoke",
                f=pair.f,
                key=pair.key,
                value=pair.value if not is_return or kind != "ok" or pair.result is None else pair.result,
                error=pair.error if is_return else None,
            )
        )
    return ops, [number for _, _, number in events]
