"""Operations as numbers: classes that the model cannot tell apart, states interned, transitions remembered.

The general engine never calls a model twice for one pair of class and state (Knossos calls this memoisation), and sorts
classes by what they do to a state:

* `LOOK` never changes it: a read, a negative answer.
* `WRITE` puts one value whatever was there: hidden and exposed writes are its business.
* `CHANGE` is everything else: cas, add, dequeue.

Where every operation says which state it needs and which it leaves (`Model.access`), the model is not asked at all, and
states that no operation of this history can tell apart are one (`REST`): a value that nobody read or compared with is
as good as any other such value. That matters where many writes are of unknown outcome.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from checkers.history import INF, Operation
from checkers.models import ILLEGAL, Model
from checkers.models.model import ANYTHING, KEEPS, SOMETHING, Access, OtherThan, Unsaid

LOOK: Final = 0
WRITE: Final = 1
CHANGE: Final = 2

ILLEGAL_STATE: Final = -1

REST: Final = ("the rest",)
"""Stands for every state that no operation of the history tells apart from others."""


class Alphabet:
    """The operations of one object as classes over interned states. Operations are numbered in the order of calls."""

    def __init__(self, operations: Sequence[Operation], model: Model) -> None:
        self.model = model
        one_key = len({operation.key for operation in operations}) <= 1
        rows = [
            (operation, model.access(operation) if one_key else (SOMETHING, SOMETHING))
            for operation in sorted(operations, key=attrgetter("call"))
        ]
        rows = [row for row in rows if row[0].ret != INF or not _only_looks(*row, model)]
        self.operations = [operation for operation, _ in rows]
        self.classes: list[int] = []  # operation -> class
        self.sorts: list[int] = []  # class -> LOOK, WRITE or CHANGE
        self.needs: list[int] = []  # class -> the one state it needs, where there is one
        self.targets: list[int] = []  # class -> the one state it leaves, where there is one
        self.states: list[Any] = []
        self._ids: dict[Any, int] = {}  # state -> its number
        self._samples: list[tuple[Operation, Access]] = []  # class -> one operation of it
        self._table: list[dict[int, int]] = []  # class -> state -> state after, or ILLEGAL_STATE
        self._told_apart = _told_apart(access for _, access in rows)
        self.start = self.intern(self._merged(model.init))
        self._intern_classes(rows)
        self._last_need: dict[int, int] = {}  # state -> last return of an operation that needs it
        self._last_something = -1  # last return of an operation that may need one of several states
        self._collect_needs()

    def _intern_classes(self, rows: Sequence[tuple[Operation, Access]]) -> None:
        ids: dict[Hashable, int] = {}
        for operation, (needs, sets) in rows:
            sets = sets if isinstance(sets, Unsaid) else self._merged(sets)
            known = needs is not SOMETHING and sets is not SOMETHING
            identity = (needs, sets) if known else (self.model.identity(operation),)
            kind = ids.setdefault(identity, len(ids))
            if kind == len(self.sorts):
                self._add_class(operation, needs, sets)
            self.classes.append(kind)

    def _add_class(self, operation: Operation, needs: Any, sets: Any) -> None:
        if _only_looks(operation, (needs, sets), self.model):
            sort = LOOK
        else:
            sort = WRITE if needs is ANYTHING and sets is not SOMETHING else CHANGE
        one_state = not isinstance(needs, Unsaid | OtherThan)
        self.sorts.append(sort)
        self.needs.append(self.intern(needs) if one_state else ILLEGAL_STATE)
        self.targets.append(ILLEGAL_STATE if isinstance(sets, Unsaid) else self.intern(sets))
        self._samples.append((operation, (needs, sets)))
        self._table.append({})

    def _merged(self, state: Any) -> Any:
        return state if self._told_apart is None or state in self._told_apart else REST

    def intern(self, state: Any) -> int:
        """Return the number of a state."""
        number = self._ids.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
        return number

    def step(self, kind: int, state: int) -> int:
        """Return the state after an operation of this class, or `ILLEGAL_STATE`."""
        row = self._table[kind]
        after = row.get(state)
        if after is None:
            after = row[state] = self._first_step(kind, state)
        return after

    def _first_step(self, kind: int, state: int) -> int:
        operation, (needs, sets) = self._samples[kind]
        if needs is SOMETHING or sets is SOMETHING:
            found = self.model.step(self.states[state], operation)
            return ILLEGAL_STATE if found is ILLEGAL else self.intern(found)
        # Not by the model: where a crashed cas does not suit, it does nothing, which is as if it had not happened; so
        # it is of one class with the completed ones.
        if isinstance(needs, OtherThan):
            suits = needs.state != self.states[state]
        else:
            suits = needs is ANYTHING or self.needs[kind] == state
        if not suits:
            return ILLEGAL_STATE
        return state if sets is KEEPS else self.targets[kind]

    def crashed_classes(self) -> list[int]:
        """List the classes of crashed operations, in the order of first call."""
        rows = zip(self.classes, self.operations, strict=True)
        return list(dict.fromkeys(kind for kind, operation in rows if operation.ret == INF))

    def _collect_needs(self) -> None:
        for kind, operation in zip(self.classes, self.operations, strict=True):
            if self.sorts[kind] == WRITE:
                continue
            state = self.needs[kind]
            if state == ILLEGAL_STATE:
                self._last_something = max(self._last_something, operation.ret)
            else:
                self._last_need[state] = max(self._last_need.get(state, -1), operation.ret)

    def last_need(self, state: int) -> int:
        """Return the last index at which an operation that may need this state returns (`INF`: it never does)."""
        return max(self._last_something, self._last_need.get(state, -1))


def _only_looks(operation: Operation, access: Access, model: Model) -> bool:
    return access[1] is KEEPS or model.only_looks(operation)


def _told_apart(accesses: Iterable[Access]) -> set[Any] | None:
    """Collect the states that some operation tells apart from others; None where that is not known."""
    found: set[Any] = set()
    for needs, sets in accesses:
        if needs is SOMETHING or sets is SOMETHING:
            return None
        if isinstance(needs, OtherThan):
            found.add(needs.state)
        elif needs is not ANYTHING:
            found.add(needs)
    return found
