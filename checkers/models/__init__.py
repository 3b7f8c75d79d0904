"""Sequential models: what one client alone would see of each kind of object.

`MODELS` is the catalogue that the command line offers; `named` looks one up. `model.py` says what a model is and how to
write one's own.
"""

from __future__ import annotations

from typing import Final

from checkers.history import MalformedHistory

from .containers import LIST_MODEL, QUEUE, SET
from .counters import COUNTER
from .kv import KV
from .maps import MAP
from .model import ALL_KEYS, ILLEGAL, Function, Model, State, describe
from .mutexes import MUTEX, OWNED_MUTEX
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
    )
}


def named(name: str) -> Model:
    """Return the model of this name, or raise `MalformedHistory` with the names there are."""
    if name not in MODELS:
        raise MalformedHistory(f"model {name!r}", f"one of {', '.join(MODELS)}", "--model")
    return MODELS[name]


__all__ = [
    "ALL_KEYS",
    "ILLEGAL",
    "MODELS",
    "Function",
    "Model",
    "State",
    "describe",
    "named",
]
