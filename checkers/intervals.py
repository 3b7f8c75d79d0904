"""Operations between instants, as sources with timestamps know them, put into an order of lines.

Intervals are closed, so all invokes of an instant come before its completions:

    process 0   |-- write 1 --|               both return at t = 5, and process 1 calls at t = 5: nothing says that
    process 1                 |-- read 0 --|  write 1 took effect before read 0 was asked, so read 0 is legal

What one process did is in order all the same: had process 0 called the read itself, it would have come after its write.
Of one such process at an instant the lines say so, since all other invokes of the instant can come before its return
and all other completions after its call. Of several at one instant no lines can: then their operations overlap, under
process numbers of their own, and only what asks for the order of processes knows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from .malformed import MalformedHistory
from .op import Op
from .operation import OutcomeType


class Pair(msgspec.Struct, frozen=True):
    """An operation between two instants: what was asked and what was told.

    `ret` None: it is not known to have returned, or what came of it is not known (`type` is then "info"). Without
    `process` it is an operation of a process of its own. Without `result` an ok answer repeats what was asked; a result
    of None is the answer null.
    """

    f: str
    value: Any = None
    key: Any = None
    result: Any = UNSET
    call: Any = 0
    ret: Any = None
    process: int | None = None
    type: OutcomeType | None = None
    error: Any = None

    @property
    def outcome(self) -> OutcomeType:
        """What came of it: ok where it returned and nothing else is said."""
        return self.type or ("info" if self.ret is None else "ok")


OPEN_CALL: Final = "call of a process whose last call had not returned: taken as of a process of its own"
"""What a client did that is no sequence of calls; nothing says in which order they were meant."""


class Ordered(NamedTuple):
    """Intervals as lines."""

    ops: list[Op]
    numbers: list[int]
    """Of each line, the pair that it came from."""
    sessions: Mapping[int, int]
    """Process of a line -> the process that it goes on, where a client called at the instant of its last return."""
    overlaps: int
    """How many calls were made by a process whose last call returned only later."""


def as_lines(pairs: Sequence[Pair]) -> Ordered:
    """Order the ends of intervals as lines, and say which pair each line came from.

    Where two clients call at the instant of their own last returns, all four operations are open for that instant, so
    the later ones get process numbers of their own; `sessions` says which process they go on. After an operation of
    unknown outcome a client goes on as another process, as everywhere.

    Raises `MalformedHistory` where a return is not at or after its call.
    """
    for number, pair in enumerate(pairs):
        if pair.call != pair.call or not (pair.ret is None or pair.ret >= pair.call):
            found = f"a return at {pair.ret} of a call at {pair.call}"
            raise MalformedHistory(found, "a return that is not before its call", f"pair {number}")
    fresh = max((pair.process for pair in pairs if pair.process is not None), default=-1) + 1
    now: dict[int, int] = {}  # client -> the process that it is
    running: dict[int, int] = {}  # process -> the pair that is open
    process: dict[int, int] = {}
    sessions: dict[int, int] = {}
    overlaps = 0
    ops: list[Op] = []
    events = _events(pairs)
    for index, (instant, is_return, number) in enumerate(events):
        pair = pairs[number]
        kind = pair.outcome
        if is_return:
            if running.get(process[number]) == number and kind != "info":
                del running[process[number]]
        else:
            client = pair.process
            mine = None if client is None else now.get(client, client)
            before = None if mine is None else running.get(mine)
            if mine is None or before is not None:
                mine, fresh = fresh, fresh + 1
            if client is not None and before is not None:
                last = pairs[before]
                if last.outcome == "info" or last.ret is None:
                    now[client] = mine
                elif last.ret == pair.call:
                    now[client] = mine
                    sessions[mine] = sessions.get(process[before], process[before])
                else:
                    overlaps += 1
            process[number] = mine
            running[mine] = number
        ops.append(
            Op(
                index=index,
                time=instant if type(instant) is int else index,
                process=process[number],
                type=kind if is_return else "invoke",
                f=pair.f,
                key=pair.key,
                value=pair.value if not is_return or kind != "ok" or pair.result is UNSET else pair.result,
                error=pair.error if is_return else None,
            )
        )
    return Ordered(ops, [number for _, _, number in events], sessions, overlaps)


_Event = tuple[Any, int, int]
"""An instant, whether it is that of a return, and the number of the pair."""


def _events(pairs: Sequence[Pair]) -> list[_Event]:
    """Order calls and returns: by instant, and of one instant calls first, but for what one client did in a row."""
    events = [(pair.call, 0, number) for number, pair in enumerate(pairs)]
    events += [(pair.ret, 1, number) for number, pair in enumerate(pairs) if pair.ret is not None]
    events.sort()
    found: list[_Event] = []
    for _, group in groupby(events, key=itemgetter(0)):
        together = list(group)
        found += together if len(together) == 1 else _of_one_instant(together, pairs)
    return found


def _of_one_instant(events: list[_Event], pairs: Sequence[Pair]) -> list[_Event]:
    clients: dict[int, list[_Event]] = {}
    for event in events:
        pair = pairs[event[2]]
        if pair.process is not None and not (event[1] and pair.outcome == "info"):
            clients.setdefault(pair.process, []).append(event)
    rows = {client: row for client, own in clients.items() if (row := _in_a_row(own)) is not None}
    if len(rows) != 1:
        return events
    (row,) = rows.values()
    in_row = set(row)
    rest = [event for event in events if event not in in_row]
    return [event for event in rest if not event[1]] + row + [event for event in rest if event[1]]


def _in_a_row(events: list[_Event]) -> list[_Event] | None:
    """Order what one client did at an instant, if it did one thing after another: a return, calls that returned at
    once, a call. None: it did not, or only one thing."""
    called = {number for _, is_return, number in events if not is_return}
    returned = {number for _, is_return, number in events if is_return}
    ended, begun = sorted(returned - called), sorted(called - returned)
    at_once = sorted(called & returned)
    if len(ended) > 1 or len(begun) > 1 or len(ended) + len(begun) + len(at_once) < 2:
        return None
    if begun and at_once and begun[0] < at_once[-1]:
        return None  # it did not wait for an answer, and went on as another process
    instant = events[0][0]
    row: list[_Event] = [(instant, 1, number) for number in ended]
    for number in at_once:
        row += [(instant, 0, number), (instant, 1, number)]
    return row + [(instant, 0, number) for number in begun]
