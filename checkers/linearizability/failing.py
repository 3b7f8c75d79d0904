"""Where a history fails: the completion that ends its shortest failing prefix, and the states before it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from checkers.history import INF, Operation
from checkers.models import ILLEGAL, Model

from .partition import Part
from .result import Limits, LinearizabilityResult

PREFIX_STEPS: Final = 1_000_000
"""What deciding one prefix may spend: about a second."""

CONFIGURATIONS: Final = 2_000
"""More configurations than this before the failure are too many for a person; then only their number is told."""

Decide = Callable[[Model, Sequence[Operation], Limits], LinearizabilityResult]
"""How explanations ask whether some operations of one object have an order."""


def certain_index(part: Part, model: Model, result: LinearizabilityResult, decide: Decide) -> int:
    """Find the completion that ends the shortest failing prefix.

    An engine names the completion at which it gave up. One that swept over all earlier ones knows later answers, and
    what never happened, so it can only be too early; any other may be too late. The true one is searched by bisection
    from there: failing prefixes stay failing. Where a prefix cannot be decided within the budget, it counts as fine.
    """
    if result.certain is not None and not any(void.call <= result.certain < void.ret for void in part.voids):
        return result.certain
    ends = part.completions()

    def fails(position: int) -> bool:
        prefix = part.prefix(ends[position], model)
        return decide(model, prefix, Limits(steps=PREFIX_STEPS)).validity == "invalid"

    named = result.certain if result.blocked is None else result.blocked.ret
    start = len(ends) - 1 if named is None else bisect_left(ends, named)
    if result.swept or result.certain is not None:
        return ends[_first_failing(fails, start, len(ends) - 1, likely=start)]
    high = start if fails(start) else len(ends) - 1
    return ends[_first_failing(fails, 0, high, likely=high - 1) if high > 0 else high]


def _first_failing(fails: Callable[[int], bool], low: int, high: int, likely: int) -> int:
    """Return the first position that fails; `high` fails, and nothing before `low` does. Try a likely one first."""
    while low < high:
        middle = min(max(likely, low), high - 1)
        if fails(middle):
            high = middle
        else:
            low = middle + 1
        likely = (low + high) // 2
    return high


class Failure(msgspec.Struct, frozen=True):
    """The operation at whose return no configuration was left, and the configurations before it by state."""

    blocked: Operation
    states: list[tuple[Any, tuple[Operation, ...]]]
    complete: bool


def enumerate_failure(operations: Sequence[Operation], model: Model, starts: Sequence[Any]) -> Failure:
    """Follow every possible order of a small failing history to the return at which none is left."""
    frontier: dict[tuple[frozenset[int], Any], tuple[Operation, ...]] = {(frozenset(), s): () for s in starts}
    returning = sorted((operation for operation in operations if operation.ret != INF), key=lambda o: o.ret)
    for target in returning:
        called = [operation for operation in operations if operation.call < target.ret]
        closure, complete = _closure(frontier, called, model)
        after = {config: order for config, order in closure.items() if target.call in config[0]}
        if not after or not complete:
            states: dict[Any, tuple[Operation, ...]] = {}
            for (placed, state), order in closure.items():
                if target.call not in placed and (state not in states or len(order) < len(states[state])):
                    states[state] = order
            return Failure(target, list(states.items()), complete)
        frontier = after
    return Failure(returning[-1], [], False)


def _closure(
    frontier: dict[tuple[frozenset[int], Any], tuple[Operation, ...]], called: Sequence[Operation], model: Model
) -> tuple[dict[tuple[frozenset[int], Any], tuple[Operation, ...]], bool]:
    """Place called operations in every way, breadth first; say whether that was all."""
    found = dict(frontier)
    todo = list(frontier)
    for config in todo:
        placed, state = config
        for operation in called:
            if operation.call in placed:
                continue
            after = model.step(state, operation)
            successor = (placed | {operation.call}, after)
            if after is ILLEGAL or successor in found:
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
