"""A witness: an order in which the operations could have taken effect.

The just-in-time engine remembers only its moves: which writes it exposed and which changes it placed, and at which
event. Everything else follows. Replaying the events in order, a looking operation is placed in the first state that
satisfies it, and a write that is never exposed directly before the next exposed one, or where its value is there
already.
"""

from __future__ import annotations

from collections.abc import Sequence

from checkers.operation import INF, Operation

from .encoding import CHANGE, ILLEGAL_STATE, LOOK, EncodedOperations
from .frontier import Move


def replay(
    encoding: EncodedOperations, events: Sequence[int], slots: Sequence[int], moves: Sequence[Move]
) -> list[Operation]:
    """Return the order that these moves stand for."""
    return _Replay(encoding, events, slots, moves).run()


class _Replay:
    def __init__(
        self, encoding: EncodedOperations, events: Sequence[int], slots: Sequence[int], moves: Sequence[Move]
    ) -> None:
        self.encoding = encoding
        self.events = events
        self.slots = slots
        self.moves_at: dict[int, list[Move]] = {}
        for move in moves:
            self.moves_at.setdefault(move[0], []).append(move)
        self.mover: dict[Move, int] = {}  # the operation that a live move places
        self._name_movers()
        self.state = encoding.start
        self.order: list[int] = []
        self.waiting: dict[int, None] = {}  # pending lookers and writes that are never exposed
        self.crashed: dict[int, list[int]] = {}  # class -> crashed operations called and not placed

    def _name_movers(self) -> None:
        holder: dict[int, int] = {}
        for position, event in enumerate(self.events):
            if event >= 0:
                holder[self.slots[event]] = event
            for move in self.moves_at.get(position, ()):
                if move[2] >= 0:
                    self.mover[move] = holder[move[2]]

    def run(self) -> list[Operation]:
        moved = set(self.mover.values())
        sorts, classes, operations = self.encoding.sorts, self.encoding.classes, self.encoding.operations
        for position, event in enumerate(self.events):
            if event >= 0:
                if operations[event].ret == INF:
                    self.crashed.setdefault(classes[event], []).append(event)
                elif sorts[classes[event]] != CHANGE and event not in moved:
                    self.waiting[event] = None
                    self.lift()
                continue
            for move in self.moves_at.get(position, ()):
                self.make(move)
        return [operations[number] for number in self.order]

    def make(self, move: Move) -> None:
        _, kind, slot = move
        number = self.mover[move] if slot >= 0 else self.crashed[kind].pop(0)
        if self.encoding.sorts[kind] == CHANGE:
            self.state = self.encoding.step(kind, self.state)
        else:
            for hidden in [n for n in self.waiting if self.encoding.sorts[self.encoding.classes[n]] != LOOK]:
                self.place(hidden)
            self.state = self.encoding.targets[kind]
        self.order.append(number)
        self.lift()

    def lift(self) -> None:
        """Place the operations that wait for the state that is there."""
        encoding = self.encoding
        for number in list(self.waiting):
            kind = encoding.classes[number]
            if encoding.sorts[kind] == LOOK:
                satisfied = encoding.step(kind, self.state) != ILLEGAL_STATE
            else:
                satisfied = encoding.targets[kind] == self.state
            if satisfied:
                self.place(number)

    def place(self, number: int) -> None:
        del self.waiting[number]
        self.order.append(number)
