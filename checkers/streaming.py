"""A checker that takes the lines of a history as they come, for runs too long to keep.

Each object has a beam (`linearizability.search.beam`) and a queue of events that wait for an outcome: an event is taken
once the operation that it belongs to has an answer, or is known to have none. The beam keeps the last events, so that
it can go back as the one of the whole history does; what came before is forgotten, and stands in a complete frontier.
So memory is bounded by the window between the oldest unanswered operation and now, by `KEPT` events, by the frontiers,
and by one counter for each class of crashed operations. From time to time the encoding is made anew from what is kept,
so that values seen long ago are forgotten too.

A beam that survives is an order, so `valid` is a proof. `invalid` is said only where every configuration died. Where a
complete frontier for what is forgotten costs too much, there are configurations that nobody followed, and an object
whose beam dies later is `unknown`; so is one whose frontier outgrows `state_limit`. Other objects go on.

    checker = StreamingChecker("cas-register")
    for op in ops:
        for anomaly in checker.feed(op):
            print(anomaly.message)
    verdict = checker.finish()

A violation is reported with the contradiction in one sentence, the operations since the last quiescent cut (an instant
at which nothing was pending), and the states that were possible there.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from checkers.admission import NOTHING_JUDGED, Mismatched, admit, mismatch
from checkers.conventions import Conventions
from checkers.kinds import Watch
from checkers.linearizability.explain.budget import Budget
from checkers.linearizability.explain.configurations import enumerate_failure
from checkers.linearizability.explain.contradiction import contradiction, impossible
from checkers.linearizability.explain.explain import as_data
from checkers.linearizability.explain.reduction import reduce
from checkers.linearizability.front.engines import decide
from checkers.linearizability.partition import Part
from checkers.linearizability.result import CHECKER, NONLINEARIZABLE, LimitReached, Limits, Meter
from checkers.linearizability.search.beam import Beam, Event, apply, restore
from checkers.linearizability.search.encoding import Encoding
from checkers.linearizability.search.frontier import FrontierSearch
from checkers.malformed import MalformedHistory
from checkers.models import Model, maps, named
from checkers.models.model import own_key
from checkers.op import NEMESIS, Op
from checkers.operation import INF, Operation, other_operation, pair
from checkers.values import freeze, show
from checkers.verdict import Anomaly, Verdict

ENGINE: Final = "stream"

STATE_LIMIT: Final = 100_000
"""Configurations that one object may hold at a time, unless told otherwise: some ten megabytes."""

KEPT = 16_384
"""Events to which the beams of all objects together can go back; an object has `KEPT_AT_LEAST` of them in any case."""

KEPT_AT_LEAST = 512

ENCODING_LIMIT: Final = 4_096
"""Classes and states after which an object's encoding is made anew."""

WINDOW_KEPT: Final = 1_000
"""Operations since the last quiescent cut that are shown with a violation."""

