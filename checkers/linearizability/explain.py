"""Why a history is not linearizable: data first, sentences second.

Four things are found, each exactly:

1. *When it became certain.* The shortest prefix of the history that no order explains. An operation still pending at
   its end counts as one of unknown outcome, even where a later line tells more; so this is the first line at which
   somebody reading along would have known.
2. *A 1-minimal failing sub-history.* Leaving an operation out of a history does not keep its meaning: without the
   write of 1, every read of 1 looks wrong. So operations are not deleted but *freed*: one that only looks is dropped,
   any other may take effect at any time, before its call too, or never. What is left with its interval and its
   answer is a proof: the other operations cannot help, whenever they took effect. It is 1-minimal: free any one more,
   and an order exists. (`minimal` in the evidence says whether that was shown within the budget.)
3. *The operation that cannot be placed*, and the last one that could.
4. *The states before it*, each with the shortest order that leads there, and that the operation is impossible in each.

`configuration_graph` draws the last step of a small case for a report.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from checkers.history import INF, Operation
from checkers.models import ILLEGAL, Model
from checkers.models.model import ANYTHING, KEEPS, SOMETHING, OtherThan, Unsaid

from . import jit
from .partition import Part, pending
from .result import Limits, LinearizabilityResult

REDUCTION_STEPS: Final = 1_000_000
"""What all attempts to free operations may spend together: about a second."""

HELPER_STEPS: Final = 50_000
"""What one attempt to find or drop helpers may spend."""

HELPERS: Final = 40
"""More helpers than this are no story any more."""

CONFIGURATIONS: Final = 2_000
"""More configurations than this before the failure are too many for a person; then only their number is told."""

SHOWN: Final = 8
"""So many states and operations stand in the message; the evidence has all."""

Decide = Callable[[Sequence[Operation], Limits], LinearizabilityResult]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What an anomaly is made of."""

    index: int
    f: str
    message: str
    evidence: dict[str, Any]


def explain(
    part: Part, model: Model, result: LinearizabilityResult, decide: Decide, *, full: bool = True
) -> Explanation:
    """Explain why the operations of one object have no order; with `full` unset, only tell when that was certain."""
    index = certain_index(part, model, result, decide)
    completing = next(operation for operation in (*part.operations, *part.voids) if operation.ret == index)
    evidence: dict[str, Any] = {
        "key": list(part.keys) if len(part.keys) > 1 else part.keys[0],
        "certain_index": index,
        "prefix_length": sum(operation.call <= index for operation in part.operations),
        "completing": as_data(completing, model),
    }
    if not full:
        message = _headline(part, index)
        return Explanation(index=index, f=completing.f, message=message, evidence=evidence)
    prefix = part.prefix(index, model)
    reduction = reduce(prefix, model, decide, result.culprits)
    failure = enumerate_failure([*reduction.helpers, *reduction.kept], model)
    last = last_placed(part, failure.blocked.ret)
    evidence |= {
        "minimal_history": [as_data(operation, model) for operation in reduction.kept],
        "minimal": reduction.minimal,
        "helpers": [as_data(operation, model) for operation in reduction.helpers],
        "others": len(prefix) - len(reduction.kept) - len(reduction.helpers),
        "last_placed": None if last is None else as_data(last, model),
        "blocked": as_data(failure.blocked, model),
        "states": [
            {"state": model.describe_state(state), "order": [model.describe(operation) for operation in order]}
            for state, order in failure.states
        ],
        "states_complete": failure.complete,
    }
    message = _message(part, model, completing, reduction, failure, last)
    return Explanation(index=index, f=completing.f, message=message, evidence=evidence)


def certain_index(part: Part, model: Model, result: LinearizabilityResult, decide: Decide) -> int:
    """Find the completion that ends the shortest failing prefix.

    An engine names the completion at which it gave up. One that swept over all earlier ones knows later answers, and
    what never happened, so it can only be too early; any other may be too late. The true one is searched by bisection
    from there: failing prefixes stay failing. Where a prefix cannot be decided within the budget, it counts as fine.
    """
    if result.certain is not None and not any(void.call <= result.certain < void.ret for void in part.voids):
        return result.certain
    ends = part.completions()
    limits = Limits(steps=REDUCTION_STEPS)

    def fails(position: int) -> bool:
        return decide(part.prefix(ends[position], model), limits).validity == "invalid"

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


def last_placed(part: Part, index: int) -> Operation | None:
    """Return the operation at whose completion an order still existed."""
    before = [operation for operation in part.operations if operation.ret < index]
    return max(before, key=lambda operation: operation.ret, default=None)


class Reduction(msgspec.Struct, frozen=True):
    """Operations that suffice for a violation, and whether freeing any one more was shown to give an order.

    `helpers` are freed operations without which an earlier operation of the kept ones could not be placed either: they
    belong to the story, at whatever time they took effect.
    """

    kept: list[Operation]
    minimal: bool
    helpers: list[Operation]


