"""What is wrong with an answer of a lock, in one sentence: it was held, or nobody held it."""

from __future__ import annotations

from collections.abc import Sequence

from checkers.linearizability.partition import Part
from checkers.models import Model
from checkers.operation import INF, Operation

LOCKS = ("mutex", "owned-mutex")


def impossible_lock(part: Part, model: Model, kept: Sequence[Operation], blocked: Operation) -> str:
    """Say who held the lock, or that nobody did; "" where counting calls and returns does not tell."""
    if model.name not in LOCKS or blocked.type == "info":
        return ""
    if blocked.f == "acquire" and blocked.type == "ok":
        return _held(part, kept, blocked)
    if model.init is not None or (blocked.f == "release") != (blocked.type == "ok"):
        return ""
    who = f"process {blocked.process}"
    if blocked.f == "acquire":
        return f"{who} was refused the lock as held, while nobody held it" if _is_free(part.operations, blocked) else ""
    if _is_free(part.operations, blocked):
        return f"{who} released the lock, which nobody held"
    own = [operation for operation in part.operations if operation.process == blocked.process]
    if model.name == "owned-mutex" and _is_free(own, blocked):
        return f"{who} released the lock, which it did not hold"
    return ""


def _is_free(operations: Sequence[Operation], blocked: Operation) -> bool:
    """Whether each acquire that may have come before was surely released before."""
    acquires = [o for o in operations if o.f == "acquire" and o.type != "fail" and o.call < blocked.ret]
    releases = [o for o in operations if o.f == "release" and o.type == "ok" and o.ret < blocked.call]
    return len([o for o in acquires if o is not blocked]) <= len(releases)


def _held(part: Part, kept: Sequence[Operation], blocked: Operation) -> str:
    """A lock was acquired while another process surely held it."""
    if any(operation.f == "release" and operation.ret == INF for operation in part.operations):
        return ""
    before = [o for o in kept if o.f == "acquire" and o.type == "ok" and o.ret < blocked.call]
    holder = max(before, key=lambda operation: operation.ret, default=None)
    if holder is None or any(
        operation.f == "release"
        and operation.type == "ok"
        and holder.call < operation.ret
        and operation.call < blocked.ret
        for operation in part.operations
    ):
        return ""
    return f"process {blocked.process} acquired the lock while process {holder.process} held it"
