"""A checker that takes the lines of a history as they come, for runs too long to keep.

Each object has a frontier (`linearizability.search.frontier`) and a queue of events that wait for an outcome: an event
is taken once the operation that it belongs to has an answer, or is known to have none. What was taken is forgotten. So
memory is bounded by the window between the oldest unanswered operation and now, by the frontier, and by one counter for
each class of crashed operations. From time to time the encoding is made anew from what is still pending, so that values
seen long ago are forgotten too.

The frontier is complete as long as that is affordable: there is no going back in a stream. An object that has cost
more than `AFFORDABLE` and `PER_EVENT` steps goes on with a beam of the `BEAM` best configurations. One that survives is
still an order, so `valid` stays a proof; if the beam dies, the object is `unknown`, for a configuration that was left
out may have lived. `invalid` is said of complete frontiers only. Where a frontier outgrows `state_limit`, the object
also becomes `unknown` from there on, and says so; other objects go on.

    checker = StreamingChecker("cas-register")
    for op in ops:
        for anomaly in checker.feed(op):
            print(anomaly.message)
    verdict = checker.finish()

A violation is reported with the operations since the last quiescent cut (an instant at which nothing was pending), and
the states that were possible there.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Final

from checkers.admission import NOTHING_JUDGED, Mismatched, admit, mismatch
from checkers.history import (
    INF,
    NEMESIS,
    Conventions,
    MalformedHistory,
    Op,
    Operation,
    freeze,
    other_operation,
    pair,
    show,
)
from checkers.linearizability.explain.explain import as_data
from checkers.linearizability.front.checker import CHECKER, NONLINEARIZABLE
from checkers.linearizability.result import LimitReached, Limits, Meter
from checkers.linearizability.search.encoding import Encoding
from checkers.linearizability.search.frontier import FrontierSearch
from checkers.models import Model, named
from checkers.models.model import own_key
from checkers.verdict import Anomaly, Verdict

ENGINE: Final = "stream"

STATE_LIMIT: Final = 100_000
"""Configurations that one object may hold at a time, unless told otherwise: some ten megabytes."""

AFFORDABLE = 500_000
PER_EVENT = 200
"""Steps that a complete frontier may cost in all, and for each event: some seconds, and a millisecond."""

BEAM = 64
"""Configurations that are kept where all of them cost too much."""

ENCODING_LIMIT: Final = 4_096
"""Classes and states after which an object's encoding is made anew."""

WINDOW_KEPT: Final = 1_000
"""Operations since the last quiescent cut that are kept to be shown with a violation."""


