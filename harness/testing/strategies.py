"""Strategies for Hypothesis: plans that shrink fault by fault, and small histories of a model.

    @given(plans(workload="counter"))
    def test_my_oracle_is_quiet(plan): ...

    @given(histories("queue"))
    def test_my_checker_agrees(history): assert mine(history) == (check(history, "queue").validity == "valid")

A plan is drawn from a seed, and then cut: Hypothesis takes faults and ops away as long as the test still fails. What it
cuts is data, so a plan that it found replays with `foreshock run --plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from checkers import MODELS, History
from checkers.models.model import ILLEGAL, Model
from checkers.op import Op, OpType
from checkers.operation import INF, Operation
from harness.plans.plan import Gates, Plan, Program
from harness.run.drawing import Drawing, abilities_of
from harness.systems import catalog
from harness.systems.checkouts import Checkouts

Answer = tuple[str, Any, OpType, Any, Any]
"""(f, value, type, result, error): an operation with what it was told."""

_SEEDS: Final = st.integers(0, 2**32 - 1)
_KEEPS: Final = st.integers(0, 15).map(bool)
"""Whether a fault is kept: nearly all are, until Hypothesis shrinks."""


@st.composite
def plans(
    draw: st.DrawFn,
    system: str = "raft_impl",
    *,
    workload: str = "register",
    profile: str = "swarm",
    seeds: st.SearchStrategy[int] = _SEEDS,
    nodes: int | None = None,
    concurrency: int | None = None,
) -> Plan:
    """Draw a plan: that of a seed, with most of its faults and the first of its ops.

    Its gates are off, because a plan that was cut may do little.
    """
    with Checkouts() as checkouts:
        abilities = abilities_of(catalog.load_systems(catalog.bind(system, checkouts)).values())
    drawing = Drawing(system=system, workload=workload, profile=profile, nodes=nodes, concurrency=concurrency)
    plan = drawing.plan(draw(seeds), abilities)
    kept = [draw(_KEEPS) for _ in plan.faults]
    ids = sorted(op.id for program in plan.programs for op in program.ops)
    count = draw(st.integers(0, len(ids)))
    return msgspec.structs.replace(
        plan,
        faults=tuple(fault for fault, is_kept in zip(plan.faults, kept, strict=True) if is_kept),
        programs=tuple(_cut(program, set(ids[:count])) for program in plan.programs),
        gates=Gates(fault_kinds=False),
    )


def _cut(program: Program, kept: set[int]) -> Program:
    return msgspec.structs.replace(program, ops=tuple(op for op in program.ops if op.id in kept))


@st.composite
def operations(
    draw: st.DrawFn, model: str, *, answers: st.SearchStrategy[Answer] | None = None, count: int = 6
) -> list[Operation]:
    """Draw up to `count` operations of a model that overlap in any way and were told anything, true or not.

    `answers` replaces what the operations of a model of ours ask and are told. Their instants are unique, as lines are.
    """
    found = draw(st.lists(ANSWERS[model] if answers is None else answers, min_size=1, max_size=count))
    return _overlapping(draw, found, two_processes=model == "owned-mutex")


@st.composite
def histories(
    draw: st.DrawFn,
    model: str | Model,
    *,
    answers: st.SearchStrategy[Answer] | None = None,
    count: int = 6,
    only_valid: bool = False,
) -> History:
    """Draw a small history of a model: any, or with `only_valid` one that has an order in which every answer is right.

    A model of one's own needs `answers`, a strategy of what its operations ask and are told.
    """
    name = model if isinstance(model, str) else model.name
    if answers is None and name not in ANSWERS:
        raise ValueError(f"found no answers of model {name!r}; expected answers=..., or one of {', '.join(ANSWERS)}")
    drawn = draw(st.lists(ANSWERS[name] if answers is None else answers, min_size=1, max_size=count))
    if only_valid:
        return _lines(_around_their_order(draw, MODELS[model] if isinstance(model, str) else model, drawn))
    return _lines(_overlapping(draw, drawn, two_processes=name == "owned-mutex"))


def _overlapping(draw: st.DrawFn, answers: list[Answer], *, two_processes: bool) -> list[Operation]:
    instants = draw(st.permutations(range(2 * len(answers))))
    found = []
    for number, answer in enumerate(answers):
        call, ret = sorted(instants[2 * number : 2 * number + 2])
        found.append(_operation(number % 2 if two_processes else number, answer, call, ret))
    return sorted(found, key=lambda operation: operation.call)


def _around_their_order(draw: st.DrawFn, model: Model, answers: list[Answer]) -> list[Operation]:
    """Keep the answers that are right one after another, and let each operation begin earlier and end later."""
    state = model.init
    right: list[Answer] = []
    for answer in answers:
        after = model.step(state, _operation(len(right), answer, 0, 1))
        if after is not ILLEGAL:
            state = after
            right.append(answer)
    found = []
    for number, answer in enumerate(right):
        early, late = draw(st.integers(0, number)), draw(st.integers(0, len(right)))
        # Operation n takes effect at n; it is called before some instant up to that, and returns behind one from it on.
        call, ret = (number - early) * 3 * len(right) + number, (number + late) * 3 * len(right) + len(right) + number
        found.append(_operation(number, answer, call, ret))
    return sorted(found, key=lambda operation: operation.call)


def _operation(process: int, answer: Answer, call: int, ret: int) -> Operation:
    f, value, kind, result, error = answer
    return Operation(process, f, None, value, result, kind, error, call, INF if kind == "info" else ret)  # type: ignore[arg-type]


def _lines(operations: list[Operation]) -> History:
    """The history in which these operations are called and return in this order."""
    events: list[tuple[int, Op]] = []
    for one in operations:
        events.append((one.call, _line(one, "invoke", one.value, None)))
        if one.ret != INF:
            events.append((one.ret, _line(one, one.type, one.result if one.type == "ok" else one.value, one.error)))
    ordered = [op for _, op in sorted(events, key=lambda event: event[0])]
    return History(tuple(msgspec.structs.replace(op, index=index, time=index) for index, op in enumerate(ordered)))


def _line(one: Operation, kind: Any, value: Any, error: Any) -> Op:
    return Op(index=0, time=0, process=one.process, type=kind, f=one.f, key=one.key, value=value, error=error)


def _small(low: int = 0, high: int = 2) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def _ok(f: str, value: st.SearchStrategy[Any], result: st.SearchStrategy[Any]) -> st.SearchStrategy[Answer]:
    return st.tuples(st.just(f), value, st.just("ok"), result, st.none())


def _no(f: str, value: st.SearchStrategy[Any], word: str) -> st.SearchStrategy[Answer]:
    return st.tuples(st.just(f), value, st.just("fail"), st.none(), st.just(word))


def _crashed(f: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Answer]:
    return st.tuples(st.just(f), value, st.just("info"), st.none(), st.none())


_null = st.none()
_value = _small()
_pair = st.tuples(_small(), _small())
_list = st.lists(_small(), max_size=3).map(tuple)
_delta = _small(-2, 2)
_either = st.one_of(_null, _value)

ANSWERS: Final[Mapping[str, st.SearchStrategy[Answer]]] = {
    "cas-register": st.one_of(
        _ok("read", _null, _either),
        _ok("write", _value, _null),
        _crashed("write", _value),
        _ok("cas", _pair, _null),
        _no("cas", _pair, "precondition-failed"),
        _crashed("cas", _pair),
    ),
    "counter": st.one_of(
        _ok("read", _null, _small(-3, 3)),
        _ok("add", _delta, _null),
        _crashed("add", _delta),
        st.tuples(_delta, _small(-3, 3)).map(lambda pair: ("add-and-get", pair[0], "ok", pair, None)),
        _crashed("add-and-get", _delta),
        _ok("set", _value, _null),
        _crashed("cas", _pair),
        _no("cas", _pair, "precondition-failed"),
    ),
    "map": st.one_of(
        _ok("read", _null, _either),
        _ok("write", _value, _null),
        _crashed("write", _value),
        _ok("put-if-absent", _value, _null),
        _no("put-if-absent", _value, "exists"),
        _crashed("put-if-absent", _value),
        _ok("replace", _value, _value),
        _no("replace", _value, "absent"),
        _crashed("replace", _value),
        _ok("remove", _null, _either),
        _crashed("remove", _null),
        _no("cas", _pair, "precondition-failed"),
        _ok("size", _null, _small(0, 1)),
    ),
    "set": st.one_of(_ok("read", _null, _list), _ok("add", _value, _null), _crashed("add", _value)),
    "queue": st.one_of(
        _ok("enqueue", _value, _null),
        _crashed("enqueue", _value),
        _ok("dequeue", _null, _value),
        _no("dequeue", _null, "empty"),
        _crashed("dequeue", _null),
    ),
    "list": st.one_of(_ok("read", _null, _list), _ok("append", _value, _null), _crashed("append", _value)),
    "mutex": st.one_of(
        _ok("acquire", _null, _null),
        _no("acquire", _null, "held"),
        _crashed("acquire", _null),
        _ok("release", _null, _null),
        _no("release", _null, "absent"),
        _crashed("release", _null),
    ),
    "owned-mutex": st.one_of(
        _ok("acquire", _null, _null),
        _no("acquire", _null, "held"),
        _ok("release", _null, _null),
        _no("release", _null, "absent"),
        _crashed("acquire", _null),
        _crashed("release", _null),
    ),
}
"""What the operations of each model may ask and be told: few values, so that answers contradict each other often."""
