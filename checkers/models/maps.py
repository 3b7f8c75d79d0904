"""Maps: keys that each behave as a register, and a size that looks at all of them at once.

The state is a frozenset of (key, value) items: a history without `size` is split by key before it is checked, so that
this set has at most one item. A value of null means that the key is missing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

from checkers.malformed import MalformedHistory
from checkers.operation import Operation
from checkers.values import freeze, show

from . import registers
from .model import (
    ALL_KEYS,
    ANYTHING,
    ILLEGAL,
    INTEGER,
    KEEPS,
    NOTHING,
    SOMETHING,
    Access,
    Function,
    Model,
    OtherThan,
    Unsaid,
    repeats,
)

FUNCTIONS: Final = {
    **registers.FUNCTIONS,
    "put-if-absent": Function(answers=frozenset({"exists"}), answers_invoke=repeats),
    "replace": Function(answers=frozenset({"absent"})),
    "remove": Function(value=NOTHING, answers=frozenset({"absent"})),
    "size": Function(value=NOTHING, result=INTEGER, only_looks=True),
}


def step(state: frozenset[tuple[Any, Any]], operation: Operation) -> Any:
    """Step a map."""
    if operation.f == "size":
        return state if operation.type == "info" or operation.result == len(state) else ILLEGAL
    key = operation.key
    before = next((value for name, value in state if name == key), None)
    after = _step_value(before, operation)
    if after is ILLEGAL or after == before:
        return ILLEGAL if after is ILLEGAL else state
    rest = state - {(key, before)}
    return rest if after is None else rest | {(key, after)}


def _step_value(before: Any, operation: Operation) -> Any:
    f, kind = operation.f, operation.type
    if f in registers.FUNCTIONS:
        return registers.step(before, operation)
    if kind == "fail":
        return before if (before is None) == (operation.error == "absent") else ILLEGAL
    if f == "put-if-absent":
        if before is None:
            return operation.value
        return before if kind == "info" else ILLEGAL
    if f == "replace":
        if before is None:
            return before if kind == "info" else ILLEGAL
        return operation.value if kind == "info" or operation.result == before else ILLEGAL
    return None if kind == "info" or operation.result == before else ILLEGAL


def access(operation: Operation) -> Access:
    """Say which map of this one key an operation needs and which it leaves; a size looks at more."""
    if operation.f == "size":
        return SOMETHING, KEEPS
    needs, sets = _access_value(operation)
    return _only(operation.key, needs), _only(operation.key, sets)


def _access_value(operation: Operation) -> Access:
    f, kind = operation.f, operation.type
    if f in registers.FUNCTIONS:
        return registers.access(operation)
    if kind == "fail":
        return (None if operation.error == "absent" else OtherThan(None)), KEEPS
    if f == "put-if-absent":
        return None, operation.value
    if f == "replace":
        if kind == "ok" and operation.result is None:
            return SOMETHING, SOMETHING  # legal in no state: it says that it replaced a value, and that there was none
        needs = operation.result if kind == "ok" else OtherThan(None)
        return needs, KEEPS if needs == operation.value else operation.value
    if kind == "info":
        return ANYTHING, None
    return operation.result, None if operation.result is not None else KEEPS


def _only(key: Any, value: Any) -> Any:
    """Return the map with this one value, or what was said instead of a value."""
    if isinstance(value, Unsaid):
        return value
    if isinstance(value, OtherThan):
        return OtherThan(_only(key, value.state))
    return frozenset() if value is None else frozenset({(key, value)})


def _keys(operation: Operation) -> tuple[Hashable, ...] | None:
    return ALL_KEYS if operation.f == "size" else (operation.key,)


def state_of(value: Any) -> frozenset[tuple[Any, Any]]:
    """Make a map of a JSON object, whose keys are texts, or of a list of [key, value] pairs, whose keys are any."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple) and all(isinstance(item, list | tuple) and len(item) == 2 for item in value):
        items = [(freeze(key), item) for key, item in value]
    else:
        expected = "a JSON object, or a list of [key, value] pairs where keys are no texts"
        raise MalformedHistory(f"initial state {show(value)}", expected, "--initial")
    keys = [key for key, _ in items]
    if len(set(keys)) != len(keys):
        raise MalformedHistory(f"initial state {show(value)}", "each key once", "--initial")
    return frozenset((key, freeze(item)) for key, item in items if item is not None)


def require_keys_of_their_type(state: Any, used: Iterable[Hashable]) -> None:
    """Refuse a text key of an initial state that is never used where a key of another type with its spelling is.

    A JSON object cannot name the key 1: {"1": 2} is about the text. Given with a history of integer keys it is
    meant for the integer, and a right history would be called `invalid`. Raises `MalformedHistory`.
    """
    used = set(used)
    spelled = {show(key): key for key in used if not isinstance(key, str)}
    for key, value in sorted(state, key=repr):
        if isinstance(key, str) and key not in used and key in spelled:
            found = f"the text {show(key)} as a key of the initial state; the history has {key}, which is no text"
            raise MalformedHistory(found, f"pairs, such as [[{key}, {show(value)}]]", "--initial")


def restrict(state: frozenset[tuple[Any, Any]], keys: tuple[Hashable, ...]) -> frozenset[tuple[Any, Any]]:
    """Return the part of a map that has these keys."""
    return frozenset(item for item in state if item[0] in keys)


def describe_state(state: frozenset[tuple[Any, Any]]) -> str:
    """Print a map as a JSON object."""
    return "{" + ", ".join(sorted(f"{show(key)}: {show(value)}" for key, value in state)) + "}"


MAP: Final = Model(
    name="map",
    init=frozenset(),
    step=step,
    functions=FUNCTIONS,
    access=access,
    keys=_keys,
    describe_state=describe_state,
    state_of=state_of,
    restrict=restrict,
    any_state=True,
)
