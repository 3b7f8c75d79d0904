"""Looking ahead: a state from which the answers that are still to come cannot be given is not followed.

An engine that builds an order from its beginning knows only what was placed, and follows every order of thirteen
appends although one read that returns later tells which it was. So a model may offer `can_reach(state, later)`: false
where no continuation from this state gives the answers in `later`. The engines ask it of every state that they are
about to enter.

**Why that is sound.** Let C be a configuration (a state, and what was placed), and suppose that some continuation of C
gives all answers. `later` holds operations of two sorts, and the model relies on nothing else:

* *Completed ones.* None of them was placed in C, so the continuation places each of them, with its answer.
* *Crashed ones* (type `info`), each of which the continuation may place or not.

It is *closed*: an operation that the model `foresees`, and that the continuation places before some completed one of
`later`, is itself in `later`. So the continuation shows the model a way from the state through all completed ones, in
an order of real time, by operations of `later` and by such as the model does not foresee. If the model is right that
there is none, C has no continuation, and leaving it out loses no order. Nothing is said of states that are not left
out, so `valid` is proven by an order as before, and `invalid` by all orders that could have been one.

**How `later` is made.** What was not placed is what is pending and unplaced in C, and what is called after this moment.
Taking all of it for each state would cost the length of the history, so only the next `WINDOW` foreseen operations are
taken, up to a *horizon*: the call of the first that was left out. One that returns after the horizon may come after
what was left out, so its answer is forgotten: it counts as crashed. That keeps `later` closed: whatever precedes a
completed one is called before its return, so before the horizon. Crashed operations that were called before the horizon
are all in it, even where C used some: more of what may come never makes the model say no where it would have said yes.

Notes: where a violation is found earlier for looking ahead, an order still got past every earlier completion, so the
lower bound that an engine gives for its index stays one. States that are shown to people are made without looking
ahead: they are what was possible then, not what turned out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Final

from checkers.linearizability.partition import pending
from checkers.models import Model
from checkers.models.model import Later
from checkers.operation import INF, Operation

WINDOW = 64
"""Foreseen operations that are looked at beyond those that are pending."""


class LookAhead:
    """What is still to come, at each moment of one object's history."""

    def __init__(self, operations: Sequence[Operation], model: Model) -> None:
        """Take operations in the order of their calls."""
        self.model = model
        self.foreseen = [operation for operation in operations if operation.ret != INF and model.foresees(operation)]
        self._crashed = [operation for operation in operations if operation.ret == INF and model.foresees(operation)]
        self._calls = [operation.call for operation in self.foreseen]
        self._crashed_calls = [operation.call for operation in self._crashed]
        self._made: dict[Any, Later] = {}

    @classmethod
    def of(cls, operations: Sequence[Operation], model: Model) -> LookAhead | None:
        """Return what can be looked at, or None where the model does not look ahead."""
        return None if model.can_reach is None else cls(operations, model)

    def is_dead(self, state: Any, later: Later) -> bool:
        """Whether no continuation from this state gives the answers that are still to come."""
        can_reach = self.model.can_reach
        return can_reach is not None and not can_reach(state, later)

    def after(self, moment: int, waiting: tuple[Operation, ...]) -> Later:
        """Return what is still to come at this index, of which `waiting` was called before."""
        first = bisect_right(self._calls, moment)
        key = (first, tuple(operation.call for operation in waiting))
        found = self._made.get(key)
        if found is None:
            if len(self._made) > REMEMBERED:
                self._made.clear()
            found = self._made[key] = self._make(first, waiting)
        return found

    def _make(self, first: int, waiting: Sequence[Operation]) -> Later:
        beyond = first + WINDOW
        horizon = self._calls[beyond] if beyond < len(self._calls) else INF
        coming = [*waiting, *self.foreseen[first:beyond]]
        known = [operation if operation.ret < horizon else pending(operation) for operation in coming]
        return Later((*known, *self._crashed[: bisect_left(self._crashed_calls, horizon)]))


REMEMBERED: Final = 20_000
"""How many sets of operations are kept; beyond that they are made again."""
