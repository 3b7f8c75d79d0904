"""From a history to the independent objects in it: what counts, under which conventions, split as finely as is sound.

Linearizability is local (Herlihy and Wing 1990, theorem 1): a history over several objects is linearizable exactly when
the part of each object is. So operations are split by the keys they touch; one that touches several joins them.

What never constrains anything leaves here: operations that did not happen, and crashed ones that only look.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import msgspec

from checkers.history import INF, Conventions, MalformedHistory, Operation, show
from checkers.models import Model
from checkers.models.model import ANY, own_key

UNKNOWN_ANSWER = "precondition-failed"
"""The word for a cas of which the source only says that it failed, where that is a constraint."""


@dataclass(frozen=True, slots=True)
class Part:
    """The operations of one independent object, in the order of their calls.

    `voids` are those that did not happen; while they were pending that was not known, so they matter to the
    question when a violation became certain, and to nothing else.
    """

    keys: tuple[Hashable, ...]
    operations: list[Operation]
    voids: list[Operation]
    has_all_keys: bool = False

    @property
    def name(self) -> str:
        """Name the object for people; empty where there is only one and it has no key."""
        return ", ".join(show(key) for key in self.keys if key is not None)

    def completions(self) -> list[int]:
        """List the indexes at which something became known, ascending."""
        return sorted(operation.ret for operation in (*self.operations, *self.voids) if operation.ret != INF)

    def prefix(self, index: int, model: Model) -> list[Operation]:
        """List the operations as they are known from the history up to and including this index."""
        seen = [as_of(operation, index) for operation in self.operations if operation.call <= index]
        seen += [pending(operation) for operation in self.voids if operation.call <= index < operation.ret]
        seen.sort(key=attrgetter("call"))
        return [operation for operation in seen if operation.ret != INF or not model.only_looks(operation)]


def as_of(operation: Operation, index: int) -> Operation:
    """Return the operation as it was known at this index."""
    return operation if operation.ret <= index else pending(operation)


def pending(operation: Operation) -> Operation:
    """Return the operation with its outcome forgotten."""
    if operation.ret == INF:
        return operation
    return msgspec.structs.replace(operation, type="info", result=None, error=None, ret=INF, ret_time=INF)


def split(operations: Iterable[Operation], model: Model) -> list[Part]:
    """Split by the keys touched, objects in the order of first use."""
    if model.keys is own_key:
        parts: dict[Any, list[Operation]] = {}
        for operation in operations:
            key = operation.key
            if key in parts:
                parts[key].append(operation)
            else:
                parts[key] = [operation]
        return [_part((key,), group) for key, group in parts.items()]
    return _split_joined(list(operations), model)


def _part(keys: tuple[Hashable, ...], group: list[Operation]) -> Part:
    operations = [operation for operation in group if not operation.is_void]
    voids = [] if len(operations) == len(group) else [operation for operation in group if operation.is_void]
    return Part(keys, operations, voids)


def _split_joined(operations: list[Operation], model: Model) -> list[Part]:
    touched = [model.keys(operation) for operation in operations]
    every = dict.fromkeys(key for keys in touched for key in keys or ())
    if any(keys is None for keys in touched):
        whole = _part(tuple(every), operations)
        return [replace(whole, has_all_keys=True)]
    root = {key: key for key in every}

    def find(key: Hashable) -> Hashable:
        while root[key] != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for keys in touched:
        for key in (keys or ())[1:]:
            root[find(key)] = find((keys or ())[0])
    groups: dict[Hashable, list[Operation]] = {}
    for operation, keys in zip(operations, touched, strict=True):
        if keys:
            groups.setdefault(find(keys[0]), []).append(operation)
    members: dict[Hashable, list[Hashable]] = {}
    for key in every:
        members.setdefault(find(key), []).append(key)
    return [_part(tuple(members[name]), group) for name, group in groups.items()]


def admit(
    operations: Sequence[Operation], model: Model, conventions: Conventions, where: Callable[[int], str]
) -> tuple[list[Operation], list[str]]:
    """Keep what can constrain, under these conventions; return it with notes on what was read in which way.

    Raises `MalformedHistory` where an operation is none of this model's.
    """
    admitted: list[Operation] = []
    strange: dict[tuple[str, str], int] = {}
    functions = model.functions
    wildcard = conventions.nil_read == "anything"
    for operation in operations:
        kind = operation.type
        if functions:
            function = functions.get(operation.f)
            if (
                function is None
                or (function.value is not ANY and not function.value.fits(operation.value))
                or (kind == "ok" and function.result is not ANY and not function.result.fits(operation.result))
            ):
                if wildcard and kind == "ok" and function is not None and function.only_looks:
                    continue
                model.validate(operation, where)
            if kind == "info" and function is not None and function.only_looks:
                continue
        if kind == "ok":
            if wildcard and operation.result is None and model.only_looks(operation):
                continue
        elif kind == "fail":
            operation = _read_refusal(operation, model, conventions, strange)
        admitted.append(operation)
    notes = [
        f"{count} x {f} failed with {word!r}, which is no answer of a {model.name}: taken as not executed"
        for (f, word), count in strange.items()
    ]
    return admitted, notes


def _read_refusal(
    operation: Operation, model: Model, conventions: Conventions, strange: dict[tuple[str, str], int]
) -> Operation:
    if operation.f == "cas":
        if conventions.failed_cas == "nothing":
            return _void(operation)
        if conventions.failed_cas == "constraint" and not operation.is_negative:
            return msgspec.structs.replace(operation, error=UNKNOWN_ANSWER)
    if operation.is_negative and not model.answers(operation):
        name = (operation.f, str(operation.error))
        strange[name] = strange.get(name, 0) + 1
        return _void(operation)
    return operation


def _void(operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, error=None) if operation.is_negative else operation


__all__ = ["MalformedHistory", "Part", "admit", "as_of", "pending", "split"]
