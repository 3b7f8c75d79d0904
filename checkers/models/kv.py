"""Porcupine's key-value store: texts by key, with an append. A key that was never put holds the empty text."""

from __future__ import annotations

from typing import Any, Final

from checkers.operation import Operation

from .model import (
    ANYTHING,
    ILLEGAL,
    KEEPS,
    NOTHING,
    SOMETHING,
    Access,
    Function,
    Later,
    Model,
    Shape,
    common_prefix,
    repeats,
    state_like,
)


def _is_text_or_null(value: Any) -> bool:
    return value is None or type(value) is str


TEXT: Final = Shape("a text", lambda value: type(value) is str)

FUNCTIONS: Final = {
    "read": Function(value=NOTHING, result=Shape("a text or null", _is_text_or_null), only_looks=True),
    "write": Function(value=TEXT, answers_invoke=repeats),
    "append": Function(value=TEXT, answers_invoke=repeats),
}


def step(state: str, operation: Operation) -> Any:
    """Step the text of one key."""
    if operation.f == "write":
        return operation.value
    if operation.f == "append":
        return state + operation.value
    return state if operation.type == "info" or (operation.result or "") == state else ILLEGAL


def access(operation: Operation) -> Access:
    """Say which text an operation needs and which it leaves."""
    if operation.f == "write":
        return ANYTHING, operation.value
    if operation.f == "append":
        return SOMETHING, SOMETHING
    return (operation.result or "" if operation.type == "ok" else ANYTHING), KEEPS


def can_reach(state: str, later: Later) -> bool:
    """Say whether a text may still become what later reads returned: appends only make it longer."""
    return later.once(_text_to_come).startswith(state) if state else True


def _text_to_come(operations: tuple[Operation, ...]) -> str | _Anything:
    """Return the longest text of which the state must be a prefix.

    A read says nothing of the state now if a write may come between that begins what it returned.
    """
    writes = [(operation.call, operation.value) for operation in operations if operation.f == "write"]
    texts = [
        operation.result or ""
        for operation in operations
        if operation.f == "read"
        and operation.type == "ok"
        and not any(call < operation.ret and (operation.result or "").startswith(value) for call, value in writes)
    ]
    return common_prefix(texts) if texts else ANYTHING_COMES


class _Anything:
    """A text to come of which nothing is known."""

    def startswith(self, prefix: str) -> bool:
        return True


ANYTHING_COMES: Final = _Anything()


def foresees(operation: Operation) -> bool:
    """Say which operations matter to `can_reach`; how much is appended in between does not."""
    return operation.f != "append"


KV: Final = Model(
    name="kv",
    init="",
    step=step,
    functions=FUNCTIONS,
    access=access,
    state_of=state_like(Shape("a text, with which every key begins", lambda state: type(state) is str)),
    can_reach=can_reach,
    foresees=foresees,
    any_state=True,
)
