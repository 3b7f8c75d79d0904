"""Which model fits what a history contains.

A model fits if it has every function that was called, every value and answer has the form that it takes, and every
negative answer is one that it gives. Several may; they are asked in the order of `PREFERENCE`, the plainest first, so
that nothing is assumed of an object that its history does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from checkers.history import History, MalformedHistory, Operation

from . import MODELS, Model

PREFERENCE: Final = (
    "register",
    "cas-register",
    "counter",
    "set",
    "queue",
    "list",
    "mutex",
    "owned-mutex",
    "kv",
    "map",
    "rw-register",
    "multi-register",
    "list-append",
)

SHOWN: Final = 6
"""Functions named in a note."""


class Choice(NamedTuple):
    """The model, and why it: one sentence for people."""

    model: Model
    note: str


def choose(history: History) -> Choice | None:
    """Choose the model of a history; `MalformedHistory` says why none fits. None: there is no operation to go by."""
    operations = history.operations(with_void=True)
    if not operations:
        return None
    wildcard = history.conventions.nil_read == "anything"
    telling = [operation for operation in operations if not (wildcard and _saw_nothing(operation))]
    functions = list(dict.fromkeys(operation.f for operation in operations))
    misfits: dict[str, str] = {}
    fitting: list[str] = []
    for name in _in_order(history, functions):
        model = MODELS[name]
        if all(f in model.functions for f in functions):
            misfit = _misfit(model, telling, history)
            if misfit is None:
                fitting.append(name)
            else:
                misfits[name] = misfit
    called = ", ".join(functions[:SHOWN]) + (", ..." if len(functions) > SHOWN else "")
    if not fitting:
        why = "; ".join(f"{name}: {misfit}" for name, misfit in misfits.items()) or "no model has all of them"
        expected = f"operations of one of {', '.join(MODELS)}, or the name of a model"
        raise MalformedHistory(f"a history of {called} ({why})", expected, history.source)
    chosen, *others = fitting
    note = f"model {chosen}, chosen because the history has {called}"
    note += f"; not {_listed(misfits)}" if misfits else ""
    note += f"; {', '.join(others)} would fit too" if others else ""
    return Choice(MODELS[chosen], note)


def _in_order(history: History, functions: Sequence[str]) -> Sequence[str]:
    """List the models, the plainest first.

    A register with cas has a name of its own. Key-value texts come first where the source is known for them: there a
    missing key reads as empty.
    """
    first = ["kv"] if history.conventions.source == "porcupine" else ["cas-register"] if "cas" in functions else []
    return [*first, *(name for name in PREFERENCE if name not in first)]


def _saw_nothing(operation: Operation) -> bool:
    return operation.type == "ok" and operation.result is None and operation.f == "read"


def _misfit(model: Model, operations: Sequence[Operation], history: History) -> str | None:
    """Say which operation is none of this model's, if there is one."""
    for operation in operations:
        try:
            model.validate(operation, history.where_index)
        except MalformedHistory as error:
            return error.found
        if operation.is_negative and not model.answers(operation):
            return f"{operation.f} failed with {operation.error!r}"
    return None


def _listed(misfits: dict[str, str]) -> str:
    return ", not ".join(f"{name} ({misfit})" for name, misfit in misfits.items())
