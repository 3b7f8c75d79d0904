"""The interface of the library: `check(history, model)` has a history judged by the checker that decides what it holds.

* Objects go to linearizability, which chooses among its engines.
* Transactions over lists and registers go to the dependency graph, which takes a hundred thousand of them where the
  general search ends with dozens, and to its own search for what the graph leaves open. Where a value was written twice
  to one key there is no graph, and the general search decides.
* Orders in several shards go to `atomic_commit`, which names what is not atomic and leaves the rest to
  linearizability, of lists.
* Another condition than linearizability goes to its own checker (`consistency.CONDITIONS`).

Each condition admits the same operations (`checkers.admission`), and what a reader of the history passed over is told
with the verdict.

Naming an algorithm, or asking for a cross-check or a witness order, means a search for an order, whatever the model.

Judges other than linearizability, and readers of other formats, are imported when a history needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from . import importers
from .admission import NOTHING_JUDGED, Admission, Mismatched, admit, mismatch
from .history import History
from .linearizability.front.checker import check_linearizable, chosen_conventions
from .linearizability.result import CHECKER, Limits
from .lines import Lines
from .malformed import MalformedHistory
from .models import MODELS, Model, named
from .models.choice import choose
from .op import Op
from .verdict import Validity, Verdict

LINEARIZABLE: Final = "linearizable"

AUTO: Final = "auto"
"""Stands for the model that `choose` finds."""

STRICT: Final = "strict-serializable"
"""What is asked of transactions unless something else is: linearizability, of whole transactions."""

SESSIONS: Final = {
    STRICT: "strong-session-serializable",
    "strong-snapshot-isolation": "strong-session-snapshot-isolation",
}
"""Models of transactions that ask for the order of time -> those that ask for that of processes."""

TRANSACTIONS: Final = ("list-append", "rw-register")
"""Models whose histories the dependency graph judges by default."""


def check(
    history: History | Iterable[Op],
    model: Model | str = AUTO,
    *,
    consistency: str = LINEARIZABLE,
    initial: Any = None,
    mismatched: Mismatched = "refuse",
    expect: Sequence[str] = (),
    **options: Any,
) -> Verdict:
    """Decide whether a history could have come from a correct system.

    `model` says what the objects are; "auto" takes the model that fits what the history contains, and says so in
    `notes`. `consistency` is "linearizable" or one of `CONDITIONS`. `initial` is the state at the start where it is
    not the model's own. `mismatched` says what becomes of completions that do not answer their invoke: "refuse", or
    "anomaly". `expect` names what a store of transactions promises (`transactions.CONSISTENCY_MODELS`); without it,
    strict serializability is asked for, which is linearizability of transactions. Further `options` are those of
    `check_linearizable`; of them, other conditions know `failed_cas` and `nil_read`.

    Raises `MalformedHistory` for operations that are none of the model's, and `EnginesDisagree` under `cross_check`.
    """
    if not isinstance(history, History | Lines):
        history = History(history)
    options |= {"consistency": consistency, "initial": initial, "mismatched": mismatched, "expect": expect}
    if len(history) >= LONG_LINES and isinstance(model, str) and _is_plain(options):
        from . import columns

        if (plain := columns.judge_history(history, model, _limits(options))) is not None:
            return _told(plain, options)
    return _check_objects(history if isinstance(history, History) else History(history), model, **options)


def _check_objects(
    history: History,
    model: Model | str,
    *,
    consistency: str = LINEARIZABLE,
    initial: Any = None,
    mismatched: Mismatched = "refuse",
    expect: Sequence[str] = (),
    **options: Any,
) -> Verdict:
    """Do what `check` says, operation by operation."""
    notes = history.notes
    if expect:
        _require_models(expect, consistency)
    if consistency != LINEARIZABLE:
        verdict = _check_condition(history, model, consistency, initial, mismatched, options)
    else:
        if model == AUTO:
            choice = choose(history)
            if choice is None:
                return _nothing_judged(history, notes)
            model, notes = choice.model, (choice.note, *notes)
        named_model = named(model) if isinstance(model, str) else model
        verdict = _check_order(history, named_model, initial, mismatched, expect, options)
    verdict = msgspec.structs.replace(verdict, notes=(*notes, *verdict.notes))
    if history.gaps and verdict.validity == "valid":
        return msgspec.structs.replace(verdict, validity="unknown", reason="; ".join(history.gaps))
    if history.is_unordered and verdict.validity == "valid" and _asks_for_processes(consistency, expect):
        return msgspec.structs.replace(verdict, validity="unknown", reason=UNORDERED)
    return verdict


UNORDERED: Final = "some calls of a process overlap, so that its order, which was asked for, is not known"


def _asks_for_processes(consistency: str, expect: Sequence[str]) -> bool:
    """Whether the order of the calls of each process was asked for, beyond the order of time."""
    return consistency == "sequential" or any(name.startswith("strong-session-") for name in expect)


def check_file(
    file: Path | bytes,
    model: Model | str = AUTO,
    *,
    format: str = "auto",
    lenient: bool = False,
    source: str | None = None,
    **options: Any,
) -> Verdict:
    """Decide the history in a file, or in its bytes: what `check` says of what `importers.load` reads.

    Long files of registers and counters, in our own lines or in EDN, are read into columns, without an object a line;
    where that does not find them valid, they are read again as objects, and explained.
    """
    is_tried = format in ("auto", "jsonl", "edn") and not lenient and _is_plain(options) and _is_long(file)
    if is_tried and isinstance(model, str):
        from . import columns

        if (plain := columns.judge(file, model, _limits(options), format)) is not None:
            return _told(plain, options)
    history = importers.load(file, format=format, source=source, lenient=lenient)
    verdict = (_check_objects if is_tried else check)(history, model, **options)
    indexes = dict.fromkeys(anomaly.index for anomaly in verdict.anomalies if anomaly.index is not None)
    places = tuple(f"index {index} is {history.where_index(index)}" for index in list(indexes)[:PLACES])
    return msgspec.structs.replace(verdict, notes=(*verdict.notes, *places))


LONG_BYTES: Final = 1 << 16
"""From here on a file, or what gzip made of it, is worth an attempt to read it without objects."""

LONG_LINES: Final = 1_000
"""From here on a history is worth an attempt to judge it from its lines."""


def _limits(options: dict[str, Any]) -> Limits:
    return Limits(
        steps=options.get("step_limit"),
        states=options.get("state_limit"),
        seconds=options.get("time_limit_s"),
        bytes=options.get("memory_limit_bytes"),
    )


def _told(verdict: Verdict, options: dict[str, Any]) -> Verdict:
    """Tell a verdict that needed no explanation to whoever waits for it."""
    if (on_decided := options.get("on_decided")) is not None:
        on_decided(verdict.validity)
    return verdict


def _is_long(file: Path | bytes) -> bool:
    try:
        return (len(file) if isinstance(file, bytes) else file.stat().st_size) >= LONG_BYTES
    except OSError:
        return False  # what loads objects says what is wrong


PLACES: Final = 5
"""Indexes of anomalies whose lines in the file are told."""


PLAIN: Final[dict[str, Any]] = {
    "consistency": LINEARIZABLE,
    "failed_cas": "auto",
    "nil_read": "auto",
    "mismatched": "refuse",
    "algorithm": "auto",
    "cross_check": False,
    "expect": (),
    "explain": ...,
    "explain_limit_s": ...,
    "on_decided": ...,
    "step_limit": ...,
    "state_limit": ...,
    "time_limit_s": ...,
    "memory_limit_bytes": ...,
}
"""What options may be where columns are enough; of those with an ellipsis any value."""


def _is_plain(options: dict[str, Any]) -> bool:
    return all(
        value is None or PLAIN.get(name) is ... or (name in PLAIN and PLAIN[name] == value)
        for name, value in options.items()
    )


def _nothing_judged(history: History, notes: tuple[str, ...]) -> Verdict:
    ops = len(history.operations(with_void=True))
    return Verdict(validity="unknown", checker=CHECKER, ops=ops, reason=NOTHING_JUDGED, notes=notes)


def _require_models(expect: Sequence[str], consistency: str) -> None:
    if consistency != LINEARIZABLE:
        raise MalformedHistory("an expected model", f"none beside consistency {consistency}", "--expect")
    from .transactions import CONSISTENCY_MODELS

    if strangers := [name for name in expect if name not in CONSISTENCY_MODELS]:
        raise MalformedHistory(f"model {strangers[0]!r}", f"one of {', '.join(CONSISTENCY_MODELS)}", "--expect")


def _check_order(
    history: History,
    model: Model,
    initial: Any,
    mismatched: Mismatched,
    expect: Sequence[str],
    options: dict[str, Any],
) -> Verdict:
    asks_for_order = options.get("algorithm", "auto") != "auto" or options.get("cross_check") or options.get("witness")
    is_ours = model.name in TRANSACTIONS and model is MODELS[model.name]
    if is_ours and not asks_for_order and initial is None:
        return _check_transactions(history, model, mismatched, expect or (STRICT,), options)
    if model is MODELS["orders"] and not asks_for_order and initial is None and not expect:
        from . import atomic_commit

        return atomic_commit.check(history, model, mismatched=mismatched, **options)
    if any(name != STRICT for name in expect):
        found = "an order that is asked for" if is_ours else f"model {model.name!r}"
        raise MalformedHistory(found, f"histories of {' or '.join(TRANSACTIONS)} judged by their graph", "--expect")
    doubts: dict[Validity, str] = {"valid": TOUCHING} if is_ours and history.touches else {}
    return _search(history, model, doubts, {**options, "initial": initial, "mismatched": mismatched})


TOUCHING: Final = "some transactions of a process touch, and the search does not know which of them came first"
"""Why an order that the search found is none: it may have a transaction before the one that its process did first."""


def _search(history: History, model: Model, doubts: Mapping[Validity, str], options: dict[str, Any]) -> Verdict:
    """Search for an order. `doubts` say which verdicts of the search are `unknown` here, and why."""
    if (on_decided := options.get("on_decided")) is not None:
        options = {**options, "on_decided": lambda found: on_decided("unknown" if found in doubts else found)}
    searched = check_linearizable(history, model, **options)
    if searched.validity not in doubts:
        return searched
    details = {name: item for name, item in searched.details.items() if name != "witness"}
    why = doubts[searched.validity]
    return msgspec.structs.replace(searched, validity="unknown", reason=why, anomalies=(), details=details)


def _check_transactions(
    history: History, model: Model, mismatched: Mismatched, expect: Sequence[str], options: dict[str, Any]
) -> Verdict:
    """Ask the checker of transactions, and where no graph can be made, the general search for an order.

    Time implies the order of processes, but for transactions that touch: there it is asked for by itself, of the graph.
    The search does not know it, and lets them overlap.
    """
    verdict = _ask_graph(history, model, mismatched, expect, options)
    sessions = [SESSIONS[name] for name in expect if name in SESSIONS] if history.touches else []
    if sessions and verdict.validity == "valid":
        asked = _ask_graph(history, model, mismatched, sessions, options)
        verdict = verdict if asked.validity == "valid" else asked
    if not verdict.details.get("not-unique"):
        return verdict
    doubts: dict[Validity, str] = {}
    if sessions or (history.touches and _asks_for_processes(LINEARIZABLE, expect)):
        doubts["valid"] = TOUCHING
    if STRICT not in expect:  # every other model is weaker
        doubts["invalid"] = f"the search found no order for {STRICT}, and it knows no weaker model"
    searched = _search(history, model, doubts, {**options, "mismatched": mismatched})
    notes = (*verdict.notes, f"decided by a search for an order: {verdict.reason}")
    return msgspec.structs.replace(searched, notes=(*notes, *searched.notes))


def _ask_graph(
    history: History, model: Model, mismatched: Mismatched, expect: Sequence[str], options: dict[str, Any]
) -> Verdict:
    """The checker of transactions refuses mismatched completions, so others are taken out before."""
    from .transactions import check as check_transactions

    names = ("step_limit", "time_limit_s", "memory_limit_bytes")
    limits = {name: options[name] for name in names if options.get(name) is not None}
    if mismatched == "refuse":
        return check_transactions(history, model.name, expect=expect, **limits)
    operations = history.operations(with_void=True)
    admission = admit(operations, model, history.conventions, history.where_index, mismatched=mismatched)
    verdict = check_transactions(history.admitted(admission.operations), model.name, expect=expect, **limits)
    return _with(admission, verdict, model)


def _check_condition(
    history: History,
    model: Model | str,
    name: str,
    initial: Any,
    mismatched: Mismatched,
    options: dict[str, Any],
) -> Verdict:
    from .consistency import CONDITIONS

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
    if initial is not None:
        judged_as = judged_as.starting_at_json(initial)
        initial = judged_as.init
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
