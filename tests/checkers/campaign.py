"""Fast exact paths beside brute force, on a great many small random histories; `agreement` runs them at length.

A history is made by running a real object under a random schedule, with crashed operations, and is then spoiled with
some probability: an answer is changed, or moved to another operation, or the interval of an operation is moved. So
about half of the examples are not linearizable, and many of them only just. Each example is decided by the fast path
and by `brute`; the shortest failing prefix is compared too.

The ordinary tests run a bounded share of the same examples.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from unittest import mock

from checkers.linearizability.fast import (
    counters,
    counters_general,
    mutexes,
    pending_sums,
    queues,
    registers,
    sets,
    texts,
)
from checkers.linearizability.result import LinearizabilityResult
from checkers.models import CAS_REGISTER, COUNTER, KV, MAP, MUTEX, QUEUE, SET, Model
from checkers.operation import INF, Operation
from tests.checkers import brute

LARGEST = 10
"""Operations in a history: more of them show little more, and brute force pays for each."""

Draw = Callable[[random.Random, Any, int], tuple[str, Any]]
"""(rng, state, number of the operation) -> what a client asks: f and value."""

Run = Callable[[Any, str, Any], tuple[Any, str, Any]]
"""(state, f, value) -> the next state, the type of the answer, and its result or error."""


Check = Callable[[Sequence[Operation], Model], LinearizabilityResult]


def _engine(module: ModuleType, name: str) -> Check:
    """Look the fast path up at each call, so that mutation testing can put another module in this one's place."""

    def check(operations: Sequence[Operation], model: Model) -> LinearizabilityResult:
        result: LinearizabilityResult = getattr(module, name).decide(operations, model)
        return result

    return check


@dataclass(frozen=True, kw_only=True)
class Path:
    """One fast path with the kind of history it is for."""

    name: str
    model: Model
    draw: Callable[[random.Random], Draw]
    run: Run
    check: Callable[[Sequence[Operation], Model], LinearizabilityResult]
    other_answer: Callable[[random.Random, Operation, list[Operation]], tuple[str, Any]]
    key: Any = None
    may_pass: bool = False  # some examples are for another engine
    draw_answers: Callable[[random.Random], list[tuple[str, Any, str, Any]]] | None = (
        None  # instead of running anything
    )


def history(rng: random.Random, path: Path) -> list[Operation]:
    """Make one small history: run the object, then perhaps spoil it; or draw answers and intervals out of the air."""
    if path.draw_answers is not None:
        return _scatter(rng, path, path.draw_answers(rng))
    operations = run_object(rng, path)
    if rng.random() < 0.7:
        for _ in range(rng.choice((1, 1, 2, 3))):
            operations = _spoil(rng, path, operations)
    return operations


def run_object(rng: random.Random, path: Path) -> list[Operation]:
    """Run a real object under a random schedule, with crashed operations."""
    draw, state = path.draw(rng), path.model.init
    size, threads = rng.randint(2, LARGEST), rng.randint(2, 6)
    crash, hurry = rng.choice((0, 0, 0.1, 0.4)), rng.choice((0.2, 0.5, 0.8))
    waiting: list[list[Any]] = []  # [number, call, f, value, answer or None]
    done: list[Operation] = []
    index = called = 0
    while called < size or waiting:
        if called < size and (not waiting or (len(waiting) < threads and rng.random() > hurry)):
            waiting.append([called, index, *draw(rng, state, called), None])
            called += 1
            index += 1
            continue
        entry = rng.choice(waiting)
        number, call, f, value, answer = entry
        if answer is None and rng.random() > crash / 2:
            state, outcome, result = path.run(state, f, value)
            entry[4] = (outcome, result)
            continue
        waiting.remove(entry)
        if answer is None or rng.random() < crash:
            done.append(_operation(path, number, f, value, "info", None, call, INF))
        else:
            done.append(_operation(path, number, f, value, *answer, call, index))
            index += 1
    return sorted(done, key=lambda operation: operation.call)


