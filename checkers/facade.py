"""The one door: `check(history, model)` chooses the checker that decides what the history contains.

Objects go to linearizability, which chooses among its engines; transactions over lists and registers go to the
dependency graph, which takes a hundred thousand of them where a search drowns in dozens. For lists the graph is exact.
For registers it accuses nobody falsely but may overlook an anomaly, so what it finds nothing wrong with is put to the
search, which may say `unknown`. Naming an algorithm, or asking for a cross-check or a witness order, means a search for
an order, whatever the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from checkers.linearizability.front.checker import check as check_object

from .history import History, Op
from .models import Model
from .transactions import check as check_transactions
from .verdict import Verdict

TRANSACTIONS: Final = ("list-append", "rw-register")
"""Models whose histories the dependency graph judges by default."""


def check(history: History | Iterable[Op], model: Model | str, **options: Any) -> Verdict:
    """Decide whether a history could have come from a correct system.

    `options` are those of `checkers.linearizability.front.checker.check`. Raises `MalformedHistory` for operations that
    are none of the model's, and `EnginesDisagree` under `cross_check`.
    """
    asks_for_order = options.get("algorithm", "auto") != "auto" or options.get("cross_check") or options.get("witness")
    if not isinstance(history, History):
        history = History(history)
    if model in TRANSACTIONS and not asks_for_order and options.get("initial") is None:
        verdict = check_transactions(history, str(model))
        if model == "list-append" or verdict.validity == "invalid":
            return verdict
    return check_object(history, model, **options)