class StreamingChecker:
    """Decides linearizability line by line. `feed` returns violations as they become certain."""

    def __init__(
        self,
        model: Model | str,
        *,
        initial: Any = None,
        conventions: Conventions | None = None,
        state_limit: int = STATE_LIMIT,
        time_limit_s: float | None = None,
        memory_limit_bytes: int | None = None,
        independent: bool | None = None,
        mismatched: Mismatched = "refuse",
    ) -> None:
        """Check against a model. `independent`: keys are objects of their own; None: where the model says so.

        `mismatched` says what becomes of completions that do not answer their invoke (`checkers.admission`).

        A counter that is created later must be told to begin as missing, by a model of its own.
        """
        found = named(model) if isinstance(model, str) else model
        self.model = found if initial is None else found.starting_at_json(initial)
        self.conventions = conventions or Conventions()
        self._whole = Meter(Limits(states=state_limit, seconds=time_limit_s, bytes=memory_limit_bytes))
        self.independent = found.keys is own_key if independent is None else independent
        self.mismatched = mismatched
        self.anomalies: list[Anomaly] = []
        self.ops = 0
        self._objects: dict[Any, _Object] = {}
        self._open: dict[int, tuple[_Object, _Call]] = {}  # process -> its call without completion
        self._ended: set[int] = set()  # processes whose last operation is of unknown outcome
        self._index = -1
        self._judges_something = False
        self._counted: Counter[str] = Counter()
        self._started = time.monotonic()

    def feed(self, op: Op, where: str | None = None) -> list[Anomaly]:
        """Take one line; return what became certain by it. `where` names the line in messages."""
        where = where or f"op {op.index}"
        if op.index <= self._index:
            raise MalformedHistory(f"index {op.index} after {self._index}", "indexes that increase", where)
        self._index = op.index
        process = op.process
        if op.extra:
            for name in op.extra:
                self._counted[f"field {name!r}, which is none of a history's: not judged"] += 1
        if process == NEMESIS:
            return []
        if type(process) is not int:
            raise MalformedHistory(f"process {process!r}", 'an integer or "nemesis"', where)
        if op.type == "invoke":
            self._call(op, process, where)
            return []
        if process not in self._open:
            found = f"a completion ({op.type}) of process {process} without invoke"
            raise MalformedHistory(found, "an invoke of the same process before each completion", where)
        thing, call = self._open.pop(process)
        if found := other_operation(call.invoke, op):
            raise MalformedHistory(found, "the f and key of the invoke", where)
        if op.type == "info":
            self._ended.add(process)
        mismatches = self._complete(call, op, where)
        return mismatches + self._advance(thing)

    def finish(self) -> Verdict:
        """End the stream: operations that have not returned never do. Return the verdict on all that was fed."""
        for thing, call in self._open.values():
            self._complete(call, None, call.where)
            self._advance(thing)
        self._open.clear()
        for thing in self._objects.values():
            self._advance(thing)
        lost = [thing for thing in self._objects.values() if thing.lost]
        reason = lost[0].lost + lost[0].of() if lost else "" if self._judges_something else NOTHING_JUDGED
        return Verdict(
            validity="invalid" if self.anomalies else "unknown" if reason else "valid",
            checker=CHECKER,
            engine=ENGINE,
            model=self.model.name,
            ops=self.ops,
            anomalies=tuple(self.anomalies),
            reason="" if self.anomalies else reason,
            notes=tuple(f"{count} x {what}" for what, count in self._counted.items()),
            machine_dependent=not self.anomalies and any(thing.is_machine_dependent for thing in lost),
            steps=sum(thing.search.steps for thing in self._objects.values()),
            seconds=time.monotonic() - self._started,
            details={
                "objects": len(self._objects),
                "states": max((thing.largest for thing in self._objects.values()), default=0),
            },
        )

    @property
    def is_out_of_limits(self) -> bool:
        """Whether time or memory ran out, so that feeding more lines is in vain."""
        return any(thing.is_machine_dependent for thing in self._objects.values())

    @property
    def waiting(self) -> int:
        """How many events wait for an outcome: the window that is held in memory."""
        return sum(len(thing.queue) for thing in self._objects.values())

    def _call(self, op: Op, process: int, where: str) -> None:
        if process in self._open:
            found = f"an invoke of process {process} whose last invoke has no completion"
            raise MalformedHistory(found, "one completion between two invokes of a process", where)
        if process in self._ended:
            found = f"an op of process {process} after its info"
            raise MalformedHistory(found, "a new process number after an info", where)
        key = freeze(op.key) if self.independent else None
        thing = self._objects.get(key)
        if thing is None:
            model = self.model.within((key,)) if self.independent else self.model
            thing = self._objects[key] = _Object(key, model, self._whole, one_key=self.independent)
        call = _Call(op, where)
        thing.queue.append((op.index, call, False))
        self._open[process] = (thing, call)
        self.ops += 1

    def _complete(self, call: _Call, completion: Op | None, where: str) -> list[Anomaly]:
        """Take what came of a call (None: nothing did); return the anomaly of a completion that does not answer it."""
        operation = pair(call.invoke, completion)

        def place(index: int) -> str:
            return call.where if index == operation.call else where

        admission = admit([operation], self.model, self.conventions, place, mismatched=self.mismatched)
        admitted = admission.operations
        self._counted += admission.counted
        self._judges_something = self._judges_something or admission.judges_something
        call.operation = admitted[0] if admitted and not admitted[0].is_void else None
        call.is_known = True
        found = [mismatch(operation, self.model, CHECKER) for operation in admission.mismatched]
        self.anomalies += found
        return found

    def _advance(self, thing: _Object) -> list[Anomaly]:
        found = list(thing.advance())
        self.anomalies += found
        return found


class _Call:
    """A call, and what is known of its outcome: None for one that constrains nothing."""

    __slots__ = ("invoke", "is_known", "kind", "operation", "slot", "where")

    def __init__(self, invoke: Op, where: str) -> None:
        self.invoke = invoke
        self.where = where
        self.operation: Operation | None = None
        self.is_known = False
        self.kind = -1
        self.slot = -1


