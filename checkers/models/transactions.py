"""Transactions as operations: several reads and writes that take effect at one instant.

Checking them as operations decides strict serializability, exactly and slowly. Long histories go to the
dependency-graph checkers in `checkers.transactions`.

A micro-operation is ["r", key, value], ["w", key, value] or ["append", key, element]; reads are null when asked and
filled in when answered. The state is a frozenset of (key, value) items: a missing key reads as null, and a missing list
as null or [].
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

from checkers.malformed import MalformedHistory
from checkers.operation import Operation
from checkers.values import freeze, show

from .maps import describe_state, restrict, state_of
from .model import ILLEGAL, LIST, Function, Model, Shape


def _is_txn(names: tuple[str, ...]) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        return type(value) is tuple and all(type(m) is tuple and len(m) == 3 and m[0] in names for m in value)

    return fits


def reads_lists(transaction: Sequence[tuple[str, Any, Any]]) -> bool:
    """Whether each of its reads is of a list, or of null: the elements of a text are none of a list's."""
    return all(f != "r" or value is None or type(value) is tuple for f, _, value in transaction)


def _is_txn_of_lists(value: Any) -> bool:
    return _is_micro(value) and reads_lists(value)


_is_micro: Final = _is_txn(("r", "append"))

_RW: Final = Shape('[["r", key, null] or ["w", key, value], ...]', _is_txn(("r", "w")))
_LISTS: Final = Shape('[["r", key, null] or ["append", key, element], ...]', _is_txn_of_lists)
_LISTS_TOLD: Final = Shape('[["r", key, a list or null] or ["append", key, element], ...]', _is_txn_of_lists)


def answers_transaction(asked: Sequence[Any], told: Sequence[Any]) -> bool:
    """Whether a completed transaction has the micro-operations that were asked, with nothing but reads filled in.

    A completed history repeats what a read returned in its invoke, so that a read may be asked with its answer.
    """
    if type(asked) is not tuple or len(asked) != len(told):
        return False
    for one, other in zip(asked, told, strict=True):
        if one != other:
            is_open = type(one) is tuple and len(one) == 3 and one[0] == "r" and one[2] in (None, ())
            if not is_open or one[:2] != other[:2]:
                return False
    return True


def step_registers(state: frozenset[tuple[Any, Any]], operation: Operation) -> Any:
    """Step a group of registers by one transaction."""
    values = dict(state)
    for f, key, value in _micro_operations(operation):
        if f == "w":
            values[key] = value
        elif operation.type == "ok" and values.get(key) != value:
            return ILLEGAL
    return _freeze(values)


def step_lists(state: frozenset[tuple[Any, Any]], operation: Operation) -> Any:
    """Step a group of lists by one transaction."""
    values = dict(state)
    for f, key, value in _micro_operations(operation):
        if f == "append":
            values[key] = (*values.get(key, ()), value)
        elif operation.type == "ok" and values.get(key, ()) != (value or ()):
            return ILLEGAL
    return _freeze(values)


def _micro_operations(operation: Operation) -> tuple[tuple[str, Any, Any], ...]:
    """What was answered where it is known (reads filled in), else what was asked."""
    found: tuple[tuple[str, Any, Any], ...] = operation.result if operation.type == "ok" else operation.value
    return found


def _freeze(values: Mapping[Any, Any]) -> frozenset[tuple[Any, Any]]:
    return frozenset((key, value) for key, value in values.items() if value is not None)


def _keys(operation: Operation) -> tuple[Hashable, ...]:
    return tuple(dict.fromkeys(key for _, key, _ in operation.value))


def _describe(operation: Operation) -> str:
    done = "" if operation.type == "ok" else " -> ?"
    return "txn " + " ".join(f"{f} {show(key)} {show(value)}" for f, key, value in _micro_operations(operation)) + done


def _registers(name: str) -> Model:
    functions = {"txn": Function(value=_RW, result=_RW, answers_invoke=answers_transaction)}
    return Model(
        name=name,
        init=frozenset(),
        step=step_registers,
        functions=functions,
        keys=_keys,
        describe=_describe,
        describe_state=describe_state,
        state_of=state_of,
        restrict=restrict,
        any_state=True,
    )


MULTI_REGISTER: Final = _registers("multi-register")
RW_REGISTER: Final = _registers("rw-register")


def _lists_of(value: Any) -> frozenset[tuple[Any, Any]]:
    """Make lists by key of what makes a map, whose values must be lists."""
    state = state_of(value)
    if any(not LIST.fits(item) for _, item in state):
        raise MalformedHistory(f"initial state {show(freeze(value))}", "a list for each key", "--initial")
    return state


LIST_APPEND: Final = Model(
    name="list-append",
    init=frozenset(),
    step=step_lists,
    functions={"txn": Function(value=_LISTS, result=_LISTS_TOLD, answers_invoke=answers_transaction)},
    keys=_keys,
    describe=_describe,
    describe_state=describe_state,
    state_of=_lists_of,
    restrict=restrict,
    any_state=True,
)