def _scatter(rng: random.Random, path: Path, answers: list[tuple[str, Any, str, Any]]) -> list[Operation]:
    """Give answers (f, value, type, result or error) intervals, many of them short and some of them very long."""
    length = rng.choice((0.05, 0.15, 0.4))
    moments = []  # (time, which operation, whether it returns): all different, and a call comes before its return
    for number in range(len(answers)):
        begin = rng.random()
        moments.append((begin, number, False))
        moments.append((begin + length * rng.choice((0.2, 1, 1, 4)) * rng.random(), number, True))
    index = {moment[1:]: place for place, moment in enumerate(sorted(moments))}
    made = [
        _operation(path, number, *answer, index[number, False], INF if answer[2] == "info" else index[number, True])
        for number, answer in enumerate(answers)
    ]
    return sorted(made, key=lambda operation: operation.call)


def _operation(
    path: Path, process: int, f: str, value: Any, outcome: Any, answer: Any, call: int, ret: int
) -> Operation:
    result, error = (answer, None) if outcome == "ok" else (None, answer)
    return Operation(process, f, path.key, value, result, outcome, error, call, ret)


def _spoil(rng: random.Random, path: Path, operations: list[Operation]) -> list[Operation]:
    position = rng.randrange(len(operations))
    victim = operations[position]
    outcome: Any = victim.type
    answer, call, ret = victim.error if outcome == "fail" else victim.result, victim.call, victim.ret
    kind = rng.random()
    if kind < 0.65:
        if outcome != "info":
            outcome, answer = path.other_answer(rng, victim, operations)
    elif kind < 0.8:
        outcome, answer, ret = "info", None, INF
    else:
        # Move one end of the interval to between two other events.
        end = max([operation.ret for operation in operations if operation.ret < INF], default=0)
        times = [operation.call for operation in operations] + [operation.ret for operation in operations]
        stretch = {index: 2 * index for index in times if index < INF}
        moved = [
            Operation(
                o.process, o.f, o.key, o.value, o.result, o.type, o.error, 2 * o.call, 2 * o.ret if o.ret < INF else INF
            )
            for o in operations
        ]
        call, ret = stretch[call], INF if ret == INF else stretch[ret]
        if ret < INF and rng.random() < 0.5:
            ret = 2 * rng.randint(call // 2, end) + 1
        else:
            call = 2 * rng.randint(-1, (min(ret, 2 * end) - 1) // 2) + 1
        operations = moved
    changed = _operation(path, victim.process, victim.f, victim.value, outcome, answer, call, ret)
    spoiled = [*operations[:position], changed, *operations[position + 1 :]]
    return sorted(spoiled, key=lambda operation: operation.call)


def disagreement(path: Path, operations: list[Operation]) -> tuple[str, str | None]:
    """Decide one history twice: what the fast path said, and what is wrong with that, if anything."""
    result = path.check(operations, path.model)
    if result.validity == "unknown":
        return "unknown", None if path.may_pass and result.reason else f"{path.name}: unknown ({result.reason})"
    expected = brute.is_linearizable(operations, path.model)
    if expected != (result.validity == "valid"):
        return result.validity, f"{path.name}: {result.validity}, but brute force says {expected}"
    if not expected and result.certain is not None:
        certain = brute.first_certain(operations, path.model)
        if certain != result.certain:
            return "invalid", f"{path.name}: certain at {result.certain}, but brute force says {certain}"
        if result.blocked is None or result.blocked.ret != certain:
            return "invalid", f"{path.name}: certain at {certain}, but blocked is {result.blocked}"
    return result.validity, None


def campaign(path: Path, seeds: Iterator[int] | range, seconds: float = INF) -> Counter[str]:
    """Run many examples; raise AssertionError with the first history on which the two disagree."""
    tally: Counter[str] = Counter()
    until = time.monotonic() + seconds
    for seed in seeds:
        operations = history(random.Random(f"{path.name}/{seed}"), path)
        verdict, wrong = disagreement(path, operations)
        assert wrong is None, f"seed {seed}: {wrong}\n" + "\n".join(map(show, operations))
        tally[verdict] += 1
        if time.monotonic() > until:
            break
    return tally


def show(operation: Operation) -> str:
    """Print an operation on one line."""
    ret = "inf" if operation.ret == INF else operation.ret
    answer = operation.error if operation.type == "fail" else operation.result
    return f"[{operation.call}, {ret}] {operation.f} {operation.value!r} -> {operation.type} {answer!r}"


# -- registers of unique values ---------------------------------------------------------------------------------------


def _draw_register(rng: random.Random) -> Draw:
    weights = rng.choice(((4, 4, 4), (5, 5, 0), (2, 2, 8), (6, 2, 1), (2, 6, 3), (1, 3, 7)))
    knows_state = rng.choice((0.3, 0.7, 0.95))

    def draw(rng: random.Random, state: Any, number: int) -> tuple[str, Any]:
        f = rng.choices(("read", "write", "cas"), weights)[0]
        if f == "cas":
            old = state if rng.random() < knows_state else rng.choice((None, *range(number + 2)))
            return f, (old, number)
        return f, number if f == "write" else None

    return draw


def _run_register(state: Any, f: str, value: Any) -> tuple[Any, str, Any]:
    if f == "read":
        return state, "ok", state
    if f == "write":
        return value, "ok", value
    if state == value[0]:
        return value[1], "ok", value
    return state, "fail", "precondition-failed"


def _other_register_answer(rng: random.Random, victim: Operation, operations: list[Operation]) -> tuple[str, Any]:
    if victim.f == "cas":
        return ("fail", "precondition-failed") if victim.type == "ok" else ("ok", victim.value)
    if victim.f == "read":
        return "ok", rng.choice((None, *range(len(operations))))
    return victim.type, victim.result


REGISTER_PATH = Path(
    name="register",
    model=CAS_REGISTER,
    draw=_draw_register,
    run=_run_register,
    check=_engine(registers, "REGISTERS"),
    other_answer=_other_register_answer,
)


def _draw_failed_cas(rng: random.Random) -> list[tuple[str, Any, str, Any]]:
    """Few writes, fewer reads, and refused cas of any value that may ever have been there."""
    crash = rng.choice((0.1, 0.3, 0.6))
    setters, looks, refused = rng.randint(1, 5), rng.choice((0, 0, 1, 2)), rng.randint(1, 5)
    values: list[Any] = [None, *range(setters)]
    answers: list[tuple[str, Any, str, Any]] = []
    for number in range(setters):
        f, value = ("write", number) if rng.random() < 0.6 else ("cas", (rng.choice(values[: number + 1]), number))
        answers.append((f, value, "info", None) if rng.random() < crash else (f, value, "ok", value))
    answers += [("read", None, "ok", rng.choice(values)) for _ in range(looks)]
    for number in range(refused):
        # What a refused cas would have written is often written by another one, a retry or a rival.
        old, new = rng.choice(values), rng.choice((-number - 1, -number - 1, rng.choice(values)))
        answers.append(("cas", (old, new), "fail", "precondition-failed"))
    return answers


FAILED_CAS_PATH = replace(REGISTER_PATH, name="register-failed-cas", draw_answers=_draw_failed_cas)


def _draw_map(rng: random.Random) -> Draw:
    names = ("read", "write", "cas", "put-if-absent", "replace")
    weights = rng.choice(((4, 1, 2, 2, 2), (4, 0, 1, 6, 2), (2, 1, 1, 1, 6)))

    def draw(rng: random.Random, state: Any, number: int) -> tuple[str, Any]:
        f = rng.choices(names, weights)[0]
        if f == "cas":
            return f, (rng.choice((None, *range(number + 1))), number)
        return f, None if f == "read" else number

    return draw


def _run_map(state: Any, f: str, value: Any) -> tuple[Any, str, Any]:
    held = next((item for _, item in state), None)
    if f == "put-if-absent":
        return (frozenset({("k", value)}), "ok", value) if held is None else (state, "fail", "exists")
    if f == "replace":
        return (state, "fail", "absent") if held is None else (frozenset({("k", value)}), "ok", held)
    after, outcome, answer = _run_register(held, f, value)
    return frozenset() if after is None else frozenset({("k", after)}), outcome, answer


def _other_map_answer(rng: random.Random, victim: Operation, operations: list[Operation]) -> tuple[str, Any]:
    if victim.f == "put-if-absent":
        return ("fail", "exists") if victim.type == "ok" else ("ok", victim.value)
    if victim.f == "replace":
        return "ok", rng.randrange(len(operations))
    return _other_register_answer(rng, victim, operations)


MAP_PATH = Path(
    name="map",
    model=MAP,
    draw=_draw_map,
    run=_run_map,
    check=_engine(registers, "REGISTERS"),
    other_answer=_other_map_answer,
    key="k",
    may_pass=True,
)

# -- counters ---------------------------------------------------------------------------------------------------------


def _draw_counter(*delta_sets: tuple[int, ...]) -> Callable[[random.Random], Draw]:
    def start(rng: random.Random) -> Draw:
        deltas = rng.choice(delta_sets)
        weights = rng.choice(((3, 3, 3), (4, 5, 0), (3, 0, 5), (2, 6, 1), (5, 3, 1)))

        def draw(rng: random.Random, state: Any, number: int) -> tuple[str, Any]:
            f = rng.choices(("read", "add", "add-and-get"), weights)[0]
            return f, None if f == "read" else rng.choice(deltas)

        return draw

    return start


def _run_counter(state: Any, f: str, value: Any) -> tuple[Any, str, Any]:
    if f == "read":
        return state, "ok", state
    return state + value, "ok", (value, state + value) if f == "add-and-get" else value


def _other_counter_answer(rng: random.Random, victim: Operation, operations: list[Operation]) -> tuple[str, Any]:
    deltas = [operation.value for operation in operations if operation.f != "read"] or [1]
    if victim.f == "read":
        return "ok", victim.result + rng.choice((1, -1)) * rng.choice(deltas)
    if victim.f == "add-and-get":
        return "ok", (victim.value, victim.result[1] + rng.choice((1, -1)) * rng.choice(deltas))
    return victim.type, victim.result


def _counter_path(name: str, *delta_sets: tuple[int, ...]) -> Path:
    return Path(
        name=name,
        model=COUNTER,
        draw=_draw_counter(*delta_sets),
        run=_run_counter,
        check=_engine(counters, "COUNTERS"),
        other_answer=_other_counter_answer,
    )


COUNTER_ONE_PATH = _counter_path("counter-one-delta", (1,), (-1,), (3,))
COUNTER_SMALL_PATH = _counter_path("counter-small", (1, -1), (1, 2), (-3, -2, -1, 1, 2, 3), (0, 1, -2), (3, -2))
# Sums of large deltas that are equal by chance, as small ones are by nature: 20 + 33 = 53, 40 = 20 + 20.
COUNTER_LARGE_PATH = _counter_path(
    "counter-large", (20, 33, -20, 53, -13, 40), (17, 29, -46, 71, 100), (1000, -2000, 5000, 12000, -25000, 60000)
)

# -- sets, queues, locks ----------------------------------------------------------------------------------------------


def _draw_set(rng: random.Random) -> Draw:
    weights, elements = rng.choice(((4, 4), (6, 2), (3, 6))), rng.choice((3, 5, 20))

    def draw(rng: random.Random, state: Any, number: int) -> tuple[str, Any]:
        f = rng.choices(("add", "read"), weights)[0]
        return f, None if f == "read" else rng.randrange(elements)

    return draw


def _run_set(state: Any, f: str, value: Any) -> tuple[Any, str, Any]:
    if f == "read":
        return state, "ok", tuple(sorted(state))
    if value in state:
        return state, *(("fail", "exists") if value % 2 else ("ok", value))
    return state | {value}, "ok", value


def _other_set_answer(rng: random.Random, victim: Operation, operations: list[Operation]) -> tuple[str, Any]:
    if victim.f == "read":
        elements = [operation.value for operation in operations if operation.f == "add"] or [1]
        return "ok", tuple(sorted({*victim.result} ^ {rng.choice(elements)}))
    return ("fail", "exists") if victim.type == "ok" else ("ok", victim.value)


SET_PATH = Path(
    name="set",
    model=SET,
    draw=_draw_set,
    run=_run_set,
    check=_engine(sets, "SETS"),
    other_answer=_other_set_answer,
)


def _draw_queue(rng: random.Random) -> Draw:
    weights = rng.choice(((4, 4), (6, 3), (3, 6)))
    return lambda rng, state, number: rng.choice(
        (("enqueue", number),) * weights[0] + (("dequeue", None),) * weights[1]
    )


def _run_queue(state: Any, f: str, value: Any) -> tuple[Any, str, Any]:
    if f == "enqueue":
        return (*state, value), "ok", value
    return (state[1:], "ok", state[0]) if state else (state, "fail", "empty")


def _other_queue_answer(rng: random.Random, victim: Operation, operations: list[Operation]) -> tuple[str, Any]:
    if victim.f == "dequeue":
        return ("fail", "empty") if rng.random() < 0.4 else ("ok", rng.randrange(len(operations)))
    return victim.type, victim.result


QUEUE_PATH = Path(
    name="queue",
    model=QUEUE,
    draw=_draw_queue,
    run=_run_queue,
    check=_engine(queues, "QUEUES"),
    other_answer=_other_queue_answer,
    may_pass=True,
)


def _draw_queue_answers(rng: random.Random) -> list[tuple[str, Any, str, Any]]:
    """Values put in, most of them taken out, now and then twice, in any order; and some dequeues that found nothing."""
    size = rng.randint(1, 5)
    answers: list[tuple[str, Any, str, Any]] = [
        ("enqueue", value, *(("info", None) if rng.random() < 0.15 else ("ok", value))) for value in range(size)
    ]
    taken = rng.sample(range(size), rng.randint(0, size)) + [rng.randrange(size)] * (rng.random() < 0.05)
    answers += [("dequeue", None, "ok", value) for value in taken]
    answers += [("dequeue", None, "fail", "empty")] * rng.choice((0, 0, 1))
    answers += [("dequeue", None, "info", None)] * rng.choice((0, 0, 0, 1, 2))
    return answers


QUEUE_SCATTERED_PATH = replace(QUEUE_PATH, name="queue-scattered", draw_answers=_draw_queue_answers)


def _draw_mutex(rng: random.Random) -> Draw:
    follows_state = rng.choice((0.3, 0.7, 0.9))

    def draw(rng: random.Random, state: Any, number: int) -> tuple[str, Any]:
        wanted = "acquire" if state is None else "release"
        return wanted if rng.random() < follows_state else rng.choice(("acquire", "release")), None

    return draw


def _run_mutex(state: Any, f: str, value: Any) -> tuple[Any, str, Any]:
    if f == "acquire":
        return ("held", "ok", None) if state is None else (state, "fail", "held")
    return (None, "ok", None) if state == "held" else (state, "fail", "absent")


def _other_mutex_answer(rng: random.Random, victim: Operation, operations: list[Operation]) -> tuple[str, Any]:
    if victim.type == "ok":
        return "fail", "held" if victim.f == "acquire" else "absent"
    return "ok", None


MUTEX_PATH = Path(
    name="mutex",
    model=MUTEX,
    draw=_draw_mutex,
    run=_run_mutex,
    check=_engine(mutexes, "MUTEXES"),
    other_answer=_other_mutex_answer,
)


def _draw_sums(*delta_sets: tuple[int, ...]) -> Callable[[random.Random], list[tuple[str, Any, str, Any]]]:
    """Adds, mostly blind, and answers that are the sum of some of them."""

    def draw(rng: random.Random) -> list[tuple[str, Any, str, Any]]:
        encoding, crash = rng.choice(delta_sets), rng.choice((0, 0.2, 0.5))
        added = [rng.choice(encoding) for _ in range(rng.randint(2, 6))]
        answers: list[tuple[str, Any, str, Any]] = []
        for delta in added:
            if rng.random() < crash:
                answers.append(("add", delta, "info", None))
            elif rng.random() < 0.2:
                answers.append(("add-and-get", delta, "ok", (delta, delta + _some_sum(rng, added))))
            else:
                answers.append(("add", delta, "ok", delta))
        return answers + [("read", None, "ok", _some_sum(rng, added)) for _ in range(rng.randint(1, 4))]

    return draw


def _some_sum(rng: random.Random, added: list[int]) -> int:
    return sum(rng.sample(added, rng.randint(0, len(added))))


SMALL_SUMS_PATH = replace(
    COUNTER_SMALL_PATH,
    name="counter-small-scattered",
    draw_answers=_draw_sums((1, -1), (1, 2), (1, 2, 3), (-3, -2, -1, 1, 2, 3), (2, 3, -4), (3, -2)),
)
LARGE_SUMS_PATH = replace(
    COUNTER_LARGE_PATH,
    name="counter-large-scattered",
    draw_answers=_draw_sums((20, 33, -20, 53, -13, 40), (17, 34, 51)),
)


def _check_cramped(operations: Sequence[Operation], model: Model) -> LinearizabilityResult:
    """Check a counter with so little room that small histories get stuck and go back, as long ones do."""
    efforts = ((1, 0), (2, 2), (counters_general.CONFIGURATIONS_MAX, INF))
    with (
        mock.patch.multiple(counters_general, EFFORTS=efforts, STRIDE=2),
        mock.patch.multiple(pending_sums, TABLE_CRASHED_MAX=1, THOROUGH_EFFORT=2),
    ):
        return counters.COUNTERS.decide(operations, model)


COUNTER_SMALL_CRAMPED_PATH = replace(SMALL_SUMS_PATH, name="counter-small-cramped", check=_check_cramped)
COUNTER_LARGE_CRAMPED_PATH = replace(LARGE_SUMS_PATH, name="counter-large-cramped", check=_check_cramped, may_pass=True)

# -- texts ------------------------------------------------------------------------------------------------------------


def _draw_text(rng: random.Random) -> Draw:
    weights = rng.choice(((4, 1, 4), (4, 3, 3), (3, 0, 6), (2, 4, 4)))

    def draw(rng: random.Random, state: Any, number: int) -> tuple[str, Any]:
        f = rng.choices(("read", "write", "append"), weights)[0]
        return f, None if f == "read" else f"{number}."

    return draw


def _run_text(state: Any, f: str, value: Any) -> tuple[Any, str, Any]:
    if f == "read":
        return state, "ok", state
    return value if f == "write" else state + value, "ok", value


def _other_text_answer(rng: random.Random, victim: Operation, operations: list[Operation]) -> tuple[str, Any]:
    """Let a read see what another one saw, or a text that differs by one piece or two, or by a letter."""
    if victim.f != "read" or victim.type != "ok":
        return victim.type, victim.result
    pieces = [operation.value for operation in operations if operation.f != "read"] or ["0."]
    seen = [f"{piece}." for piece in victim.result.split(".")[:-1]]
    texts = [operation.result for operation in operations if operation.f == "read" and operation.type == "ok"]
    return "ok", rng.choice(
        (
            rng.choice(texts),
            victim.result + rng.choice(pieces),
            "".join(seen[:-1]),
            "".join(rng.sample(seen, len(seen))),
            victim.result[1:],
        )
    )


TEXT_PATH = Path(
    name="text",
    model=KV,
    draw=_draw_text,
    run=_run_text,
    check=_engine(texts, "TEXTS"),
    other_answer=_other_text_answer,
)

PATHS = {
    path.name: path
    for path in (
        REGISTER_PATH,
        FAILED_CAS_PATH,
        MAP_PATH,
        COUNTER_ONE_PATH,
        COUNTER_SMALL_PATH,
        COUNTER_LARGE_PATH,
        SMALL_SUMS_PATH,
        LARGE_SUMS_PATH,
        COUNTER_SMALL_CRAMPED_PATH,
        COUNTER_LARGE_CRAMPED_PATH,
        SET_PATH,
        QUEUE_PATH,
        QUEUE_SCATTERED_PATH,
        MUTEX_PATH,
        TEXT_PATH,
    )
}