class _Object:
    """One independent object: its frontier, and the events that wait."""

    def __init__(self, key: Any, model: Model, meter: Meter, *, one_key: bool) -> None:
        self.key = key
        self.model = model
        self.one_key = one_key
        self.meter = meter
        self.events = 0
        self.is_machine_dependent = False  # whether a limit of time or memory ended it
        self.encoding = Encoding(model, one_key=one_key)
        self.search = FrontierSearch(self.encoding, self.meter)
        self.queue: deque[tuple[int, _Call, bool]] = deque()  # (index, call, whether this is its return)
        self.live: dict[int, _Call] = {}  # slot -> pending call
        self.free: list[int] = []
        self.lost = ""  # why nothing is known any more
        self.largest = 0
        self.cut = -1  # index of the last quiescent cut
        self.cut_states: list[Any] = [model.init]
        self.window: list[Operation] = []  # since the cut

    def of(self) -> str:
        return "" if self.key is None else f" (key {show(self.key)})"

    def advance(self) -> Iterator[Anomaly]:
        """Take every event whose outcome is known, up to the first that is not."""
        while self.queue and self.queue[0][1].is_known:
            index, call, is_return = self.queue.popleft()
            operation = call.operation
            if self.lost or operation is None:
                continue
            try:
                if is_return:
                    if not self._returned(call, operation):
                        self.lost = "violated"
                        yield self._anomaly(operation)
                        continue
                else:
                    self._call(call, operation)
            except LimitReached as limit:
                self.lost = f"{limit.reason} at index {index}"
                self.is_machine_dependent = limit.machine_dependent

    def _call(self, call: _Call, operation: Operation) -> None:
        if operation.ret == INF and self.encoding.only_looks(operation):
            return
        if len(self.window) < WINDOW_KEPT:
            self.window.append(operation)
        call.kind = self.encoding.class_of(operation)
        if operation.ret != INF:
            call.slot = self.free.pop() if self.free else len(self.live)
            self.live[call.slot] = call
            self._queue_return(call, operation)
        self.search.call(call.kind, call.slot, operation.ret)

    def _queue_return(self, call: _Call, operation: Operation) -> None:
        """Put the return where it belongs among the calls that wait."""
        place = len(self.queue)
        while place and self.queue[place - 1][0] > operation.ret:
            place -= 1
        self.queue.insert(place, (operation.ret, call, True))

    def _returned(self, call: _Call, operation: Operation) -> bool:
        search = self.search
        self.events += 1
        if search.steps > AFFORDABLE + PER_EVENT * self.events:
            search.width = BEAM
        survives = search.returned(call.kind, call.slot, operation.ret)
        if not survives and not search.complete:
            raise LimitReached(f"a beam of {BEAM} configurations died, after a complete frontier cost too much")
        del self.live[call.slot]
        self.free.append(call.slot)
        self.largest = max(self.largest, self.search.largest)
        if survives and self.search.pending.is_quiescent:
            self.cut = operation.ret
            self.cut_states = list(dict.fromkeys(self.encoding.states[c[0]] for c in self.search.frontier))
            self.window.clear()
        if survives and len(self.encoding.sorts) + len(self.encoding.states) > ENCODING_LIMIT:
            self._forget()
        return survives

    def _forget(self) -> None:
        """Make the encoding anew from what is pending and from the states that are still possible."""
        old, search = self.encoding, self.search
        fresh = Encoding(self.model, one_key=self.one_key)
        kinds = {
            kind: fresh.class_of(old.samples[kind])
            for kind in (
                *search.pending.looks.values(),
                *search.pending.writes,
                *search.pending.changes,
                *search.places,
            )
        }
        for call in self.live.values():
            call.kind = kinds[call.kind]
        pending = search.pending
        pending.looks = {bit: kinds[kind] for bit, kind in pending.looks.items()}
        pending.writes = {kinds[kind]: entries for kind, entries in pending.writes.items()}
        pending.changes = {kinds[kind]: entries for kind, entries in pending.changes.items()}
        pending.crashed = {kinds[kind]: count for kind, count in pending.crashed.items()}
        pending.satisfied.clear()
        search.places = {kinds[kind]: shift for kind, shift in search.places.items()}
        search.frontier = [
            (fresh.intern(old.states[state]), done, obligations, used, path)
            for state, done, obligations, used, path in search.frontier
        ]
        self.encoding = search.encoding = fresh

    def _anomaly(self, operation: Operation) -> Anomaly:
        describe, name = self.model.describe, self.model.describe_state
        states = " or ".join(name(state) for state in self.cut_states[:8])
        more = f" or one of {len(self.cut_states) - 8} more" if len(self.cut_states) > 8 else ""
        subject = "" if self.key is None else f"key {show(self.key)}: "
        message = (
            f"{subject}when {describe(operation)} (process {operation.process}, {operation.call}..{operation.ret}) "
            f"returned, no order was left. Nothing was pending at index {self.cut}, and the state was {states}{more}; "
            f"the {len(self.window)} operations since then have no order that gives their answers."
        )
        return Anomaly(
            checker=CHECKER,
            kind=NONLINEARIZABLE,
            detail=f"{self.model.name}/{operation.f}",
            index=operation.ret,
            message=message,
            evidence={
                "key": self.key,
                "blocked": as_data(operation, self.model),
                "cut": self.cut,
                "cut_states": [name(state) for state in self.cut_states],
                "window": [as_data(kept, self.model) for kept in self.window],
            },
        )
