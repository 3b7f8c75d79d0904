"""Why a history is not linearizable: data first, sentences second.

Four things are found, each exactly:

1. *When it became certain*: the shortest prefix of the history that no order explains (`failing_prefix`). An operation
   still pending at its end counts as one of unknown outcome, even where a later line tells more; so this is the first
   line at which a reader of the history would have known.
2. *A 1-minimal failing sub-history* (`reduction`), and whether that was shown within the budget.
3. *The operation that cannot be placed*, and the last one that could.
4. *The states before it*, each with the shortest order that leads there, and that the operation is impossible in each;
   in the evidence also the states that were possible after each return before (`between`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from checkers.linearizability.failing_prefix import Certain, certain_index
from checkers.linearizability.partition import Part
from checkers.linearizability.result import LinearizabilityResult
from checkers.models import Model
from checkers.operation import INF, Operation

from .budget import Budget
from .configurations import CONFIGURATIONS, Failure, enumerate_failure
from .contradiction import contradiction
from .reduction import Reduction, reduce

SHOWN: Final = 8
"""How many states and operations stand in the message; the evidence has all."""


NO_TIME: Final = "The budget for explanations was spent before fewer operations could be named."


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What an anomaly is made of."""

    index: int
    f: str
    message: str
    evidence: dict[str, Any]


def explain(
    part: Part, model: Model, result: LinearizabilityResult, budget: Budget, *, full: bool = True
) -> Explanation:
    """Explain why the operations of one object have no order; with `full` unset, only tell when that was certain.

    Where the budget ends, the explanation ends with what was found by then.
    """
    certain = certain_index(part, model, result, budget.part(2 if full else 1).decide)
    index = certain.end
    completing = next(operation for operation in (*part.operations, *part.voids) if operation.ret == index)
    evidence: dict[str, Any] = {
        "key": part.keys[0] if len(part.keys) == 1 else list(part.keys),
        "certain_index": index,
        "certain_exactly": certain.is_exact,
        "prefix_length": sum(operation.call <= index for operation in part.operations),
        "completing": as_data(completing, model),
    }
    if not full or budget.is_spent:
        message = _headline(part, certain)
        message += "\n" + NO_TIME if full else ""
        return Explanation(index=index, f=completing.f, message=message, evidence=evidence)
    reduction = reduce(part.prefix(index, model), model, budget, result.culprits)
    failure = enumerate_failure(reduction, model, budget)
    last = _last_placed(part, failure.blocked.ret)
    evidence |= {
        "since": reduction.excerpt.since,
        "starts": [model.describe_state(state) for state in reduction.excerpt.starts],
        "minimal_history": [as_data(operation, model) for operation in reduction.kept],
        "minimal": reduction.minimal,
        "helpers": [as_data(operation, model) for operation in reduction.helpers or ()],
        "others": reduction.others,
        "last_placed": None if last is None else as_data(last, model),
        "blocked": as_data(failure.blocked, model),
        "states": [
            {"state": model.describe_state(state), "order": [_asked(operation, model) for operation in order]}
            for state, order in failure.states
        ],
        "states_complete": failure.complete,
        "between": [
            {
                "call": operation.call,
                "ret": operation.ret,
                "states": [model.describe_state(state) for state in states[:SHOWN]],
                "count": len(states),
            }
            for operation, states in failure.passed
        ],
    }
    message = _message(part, model, certain, completing, reduction, failure, last)
    return Explanation(index=index, f=completing.f, message=message, evidence=evidence)


def _last_placed(part: Part, index: int) -> Operation | None:
    """Return the operation at whose completion an order still existed."""
    before = [operation for operation in part.operations if operation.ret < index]
    return max(before, key=lambda operation: operation.ret, default=None)


def as_data(operation: Operation, model: Model) -> dict[str, Any]:
    """Return an operation as a JSON object, with its sentence."""
    return model.as_data(operation)


