"""The interface of the library: `check(history, model)` has a history judged by the checker that decides what it holds.

* Objects go to linearizability, which chooses among its engines.
* Transactions over lists and registers go to the dependency graph, which takes a hundred thousand of them where a
  search ends with dozens. For lists the graph is exact. For registers it accuses nothing falsely but may overlook an
  anomaly, so what it finds nothing wrong with is put to the search, which may say `unknown`.
* Another condition than linearizability goes to its own checker (`consistency.CONDITIONS`).

Whoever judges, the same operations are admitted (`checkers.admission`), and what a reader of the history passed over is
told with the verdict.

Naming an algorithm, or asking for a cross-check or a witness order, means a search for an order, whatever the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from .admission import NOTHING_JUDGED, Admission, Mismatched, admit, mismatch
from .consistency import CONDITIONS
from .history import History, MalformedHistory, Op
from .linearizability.front.checker import CHECKER, check_linearizable, chosen_conventions
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
    mismatched: Mismatched = "refuse",
    **options: Any,
) -> Verdict:
    """Decide whether a history could have come from a correct system.

    `model` says what the objects are; "auto" takes the model that fits what the history contains, and says so in
    `notes`. `consistency` is "linearizable" or one of `CONDITIONS`. `initial` is the state at the start where it is
    not the model's own. `mismatched` says what becomes of completions that do not answer their invoke: "refuse", or
    "anomaly". Further `options` are those of `check_linearizable`; of them, other conditions know `failed_cas` and
    `nil_read`.

    Raises `MalformedHistory` for operations that are none of the model's, and `EnginesDisagree` under `cross_check`.
    """
    if not isinstance(history, History):
        history = History(history)
    notes = history.notes
    if consistency != LINEARIZABLE:
        verdict = _check_condition(history, model, consistency, initial, mismatched, options)
    else:
        if model == AUTO:
            choice = choose(history)
            if choice is None:
                return _nothing_judged(history, notes)
            model, notes = choice.model, (choice.note, *notes)
        named_model = named(model) if isinstance(model, str) else model
        verdict = _check_order(history, named_model, initial, mismatched, options)
    verdict = msgspec.structs.replace(verdict, notes=(*notes, *verdict.notes))
    if history.gaps and verdict.validity == "valid":
        return msgspec.structs.replace(verdict, validity="unknown", reason="; ".join(history.gaps))
    return verdict


def _nothing_judged(history: History, notes: tuple[str, ...]) -> Verdict:
    ops = len(history.operations(with_void=True))
    return Verdict(validity="unknown", checker=CHECKER, ops=ops, reason=NOTHING_JUDGED, notes=notes)


def _check_order(
    history: History, model: Model, initial: Any, mismatched: Mismatched, options: dict[str, Any]
) -> Verdict:
    asks_for_order = options.get("algorithm", "auto") != "auto" or options.get("cross_check") or options.get("witness")
    is_ours = model.name in TRANSACTIONS and model is MODELS[model.name]
    if is_ours and not asks_for_order and initial is None:
        verdict = _check_transactions(history, model, mismatched)
        if model.name == "list-append" or verdict.validity == "invalid":
            return verdict
    return check_linearizable(history, model, initial=initial, mismatched=mismatched, **options)


def _check_transactions(history: History, model: Model, mismatched: Mismatched) -> Verdict:
    """Ask the dependency graph; it refuses mismatched completions, so others are taken out before."""
    if mismatched == "refuse":
        return check_transactions(history, model.name)
    operations = history.operations(with_void=True)
    admission = admit(operations, model, history.conventions, history.where_index, mismatched=mismatched)
    verdict = check_transactions(history.admitted(admission.operations), model.name)
    return _with(admission, verdict, model)


def _check_condition(
    history: History,
    model: Model | str,
    name: str,
    initial: Any,
    mismatched: Mismatched,
    options: dict[str, Any],
) -> Verdict:
    if name not in CONDITIONS:
        words = ", ".join((LINEARIZABLE, *CONDITIONS))
        raise MalformedHistory(f"consistency {name!r}", f"one of {words}", "--consistency")
    if others := sorted(options.keys() - {"failed_cas", "nil_read"}):
        raise MalformedHistory(f"option {others[0]}", f"none for consistency {name}", "--consistency")
    condition = CONDITIONS[name]
    named_model = model if isinstance(model, str) else model.name
    if named_model not in (AUTO, *condition.models):
        words = " or ".join(condition.models)
        raise MalformedHistory(f"model {named_model!r}", f"{words}: what {name} is about", "--model")
    if initial is not None and not condition.takes_initial:
        raise MalformedHistory("an initial state", f"none for consistency {name}", "--initial")
    judged_as = MODELS[condition.models[-1]]
    conventions = chosen_conventions(history, **options)
    operations = history.operations(with_void=True)
    admission = admit(operations, judged_as, conventions, history.where_index, mismatched=mismatched)
    verdict = condition.judge(history.admitted(admission.operations), initial)
    if verdict.validity == "valid" and not admission.judges_something:
        verdict = msgspec.structs.replace(verdict, validity="unknown", reason=NOTHING_JUDGED)
    return _with(admission, verdict, judged_as)


def _with(admission: Admission, verdict: Verdict, model: Model) -> Verdict:
    """Add to a verdict what admission found."""
    found = [mismatch(operation, model, verdict.checker) for operation in admission.mismatched]
    if found:
        verdict = msgspec.structs.replace(
            verdict, validity="invalid", reason="", anomalies=(*found, *verdict.anomalies)
        )
    return msgspec.structs.replace(verdict, notes=(*admission.notes, *verdict.notes))
