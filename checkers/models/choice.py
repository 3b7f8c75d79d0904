"""Which model fits what a history contains.

A model fits if it has every function that was called, every value and answer has the form that it takes, and every
negative answer is one that it gives. Several may; they are asked in the order of `PREFERENCE`, the plainest first, so
that nothing is assumed of an object that its history does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from checkers.conventions import Conventions
from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.operation import Operation

from . import MODELS, Model
from .model import NOTHING

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
    "orders",
)

MICRO_OPERATIONS: Final = ("r", "w", "append")
"""Words by which models tell transactions apart; each micro-operation has as many parts."""

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
    functions = list(dict.fromkeys(operation.f for operation in operations))
    telling = _one_of_each_form(operation for operation in operations if not (wildcard and _saw_nothing(operation)))
    return choose_among(functions, telling, history.conventions, history.where_index, history.source)


def choose_among(
    functions: Sequence[str],
    telling: Sequence[Operation],
    conventions: Conventions,
    where: Callable[[int], str],
    source: str,
) -> Choice:
    """Choose the model that has these functions and takes operations like these, one of each form."""
    misfits: dict[str, str] = {}
    fitting: list[str] = []
    for name in _in_order(conventions, functions):
        model = MODELS[name]
        if all(f in model.functions for f in functions):
            misfit = _misfit(model, telling, where)
            if misfit is None:
                fitting.append(name)
            else:
                misfits[name] = misfit
    called = ", ".join(functions[:SHOWN]) + (", ..." if len(functions) > SHOWN else "")
    if not fitting:
        why = "; ".join(f"{name}: {misfit}" for name, misfit in misfits.items()) or _unknown(functions)
        expected = f"operations of one of {', '.join(MODELS)}, or the name of a model"
        raise MalformedHistory(f"a history of {called} ({why})", expected, _place(telling, where, source))
    chosen, *others = fitting
    note = f"model {chosen}, chosen because the history has {called}"
    note += f"; not {_listed(misfits)}" if misfits else ""
    note += f"; {', '.join(others)} would fit too" if others else ""
    return Choice(MODELS[chosen], note)


def _unknown(functions: Sequence[str]) -> str:
    """Say which functions are none of any model, and which there are."""
    known = list(dict.fromkeys(f for model in MODELS.values() for f in model.functions))
    strangers = [f for f in functions if f not in known]
    if not strangers:
        return "no model has all of them"
    return f"no model has {', '.join(strangers[:SHOWN])}; there are {', '.join(known)}"


def _one_of_each_form(operations: Iterable[Operation]) -> list[Operation]:
    """List the first operation of each form: a model that takes it takes all others of the form."""
    found: dict[Hashable, Operation] = {}
    for operation in operations:
        value, result = operation.value, operation.result
        is_repeated = value is not None and result == value
        form = (operation.f, operation.type, _form(value), _form(result), operation.error, is_repeated)
        if form not in found:
            found[form] = operation
    return list(found.values())


def _form(value: Any) -> Any:
    """Say of a value what the shapes of `MODELS` ask: its type, and of a list its elements' and its length."""
    if type(value) is not tuple:
        kind: Any = type(value)
        return value if kind is str and value in MICRO_OPERATIONS else kind
    forms = tuple(map(_form, value))
    return forms if len(forms) <= len(MICRO_OPERATIONS) else frozenset(forms)


def _in_order(conventions: Conventions, functions: Sequence[str]) -> Sequence[str]:
    """List the models, the plainest first.

    A register with cas has a name of its own. Key-value texts come first where the source is known for them: there a
    missing key reads as empty.
    """
    first = ["kv"] if conventions.source == "porcupine" else ["cas-register"] if "cas" in functions else []
    return [*first, *(name for name in PREFERENCE if name not in first)]


def _saw_nothing(operation: Operation) -> bool:
    return operation.type == "ok" and operation.result is None and operation.f == "read"


def _misfit(model: Model, operations: Sequence[Operation], where: Callable[[int], str]) -> str | None:
    """Say which operation is none of this model's, if there is one."""
    for operation in operations:
        function = model.functions[operation.f]
        repeats_answer = operation.type != "ok" or operation.result == operation.value
        if function.value is NOTHING and function.only_looks and repeats_answer:
            # A completed history repeats what was seen in the invoke (see `checkers.admission`).
            operation = msgspec.structs.replace(operation, value=None)
        try:
            model.validate(operation, where)
        except MalformedHistory as error:
            return error.found
        if operation.is_negative and not model.answers(operation):
            return f"{operation.f} failed with {operation.error!r}"
    return None


def _place(operations: Sequence[Operation], where: Callable[[int], str], source: str) -> str:
    """Name the line to look at first: of a function that no model has, else of what some model refuses."""
    for operation in operations:
        if not any(operation.f in model.functions for model in MODELS.values()):
            return where(operation.call)
    for operation in operations:
        if any(operation.f in model.functions and _misfit(model, [operation], where) for model in MODELS.values()):
            return where(operation.call if operation.type != "ok" else operation.ret)
    return source


def _listed(misfits: dict[str, str]) -> str:
    return ", not ".join(f"{name} ({misfit})" for name, misfit in misfits.items())
