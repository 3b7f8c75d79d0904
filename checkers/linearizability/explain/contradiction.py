"""The contradiction in one sentence: who was told what, and what had happened before that forbids it.

A sentence is only said where it is true by itself, whatever else the history holds: that a value was never written,
that its write failed or came later, that it had been overwritten, that a lock was held (`locks`), that a sum is out of
bounds (`counters`), that an element is missing (`sets`, `lists`) or was taken out of turn (`queues`). Where none of
these fits, the operation that cannot be placed is named with the states that were possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from checkers.linearizability.partition import Part, pending
from checkers.models import Model
from checkers.models.model import KEEPS, OtherThan, Unsaid
from checkers.operation import INF, Operation
from checkers.values import show

from .configurations import Failure
from .counters import impossible_sum
from .lists import impossible_list
from .locks import impossible_lock
from .queues import impossible_queue
from .sets import impossible_set
from .wording import cut, told

STATES: Final = 3
"""More possible states than this do not fit into one sentence."""


OF_MODELS: Final = (impossible_sum, impossible_set, impossible_list, impossible_lock, impossible_queue)
"""What is said of one kind of object only."""


def contradiction(part: Part, model: Model, kept: Sequence[Operation], failure: Failure) -> str:
    """Say in one sentence, without its full stop, what contradicts what."""
    blocked = failure.blocked
    if len({operation.key for operation in part.operations}) <= 1:
        for say in (
            impossible_sum,
            impossible_set,
            impossible_list,
            impossible_lock,
            impossible_queue,
            _unfounded,
            _stale,
        ):
            found = say(part, model, kept, blocked)
            if found:
                return found
    return impossible(model, failure)


def impossible(model: Model, failure: Failure) -> str:
    """Name the operation that cannot be placed, with the states that were possible where they are few."""
    who, what = f"process {failure.blocked.process}", model.describe(failure.blocked)
    if failure.complete and 0 < len(failure.states) <= STATES:
        states = " or ".join(cut(model.describe_state(state)) for state, _ in failure.states)
        return f"{what} of {who} is impossible: by then the state could only be {states}"
    return f"{what} of {who} fits no order of what was seen before it"


# -- registers, maps, texts: an answer names the one state that it needs ----------------------------------------------


def _unfounded(part: Part, model: Model, kept: Sequence[Operation], blocked: Operation) -> str:
    """A state was seen that nothing had left by then."""
    needs = model.access(blocked)[0]
    if not _is_state(needs) or needs == model.init or _sets_in_secret(part, model):
        return ""
    sources = [operation for operation in part.operations if model.access(operation)[1] == needs]
    in_time = [operation for operation in sources if operation.call < blocked.ret and operation is not blocked]
    if in_time:
        return ""
    what = told(model, blocked)
    failed = next((void for void in part.voids if model.access(pending(void))[1] == needs), None)
    if failed is not None:
        return f"{what}, but the {_asked(failed)} of process {failed.process} failed"
    if sources:
        first = min(sources, key=lambda operation: operation.call)
        return f"{what} before process {first.process} called its {_asked(first)}"
    return f"{what}, which no operation had left there"


def _stale(part: Part, model: Model, kept: Sequence[Operation], blocked: Operation) -> str:
    """A state was seen after another one that came later."""
    needs = model.access(blocked)[0]
    if not _is_state(needs) or _sets_in_secret(part, model):
        return ""
    operations = part.operations
    sources = [operation for operation in operations if model.access(operation)[1] == needs]
    latest = max((operation.ret for operation in sources if operation.call < blocked.ret), default=-1)
    if latest == INF:
        return ""
    for told_of in (kept, operations):  # what stands in the list below is the better witness
        before = [operation for operation in told_of if operation.ret < blocked.call]
        for operation in sorted(before, key=lambda operation: operation.ret, reverse=True):
            said = _came_later(model, operation, needs, latest, operations)
            if said:
                return f"{told(model, blocked)} after {said}"
    return ""


def _came_later(model: Model, operation: Operation, needs: Any, latest: int, operations: Sequence[Operation]) -> str:
    """Say how an operation shows that the state was another, and later than all that leave what was seen."""
    seen, left = model.access(operation)
    if left is not KEEPS and left != needs and operation.call > latest:
        return f"process {operation.process} {_overwrote(operation)}"
    if not _is_state(seen) or seen in (needs, model.init):
        return ""
    writes = [other for other in operations if model.access(other)[1] == seen]
    if writes and min(write.call for write in writes) > latest:
        return f"{told(model, operation, had=True)}, which was written later"
    return ""


def _sets_in_secret(part: Part, model: Model) -> bool:
    """Whether some operation does not say which state it leaves."""
    return any(
        isinstance(left := model.access(operation)[1], Unsaid) and left is not KEEPS and not model.only_looks(operation)
        for operation in part.operations
    )


def _is_state(needs: Any) -> bool:
    return not isinstance(needs, Unsaid | OtherThan)


# -- wording ----------------------------------------------------------------------------------------------------------


def _overwrote(operation: Operation) -> str:
    if operation.f == "write":
        return f"had overwritten it with {cut(show(operation.value))}"
    return f"had changed it by its {_asked(operation)}"


def _asked(operation: Operation) -> str:
    f = operation.f
    return f if operation.value is None else f"{f} of {cut(show(operation.value))}"
