"""The interface of the library: `check(history, model)` has a history judged by the checker that decides what it holds.

* Objects go to linearizability, which chooses among its engines.
* Transactions over lists and registers go to the dependency graph, which takes a hundred thousand of them where a
  search ends with dozens. For lists the graph is exact. For registers it accuses nothing falsely but may overlook an
  anomaly, so what it finds nothing wrong with is put to the search, which may say `unknown`.
* Another condition than linearizability goes to its own checker (`consistency.CONDITIONS`).

Naming an algorithm, or asking for a cross-check or a witness order, means a search for an order, whatever the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from .consistency import CONDITIONS
from .history import History, MalformedHistory, Op
from .linearizability.front.checker import check_linearizable
from .models import MODELS, Model, named
from .models.choice import choose
from .transactions import check as check_transactions
from .verdict import Verdict

LINEARIZABLE: Final = "linearizable"

AUTO: Final = "auto"
"""Stands for the model that `choose` finds."""

TRANSACTIONS: Final = ("list-append", "rw-register")
"""Models whose histories the dependency graph judges by default."""


def check(
    history: History | Iterable[Op],
    model: Model | str = AUTO,
    *,
    consistency: str = LINEARIZABLE,
    initial: Any = None,
    **options: Any,
) -> Verdict:
    """Decide whether a history could have come from a correct system.

    `model` says what the objects are; "auto" takes the model that fits what the history contains, and says so in
    `notes`. `consistency` is "linearizable" or one of `CONDITIONS`. `initial` is the state at the start where it is
    not the model's own. Further `options` are those of `check_linearizable`, and for linearizability only.

    Raises `MalformedHistory` for operations that are none of the model's, and `EnginesDisagree` under `cross_check`.
    """
    if not isinstance(history, History):
        history = History(history)
    if consistency != LINEARIZABLE:
        return _check_condition(history, model, consistency, initial, options)
    if model == AUTO:
        choice = choose(history)
        verdict = _check_order(history, choice.model, initial, options)
        return msgspec.structs.replace(verdict, notes=(choice.note, *verdict.notes))
    return _check_order(history, named(model) if isinstance(model, str) else model, initial, options)


def _check_order(history: History, model: Model, initial: Any, options: dict[str, Any]) -> Verdict:
    asks_for_order = options.get("algorithm", "auto") != "auto" or options.get("cross_check") or options.get("witness")
    is_ours = model.name in TRANSACTIONS and model is MODELS[model.name]
    if is_ours and not asks_for_order and initial is None:
        verdict = check_transactions(history, model.name)
        if model.name == "list-append" or verdict.validity == "invalid":
            return verdict
    return check_linearizable(history, model, initial=initial, **options)


def _check_condition(history: History, model: Model | str, name: str, initial: Any, options: dict[str, Any]) -> Verdict:
    if name not in CONDITIONS:
        words = ", ".join((LINEARIZABLE, *CONDITIONS))
        raise MalformedHistory(f"consistency {name!r}", f"one of {words}", "--consistency")
    if options:
        raise MalformedHistory(f"option {min(options)}", f"none for consistency {name}", "--consistency")
    condition = CONDITIONS[name]
    named_model = model if isinstance(model, str) else model.name
    if named_model not in (AUTO, *condition.models):
        words = " or ".join(condition.models)
        raise MalformedHistory(f"model {named_model!r}", f"{words}: what {name} is about", "--model")
    return condition.judge(history, initial)
