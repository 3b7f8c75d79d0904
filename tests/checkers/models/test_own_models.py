"""Models of one's own: what a step may read, what may be a state, and whom a failure is told of."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from checkers import History, Model, Op, Operation, check
from checkers.models import MalformedModel
from tests.checkers import brute
from tests.checkers.own_models import OWNED, random_history, step_lock

BARE = Model(name="lock", init=0, step=step_lock)


@pytest.mark.parametrize("algorithm", ["auto", "jit", "wgl"])
def test_a_lock_with_an_owner_agrees_with_all_orders(algorithm: str) -> None:
    seen = set()
    for number in range(400):
        history = random_history(random.Random(number))
        operations = history.operations()
        if any(operation.type == "ok" for operation in operations):  # else nothing is judged
            expected = "valid" if brute.is_linearizable(operations, OWNED) else "invalid"
            assert check(history, OWNED, algorithm=algorithm).validity == expected, number
            seen.add(expected)
    assert seen == {"valid", "invalid"}


def _calls(*calls: tuple[int, str]) -> History:
    """Make calls that all succeed, one after the other."""
    kinds: tuple[Any, ...] = ("invoke", "ok")
    pairs = [(process, kind, f) for process, f in calls for kind in kinds]
    return History([Op(index=n, time=n, process=p, type=kind, f=f) for n, (p, kind, f) in enumerate(pairs)])


STOLEN = _calls((1, "acquire"), (1, "release"), (2, "acquire"), (1, "release"))
"""The last release is of another process than the one that holds the lock."""


def test_a_step_cannot_read_who_asked_unless_the_identity_says_so() -> None:
    assert check(STOLEN, OWNED).validity == "invalid"

    with pytest.raises(MalformedModel, match=r"own_models.py:\d+: step of model lock: .*operation.process"):
        check(STOLEN, BARE)


def test_a_model_made_of_another_is_held_to_its_own_identity_and_state() -> None:
    said = replace(BARE, identity=OWNED.identity)

    assert check(STOLEN, said).validity == "invalid"
    with pytest.raises(MalformedModel, match="list, which cannot be hashed, as the initial state"):
        replace(BARE, init=[])


@pytest.mark.parametrize("name", ["process", "call", "ret", "call_time", "ret_time"])
def test_nothing_of_who_and_when_can_be_read(name: str) -> None:
    model = Model(name="mine", init=0, step=lambda state, operation: getattr(operation, name), any_state=True)

    with pytest.raises(MalformedModel, match=f"a step that reads operation.{name}; expected"):
        check(STOLEN, model)


class _Box:
    items: ClassVar[list[Any]] = []


class _Bag:
    """Compared by its content, which changes in place."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bag) and self.items == other.items

    def __hash__(self) -> int:
        return len(self.items)


@pytest.mark.parametrize("state", [_Box(), (1, _Box()), [], (1, []), {}])
def test_a_state_without_a_value_of_its_own_is_refused_at_once(state: Any) -> None:
    with pytest.raises(MalformedModel, match="as the initial state; expected a state that is compared by its content"):
        Model(name="mine", init=state, step=lambda state, operation: state)


@pytest.mark.parametrize("answer", [_Box, lambda: (1, _Box()), lambda: [1]])
def test_a_step_to_what_is_no_state_is_refused(answer: Callable[[], Any]) -> None:
    with pytest.raises(MalformedModel, match="after acquire -> null in state 0; expected a state that is compared"):
        check(STOLEN, Model(name="mine", init=0, step=lambda state, operation: answer()))


def test_a_state_changed_in_place_is_refused() -> None:
    def step(state: _Bag, operation: Operation) -> _Bag:
        state.items.append(operation.f)
        return state

    with pytest.raises(MalformedModel, match="a state changed in place"):
        check(STOLEN, Model(name="bag", init=_Bag(), step=step))


def test_a_function_that_raises_is_told_of_the_model_and_its_file() -> None:
    def raises(*arguments: Any) -> Any:
        raise ZeroDivisionError("boom\nand more")

    broken = check(STOLEN, Model(name="broken", init=0, step=raises))
    blind = check(STOLEN, Model(name="blind", init=0, step=lambda state, operation: state, can_reach=raises))

    for verdict, said in (
        (broken, ": step of model broken raised ZeroDivisionError: boom and more of "),
        (blind, ": can_reach of model blind raised ZeroDivisionError: boom and more in "),
    ):
        assert verdict.validity == "unknown"
        assert said in verdict.reason
        assert "test_own_models.py:" in verdict.reason
        assert "engine" not in verdict.reason


def test_a_crashed_release_of_a_stranger_frees_no_lock() -> None:
    """Process 1 never held the lock: were its release taken for one of process 3, the second acquire would be legal."""
    told: list[tuple[int, Any, str]] = [
        (3, "invoke", "acquire"),
        (3, "ok", "acquire"),
        (3, "invoke", "release"),
        (1, "invoke", "release"),
        (2, "invoke", "acquire"),
        (2, "ok", "acquire"),
        (2, "invoke", "acquire"),
        (2, "ok", "acquire"),
    ]
    history = History([Op(index=n, time=n, process=p, type=kind, f=f) for n, (p, kind, f) in enumerate(told)])

    assert check(history, OWNED).validity == "invalid"
    assert check(history, OWNED, algorithm="jit").validity == "invalid"
