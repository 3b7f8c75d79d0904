"""Sequential models: what one client alone would see of each kind of object.

`MODELS` holds the models of this package; `named` looks one up, and `names` lists what can be looked up. `model.py`
says what a model is and how to write one's own. A model of one's own is named by its place (`FILE.py:NAME`), or by an
entry point of the group `foreshock.models`, one for each `Model`; they are loaded when a name is not one of `MODELS`.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from checkers.located import NotLocated, is_located, locate
from checkers.malformed import MalformedHistory

from .containers import LIST_MODEL, QUEUE, SET
from .counters import COUNTER
from .kv import KV
from .maps import MAP
from .model import ALL_KEYS, ILLEGAL, Function, MalformedModel, Model, ModelFailed, State, asked_and_told, describe
from .mutexes import MUTEX, OWNED_MUTEX
from .orders import ORDERS
from .registers import CAS_REGISTER, REGISTER
from .transactions import LIST_APPEND, MULTI_REGISTER, RW_REGISTER

MODELS: Final[dict[str, Model]] = {
    model.name: model
    for model in (
        REGISTER,
        CAS_REGISTER,
        COUNTER,
        MAP,
        KV,
        SET,
        QUEUE,
        LIST_MODEL,
        MULTI_REGISTER,
        RW_REGISTER,
        MUTEX,
        OWNED_MUTEX,
        LIST_APPEND,
        ORDERS,
    )
}


ENTRY_POINTS: Final = "foreshock.models"


def named(name: str) -> Model:
    """Return the model of this name or place, or raise `MalformedHistory` with the names there are."""
    if is_located(name):
        try:
            return locate(name, Model)
        except NotLocated as error:
            raise MalformedHistory(error.found, error.expected, error.where) from error
    model = MODELS.get(name) or _plugged_in().get(name)
    if model is None:
        raise MalformedHistory(f"model {name!r}", f"one of {', '.join(names())}", "--model")
    return model


def names() -> tuple[str, ...]:
    """The names of all models, those of other packages last."""
    return (*MODELS, *_plugged_in())


@cache
def _plugged_in() -> dict[str, Model]:
    from importlib.metadata import entry_points  # slow, and needed where a name is none of ours

    found: dict[str, Model] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        model = entry.load()
        if not isinstance(model, Model):
            raise TypeError(f"entry point {entry.name!r} of {ENTRY_POINTS} is {entry.value}, which is no Model")
        if model.name in MODELS or model.name in found:
            raise TypeError(f"two models are called {model.name!r}; expected one of each name")
        found[model.name] = model
    return found


__all__ = [
    "ALL_KEYS",
    "ILLEGAL",
    "MODELS",
    "Function",
    "MalformedModel",
    "Model",
    "ModelFailed",
    "State",
    "asked_and_told",
    "describe",
    "named",
    "names",
]
