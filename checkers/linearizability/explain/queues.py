"""What is wrong with an answer of a queue, in one sentence: what was taken, or what was there and was not."""

from __future__ import annotations

from collections.abc import Sequence

from checkers.linearizability.partition import Part
from checkers.models import Model
from checkers.operation import Operation
from checkers.values import show

from .wording import cut


def impossible_queue(part: Part, model: Model, kept: Sequence[Operation], blocked: Operation) -> str:
    """Say which value cannot have been dequeued, or was there; "" where no value tells alone."""
    if model.name != "queue" or model.init != () or blocked.f != "dequeue" or blocked.type == "info":
        return ""
    if blocked.type == "fail":
        there = _untaken(part, blocked)
        if there is None:
            return ""
        value = cut(show(there.value))
        return f"process {blocked.process} found the queue empty after process {there.process} had put {value} in"
    return _taken(part, blocked) or _out_of_turn(part, blocked)


def _taken(part: Part, blocked: Operation) -> str:
    """A value was dequeued that was never there, or once too often."""
    value, who = blocked.result, f"process {blocked.process} dequeued {cut(show(blocked.result))}"
    puts = [o for o in part.operations if o.f == "enqueue" and o.value == value and o.call < blocked.ret]
    if not puts:
        failed = next((void for void in part.voids if void.f == "enqueue" and void.value == value), None)
        if failed is not None:
            return f"{who}, but the enqueue of process {failed.process} failed"
        return f"{who}, which was never put in"
    taken = [o for o in part.operations if o.f == "dequeue" and o.result == value and o.ret < blocked.ret]
    if len(taken) >= len(puts):
        return f"{who}, which process {taken[-1].process} had dequeued already"
    return ""


def _out_of_turn(part: Part, blocked: Operation) -> str:
    """A value was dequeued although another one, which nobody had taken, was put in before it."""
    puts = [o for o in part.operations if o.f == "enqueue" and o.value == blocked.result]
    if len(puts) != 1:
        return ""
    first = _untaken(part, blocked, before=puts[0].call)
    if first is None:
        return ""
    earlier = cut(show(first.value))
    return (
        f"process {blocked.process} dequeued {cut(show(blocked.result))} before {earlier}, "
        f"which process {first.process} had put in first"
    )


def _untaken(part: Part, blocked: Operation, *, before: int | None = None) -> Operation | None:
    """Find an enqueue that had surely happened by an instant, of a value that nobody can have taken by then."""
    instant = blocked.call if before is None else before
    takes = [o for o in part.operations if o.f == "dequeue" and o.call < blocked.ret and o is not blocked]
    if any(take.type == "info" for take in takes):
        return None
    taken = {take.result for take in takes if take.type == "ok"}
    puts = (o for o in part.operations if o.f == "enqueue" and o.ret < instant and o.value not in taken)
    return min((o for o in puts if o.value != blocked.result), key=lambda operation: operation.ret, default=None)
