"""Looking ahead leaves out only what has no continuation, and makes long searches short."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from checkers import History, check
from checkers.linearizability.result import Limits
from checkers.linearizability.search import jit, look_ahead, wgl
from checkers.models import ILLEGAL, Model, named
from checkers.models.model import Later, common_prefix
from checkers.operation import INF, Operation
from tests.checkers import brute, engine_agreement

HERE = Path(__file__).parent

AHEAD = ["kv", "list", "set", "queue"]


@pytest.mark.parametrize("window", [0, 1, 3, 64])
@pytest.mark.parametrize("name", AHEAD)
def test_engines_that_look_ahead_agree_with_brute_force(
    name: str, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_ahead, "WINDOW", window)
    for seed, model, part in engine_agreement.examples(name, 5_000, 150):
        assert engine_agreement.disagreement(model, part) is None, seed


@pytest.mark.parametrize("name", AHEAD)
def test_no_state_that_an_order_goes_through_is_called_dead(name: str) -> None:
    """Along each order that brute force finds, every state can reach what comes after it."""
    looked = 0
    for _, model, part in engine_agreement.examples(name, 9_000, 150):
        order = jit.check_operations(part.operations, without_look_ahead(model), witness=True).order
        if order is None:
            continue
        assert model.can_reach is not None
        unused = [operation for operation in part.operations if operation not in order]
        state: Any = model.init
        for place, operation in enumerate(order):
            state = model.step(state, operation)
            assert state is not ILLEGAL
            coming = [later for later in [*order[place + 1 :], *unused] if model.foresees(later)]
            assert model.can_reach(state, Later(tuple(coming)))
            looked += 1
    assert looked > 300


def without_look_ahead(model: Model) -> Model:
    return dataclasses.replace(model, can_reach=None)


@pytest.mark.parametrize("engine", [jit, wgl])
def test_thirteen_appends_and_one_read_are_decided_at_once(engine: Any) -> None:
    operations = History.from_jsonl(HERE / "thirteen_appends.jsonl").operations()

    result = engine.check_operations(operations, named("kv"), Limits(steps=2_000))

    assert result.validity == "valid"


@pytest.mark.parametrize("engine", [jit, wgl])
def test_a_queue_of_repeated_values_is_decided_by_what_is_taken_later(engine: Any) -> None:
    """Twelve concurrent enqueues of three values, taken in one order: there are 34,650 others."""
    taken = [number % 3 for number in range(12)]
    random.Random(3).shuffle(taken)
    operations = [
        *(_operation("enqueue", number % 3, number % 3, number, 12 + number) for number in range(12)),
        *(_operation("dequeue", None, value, 30 + 2 * n, 31 + 2 * n) for n, value in enumerate(taken)),
    ]
    wrong = msgspec.structs.replace(operations[-1], result=(taken[-1] + 1) % 3)

    right = engine.check_operations(operations, named("queue"), Limits(steps=30_000))
    spoiled = engine.check_operations([*operations[:-1], wrong], named("queue"), Limits(steps=200_000))

    assert right.validity == "valid"
    assert spoiled.validity == "invalid"
    assert not brute.is_linearizable([*operations[:3], *operations[12:15]], named("queue"))


def _operation(f: str, value: Any, result: Any, call: int, ret: int) -> Operation:
    return Operation(call, f, None, value, result, "ok", None, call, ret)


def test_what_comes_later_is_closed() -> None:
    """Whatever may precede a completed operation of it is in it, and answers beyond the horizon are forgotten."""
    rng = random.Random(1)
    operations, index = [], 0
    for _ in range(300):
        ret = INF if rng.random() < 0.1 else index + rng.randint(1, 40) * 7 + 1
        operations.append(_operation("dequeue", None, 1, index, ret))
        index += 7
    operations = [o if o.ret < INF else msgspec.structs.replace(o, type="info", result=None) for o in operations]
    ahead = look_ahead.LookAhead(operations, named("queue"))

    for moment in range(0, index, 50):
        waiting = tuple(o for o in operations if o.call <= moment < o.ret < INF)
        later = ahead.after(moment, waiting).operations
        calls = {operation.call for operation in later}
        for known in (operation for operation in later if operation.type == "ok"):
            assert calls >= {o.call for o in operations if o.call < known.ret and o.ret > moment}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [(["abc", "abd"], "ab"), (["a", "b"], ""), (["ab"], "ab"), ([(1, 2), (1, 2, 3)], (1, 2)), ([(1,), ("1",)], ())],
)
def test_common_prefix(texts: list[Any], expected: Any) -> None:
    assert common_prefix(texts) == expected


def test_texts_by_many_clients_are_decided_with_and_without_a_wrong_read() -> None:
    rng = random.Random(2)
    for spoil in (False, True):
        text, lines = "", []
        for round_ in range(40):
            group = [f"{round_}.{client} " for client in range(10)]
            order = rng.sample(group, len(group))
            start = len(lines)
            lines += [("invoke", client, "append", value) for client, value in enumerate(group)]
            lines += [("ok", client, "append", value) for client, value in enumerate(group)]
            text += "".join(order)
            told = text[:-6] + "wrong " if spoil and round_ == 30 else text
            lines += [("invoke", 0, "read", None), ("ok", 0, "read", told)]
            assert len(lines) == start + 22
        history = History.from_jsonl(
            b"\n".join(
                msgspec.json.encode(
                    {"index": i, "time": i, "process": process, "type": kind, "f": f, "key": "k", "value": value}
                )
                for i, (kind, process, f, value) in enumerate(lines)
            )
        )

        verdict = check(history, "kv", step_limit=200_000, explain=False)

        assert verdict.validity == ("invalid" if spoil else "valid")
