"""Read atomic: no transaction sees a part of another. Decided from who read from whom, with an order as the proof.

The model (Cerone, Bernardi, Gotsman, CONCUR 2015; Bailis et al., "RAMP transactions", SIGMOD 2014, who call its absence
a fractured read): there is an order of all transactions, and each sees some of those before it. Of every object it
reads what the last of those that it sees and that wrote the object left there, or the initial value.

The rule
--------
Values are unique, so a transaction certainly sees those that it read from. Seeing more than these helps nobody: it only
adds writers that must not be the last. Hence

    T read x from W1, and something from W2, and W2 wrote x:   W2 comes before W1

and there is an order exactly if these demands, and what is known besides (W before T where T read from W, the known
order of versions), make no circle. A demand on the initial value, before which nothing comes, fails by itself.
docs/transactions.md has the argument in full.

For lists a version is what its last append left: a read shows the version of the writer of its last element, and sees
that transaction, as edges of kind wr say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .graph import DEMAND, DEPENDENCIES, EDGE_BUDGET, Cycle, Graph, strong_components
from .search import Reads


class Demand(NamedTuple):
    """`reader` saw `first`, which wrote this object, and read what `second` wrote there (-1: the initial value)."""

    reader: int
    thing: int
    first: int
    second: int


class Atomicity(NamedTuple):
    """An order of all transactions, or what forbids one: a demand on an initial value, or a circle."""

    order: list[int]
    broken: Demand | None
    circle: Cycle | None
    demands: dict[tuple[int, int], Demand]
    steps: int


def decide(graph: Graph, reads: Reads, *, budget: int = EDGE_BUDGET) -> Atomicity:
    """Find an order in which no transaction sees a part of another; `graph` has all wr edges, and ww that hold.

    `budget` bounds the edges visited to make a circle short, not the decision.
    """
    demands: dict[tuple[int, int], Demand] = {}
    count = 0
    for demand in _demands(reads):
        count += 1
        if demand.second < 0:
            return Atomicity([], demand, None, {}, count)
        demands.setdefault((demand.first, demand.second), demand)
    known = Graph(graph.size)
    for source in range(graph.size):
        for target, kinds in graph.out[source].items():
            if kinds & DEPENDENCIES:
                known.add(source, target, kinds & DEPENDENCIES)
    for first, second in demands:
        if second not in known.out[first]:
            known.add(first, second, DEMAND)
    steps = count + known.edge_count
    found = strong_components(range(known.size), lambda node: iter(known.out[node]), known.size)
    if len(found) == known.size:
        return Atomicity([node for (node,) in reversed(found)], None, None, demands, steps)
    return Atomicity([], None, known.short_cycle(DEMAND, DEPENDENCIES, budget=budget), demands, steps)


def _demands(reads: Reads) -> Iterator[Demand]:
    wrote = [frozenset(things) for things in reads.wrote]
    for reader, taken in enumerate(reads.read):
        if len(taken) < 2 or not reads.happened[reader]:
            continue
        source = dict(taken)
        for first in dict.fromkeys(source.values()):
            if first >= 0:
                for thing in sorted(source.keys() & wrote[first]):
                    if source[thing] != first:
                        yield Demand(reader, thing, first, source[thing])