def reduce(
    operations: Sequence[Operation], model: Model, decide: Decide, culprits: Iterable[Operation] = ()
) -> Reduction:
    """Free operations greedily, large pieces first and old ones first, until no single one can be freed."""
    return _Reducer(operations, model, decide).run(culprits)


class _Reducer:
    """The search for a minimal sub-history. Operations are named by their positions."""

    def __init__(self, operations: Sequence[Operation], model: Model, decide: Decide) -> None:
        self.operations = operations
        self.model = model
        self.decide = decide
        self.left = REDUCTION_STEPS
        self.certain = True  # no attempt of this sweep was cut short
        self.before = min((operation.call for operation in operations), default=0) - len(operations)
        self.everything = list(range(len(operations)))
        self.universe = self.everything  # kept and freed ones that can matter

    def run(self, culprits: Iterable[Operation]) -> Reduction:
        kept = self.hinted(culprits) or self.everything
        size = max(1, len(kept) // 2)
        while True:
            self.certain = True
            before = len(kept)
            kept = self.sweep(kept, size)
            if size == 1 and len(kept) == before:
                break
            if 4 * len(kept) < len(self.universe):
                self.universe = relevant(self.operations, self.universe, kept, self.model)
            size = max(1, min(size // 2, len(kept) // 2))
        return Reduction([self.operations[position] for position in kept], self.certain, self.helpers(kept))

    def hinted(self, culprits: Iterable[Operation]) -> list[int] | None:
        """Take an engine's word for what suffices, once it is shown to."""
        wanted = {operation.call for operation in culprits}
        hint = [position for position in self.everything if self.operations[position].call in wanted]
        if not hint:
            return None
        self.universe = relevant(self.operations, self.everything, hint, self.model)
        if self.fails(hint):
            return hint
        self.universe = self.everything
        return None

    def sweep(self, kept: list[int], size: int) -> list[int]:
        start = 0
        while start < len(kept):
            rest = kept[:start] + kept[start + size :]
            if self.fails(rest):
                kept = rest
            else:
                start += size
        return kept

    def fails(self, kept: list[int]) -> bool:
        """Whether these operations alone, all others freed, still have no order."""
        if not kept:
            return False
        if self.left <= 0:
            self.certain = False
            return False
        story = [self.operations[position] for position in kept]
        result = self.decide(self.freed(kept) + story, Limits(steps=self.left))
        self.left -= result.steps + len(self.universe)
        if result.validity == "unknown":
            self.certain = False
        return result.validity == "invalid"

    def freed(self, kept: Iterable[int]) -> list[Operation]:
        """Return all others without their interval and their answer; those that only look are gone."""
        held = set(kept)
        return [
            msgspec.structs.replace(pending(self.operations[position]), call=self.before + position)
            for position in self.universe
            if position not in held and not self.model.only_looks(self.operations[position])
        ]

    def helpers(self, kept: list[int]) -> list[Operation]:
        """Find freed operations that place all kept ones but the last to return, none of them in vain."""
        story = [self.operations[position] for position in kept]
        last = max(story, key=lambda operation: -1 if operation.ret == INF else operation.ret)
        story = [pending(operation) if operation is last else operation for operation in story]
        freed = self.freed(kept)
        found = jit.check_operations(freed + story, self.model, Limits(steps=HELPER_STEPS), witness=True)
        early = {operation.call for operation in freed}
        used = [operation for operation in found.order or () if operation.call in early]
        if len(used) > HELPERS:
            return []
        for operation in list(used):
            fewer = [other for other in used if other is not operation]
            if jit.check_operations(fewer + story, self.model, Limits(steps=HELPER_STEPS)).validity == "valid":
                used = fewer
        return sorted(used, key=lambda operation: operation.call)


def relevant(operations: Sequence[Operation], positions: Sequence[int], kept: Sequence[int], model: Model) -> list[int]:
    """Leave out freed operations that can make no difference to the kept ones.

    What matters are the states that a kept operation tells apart from others, and what freed operations need to leave
    those. All other states are alike; no more freed operations that leave one are ever of use than there are kept ones.
    Where some operation does not say what it needs and leaves, nothing is left out.
    """
    accesses = {position: model.access(operations[position]) for position in positions}
    one_key = len({operations[position].key for position in positions}) <= 1
    if not one_key or any(SOMETHING in access for access in accesses.values()):
        return list(positions)
    held = set(kept)
    states = dict.fromkeys(state for position in kept for state in _named_states(accesses[position][0]))
    leaving: dict[Any, list[int]] = {}
    for position in positions:
        if position not in held and accesses[position][1] is not KEEPS:
            leaving.setdefault(accesses[position][1], []).append(position)
    found = set(kept)
    todo = list(states)
    for state in todo:
        for position in leaving.pop(state, ()):
            found.add(position)
            new = [need for need in _named_states(accesses[position][0]) if need not in states]
            states |= dict.fromkeys(new)
            todo += new
    spare = sorted(position for group in leaving.values() for position in group)
    changing = [position for position in spare if any(n in states for n in _named_states(accesses[position][0]))]
    blind = [position for position in spare if accesses[position][0] is ANYTHING]
    return sorted(found.union(changing, blind[: len(kept) + 1]))


def _named_states(needs: Any) -> list[Any]:
    if isinstance(needs, OtherThan):
        return [needs.state]
    return [] if isinstance(needs, Unsaid) else [needs]


class Failure(msgspec.Struct, frozen=True):
    """The operation at whose return no configuration was left, and the configurations before it by state."""

    blocked: Operation
    states: list[tuple[Any, tuple[Operation, ...]]]
    complete: bool


def enumerate_failure(operations: Sequence[Operation], model: Model) -> Failure:
    """Follow every possible order of a small failing history to the return at which none is left."""
    frontier: dict[tuple[frozenset[int], Any], tuple[Operation, ...]] = {(frozenset(), model.init): ()}
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


def as_data(operation: Operation, model: Model) -> dict[str, Any]:
    """Return an operation as a JSON object, with its sentence."""
    return {
        "process": operation.process,
        "f": operation.f,
        "key": operation.key,
        "value": operation.value,
        "result": operation.result,
        "type": operation.type,
        "error": operation.error,
        "call": operation.call,
        "ret": None if operation.ret == INF else operation.ret,
        "text": model.describe(operation),
    }


def _message(
    part: Part, model: Model, completing: Operation, reduction: Reduction, failure: Failure, last: Operation | None
) -> str:
    index = completing.ret
    lines = [_headline(part, index)]
    if completing.is_void:
        lines.append(f"At that index {_named(completing, model)} turned out not to have happened.")
    lines += [
        _enough(reduction),
        *_table(reduction.kept, model),
    ]
    if reduction.helpers:
        helpers = ", ".join(_asked(operation, model) for operation in reduction.helpers[:SHOWN])
        more = len(reduction.helpers) - SHOWN
        helpers += f" and {more} more" if more > 0 else ""
        lines.append(f"They need others, whenever those took effect: {helpers}.")
    lines += _why(model, failure)
    if last is not None:
        lines.append(f"The last operation that could be placed was {_named(last, model)}.")
    others = sum(operation.call <= index for operation in part.operations)
    others -= len(reduction.kept) + len(reduction.helpers)
    if others > 0:
        who = (
            "The other operation does not help, whenever it"
            if others == 1
            else f"The other {others} do not help, whenever they"
        )
        lines.append(f"{who} took effect.")
    return "\n".join(lines)


def _asked(operation: Operation, model: Model) -> str:
    """Describe an operation without saying that its outcome is unknown: here that is beside the point."""
    return model.describe(operation).removesuffix(" -> ?")


def _headline(part: Part, index: int) -> str:
    subject = f"key {part.name}: " if part.name else ""
    return (
        f"{subject}the answers contradict each other. There is no order in which each operation takes effect once, "
        f"between its call and its return, that gives them. Certain at index {index} of the history."
    )


def _enough(reduction: Reduction) -> str:
    count = len(reduction.kept)
    if count == 1:
        return "One operation is enough to see it (numbers are the indexes of its call and its return):"
    word = "are enough to see it" if reduction.minimal else "suffice, perhaps fewer"
    return f"{count} operations {word} (numbers are the indexes of call and return):"


def _table(kept: Sequence[Operation], model: Model) -> list[str]:
    shown = kept if len(kept) <= 3 * SHOWN else [*kept[:SHOWN], *kept[-2 * SHOWN :]]
    width = max(len(model.describe(operation)) for operation in shown)
    rows = [
        f"  process {operation.process:<3} {model.describe(operation):<{width}}  {_interval(operation)}"
        for operation in shown
    ]
    if len(shown) < len(kept):
        rows.insert(SHOWN, f"  ... {len(kept) - len(shown)} more ...")
    return rows


def _why(model: Model, failure: Failure) -> list[str]:
    blocked = model.describe(failure.blocked)
    if not failure.states:
        return [f"When {blocked} returned, no order was left."]
    if not failure.complete:
        return [f"When {blocked} returned, more than {CONFIGURATIONS} orders had been possible; none allows it."]
    lines = [f"By these, when {blocked} (process {failure.blocked.process}) returned, the state could only be:"]
    for state, order in failure.states[:SHOWN]:
        path = ", then ".join(_asked(operation, model) for operation in order[-SHOWN:]) or "nothing has happened"
        path = "... " + path if len(order) > SHOWN else path
        lines.append(f"  {model.describe_state(state)}  ({path}): there {blocked} is impossible")
    if len(failure.states) > SHOWN:
        lines.append(f"  or one of {len(failure.states) - SHOWN} more, all as impossible")
    return lines


def _named(operation: Operation, model: Model) -> str:
    return f"{model.describe(operation)} (process {operation.process}, {_interval(operation)})"


def _interval(operation: Operation) -> str:
    return f"{operation.call}..{'?' if operation.ret == INF else operation.ret}"


__all__ = ["Explanation", "certain_index", "configuration_graph", "enumerate_failure", "explain", "reduce"]
