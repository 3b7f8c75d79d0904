"""Every configuration of a small history: those that were left before it failed, and all of them as a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from checkers.linearizability.result import LimitReached
from checkers.models import ILLEGAL, Model
from checkers.operation import INF, Operation

from .budget import Budget
from .reduction import Reduction

CONFIGURATIONS: Final = 2_000
"""More configurations than this before the failure are too many for a person; then only their number is told."""


class Failure(msgspec.Struct, frozen=True):
    """The operation at whose return no configuration was left, and the configurations before it by state.

    `passed` are the operations that had returned before it, in that order, each with the states possible right after.
    """

    blocked: Operation
    states: list[tuple[Any, tuple[Operation, ...]]]
    complete: bool
    passed: list[tuple[Operation, list[Any]]] = []


FAILURE_STEPS: Final = 500_000
"""What following one history may spend, in attempts to place an operation: half a second."""


def enumerate_failure(reduction: Reduction, model: Model, budget: Budget) -> Failure:
    """Follow every possible order of a reduced failing history to the return at which none is left.

    Where that costs too much, the failure has no states, and the last operation to return is taken for the blocked one.
    So it is where the helpers are not known: without them there are fewer states than were possible.
    """
    last = max((operation for operation in reduction.kept if operation.ret != INF), key=lambda o: o.ret)
    if reduction.helpers is None:
        return Failure(last, [], False)
    spending = _Spending(budget)
    try:
        return _follow([*reduction.helpers, *reduction.kept], model, reduction.excerpt.starts, spending)
    except LimitReached:
        return Failure(last, [], False)
    finally:
        budget.spend(spending.steps)


class _Spending:
    """Counts steps against a budget."""

    def __init__(self, budget: Budget) -> None:
        self.meter = budget.meter(FAILURE_STEPS)
        self.steps = 0
        self._checked_at = 0

    def add(self, steps: int) -> None:
        self.steps += steps
        if self.steps - self._checked_at >= self.meter.interval:
            self._checked_at = self.steps
            self.meter.check(self.steps, 0)


def _follow(operations: Sequence[Operation], model: Model, starts: Sequence[Any], spending: _Spending) -> Failure:
    frontier: dict[tuple[frozenset[int], Any], tuple[Operation, ...]] = {(frozenset(), s): () for s in starts}
    returning = sorted((operation for operation in operations if operation.ret != INF), key=lambda o: o.ret)
    passed: list[tuple[Operation, list[Any]]] = []
    for target in returning:
        called = [operation for operation in operations if operation.call < target.ret]
        closure, complete = _closure(frontier, called, model, spending)
        after = {config: order for config, order in closure.items() if target.call in config[0]}
        if not after or not complete:
            states: dict[Any, tuple[Operation, ...]] = {}
            for (placed, state), order in closure.items():
                if target.call not in placed and (state not in states or len(order) < len(states[state])):
                    states[state] = order
            return Failure(target, list(states.items()), complete, passed)
        passed.append((target, list(dict.fromkeys(state for _, state in after))))
        frontier = after
    return Failure(returning[-1], [], False, passed)


def _closure(
    frontier: dict[tuple[frozenset[int], Any], tuple[Operation, ...]],
    called: Sequence[Operation],
    model: Model,
    spending: _Spending,
) -> tuple[dict[tuple[frozenset[int], Any], tuple[Operation, ...]], bool]:
    """Place called operations in every way, breadth first; say whether that was all."""
    found = dict(frontier)
    todo = list(frontier)
    for config in todo:
        placed, state = config
        spending.add(len(called))
        for operation in called:
            if operation.call in placed:
                continue
            after = model.step(state, operation)
            if after is ILLEGAL:
                continue
            successor = (placed | {operation.call}, after)
            if successor in found:
                continue
            if len(found) >= CONFIGURATIONS:
                return found, False
            found[successor] = (*found[config], operation)
            todo.append(successor)
    return found, True


def configuration_graph(operations: Sequence[Operation], model: Model) -> Any:
    """Draw every configuration of a small history as a networkx.DiGraph: nodes are states, edges the operations placed.

    Nodes carry `state` and `placed` (indexes of calls), edges `operation` and `call`. At most `CONFIGURATIONS` nodes.
    """
    import networkx as nx

    graph: Any = nx.DiGraph()
    start: tuple[frozenset[int], Any] = (frozenset(), model.init)
    numbers = {start: 0}
    graph.add_node(0, state=model.describe_state(model.init), placed=[])
    todo = [start]
    for config in todo:
        placed, state = config
        open_returns = [o.ret for o in operations if o.call not in placed]
        for operation in operations:
            if operation.call in placed or any(ret < operation.call for ret in open_returns):
                continue
            after = model.step(state, operation)
            successor = (placed | {operation.call}, after)
            if after is ILLEGAL or (successor not in numbers and len(numbers) >= CONFIGURATIONS):
                continue
            if successor not in numbers:
                numbers[successor] = len(numbers)
                graph.add_node(numbers[successor], state=model.describe_state(after), placed=sorted(successor[0]))
                todo.append(successor)
            label = model.describe(operation)
            graph.add_edge(numbers[config], numbers[successor], operation=label, call=operation.call)
    return graph
