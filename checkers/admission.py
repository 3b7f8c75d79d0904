"""Admission: which operations of a history are judged, and how each was read where sources differ.

The law is that nothing is left out in silence. Each operation is judged; or refused with its file and line, because it
is none of the model's; or left out for one of these reasons, each of which is counted in a note:

* it certainly did not happen (a `fail` that is no answer of the object),
* nothing is known of what it did or saw (a read, or whatever only looks, of unknown outcome),
* it only looks, it saw null, and the source says that null says nothing (`nil_read`: Knossos).

Values that compare as equal here and are not equal in the source (`true` and 1) are refused (`checkers.kinds`).

A completed history, as Knossos makes it, repeats what a read returned in its invoke. Such an invoke asks for nothing:
the operation is judged by its answer, and counted too.

An ok completion must answer its own invoke: a write of 1 that is answered as a write of 2 was recorded wrongly, or the
system confused two requests. By default it is refused (`mismatched="refuse"`), since what follows from the rest of such
a file is worth little. With `mismatched="anomaly"` it is an anomaly of its own, `mismatched-completion`.

Every judge of operations asks here first: linearizability, transactions, other conditions, and the streaming checker.
What an importer passed over is told by the history itself (`History.notes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from checkers.conventions import Conventions
from checkers.kinds import require_one_kind
from checkers.malformed import MalformedHistory
from checkers.models import Model
from checkers.models.model import ANY, NOTHING, Function, answers_cas, repeats
from checkers.operation import INF, Operation
from checkers.values import show
from checkers.verdict import Anomaly

UNKNOWN_ANSWER: Final = "precondition-failed"
"""The error of a cas of which the source only says that it failed, where that is a constraint."""

NOTHING_JUDGED: Final = "nothing was judged: no operation of the history has a known outcome"

MISMATCHED_COMPLETION: Final = "mismatched-completion"

Mismatched = Literal["refuse", "anomaly"]
MISMATCHED: Final[tuple[Mismatched, ...]] = ("refuse", "anomaly")


@dataclass
class Admission:
    """What is judged of a history, and what was read in which way."""

    operations: list[Operation] = field(default_factory=list)
    mismatched: list[Operation] = field(default_factory=list)
    """Operations whose completion does not answer their invoke; refused unless the caller asked for them."""
    counted: Counter[str] = field(default_factory=Counter)
    """What was left out or read in a way that is not plain, in words."""

    @property
    def notes(self) -> list[str]:
        """What was counted, for people."""
        return [f"{count} x {what}" for what, count in self.counted.items()]

    @property
    def judges_something(self) -> bool:
        """Whether any outcome is known: without one, no verdict but unknown means anything."""
        return any(operation.ret != INF and not operation.is_void for operation in self.operations)


def admit(
    operations: Sequence[Operation],
    model: Model,
    conventions: Conventions,
    where: Callable[[int], str],
    *,
    mismatched: Mismatched = "refuse",
    is_watched: bool = False,
) -> Admission:
    """Keep what can constrain, under these conventions.

    `is_watched`: the caller watches itself for values of several kinds, in more operations than these.

    Raises `MalformedHistory` for an operation that is none of this model's, for values that only their kind keeps
    apart, and for a completion that does not answer its invoke unless `mismatched` is "anomaly".
    """
    admission = Admission()
    keep = admission.operations.append
    counted = admission.counted
    functions = model.functions
    wildcard = conventions.nil_read == "anything"
    for operation in operations:
        kind = operation.type
        function = functions.get(operation.f)
        if function is not None:
            if function.value is NOTHING and operation.value is not None and function.only_looks:
                operation = _without_value(operation, where, counted)
            if wildcard and kind == "ok" and operation.result is None and function.only_looks:
                counted[f"{operation.f} that saw null, which says nothing in this source: not judged"] += 1
                continue
            if operation.call < 0 and not operation.is_void and _asks_unknown(function, operation):
                raise _without_invoke(operation, where)
            if not _fits(function, operation):
                model.validate(operation, where)
            if kind == "ok":
                if not function.answers_invoke(operation.value, operation.result):
                    if mismatched == "refuse":
                        raise _refusal(operation, where)
                    admission.mismatched.append(operation)
                    continue
            elif kind == "info" and function.only_looks:
                counted[f"{operation.f} of unknown outcome, which constrains nothing"] += 1
                continue
        elif functions:
            model.validate(operation, where)
        if kind == "fail":
            operation = _read_refusal(operation, model, conventions, counted)
        keep(operation)
    if not is_watched:
        require_one_kind(admission.operations, model, conventions.source, where)
    return admission


def mismatch(operation: Operation, model: Model, checker: str) -> Anomaly:
    """Describe an operation whose completion does not answer its invoke, as an anomaly that this checker found."""
    f, asked, told = operation.f, show(operation.value), show(operation.result)
    return Anomaly(
        checker=checker,
        kind=MISMATCHED_COMPLETION,
        detail=f"{model.name}/{f}",
        index=operation.ret,
        message=f"process {operation.process} asked for {f} {asked} and was answered as {f} {told}",
        evidence={"operation": model.as_data(operation)},
    )


def _asks_unknown(function: Function, operation: Operation) -> bool:
    """Whether a completion without invoke (of a lenient history) does not say what was asked either."""
    return function.answers_invoke in (repeats, answers_cas) and (operation.value is None or operation.value is True)


def _without_invoke(operation: Operation, where: Callable[[int], str]) -> MalformedHistory:
    found = f"a completion of {operation.f} without invoke, which does not say what was asked"
    return MalformedHistory(found, "an invoke before it, or its value in it", where(operation.ret))


def _fits(function: Function, operation: Operation) -> bool:
    if function.value is not ANY and not function.value.fits(operation.value):
        return False
    return operation.type != "ok" or function.result is ANY or function.result.fits(operation.result)


def _without_value(operation: Operation, where: Callable[[int], str], counted: Counter[str]) -> Operation:
    """Take the value out of the invoke of an operation that asks for nothing; an answer must say the same."""
    if operation.type == "ok" and operation.result != operation.value:
        raise _refusal(operation, where)
    counted[f"{operation.f} whose invoke carries a value: judged by its answer"] += 1
    return msgspec.structs.replace(operation, value=None)


def _refusal(operation: Operation, where: Callable[[int], str]) -> MalformedHistory:
    found = f"{operation.f} {show(operation.value)} answered as {operation.f} {show(operation.result)}"
    return MalformedHistory(found, "a completion that answers its invoke", where(operation.ret))


def _read_refusal(operation: Operation, model: Model, conventions: Conventions, counted: Counter[str]) -> Operation:
    """Decide whether a `fail` says something about the state."""
    if operation.f == "cas":
        if conventions.failed_cas == "nothing":
            counted["failed cas, which says nothing in this source: taken as not executed"] += 1
            return _void(operation)
        if conventions.failed_cas == "constraint" and not operation.is_negative:
            return msgspec.structs.replace(operation, error=UNKNOWN_ANSWER)
    if operation.is_negative and not model.answers(operation):
        error = str(operation.error)
        what = f"{operation.f} failed with {error!r}, which is no answer of a {model.name}: taken as not executed"
        counted[what] += 1
        return _void(operation)
    if operation.is_void:
        counted[f"{operation.f} that failed without being executed: as if never asked"] += 1
    return operation


def _void(operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, error=None) if operation.is_negative else operation


__all__ = [
    "MISMATCHED",
    "MISMATCHED_COMPLETION",
    "NOTHING_JUDGED",
    "UNKNOWN_ANSWER",
    "Admission",
    "Mismatched",
    "admit",
    "mismatch",
]