def _message(
    part: Part,
    model: Model,
    certain: Certain,
    completing: Operation,
    reduction: Reduction,
    failure: Failure,
    last: Operation | None,
) -> str:
    lines = [_headline(part, certain, contradiction(part, model, reduction.kept, failure))]
    if completing.is_void:
        lines.append(f"At that index {_named(completing, model)} turned out not to have happened.")
    if reduction.excerpt.since is not None:
        states = " or ".join(model.describe_state(state) for state in reduction.excerpt.starts)
        lines.append(f"At index {reduction.excerpt.since} the state could only be {states}. From there,")
    lines += [_enough(reduction), *_table(reduction.kept, model)]
    if reduction.helpers is None:
        lines.append("They need many others, whenever those took effect.")
    elif reduction.helpers:
        lines.append(f"They need others, whenever those took effect: {_counted(reduction.helpers, model)}.")
    lines += _why(model, failure)
    if last is not None:
        lines.append(f"The last operation that could be placed was {_named(last, model)}.")
    if reduction.others == 1 and reduction.helpers is not None:
        lines.append("The other operation does not help, whenever it took effect.")
    elif reduction.others and reduction.helpers is not None:
        lines.append(f"The other {reduction.others} do not help, whenever they took effect.")
    return "\n".join(lines)


def _headline(part: Part, certain: Certain, sentence: str = "the answers contradict each other") -> str:
    subject = f"key {part.name}: " if part.name else ""
    at = "" if certain.is_exact else ", if not before"
    return f"{subject}{sentence}. Certain at index {certain.end} of the history{at}."


def _counted(operations: Sequence[Operation], model: Model) -> str:
    """List operations, those of equal words with their number."""
    counts = Counter(_asked(operation, model) for operation in operations)
    words = [text if count == 1 else f"{count} x {text}" for text, count in list(counts.items())[:SHOWN]]
    more = sum(list(counts.values())[SHOWN:])
    return ", ".join(words) + (f" and {more} more" if more else "")


def _enough(reduction: Reduction) -> str:
    count = len(reduction.kept)
    begin = "One" if reduction.excerpt.since is None else "one"
    if count == 1:
        return f"{begin} operation is enough to see it (numbers are the indexes of its call and its return):"
    word = "are enough to see it" if reduction.minimal else "suffice, perhaps fewer"
    return f"{count} operations {word} (numbers are the indexes of call and return):"


def _table(kept: Sequence[Operation], model: Model) -> list[str]:
    shown = kept if len(kept) <= 3 * SHOWN else [*kept[:SHOWN], *kept[-2 * SHOWN :]]
    width = max(len(model.describe(operation)) for operation in shown)
    rows = [
        f"  process {operation.process:<3} {model.describe(operation):<{width}}  {_interval(operation)}"
        for operation in shown
    ]
    if len(shown) < len(kept):
        rows.insert(SHOWN, f"  ... {len(kept) - len(shown)} more ...")
    return rows


def _why(model: Model, failure: Failure) -> list[str]:
    blocked = model.describe(failure.blocked)
    if not failure.states and failure.complete:
        return [f"When {blocked} returned, no order was left."]
    if not failure.states:
        return [f"By the time {blocked} returned, many orders had been possible; none allows all answers."]
    if not failure.complete:
        return [f"When {blocked} returned, more than {CONFIGURATIONS} orders had been possible; none allows it."]
    lines = [f"By these, when {blocked} (process {failure.blocked.process}) returned, the state could only be:"]
    for state, order in failure.states[:SHOWN]:
        path = _path(order, model)
        lines.append(f"  {model.describe_state(state)}  ({path}): there {blocked} is impossible")
    if len(failure.states) > SHOWN:
        lines.append(f"  or one of {len(failure.states) - SHOWN} more, all as impossible")
    return lines


def _path(order: Sequence[Operation], model: Model) -> str:
    """Tell an order, with a number for operations of equal words in a row."""
    runs = [(text, len(list(run))) for text, run in groupby(_asked(operation, model) for operation in order)]
    words = [text if count == 1 else f"{count} x {text}" for text, count in runs[-SHOWN:]]
    return ("... " if len(runs) > SHOWN else "") + (", then ".join(words) or "nothing has happened")


def _asked(operation: Operation, model: Model) -> str:
    """Describe an operation without saying that its outcome is unknown: here that is beside the point."""
    return model.describe(operation).removesuffix(" -> ?")


def _named(operation: Operation, model: Model) -> str:
    return f"{model.describe(operation)} (process {operation.process}, {_interval(operation)})"


def _interval(operation: Operation) -> str:
    return f"{operation.call}..{'?' if operation.ret == INF else operation.ret}"
