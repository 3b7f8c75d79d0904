"""The choice among engines: the fast path of the model if there is one, else the two general ones in turns.

An engine decides the operations of one object. A fast path looks for its preconditions while it reads the operations,
and says where they do not hold; the general engines decide any object.

Each engine is imported when it is first needed: one check needs one or two of them, and all take longer to import than
a short history takes to decide.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from checkers.linearizability.fast.fast_path import FastPath
from checkers.linearizability.result import Limits, LinearizabilityResult
from checkers.malformed import MalformedHistory
from checkers.models import Model
from checkers.models.model import ModelFailed
from checkers.operation import INF, Operation

Engine = Callable[[Sequence[Operation], Model, Limits], LinearizabilityResult]

GENERAL: Final = "jit"
"""The engine that decides every model."""

REFERENCE: Final = "wgl"
"""The engine that `cross_check` compares with."""

FAST_PATHS: Final[dict[str, str]] = {
    "register": "registers",
    "cas-register": "registers",
    "map": "registers",
    "counter": "counters",
    "set": "sets",
    "queue": "queues",
    "list": "lists",
    "kv": "texts",
    "mutex": "mutexes",
}
"""Model -> the exact check of such objects. Each looks for its preconditions, and says where they do not hold."""


def fast_path(name: str) -> FastPath[Any]:
    """Import a fast path."""
    match name:
        case "registers":
            from checkers.linearizability.fast.registers import REGISTERS

            return REGISTERS
        case "counters":
            from checkers.linearizability.fast.counters import COUNTERS

            return COUNTERS
        case "sets":
            from checkers.linearizability.fast.sets import SETS

            return SETS
        case "queues":
            from checkers.linearizability.fast.queues import QUEUES

            return QUEUES
        case "lists":
            from checkers.linearizability.fast.lists import LISTS

            return LISTS
        case "texts":
            from checkers.linearizability.fast.texts import TEXTS

            return TEXTS
        case "mutexes":
            from checkers.linearizability.fast.mutexes import MUTEXES

            return MUTEXES
    raise KeyError(name)


def _fast(name: str) -> Engine:
    return lambda operations, model, limits: fast_path(name).decide(operations, model, limits)


def _general(operations: Sequence[Operation], model: Model, limits: Limits) -> LinearizabilityResult:
    from checkers.linearizability.search import jit

    return jit.check_operations(operations, model, limits)


def _reference(operations: Sequence[Operation], model: Model, limits: Limits) -> LinearizabilityResult:
    from checkers.linearizability.search import wgl

    return wgl.check_operations(operations, model, limits)


ENGINES: Final[dict[str, Engine]] = {
    **{name: _fast(name) for name in FAST_PATHS.values()},
    GENERAL: _general,
    REFERENCE: _reference,
}

GUESS_STEPS_PER_OPERATION: Final = 4
"""What the depth-first engine may spend before anything else. Most valid histories of few clients let it place one
operation after the other, in a fifth of the time of the general engine; if not, a quarter of that is lost."""

GUESS_PENDING_MAX: Final = 6
"""At most this many operations pending at once, crashed ones apart: of more, a guess hardly ever succeeds."""

FIRST_TURN_STEPS: Final = 100_000
FIRST_TURN_STEPS_PER_OPERATION: Final = 100
"""What the general engine may spend before the other one has a turn: a fraction of a second, or what it needs at most
for nearly all valid histories of registers, whichever is more."""

STEPS_PER_TURN: Final = {GENERAL: 1, REFERENCE: 6}
"""Steps that an engine makes in the time of one step of the general one, measured (5 to 9). So turns are equal in time,
and yet the same on every machine."""

TURN_GROWTH: Final = 8
"""Each turn is longer by this factor, so that starting again costs little in the end."""


def decide(
    operations: Sequence[Operation], model: Model, limits: Limits, algorithm: str = "auto"
) -> tuple[LinearizabilityResult, list[str]]:
    """Decide one object with the best engine, or the one that was named; also say why others were passed over."""
    if algorithm != "auto":
        return run_engine(algorithm, operations, model, limits), []
    passed: list[str] = []
    if fast := FAST_PATHS.get(model.name):
        result = run_engine(fast, operations, model, limits)
        if result.validity != "unknown":
            return result, passed
        passed.append(f"{fast}: {result.reason}")
    return _run_general(operations, model, limits), passed


def _run_general(operations: Sequence[Operation], model: Model, limits: Limits) -> LinearizabilityResult:
    """Let the two general engines take turns with growing budgets: each is quick where the other drowns.

    First of all the depth-first one may guess an order; what it refutes is left to the other, which says more of why.
    The general engine keeps every possibility, the depth-first one guesses. Queues and lists, whose order shows long
    after it was made, are kinder to guessing. Budgets are steps, so the turns are equal on every machine.
    """
    started = time.monotonic()
    budget = max(FIRST_TURN_STEPS, FIRST_TURN_STEPS_PER_OPERATION * len(operations))
    spent = 0
    if _pending_at_most(GUESS_PENDING_MAX, operations):
        steps = GUESS_STEPS_PER_OPERATION * len(operations)
        steps = steps if limits.steps is None else min(steps, limits.steps)
        guess = run_engine(REFERENCE, operations, model, msgspec.structs.replace(limits, steps=steps))
        if guess.validity == "valid":
            return guess
        spent = guess.steps
    while True:
        for name in (GENERAL, REFERENCE):
            left = None if limits.steps is None else max(1, limits.steps - spent)
            turn_steps = budget * STEPS_PER_TURN[name]
            steps = turn_steps if left is None else min(turn_steps, left)
            turn = msgspec.structs.replace(time_left(limits, started), steps=steps)
            result = run_engine(name, operations, model, turn)
            spent += result.steps
            out_of_turn = result.validity == "unknown" and result.steps >= steps and not result.machine_dependent
            if not out_of_turn or steps == left:
                return msgspec.structs.replace(result, steps=spent)
        budget *= TURN_GROWTH


def _pending_at_most(bound: int, operations: Sequence[Operation]) -> bool:
    """Whether never more than `bound` operations are pending, without those that never returned."""
    returned = [operation for operation in operations if operation.ret != INF]
    returns = sorted([operation.ret for operation in returned])
    calls = sorted([operation.call for operation in returned])
    return all(called - bisect_left(returns, call) <= bound for called, call in enumerate(calls, 1))


def run_engine(name: str, operations: Sequence[Operation], model: Model, limits: Limits) -> LinearizabilityResult:
    """Run one engine; where it crashes it has no opinion, and says so."""
    if name not in ENGINES:
        raise MalformedHistory(f"algorithm {name!r}", f"auto or one of {', '.join(ENGINES)}", "--algorithm")
    try:
        return ENGINES[name](operations, model, limits)
    except MalformedHistory:
        raise  # what was given is wrong, and no engine can do better
    except MemoryError:
        return LinearizabilityResult(validity="unknown", engine=name, reason="out of memory", machine_dependent=True)
    except ModelFailed as failed:
        return LinearizabilityResult(validity="unknown", engine=name, reason=str(failed))
    except Exception as error:
        reason = f"engine {name} crashed: {type(error).__name__}: {error}"
        return LinearizabilityResult(validity="unknown", engine=name, reason=reason)


def time_left(limits: Limits, started: float) -> Limits:
    """Return the limits with the seconds that are left of them."""
    if limits.seconds is None:
        return limits
    return msgspec.structs.replace(limits, seconds=max(0.0, limits.seconds - (time.monotonic() - started)))
