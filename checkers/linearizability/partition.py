"""From the operations that count to the independent objects in them, split as finely as is sound.

Linearizability is local (Herlihy and Wing 1990, theorem 1): a history over several objects is linearizable exactly when
the part of each object is. So operations are split by the keys they touch; one that touches several joins them.

What counts was decided before (`checkers.admission`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import msgspec

from checkers.models import Model
from checkers.models.model import own_key
from checkers.operation import INF, Operation
from checkers.values import show


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
