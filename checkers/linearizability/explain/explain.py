"""Why a history is not linearizable: data first, sentences second.

Four things are found, each exactly:

1. *When it became certain*: the shortest prefix of the history that no order explains (`failing_prefix`). An operation
   still pending at its end counts as one of unknown outcome, even where a later line tells more; so this is the first
   line at which a reader of the history would have known.
2. *A 1-minimal failing sub-history* (`reduction`), and whether that was shown within the budget.
3. *The operation that cannot be placed*, and the last one that could.
4. *The states before it*, each with the shortest order that leads there, and that the operation is impossible in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from checkers.history import INF, Operation
from checkers.linearizability.failing_prefix import Decide, certain_index
from checkers.linearizability.partition import Part
from checkers.linearizability.result import LinearizabilityResult
from checkers.models import Model

from .configurations import CONFIGURATIONS, Failure, enumerate_failure
from .reduction import Reduction, reduce

SHOWN: Final = 8
"""How many states and operations stand in the message; the evidence has all."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What an anomaly is made of."""

    index: int
    f: str
    message: str
    evidence: dict[str, Any]


def explain(
    part: Part, model: Model, result: LinearizabilityResult, decide: Decide, *, full: bool = True
) -> Explanation:
    """Explain why the operations of one object have no order; with `full` unset, only tell when that was certain."""
    index = certain_index(part, model, result, decide)
    completing = next(operation for operation in (*part.operations, *part.voids) if operation.ret == index)
    evidence: dict[str, Any] = {
        "key": list(part.keys) if len(part.keys) > 1 else part.keys[0],
        "certain_index": index,
        "prefix_length": sum(operation.call <= index for operation in part.operations),
        "completing": as_data(completing, model),
    }
    if not full:
        message = _headline(part, index)
        return Explanation(index=index, f=completing.f, message=message, evidence=evidence)
    reduction = reduce(part.prefix(index, model), model, decide, result.culprits)
    failure = enumerate_failure([*reduction.helpers, *reduction.kept], model, reduction.story.starts)
    last = _last_placed(part, failure.blocked.ret)
    evidence |= {
        "since": reduction.story.since,
        "starts": [model.describe_state(state) for state in reduction.story.starts],
        "minimal_history": [as_data(operation, model) for operation in reduction.kept],
        "minimal": reduction.minimal,
        "helpers": [as_data(operation, model) for operation in reduction.helpers],
        "others": reduction.others,
        "last_placed": None if last is None else as_data(last, model),
        "blocked": as_data(failure.blocked, model),
        "states": [
            {"state": model.describe_state(state), "order": [_asked(operation, model) for operation in order]}
            for state, order in failure.states
        ],
        "states_complete": failure.complete,
    }
    message = _message(part, model, completing, reduction, failure, last)
    return Explanation(index=index, f=completing.f, message=message, evidence=evidence)


def _last_placed(part: Part, index: int) -> Operation | None:
    """Return the operation at whose completion an order still existed."""
    before = [operation for operation in part.operations if operation.ret < index]
    return max(before, key=lambda operation: operation.ret, default=None)


def as_data(operation: Operation, model: Model) -> dict[str, Any]:
    """Return an operation as a JSON object, with its sentence."""
    return model.as_data(operation)


def _message(
    part: Part, model: Model, completing: Operation, reduction: Reduction, failure: Failure, last: Operation | None
) -> str:
    lines = [_headline(part, completing.ret)]
    if completing.is_void:
        lines.append(f"At that index {_named(completing, model)} turned out not to have happened.")
    if reduction.story.since is not None:
        states = " or ".join(model.describe_state(state) for state in reduction.story.starts)
        lines.append(f"At index {reduction.story.since} the state could only be {states}. From there,")
    lines += [_enough(reduction), *_table(reduction.kept, model)]
    if reduction.helpers:
        helpers = ", ".join(_asked(operation, model) for operation in reduction.helpers[:SHOWN])
        more = len(reduction.helpers) - SHOWN
        helpers += f" and {more} more" if more > 0 else ""
        lines.append(f"They need others, whenever those took effect: {helpers}.")
    lines += _why(model, failure)
    if last is not None:
        lines.append(f"The last operation that could be placed was {_named(last, model)}.")
    if reduction.others == 1:
        lines.append("The other operation does not help, whenever it took effect.")
    elif reduction.others:
        lines.append(f"The other {reduction.others} do not help, whenever they took effect.")
    return "\n".join(lines)


def _headline(part: Part, index: int) -> str:
    subject = f"key {part.name}: " if part.name else ""
    return (
        f"{subject}the answers contradict each other. There is no order in which each operation takes effect once, "
        f"between its call and its return, that gives them. Certain at index {index} of the history."
    )


def _enough(reduction: Reduction) -> str:
    count = len(reduction.kept)
    begin = "One" if reduction.story.since is None else "one"
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
    if not failure.states:
        return [f"When {blocked} returned, no order was left."]
    if not failure.complete:
        return [f"When {blocked} returned, more than {CONFIGURATIONS} orders had been possible; none allows it."]
    lines = [f"By these, when {blocked} (process {failure.blocked.process}) returned, the state could only be:"]
    for state, order in failure.states[:SHOWN]:
        path = ", then ".join(_asked(operation, model) for operation in order[-SHOWN:]) or "nothing has happened"
        path = "... " + path if len(order) > SHOWN else path
        lines.append(f"  {model.describe_state(state)}  ({path}): there {blocked} is impossible")
    if len(failure.states) > SHOWN:
        lines.append(f"  or one of {len(failure.states) - SHOWN} more, all as impossible")
    return lines


def _asked(operation: Operation, model: Model) -> str:
    """Describe an operation without saying that its outcome is unknown: here that is beside the point."""
    return model.describe(operation).removesuffix(" -> ?")


def _named(operation: Operation, model: Model) -> str:
    return f"{model.describe(operation)} (process {operation.process}, {_interval(operation)})"


def _interval(operation: Operation) -> str:
    return f"{operation.call}..{'?' if operation.ret == INF else operation.ret}"
