"""A 1-minimal failing sub-history: few operations that prove a violation, and none to spare.

Leaving an operation out of a history does not keep its meaning: without the write of 1, every read of 1 looks wrong. So
operations are not deleted but *freed*: one that only looks is dropped, any other may take effect at any time, before
its call too, or never. Freeing only ever allows more, so what still fails is a proof: the freed operations cannot help,
whenever they took effect. The result is 1-minimal if freeing any one more leaves an order.

Where values repeat, that proof can be long, for every write of the value that was seen has to stay. Then the excerpt
may begin later: at some instant a complete frontier says which states were possible, and from each of them the
operations called afterwards fail. Operations pending there are free. That is a proof too, and most often a short one.

References: A. Zeller and R. Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28 (2002), for
greedy reduction by large pieces first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from checkers.linearizability.partition import pending
from checkers.linearizability.result import LimitReached, Limits
from checkers.linearizability.search import jit
from checkers.linearizability.search.encoding import Encoding
from checkers.linearizability.search.frontier import FrontierSearch
from checkers.models import Model
from checkers.models.model import ANYTHING, KEEPS, SOMETHING, OtherThan, Unsaid
from checkers.operation import INF, Operation

from .budget import Budget

REDUCTION_STEPS: Final = 1_000_000
"""What all attempts to free operations may spend together: about a second."""

FRONTIER_STEPS: Final = 200_000
"""What a complete frontier may spend to find out where an excerpt can begin."""

HELPER_STEPS: Final = 50_000
"""What one attempt to find or drop helpers may spend."""

HELPERS: Final = 40
"""More helpers than this are no excerpt any more."""

STARTS: Final = 8
"""An excerpt that begins in more states than this is no simpler than the whole."""

READABLE: Final = 12
"""Operations that a person takes in; a longer proof is worth another try."""

TELLING: Final = 3
"""A proof of fewer operations leaves the reader to believe the states it begins with."""

LATE_EXCERPTS: Final = 5
"""How many later beginnings are tried."""

SELF_CONTAINED: Final = 40
"""A history of at most this many operations is told from its beginning if that can be done readably."""


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """A failing history to be reduced: from each of `starts`, `operations` fail, `free` ones may happen or not.

    `since` is the index at which it begins; None: at the beginning of the history.
    """

    operations: list[Operation]
    free: list[Operation] = []
    starts: list[Any]
    since: int | None = None


class Reduction(msgspec.Struct, frozen=True, kw_only=True):
    """Operations that suffice for a violation, and whether freeing any one more was shown to give an order.

    `helpers` are freed operations without which an earlier operation of the kept ones could not be placed either: they
    belong to the excerpt, at whatever time they took effect; None where they were too many to find. `others` counts
    those that do not help.
    """

    excerpt: Excerpt
    kept: list[Operation]
    minimal: bool
    helpers: list[Operation] | None

    @property
    def others(self) -> int:
        """How many operations are neither kept nor helpers."""
        return len(self.excerpt.operations) + len(self.excerpt.free) - len(self.kept) - len(self.helpers or ())


def reduce(prefix: Sequence[Operation], model: Model, budget: Budget, culprits: Sequence[Operation] = ()) -> Reduction:
    """Reduce a failing prefix, from its beginning or from a later instant, whichever gives the shorter proof."""
    whole = Excerpt(operations=list(prefix), starts=[model.init])
    from_start: Reduction | None = None
    if culprits or len(prefix) <= SELF_CONTAINED:
        from_start = _Reducer(whole, model, budget).run(culprits)
        if from_start.minimal and len(from_start.kept) <= READABLE:
            return from_start
    late = _reduce_late(prefix, model, budget, culprits)
    if late is None:
        return from_start or _Reducer(whole, model, budget).run(culprits)
    if from_start is None:
        return late
    return min(late, from_start, key=lambda reduction: (len(reduction.kept), not reduction.minimal))


def _reduce_late(
    prefix: Sequence[Operation], model: Model, budget: Budget, culprits: Sequence[Operation]
) -> Reduction | None:
    """Begin late, and then earlier until there is something to tell: one operation alone explains little."""
    best: Reduction | None = None
    tried = 0
    for excerpt in late_excerpts(prefix, model, budget):
        if not _fails(excerpt, model, budget):
            continue
        reduced = _Reducer(excerpt, model, budget).run(culprits)
        if best is None or len(reduced.kept) <= READABLE:
            best = reduced
        tried += 1
        if tried == LATE_EXCERPTS or len(reduced.kept) >= TELLING:
            break
    return best


def late_excerpts(prefix: Sequence[Operation], model: Model, budget: Budget) -> Iterator[Excerpt]:
    """Yield excerpts that begin at ever earlier completions, in steps that double, with what was possible there."""
    instants = _possible_states(prefix, model, budget)
    back = 1
    while back <= len(instants):
        since, states = instants[-back]
        if len(states) <= STARTS:
            yield excerpt_since(prefix, model, since, states)
        back *= 2


def excerpt_since(prefix: Sequence[Operation], model: Model, since: int, states: list[Any]) -> Excerpt:
    """Begin at the completion with this index: who was pending there is free, who had returned is in the states."""
    return Excerpt(
        operations=[operation for operation in prefix if operation.call > since],
        free=[
            pending(operation)
            for operation in prefix
            if operation.call < since < operation.ret and not model.only_looks(operation)
        ],
        starts=states,
        since=since,
    )


def _possible_states(prefix: Sequence[Operation], model: Model, budget: Budget) -> list[tuple[int, list[Any]]]:
    """List the states that were possible at each completion before the failure; nothing if too many to know."""
    encoding = Encoding(model, one_key=len({operation.key for operation in prefix}) <= 1)
    operations = [o for o in prefix if o.ret != INF or not encoding.only_looks(o)]
    events, slots = jit.order_events(operations)
    search = FrontierSearch(encoding, budget.meter(FRONTIER_STEPS))
    found: list[tuple[int, list[Any]]] = []
    try:
        for event in events:
            number = event if event >= 0 else ~event
            operation = operations[number]
            kind = encoding.class_of(operation)
            if event >= 0:
                search.call(kind, slots[number], operation.ret)
            elif not search.returned(kind, slots[number], operation.ret):
                return found
            else:
                states = dict.fromkeys(encoding.states[config[0]] for config in search.frontier)
                found.append((operation.ret, list(states)))
    except LimitReached:
        return []
    finally:
        budget.spend(search.steps + len(events))
    return found


def _fails(excerpt: Excerpt, model: Model, budget: Budget) -> bool:
    operations, limits = excerpt.free + excerpt.operations, Limits(steps=FRONTIER_STEPS)
    return all(
        budget.decide(model.starting_at(start), operations, limits).validity == "invalid" for start in excerpt.starts
    )


class _Reducer:
    """The search for a minimal sub-history. Operations are named by their positions in the excerpt."""

    def __init__(self, excerpt: Excerpt, model: Model, budget: Budget) -> None:
        self.excerpt = excerpt
        self.operations = excerpt.operations
        self.model = model
        self.budget = budget
        self.left = REDUCTION_STEPS
        self.certain = True  # no attempt of this pass was cut short
        first = min((operation.call for operation in (*excerpt.operations, *excerpt.free)), default=0)
        self.before = first - len(self.operations)
        self.everything = list(range(len(self.operations)))
        self.universe = self.everything  # kept and freed ones that can matter

    def run(self, culprits: Iterable[Operation]) -> Reduction:
        kept = self.hinted(culprits) or self.everything
        size = max(1, len(kept) // 2)
        while True:
            self.certain = True
            before = len(kept)
            kept = self.reduce_once(kept, size)
            if size == 1 and len(kept) == before:
                break
            if 4 * len(kept) < len(self.universe):
                self.universe = relevant(self.operations, self.universe, kept, self.model)
            size = max(1, min(size // 2, len(kept) // 2))
        return Reduction(
            excerpt=self.excerpt,
            kept=[self.operations[position] for position in kept],
            minimal=self.certain,
            helpers=self.helpers(kept),
        )

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

    def reduce_once(self, kept: list[int], size: int) -> list[int]:
        """Free pieces of this size, old ones first."""
        start = 0
        while start < len(kept):
            rest = kept[:start] + kept[start + size :]
            if self.fails(rest):
                kept = rest
            else:
                start += size
        return kept

    def fails(self, kept: list[int]) -> bool:
        """Whether these operations alone, all others freed, still have no order from any start."""
        if not kept:
            return False
        if self.left <= 0:
            self.certain = False
            return False
        operations = self.freed(kept) + [self.operations[position] for position in kept]
        for start in self.excerpt.starts:
            result = self.budget.decide(self.model.starting_at(start), operations, Limits(steps=max(1, self.left)))
            self.left -= result.steps + len(self.universe)
            if result.validity != "invalid":
                self.certain = self.certain and result.validity == "valid"
                return False
        return True

    def freed(self, kept: Iterable[int]) -> list[Operation]:
        """Return all others without their interval and their answer; those that only look are gone."""
        held = set(kept)
        return self.excerpt.free + [
            msgspec.structs.replace(pending(self.operations[position]), call=self.before + position)
            for position in self.universe
            if position not in held and not self.model.only_looks(self.operations[position])
        ]

    def helpers(self, kept: list[int]) -> list[Operation] | None:
        """Find freed operations that place all kept ones but the last to return, none of them in vain."""
        excerpt = [self.operations[position] for position in kept]
        last = max(excerpt, key=lambda operation: -1 if operation.ret == INF else operation.ret)
        excerpt = [pending(operation) if operation is last else operation for operation in excerpt]
        freed = self.freed(kept)
        found: dict[int, Operation] = {}
        for start in self.excerpt.starts:
            helpers = self.help_from(self.model.starting_at(start), excerpt, freed)
            if helpers is None:
                return None
            for operation in helpers:
                found[operation.call] = operation
        return [found[call] for call in sorted(found)]

    def help_from(self, model: Model, excerpt: list[Operation], freed: list[Operation]) -> list[Operation] | None:
        if self.budget.is_spent:
            return None
        found = jit.check_operations(freed + excerpt, model, self.budget.limits(HELPER_STEPS), witness=True)
        self.budget.spend(found.steps + len(freed))
        if found.validity == "invalid":
            return []  # what fails is not the last return alone
        if found.order is None:
            return None
        order = found.order
        early = {operation.call for operation in freed}
        used = [operation for operation in order if operation.call in early]
        if len(used) > HELPERS:
            return None
        for operation in list(used):
            fewer = [other for other in used if other is not operation]
            if self.budget.decide(model, fewer + excerpt, Limits(steps=HELPER_STEPS)).validity == "valid":
                used = fewer
        return used


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
