"""Operations as numbers: classes that the model cannot tell apart, states interned, transitions remembered.

The general engine never calls a model twice for one pair of class and state (Knossos calls this memoisation), and sorts
classes by what they do to a state:

* `LOOK` never changes it: a read, a negative answer.
* `WRITE` puts one value whatever was there: hidden and exposed writes are its business.
* `CHANGE` is everything else: cas, add, dequeue.

Where every operation says which state it needs and which it leaves (`Model.access`), the model is not asked at all, and
states that no operation of this history can tell apart are one (`REST`): a value that was never read or compared with
is as good as any other such value. That matters where many writes are of unknown outcome.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from checkers.models import ILLEGAL, Model
from checkers.models.model import ANYTHING, KEEPS, SOMETHING, Access, OtherThan, Unsaid
from checkers.operation import INF, Operation

LOOK: Final = 0
WRITE: Final = 1
CHANGE: Final = 2

ILLEGAL_STATE: Final = -1

REST: Final = ("the rest",)
"""Stands for every state that no operation of the history tells apart from others."""


class Encoding:
    """Classes of operations over interned states; it grows as operations and states are met.

    `one_key`: all operations touch one key, so that what they say of their access holds. `told_apart`: the states that
    some operation tells apart from others; None where that is not known.
    """

    def __init__(self, model: Model, *, one_key: bool = True, told_apart: set[Any] | None = None) -> None:
        self.model = model
        self.sorts: list[int] = []  # class -> LOOK, WRITE or CHANGE
        self.needs: list[int] = []  # class -> the one state it needs, where there is one
        self.targets: list[int] = []  # class -> the one state it leaves, where there is one
        self.samples: list[Operation] = []  # class -> one operation of it
        self.states: list[Any] = []
        self._one_key = one_key
        self._told_apart = told_apart
        self._state_ids: dict[Any, int] = {}
        self._class_ids: dict[Hashable, int] = {}
        self._accesses: list[Access] = []  # class -> what it needs and leaves
        self._table: list[dict[int, int]] = []  # class -> state -> state after, or ILLEGAL_STATE
        self.start = self.intern(self._merged(model.init))

    def access(self, operation: Operation) -> Access:
        """Say which state an operation needs and which it leaves, as far as that is known."""
        return self.model.access(operation) if self._one_key else (SOMETHING, SOMETHING)

    def only_looks(self, operation: Operation) -> bool:
        """Whether an operation can never change a state."""
        return self.model.only_looks(operation) or self.access(operation)[1] is KEEPS

    def class_of(self, operation: Operation) -> int:
        """Return the class of an operation."""
        needs, sets = self.access(operation)
        sets = sets if isinstance(sets, Unsaid) else self._merged(sets)
        known = needs is not SOMETHING and sets is not SOMETHING
        identity = (needs, sets) if known else (self.model.identity(operation),)
        kind = self._class_ids.setdefault(identity, len(self.sorts))
        if kind == len(self.sorts):
            self._add_class(operation, needs, sets)
        return kind

    def _add_class(self, operation: Operation, needs: Any, sets: Any) -> None:
        if sets is KEEPS or self.model.only_looks(operation):
            sort = LOOK
        else:
            sort = WRITE if needs is ANYTHING and sets is not SOMETHING else CHANGE
        one_state = not isinstance(needs, Unsaid | OtherThan)
        self.sorts.append(sort)
        self.needs.append(self.intern(needs) if one_state else ILLEGAL_STATE)
        self.targets.append(ILLEGAL_STATE if isinstance(sets, Unsaid) else self.intern(sets))
        self.samples.append(operation)
        self._accesses.append((needs, sets))
        self._table.append({})

    def _merged(self, state: Any) -> Any:
        return state if self._told_apart is None or state in self._told_apart else REST

    def intern(self, state: Any) -> int:
        """Return the number of a state."""
        number = self._state_ids.setdefault(state, len(self.states))
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
        needs, sets = self._accesses[kind]
        if needs is SOMETHING or sets is SOMETHING:
            found = self.model.step(self.states[state], self.samples[kind])
            return ILLEGAL_STATE if found is ILLEGAL else self.intern(found)
        # Not by the model: where a crashed cas does not apply, it does nothing, which is as if it had not happened; so
        # it is of one class with the completed ones.
        if isinstance(needs, OtherThan):
            legal = needs.state != self.states[state]
        else:
            legal = needs is ANYTHING or self.needs[kind] == state
        if not legal:
            return ILLEGAL_STATE
        return state if sets is KEEPS else self.targets[kind]

    def last_need(self, state: int) -> int:
        """Return the last index at which an operation that may need this state returns: not known, so never."""
        return INF


class EncodedOperations(Encoding):
    """The encoding of a whole history: its operations are numbered in the order of their calls.

    Crashed operations that only look are left out.
    """

    def __init__(self, operations: Sequence[Operation], model: Model) -> None:
        one_key = len({operation.key for operation in operations}) <= 1
        told_apart = _told_apart(map(model.access, operations)) if one_key else None
        super().__init__(model, one_key=one_key, told_apart=told_apart)
        self.operations = [
            operation
            for operation in sorted(operations, key=attrgetter("call"))
            if operation.ret != INF or not self.only_looks(operation)
        ]
        self.classes = [self.class_of(operation) for operation in self.operations]
        self._last_need: dict[int, int] = {}  # state -> last return of an operation that needs it
        self._last_something = -1  # last return of an operation that may need one of several states
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
