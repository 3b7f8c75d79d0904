"""Operations as numbers: classes that the model cannot tell apart, states interned, transitions remembered.

The general engine never calls a model twice for one pair of class and state (Knossos calls this memoisation), and sorts
classes by what they do to a state:

* `LOOK` never changes it: a read, a negative answer.
* `WRITE` puts one value whatever was there: hidden and exposed writes are its business.
* `CHANGE` is everything else: cas, add, dequeue.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

from checkers.history import INF, Operation
from checkers.models import ILLEGAL, Model
from checkers.models.model import ANYTHING, KEEPS, SOMETHING, Access, Unsaid

LOOK: Final = 0
WRITE: Final = 1
CHANGE: Final = 2

ILLEGAL_STATE: Final = -1


class Alphabet:
    """The operations of one object as classes over interned states. Operations are numbered in the order of calls."""

    def __init__(self, operations: Sequence[Operation], model: Model) -> None:
        self.model = model
        self.operations = sorted(
            (operation for operation in operations if operation.ret != INF or not _only_looks(operation, model)),
            key=lambda operation: operation.call,
        )
        self.states: list[Any] = []
        self.state_ids: dict[Any, int] = {}
        self.classes: list[int] = []  # operation -> class
        self.sorts: list[int] = []  # class -> LOOK, WRITE or CHANGE
        self.targets: list[int] = []  # class -> the one state it leaves, where there is one
        self.needs: list[int] = []  # class -> the one state it needs, where there is one
        self.sample: list[Operation] = []  # class -> one operation of it
        self.table: list[dict[int, int]] = []  # class -> state -> state after, or ILLEGAL_STATE
        self.start = self.intern(model.init)
        self.one_key = len({operation.key for operation in self.operations}) <= 1
        self._intern_classes()
        self._needs: dict[int, int] = {}  # state -> last return of an operation that needs it
        self._needs_something = -1  # last return of an operation whose needs are not known
        self._collect_needs()

    def _intern_classes(self) -> None:
        ids: dict[Hashable, int] = {}
        for operation in self.operations:
            needs, sets = self.access(operation)
            known = needs is not SOMETHING and sets is not SOMETHING
            identity = (needs, sets) if known else (None, None, self.model.identity(operation))
            kind = ids.setdefault(identity, len(ids))
            if kind == len(self.sorts):
                self._add_class(operation, needs, sets)
            self.classes.append(kind)

    def access(self, operation: Operation) -> Access:
        """Say which state an operation needs and which it leaves, where that is known."""
        return self.model.access(operation) if self.one_key else (SOMETHING, SOMETHING)

    def _add_class(self, operation: Operation, needs: Any, sets: Any) -> None:
        if sets is KEEPS or _only_looks(operation, self.model):
            sort = LOOK
        else:
            sort = WRITE if needs is ANYTHING and sets is not SOMETHING else CHANGE
        target = ILLEGAL_STATE
        if needs is not SOMETHING and sets is not SOMETHING:
            target = self.intern(needs if sets is KEEPS else sets)
        self.sorts.append(sort)
        self.targets.append(target)
        self.needs.append(ILLEGAL_STATE if isinstance(needs, Unsaid) else self.intern(needs))
        self.sample.append(operation)
        self.table.append({})

    def intern(self, state: Any) -> int:
        """Return the number of a state."""
        number = self.state_ids.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
        return number

    def step(self, kind: int, state: int) -> int:
        """Return the state after an operation of this class, or `ILLEGAL_STATE`."""
        row = self.table[kind]
        after = row.get(state)
        if after is None:
            if self.sorts[kind] != WRITE and self.targets[kind] != ILLEGAL_STATE:
                # Not by the model: in other states a crashed cas does nothing, which is as if it had not happened.
                after = self.targets[kind] if state == self.needs[kind] else ILLEGAL_STATE
            else:
                found = self.model.step(self.states[state], self.sample[kind])
                after = ILLEGAL_STATE if found is ILLEGAL else self.intern(found)
            row[state] = after
        return after

    def crashed_classes(self) -> list[int]:
        """List the classes of crashed operations, in the order of first call."""
        return list(
            dict.fromkeys(
                kind for kind, operation in zip(self.classes, self.operations, strict=True) if operation.ret == INF
            )
        )

    def _collect_needs(self) -> None:
        for kind, operation in zip(self.classes, self.operations, strict=True):
            if self.sorts[kind] == WRITE:
                continue
            state = self.needs[kind]
            if state == ILLEGAL_STATE:
                self._needs_something = max(self._needs_something, operation.ret)
            else:
                self._needs[state] = max(self._needs.get(state, -1), operation.ret)

    def last_need(self, state: int) -> int:
        """Return the last index at which an operation can return (or never does) that may need this state."""
        return max(self._needs_something, self._needs.get(state, -1))


def _only_looks(operation: Operation, model: Model) -> bool:
    return model.only_looks(operation) or model.access(operation)[1] is KEEPS
