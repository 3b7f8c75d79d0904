"""Locks, semaphores, fencing tokens and queues of repeated values beside every order; `agreement` runs them at length.

What each object allows is written down here from its definition, as the states that one operation may leave, and the
brute force takes it from the lines of a history: nothing is shared with the checkers. Those judge the models of this
package, and models as a user writes them, by every engine, in a stream and from columns.

Each history is also judged by a model that looks ahead as far as can be: its `can_reach` tries every order of what is
to come, with windows of any size, and with some functions that it does not foresee. So it says no wherever it may, and
an engine that asks it at a wrong moment, or of operations that are not all that may come, finds a wrong verdict.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple
from unittest import mock

from checkers import ILLEGAL, History, Model, Op, api, check, check_file, streaming
from checkers.linearizability.partition import pending
from checkers.linearizability.search import beam, look_ahead
from checkers.models import MODELS, asked_and_told
from checkers.models.model import Later
from checkers.operation import INF, Operation
from checkers.streaming import StreamingChecker

State = Any
Outcome = tuple[str, Any]
"""ok with the answer, fail (the object said no), or info."""
Rule = Callable[[State, int, str, Any, Outcome], list[State]]
"""(state, process, function, asked, outcome) -> the states that may be left; a crashed one may also do nothing"""

NEVER = 1 << 60
NO = {"acquire": "held", "release": "absent", "dequeue": "empty"}
PERMITS = 2


def _allows(state: State, after: State, is_possible: bool, outcome: Outcome) -> list[State]:
    """The states left by an operation that does one thing where it is possible, and is refused elsewhere."""
    if outcome[0] == "info":
        return [state, after] if is_possible else [state]
    return [state if outcome[0] == "fail" else after] if is_possible == (outcome[0] == "ok") else []


def lock(held: bool, process: int, f: str, asked: Any, outcome: Outcome) -> list[State]:
    """A lock without an owner."""
    return _allows(held, not held, held == (f == "release"), outcome)


def owned(owner: int | None, process: int, f: str, asked: Any, outcome: Outcome) -> list[State]:
    """A lock that only its owner releases."""
    if f == "acquire":
        return _allows(owner, process, owner is None, outcome)
    return _allows(owner, None, owner == process, outcome)


def reentrant(state: tuple[Any, int], process: int, f: str, asked: Any, outcome: Outcome) -> list[State]:
    """A lock that its owner may take twice."""
    owner, times = state
    if f == "acquire":
        return _allows(state, (process, times + 1), owner is None or (owner == process and times < 2), outcome)
    return _allows(state, (owner, times - 1) if times > 1 else (None, 0), owner == process, outcome)


def fenced(state: tuple[Any, int], process: int, f: str, asked: Any, outcome: Outcome) -> list[State]:
    """A lock with an owner that answers a token, larger than all that were answered before."""
    owner, last = state
    if f == "release":
        return _allows(state, (None, last), owner == process, outcome)
    if outcome[0] != "ok":
        return _allows(state, (process, last), owner is None, outcome)
    return [(process, outcome[1])] if owner is None and outcome[1] > last else []


def semaphore(holders: frozenset[tuple[int, int]], process: int, f: str, asked: Any, outcome: Outcome) -> list[State]:
    """Permits, of which a process gives back no more than it has."""
    held = dict(holders)
    if f == "acquire":
        is_possible, change = sum(held.values()) + asked <= PERMITS, asked
    else:
        is_possible, change = held.get(process, 0) >= asked, -asked
    held[process] = held.get(process, 0) + change
    return _allows(holders, frozenset((who, count) for who, count in held.items() if count), is_possible, outcome)


def queue(items: tuple[int, ...], process: int, f: str, asked: Any, outcome: Outcome) -> list[State]:
    """A queue of few values."""
    if f == "enqueue":
        return _allows(items, (*items, asked), is_possible=True, outcome=outcome)
    if outcome[0] == "ok" and items[:1] != (outcome[1],):
        return []
    return _allows(items, items[1:], bool(items), outcome)


def _as_model(name: str, init: Hashable, rule: Rule) -> Model:
    """Write the rule as a user would write a model."""

    def step(state: State, operation: Operation) -> State:
        outcome = (operation.type, operation.result)
        left = rule(state, operation.process, operation.f, operation.value, outcome)
        return left[-1] if left else ILLEGAL

    def identity(operation: Operation) -> Hashable:
        return asked_and_told(operation), operation.process

    return Model(name=name, init=init, step=step, identity=identity, any_state=True)


class Thing(NamedTuple):
    """An object: its model, and what its definition says."""

    model: Model
    rule: Rule
    init: State


THINGS = {
    "mutex": Thing(MODELS["mutex"], lock, False),
    "owned-mutex": Thing(MODELS["owned-mutex"], owned, None),
    "queue": Thing(MODELS["queue"], queue, ()),
    "own-reentrant": Thing(_as_model("reentrant", (None, 0), reentrant), reentrant, (None, 0)),
    "own-fenced": Thing(_as_model("fenced", (None, 0), fenced), fenced, (None, 0)),
    "own-semaphore": Thing(_as_model("semaphore", frozenset(), semaphore), semaphore, frozenset()),
    "own-queue": Thing(_as_model("few", (), queue), queue, ()),
}


def random_history(rng: random.Random, name: str) -> History:
    """Run up to nine operations on the object; some crash, some never leave the client, some answers are false."""
    rule, state = THINGS[name].rule, THINGS[name].init
    offset = rng.choice((0, 0, 0, 1 << 40, -9))
    clients, fresh, count = [offset + client for client in range(rng.randint(1, 4))], offset + 4, rng.randint(1, 9)
    crash, void, lie = rng.choice((0, 0, 0.15, 0.4)), rng.choice((0, 0, 0.15)), rng.choice((0, 0, 0.1, 0.3))
    running: dict[int, tuple[str, Any, Outcome | None, str | None]] = {}
    lost: list[tuple[int, str, Any]] = []
    lines: list[Op] = []

    def apply(process: int, f: str, asked: Any) -> Outcome:
        nonlocal state
        for answer in (None, *range(1, 10), 0):
            if (f == "acquire" and name == "own-fenced" and answer is None) or (f == "dequeue" and answer is None):
                continue
            if left := rule(state, process, f, asked, ("ok", answer)):
                state = left[-1]
                return "ok", answer
        return "fail", None

    def line(process: int, kind: Any, f: str, value: Any, error: str | None = None) -> None:
        index = 2 * len(lines)
        lines.append(Op(index=index, time=index, process=process, type=kind, f=f, value=value, error=error))

    while count or running:
        if lost and rng.random() < 0.2:
            apply(*lost.pop())
        idle = [client for client in clients if client not in running]
        if count and idle and (not running or rng.random() < 0.5):
            process = rng.choice(idle)
            f = rng.choice(("enqueue", "dequeue") if name.endswith("queue") else ("acquire", "acquire", "release"))
            asked = rng.randrange(3) if f == "enqueue" else rng.choice((1, 1, 2)) if name == "own-semaphore" else None
            running[process] = f, asked, None, None
            line(process, "invoke", f, asked)
            count -= 1
            continue
        process = rng.choice(list(running))
        f, asked, outcome, error = running.pop(process)
        if outcome is not None:
            told = asked if f == "enqueue" or outcome[0] == "fail" else outcome[1]
            line(process, outcome[0], f, told, error)
        elif rng.random() < crash:
            clients[clients.index(process)], fresh = fresh, fresh + 1
            lost.append((process, f, asked))
            if rng.random() < 0.5:
                line(process, "info", f, asked, "timeout")
        elif rng.random() < void:
            running[process] = f, asked, ("fail", None), "refused"
        else:
            outcome = apply(process, f, asked)
            if rng.random() < lie and f != "enqueue":
                is_asked_what = f == "dequeue" or (f == "acquire" and name == "own-fenced")
                outcome = rng.choice((("fail", None), ("ok", rng.randrange(4) if is_asked_what else None)))
            running[process] = f, asked, outcome, NO[f] if outcome[0] == "fail" else None
    return History(lines)


def explained(history: History, name: str) -> bool | None:
    """Whether some order of time explains the lines; None where no outcome is known."""
    rule = THINGS[name].rule
    rows: list[tuple[int, str, Any, Outcome, int, int]] = []
    calls: dict[Any, tuple[int, Op]] = {}
    crashed: list[tuple[int, Op]] = []
    for place, op in enumerate(history):
        if op.type == "invoke":
            calls[op.process] = place, op
        else:
            call, asked = calls.pop(op.process)
            if op.type == "info":
                crashed.append((call, asked))
            elif op.error != "refused":
                rows.append((asked.process, op.f, asked.value, (op.type, op.value), call, place))  # type: ignore[arg-type]
    sure = (1 << len(rows)) - 1
    rows += [(op.process, op.f, op.value, ("info", None), call, NEVER) for call, op in (*crashed, *calls.values())]  # type: ignore[misc]
    seen: set[tuple[int, State]] = set()

    def can_finish(placed: int, state: State) -> bool:
        if placed & sure == sure:
            return True
        if (placed, state) in seen:
            return False
        seen.add((placed, state))
        waiting = [place for place in range(len(rows)) if not placed >> place & 1]
        first = min(rows[place][5] for place in waiting)
        return any(
            can_finish(placed | 1 << place, after)
            for place in waiting
            if rows[place][4] < first
            for after in rule(state, *rows[place][:4])
        )

    return can_finish(0, THINGS[name].init) if sure else None


LOOKED_AT_MOST = 300


def looking_ahead(model: Model, history: History, foreseen: frozenset[str]) -> Model:
    """The model with the strictest `can_reach` that is right, which foresees these functions."""
    operations = history.operations()
    others = [operation for operation in operations if operation.f not in foreseen]
    others += [pending(operation) for operation in others]

    def can_reach(state: State, later: Later) -> bool:
        coming = later.operations
        sure = sum(1 << place for place, operation in enumerate(coming) if operation.ret != INF)
        seen: set[tuple[int, State]] = set()
        todo = [(0, state)]
        while todo and len(seen) < LOOKED_AT_MOST:
            placed, now = todo.pop()
            if placed & sure == sure:
                return True
            if (placed, now) in seen:
                continue
            seen.add((placed, now))
            waiting = [place for place in range(len(coming)) if not placed >> place & 1]
            first = min(coming[place].ret for place in waiting)
            moves = [(placed | 1 << place, coming[place]) for place in waiting if coming[place].call < first]
            moves += [(placed, operation) for operation in others]
            for after, operation in moves:
                if (state_after := model.step(now, operation)) is not ILLEGAL:
                    todo.append((after, state_after))
        return bool(todo)

    return dataclasses.replace(model, can_reach=can_reach, foresees=lambda operation: operation.f in foreseen)


def verdicts(rng: random.Random, name: str, history: History) -> Iterator[tuple[str, str]]:
    """Yield (who says it, verdict), of every way to one."""
    model = THINGS[name].model
    seeing = looking_ahead(model, history, frozenset(f for f in (*NO, "enqueue") if rng.random() < 0.7))
    blind = dataclasses.replace(model, can_reach=None)
    for algorithm in ("auto", "jit", "wgl"):
        for kind, judge in (("", model), (" blind", blind), (" looking ahead", seeing)):
            explain = not kind and algorithm == "auto"
            yield algorithm + kind, check(history, judge, algorithm=algorithm, explain=explain).validity
    for kind, judge in (("", model), (" looking ahead", seeing)):
        found = _streamed(list(history), judge, rng.choice((4, 8, 16)))
        if found != "unknown":
            yield f"stream{kind}", found
    if name in MODELS:
        with mock.patch.multiple(api, LONG_BYTES=0, LONG_LINES=0):
            yield "columns of the file", check_file(history.to_jsonl(), name, explain=False).validity
            yield "columns of the history", check(history, name, explain=False).validity


def _streamed(lines: Sequence[Op], model: Model, kept: int) -> str:
    with ExitStack() as stack:
        stack.enter_context(mock.patch.multiple(streaming, KEPT=kept, KEPT_AT_LEAST=kept))
        stack.enter_context(mock.patch.object(beam, "STRIDE", 2))
        checker = StreamingChecker(model)
        for op in lines:
            checker.feed(op)
        return checker.finish().validity


def disagreement(rng: random.Random, name: str) -> tuple[str, str | None, History]:
    """Return the verdict on one example, what is wrong with it or None, and the history."""
    history = random_history(rng, name)
    is_explained = explained(history, name)
    if is_explained is None:
        return "nothing judged", None, history
    expected = "valid" if is_explained else "invalid"
    with mock.patch.object(look_ahead, "WINDOW", rng.choice((0, 1, 2, 64))):
        for who, found in verdicts(rng, name, history):
            if found != expected:
                return expected, f"{who} says {found}, all orders say {expected}", history
    return expected, None, history
