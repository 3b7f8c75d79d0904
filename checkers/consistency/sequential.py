"""Sequential consistency of registers (Lamport 1979): one order of all operations that keeps each process's own order.

Unlike linearizability it does not ask for the order of time between processes, and unlike linearizability it is not
local: registers that are sequentially consistent one by one may not be so together. So all keys are judged at once. A
process that crashed goes on under another number, which is a new process here as well.

How it decides
--------------
The problem is NP-complete even when it is known which write each read saw (Gibbons and Korach, SIAM J. Comput. 1997).
So there are stages, each exact when it answers.

1. A linearizable history is sequentially consistent, and most histories are: they are checked key by key, within steps.
   Where a client called at the very instant of its last return, linearizability would allow the second operation first,
   so this is passed over.
2. *Saturation* (`saturation`), if values are unique and the history is not too long: an order that must hold. A circle
   in it is a violation, and explains it.
3. *Search* for an order that keeps the saturated one, depth first. Reads that can go next go at once, since they change
   nothing; the choice is only which write goes next, and the one that completed first is tried first. Where values are
   unique, a write waits until all reads of the value that it replaces are done. What was tried from a state (how far
   each process is, and the value of each key) is not tried again. Exhausted without an order: violation. Beyond
   `state_limit` states: `unknown`.

Operations: `write` v, `read` -> v, `cas` [old, new] (a refused one says that the value was not old). See `registers`
for what becomes of operations of unknown outcome.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from operator import ge
from typing import Any, Final

from checkers.history import History
from checkers.linearizability.front.checker import check_linearizable
from checkers.models import named
from checkers.models.registers import CAS_REGISTER
from checkers.operation import INF
from checkers.values import show
from checkers.verdict import Anomaly, Verdict

from .registers import NOTHING, Event, Processes, processes_of, values_are_unique
from .saturation import UNWRITTEN, Circle, Saturation

CHECKER: Final = "sequential"

STATE_LIMIT: Final = 200_000

LINEARIZABLE_STEPS: Final = 2_000_000
"""Steps that the first check may take for each key before the others begin."""

SATURATED_MAX: Final = 10_000
"""Operations up to which saturation is tried: its bit sets take as many bits, for each of them."""


def check(history: History, *, initial: Any = None, state_limit: int = STATE_LIMIT) -> Verdict:
    """Decide whether a history of registers is sequentially consistent."""
    begin = time.perf_counter()
    processes = processes_of(history, initial)
    size = sum(map(len, processes))
    engine, steps, reason = "linearizable", 0, ""
    anomalies: tuple[Anomaly, ...] = ()
    if history.touches or not _is_linearizable(history, initial):
        unique = values_are_unique(processes, initial)
        saturated = Saturation(processes, initial) if unique and size <= SATURATED_MAX else None
        if saturated is not None and saturated.circle is not None:
            engine, anomalies = "saturation", (_circle_anomaly(saturated.circle),)
        else:
            search = _Search(processes, initial, saturated, unique=unique)
            found = search.run(state_limit)
            engine, steps = "search", search.states
            if found is None:
                reason = f"no order found within {state_limit} states; {search.deepest} of {size} operations placed"
            elif not found:
                anomalies = (_stuck_anomaly(search),)
    return Verdict(
        validity="invalid" if anomalies else "unknown" if reason else "valid",
        checker=CHECKER,
        engine=engine,
        model="register",
        ops=size,
        anomalies=anomalies,
        reason=reason,
        steps=size + steps,
        seconds=time.perf_counter() - begin,
    )


def _is_linearizable(history: History, initial: Any) -> bool:
    verdict = check_linearizable(
        history, CAS_REGISTER, initial=initial, step_limit=LINEARIZABLE_STEPS, state_limit=STATE_LIMIT, explain=False
    )
    return verdict.validity == "valid"


class _Search:
    """Depth-first search for an order, with an explicit stack."""

    def __init__(self, processes: Processes, initial: Any, saturated: Saturation | None, *, unique: bool) -> None:
        self.processes = processes
        self.initial = initial
        self.unique = unique
        self.required = None if saturated is None else saturated.required()
        self.states = 0
        self.deepest = -1
        self.stuck: tuple[int, ...] = ()  # how far each process got where the search got furthest
        self.total = sum(map(len, processes))
        self.readers: dict[tuple[Hashable, Any], list[tuple[int, int]]] = {}  # value -> (process, position)
        for number, process in enumerate(processes):
            for position, event in enumerate(process):
                if event.needs is not NOTHING:
                    self.readers.setdefault((event.key, event.needs), []).append((number, position))

    def run(self, limit: int) -> bool | None:
        """Return whether there is an order; None if more than `limit` states were met first."""
        stack = [(tuple([0] * len(self.processes)), dict[Hashable, Any]())]
        seen: set[tuple[tuple[int, ...], frozenset[tuple[Hashable, Any]]]] = set()
        while stack:
            positions, values = self._read_on(*stack.pop())
            placed = sum(positions)
            if placed > self.deepest:
                self.deepest, self.stuck = placed, positions
            if placed == self.total:
                return True
            state = (positions, frozenset(values.items()))
            if state in seen:
                continue
            if len(seen) >= limit:
                return None
            seen.add(state)
            self.states += 1
            stack += self._writes(positions, values)
        return False

    def _read_on(
        self, positions: tuple[int, ...], values: dict[Hashable, Any]
    ) -> tuple[tuple[int, ...], dict[Hashable, Any]]:
        """Place every read that can go next, again and again: it costs nothing and only helps."""
        reached = list(positions)
        for number, process in enumerate(self.processes):
            while reached[number] < len(process):
                event = process[reached[number]]
                if not event.only_reads or not self._fits(event, values):
                    break
                reached[number] += 1
        return tuple(reached), values

    def _may_go(self, number: int, positions: tuple[int, ...]) -> bool:
        """Say whether all that must precede the next event of a process is placed."""
        if self.required is None:
            return True
        required = self.required[number][positions[number]]
        return all(map(ge, positions, required))

    def _fits(self, event: Event, values: dict[Hashable, Any]) -> bool:
        value = values.get(event.key, self.initial)
        if event.refuses is not NOTHING:
            return bool(value != event.refuses)
        return event.needs is NOTHING or bool(value == event.needs)

    def _writes(
        self, positions: tuple[int, ...], values: dict[Hashable, Any]
    ) -> list[tuple[tuple[int, ...], dict[Hashable, Any]]]:
        """List what the next write can be; the one that completed first comes last, on top of the stack."""
        choices = []
        for number, process in enumerate(self.processes):
            if positions[number] == len(process):
                continue
            event = process[positions[number]]
            if event.only_reads or not self._may_go(number, positions):
                continue
            following = (*positions[:number], positions[number] + 1, *positions[number + 1 :])
            if event.optional:
                choices.append((INF, number, following, values))
            if self._fits(event, values) and not (self.unique and self._is_awaited(event, number, positions, values)):
                choices.append((event.operation.ret, number, following, {**values, event.key: event.writes}))
        choices.sort(key=lambda choice: choice[:2], reverse=True)
        return [(following, after) for _, _, following, after in choices]

    def _is_awaited(self, event: Event, process: int, positions: tuple[int, ...], values: dict[Hashable, Any]) -> bool:
        """Say whether another process has still to read the value that this write would replace."""
        present = (event.key, values.get(event.key, self.initial))
        return any(
            position >= positions[number] and (number, position) != (process, positions[process])
            for number, position in self.readers.get(present, ())
        )


def _say(event: Event) -> str:
    operation = event.operation
    key = "" if operation.key is None else f" of {show(operation.key)}"
    return f"index {operation.call}: process {operation.process}, {named('cas-register').describe(operation)}{key}"


def _circle_anomaly(circle: Circle) -> Anomaly:
    if circle[0][1] == UNWRITTEN:
        message = f"{_say(circle[0][0])}: {circle[0][1]}"
    else:
        said = [f"({_say(event)}) must precede the next, as {why}" for event, why in circle]
        message = "no order keeps what each process did: " + "; ".join(said) + "; and so round again"
    return Anomaly(
        checker=CHECKER,
        kind="not-sequential",
        detail="read" if circle[0][1] == UNWRITTEN else "circle",
        index=max(
            event.operation.ret if not event.operation.is_crashed else event.operation.call for event, _ in circle
        ),
        message=message,
        evidence={"circle": [{"call": event.operation.call, "why": why} for event, why in circle]},
    )


def _stuck_anomaly(search: _Search) -> Anomaly:
    blocked = [
        process[position]
        for process, position in zip(search.processes, search.stuck, strict=True)
        if position < len(process)
    ]
    said = "; ".join(_say(event) for event in blocked)
    return Anomaly(
        checker=CHECKER,
        kind="not-sequential",
        detail="search",
        index=max(event.operation.call for event in blocked),
        message=f"every order gets stuck; the longest places {search.deepest} operations and then cannot place {said}",
        evidence={"placed": search.deepest, "blocked": [event.operation.call for event in blocked]},
    )