TOLD_STEPS: Final = 20_000
"""What may be spent on telling of one violation, besides finding it: a tenth of a second, for lines are waiting."""


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

        A counter begins at 0, or as missing where a `create` is the first call of all. A whole history begins as
        missing wherever its `create` stands, which a stream cannot know; there such a history is refused.
        """
        found = named(model) if isinstance(model, str) else model
        self.model = found if initial is None else found.starting_at_json(initial)
        self.conventions = conventions or Conventions()
        self._whole = Meter(Limits(states=state_limit, seconds=time_limit_s, bytes=memory_limit_bytes))
        self.independent = found.keys is own_key if independent is None else independent
        self.mismatched = mismatched
        self._begins_with_keys = initial is not None and found.restrict is maps.restrict
        self._known_keys: set[tuple[type, Any]] = set()  # that were compared with those of the initial state
        self._watch = Watch(self.model, self.conventions.source)
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
        try:
            return self._feed(op, where)
        except RecursionError:
            found = "a value that is nested without end"
            raise MalformedHistory(found, "a value that can be judged", where) from None

    def _feed(self, op: Op, where: str) -> list[Anomaly]:
        if op.index <= self._index:
            raise MalformedHistory(f"index {op.index} after {self._index}", "indexes that increase", where)
        if op.index >= INF:
            raise MalformedHistory(f"index {op.index}", f"indexes below {INF}, which stands for never", where)
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
        self._begin_as(op, where)
        if self._begins_with_keys:
            self._require_keys_of_their_type(self.model.keys(pair(op, None)) or ())
        key = freeze(op.key) if self.independent else None
        thing = self._objects.get(key)
        if thing is None:
            model = self.model.within((key,)) if self.independent else self.model
            thing = self._objects[key] = _Object(key, model, self._whole, one_key=self.independent)
        call = _Call(op, where)
        heappush(thing.queue, (op.index, call, False))
        self._open[process] = (thing, call)
        self.ops += 1

    def _require_keys_of_their_type(self, keys: Iterable[Any]) -> None:
        """Compare keys with those of the initial state, which may be many, when they are used for the first time."""
        used = {(type(key), key) for key in keys}
        if not used <= self._known_keys:
            maps.require_keys_of_their_type(self.model.init, [key for _, key in used])
            self._known_keys |= used

    def _begin_as(self, invoke: Op, where: str) -> None:
        """Let the first call of all say how objects begin; a later one that says otherwise is refused."""
        adapted = self.model.adapt(self.model, [pair(invoke, None)])
        if adapted.init == self.model.init:
            return
        if self.ops:
            begins = f"as {self.model.describe_state(self.model.init)}"
            raise MalformedHistory(f"a {invoke.f} after other calls", f"it first of all: objects began {begins}", where)
        self.model = adapted

    def _complete(self, call: _Call, completion: Op | None, where: str) -> list[Anomaly]:
        """Take what came of a call (None: nothing did); return the anomaly of a completion that does not answer it."""
        operation = pair(call.invoke, completion)
        was_absent = operation.is_negative and operation.error == "absent"
        if was_absent and self.model.name == "counter" and self.model.init is not None:
            expected = "a create first of all: without one the counter began as a number"
            raise MalformedHistory(f"{operation.f} of a counter that was absent", expected, where)

        def place(index: int) -> str:
            return call.where if index == operation.call else where

        admission = admit([operation], self.model, self.conventions, place, mismatched=self.mismatched, is_watched=True)
        admitted = admission.operations
        for kept in admitted:
            self._watch.note(kept, place)
        self._counted += admission.counted
        self._judges_something = self._judges_something or admission.judges_something
        call.operation = admitted[0] if admitted and not admitted[0].is_void else None
        call.is_known = True
        found = [mismatch(operation, self.model, CHECKER) for operation in admission.mismatched]
        self.anomalies += found
        return found

    def _advance(self, thing: _Object) -> list[Anomaly]:
        kept = max(KEPT_AT_LEAST, KEPT // len(self._objects))
        found = list(thing.advance(kept))
        self.anomalies += found
        return found


class _Call:
    """A call, and what is known of its outcome: None for one that constrains nothing."""

    __slots__ = ("invoke", "is_known", "operation", "slot", "where")

    def __init__(self, invoke: Op, where: str) -> None:
        self.invoke = invoke
        self.where = where
        self.operation: Operation | None = None
        self.is_known = False
        self.slot = -1


class _Object:
    """One independent object: its beam, and the events that wait."""

    def __init__(self, key: Any, model: Model, meter: Meter, *, one_key: bool) -> None:
        self.key = key
        self.model = model
        self.one_key = one_key
        self.is_machine_dependent = False  # whether a limit of time or memory ended it
        self.encoding = Encoding(model, one_key=one_key)
        self.search = FrontierSearch(self.encoding, meter)
        self.beam = Beam(self.search, kept=KEPT)
        self.queue: list[tuple[int, _Call, bool]] = []  # a heap of (index, call, whether this is its return)
        self.live: dict[int, _Call] = {}  # slot -> pending call
        self.free: list[int] = []
        self.lost = ""  # why nothing is known any more
        self.renewed = 0  # classes and states of the encoding when it was made

    @property
    def largest(self) -> int:
        return self.search.largest

    def of(self) -> str:
        return "" if self.key is None else f" (key {show(self.key)})"

    def advance(self, kept: int) -> Iterator[Anomaly]:
        """Take every event whose outcome is known, up to the first that is not; keep `kept` of them for going back."""
        self.beam.kept = kept
        while self.queue and self.queue[0][1].is_known:
            index, call, is_return = heappop(self.queue)
            operation = call.operation
            if self.lost or operation is None:
                continue
            try:
                if self._take(call, operation, is_return):
                    continue
                self.lost = "violated"
                yield self._anomaly(operation)
            except LimitReached as limit:
                self.lost = f"{limit.reason} at index {index}"
                self.is_machine_dependent = limit.machine_dependent
            self._let_go()

    def _take(self, call: _Call, operation: Operation, is_return: bool) -> bool:
        """Give the beam one event; False if no order is left."""
        if is_return:
            del self.live[call.slot]
            self.free.append(call.slot)
        else:
            if operation.ret == INF and self.encoding.only_looks(operation):
                return True
            if operation.ret != INF:
                call.slot = self.free.pop() if self.free else len(self.live)
                self.live[call.slot] = call
                heappush(self.queue, (operation.ret, call, True))
        self.beam.events.append(Event(self.encoding.class_of(operation), call.slot, operation, is_return))
        if self.beam.follow() is not None:
            return False
        size = len(self.encoding.sorts) + len(self.encoding.states)
        if size > ENCODING_LIMIT + 2 * self.renewed:
            self.encoding = Encoding(self.model, one_key=self.one_key)
            self.beam.renew(self.encoding)
            self.renewed = len(self.encoding.sorts) + len(self.encoding.states)
        return True

    def _let_go(self) -> None:
        """Keep nothing of an object of which no more can be said."""
        self.beam.events.clear()
        self.beam.snapshots.clear()

    def _anomaly(self, operation: Operation) -> Anomaly:
        told = _told(self.beam, self.model, operation)
        describe, name = self.model.describe, self.model.describe_state
        states = " or ".join(name(state) for state in told.states[:8])
        more = f" or one of {len(told.states) - 8} more" if len(told.states) > 8 else ""
        subject = "" if self.key is None else f"key {show(self.key)}: "
        message = (
            f"{subject}{told.sentence}.\n"
            f"When {describe(operation)} (process {operation.process}, {operation.call}..{operation.ret}) returned, no "
            f"order was left. {told.since} the state was {states}{more}; the {len(told.window)} operations called "
            f"since then have no order that gives their answers."
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
                "cut": told.cut,
                "cut_states": [name(state) for state in told.states],
                "window": [as_data(kept, self.model) for kept in told.window],
            },
        )


class _Told(NamedTuple):
    """What is told of a violation: the last cut, the states there, the operations since then, the contradiction."""

    since: str
    cut: int
    states: list[Any]
    window: list[Operation]
    sentence: str


def _told(beam: Beam, model: Model, blocked: Operation) -> _Told:
    """Work out what can be told, from the events that are kept; the beam began with a complete frontier."""
    start = beam.snapshots[0]
    states = beam.search.encoding.states
    cut, cut_states, first = -1, [states[config[0]] for config in start.frontier], start.position
    begins_quiet = start.pending.is_quiescent
    if begins_quiet and start.position:
        cut = beam.events[first - beam.first].operation.call - 1
    search = beam.search.twin(Meter(Limits(steps=TOLD_STEPS)))
    restore(search, start)
    with contextlib.suppress(LimitReached):
        for position in range(start.position, beam.first + len(beam.events) - 1):
            event = beam.events[position - beam.first]
            apply(search, event, position)
            if event.is_return and search.pending.is_quiescent:
                cut, first = event.operation.ret, position + 1
                cut_states = [states[config[0]] for config in search.frontier]
    cut_states = list(dict.fromkeys(cut_states))
    calls = [event.operation for event in beam.events[first - beam.first :] if not event.is_return]
    part = Part((blocked.key,), calls, [])
    if beam.has_all:
        calls = [event.operation for event in beam.events if not event.is_return]
        sentence = _sentence(Part((blocked.key,), calls, []), model, blocked, knows_all=True)
    elif (begins_quiet or first > start.position) and len(cut_states) == 1 and not search.pending.crashed:
        sentence = _sentence(part, model.starting_at(cut_states[0]), blocked, knows_all=False)
    else:
        sentence = _unplaced(model, blocked)
    if cut >= 0:
        since = f"Nothing was pending at index {cut}, and"
    else:
        since = (
            "At the beginning"
            if not start.position
            else "Of what was pending before the window some may have happened;"
        )
    return _Told(since, cut, cut_states, part.operations[:WINDOW_KEPT], sentence)


def _sentence(part: Part, model: Model, blocked: Operation, *, knows_all: bool) -> str:
    """Say what contradicts what, of a part that has all operations there were, or all since one known state."""
    budget = Budget(lambda model, operations, limits: decide(operations, model, limits)[0], steps=TOLD_STEPS)
    prefix = part.prefix(blocked.ret, model)
    reduction = reduce(prefix, model, budget)
    failure = enumerate_failure(reduction, model, budget)
    if knows_all:
        return contradiction(Part(part.keys, prefix, []), model, reduction.kept, failure)
    return impossible(model, failure)


def _unplaced(model: Model, blocked: Operation) -> str:
    return f"{model.describe(blocked)} of process {blocked.process} fits no order of what was seen before it"
