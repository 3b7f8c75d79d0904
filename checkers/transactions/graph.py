"""The dependency graph of a history of transactions, and the search for its cycles.

Nodes are transactions, numbered from 0 in the order of their invokes. An edge a -> b says that a must come before b in
any order that explains the history, and its kind says why (Adya, "Weak Consistency", MIT 1999, section 3.1.2):

    ww        b installed the version of an object that follows one of a's
    wr        b read a version that a installed
    rw        b installed the version that follows one that a read (anti-dependency)
    process   the same client invoked b after a
    realtime  a completed before b was invoked, on any process
    demand    a reader of both saw b's version of an object that a wrote as well (`read_atomic`; nowhere else)

A history is as good as some isolation level exactly if certain kinds of cycles are absent (`anomalies`).

Edges in linear number
----------------------
Real time orders almost every pair of transactions. Instead of all pairs, *barriers* are added: nodes that stand for an
instant between some completions and the next invoke. A transaction points to the first barrier after its completion,
each barrier to the next one, and each transaction is pointed to by the last barrier before its invoke. A path over
barriers from a to b exists exactly if a completed before b was invoked, and there are at most three edges for each
transaction. Barriers cost nothing on a path and never appear in a cycle that is shown.

Search
------
One pass of Tarjan's algorithm (SIAM J. Comput. 1972, in Pearce's form with one array and no recursion) over everything
finds the strongly connected components; a history without anomalies has none of more than one node and is done. Inside
a component each class of cycles is asked for in turn, the gravest first. A cycle of a class must contain one edge of a
given kind (rw for G-single, ...), so each such edge a -> b is closed by the shortest path from b to a over the kinds
that the class allows; the shortest cycle found stands for the class. Candidates are pruned by the order in which Tarjan
left the components of the allowed kinds: a path from b to a cannot exist against it.

The searches visit a bounded number of edges. When it is used up, what was found stands, each component still shows one
cycle of some class, and `complete` is false.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

WW: Final = 1
WR: Final = 2
RW: Final = 4
PROCESS: Final = 8
REALTIME: Final = 16
DEMAND: Final = 32

KINDS: Final = {WW: "ww", WR: "wr", RW: "rw", PROCESS: "process", REALTIME: "realtime", DEMAND: "demand"}

DEPENDENCIES: Final = WW | WR

_FAR: Final = 2**62

EDGE_BUDGET: Final = 20_000_000
"""Edges that the search for cycles may visit: some ten seconds."""

COMPONENTS_A_CLASS: Final = 16
"""A class of cycles is searched in this many components; more examples of the same say nothing new."""

Adjacency = dict[int, dict[int, int]]


class Step(NamedTuple):
    """One edge of a cycle: from `source`, for the reason `kind`, to the next step's source."""

    source: int
    kind: int


class Cycle(NamedTuple):
    """A cycle of at least two transactions, as its edges in order."""

    steps: tuple[Step, ...]

    @property
    def transactions(self) -> tuple[int, ...]:
        """The transactions in order, each once."""
        return tuple(step.source for step in self.steps)

    def edges(self) -> Iterator[tuple[int, int, int]]:
        """List (source, kind, target)."""
        for position, step in enumerate(self.steps):
            yield step.source, step.kind, self.steps[(position + 1) % len(self.steps)].source


class Found(NamedTuple):
    """What a search gave: the shortest cycle of each class and how many components have one; whether it saw all."""

    cycles: dict[str, Cycle]
    counts: dict[str, int]
    complete: bool
    visited: int


class Graph:
    """Dependencies between `size` transactions."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.out: list[dict[int, int]] = [{} for _ in range(size)]  # source -> target -> kinds

    def add(self, source: int, target: int, kind: int) -> None:
        """Say that `source` comes before `target`; a transaction never depends on itself."""
        if source != target:
            targets = self.out[source]
            targets[target] = targets.get(target, 0) | kind

    def add_processes(self, processes: Sequence[int]) -> None:
        """Order the transactions of each process; `processes[t]` ran transaction t."""
        latest: dict[int, int] = {}
        for transaction, process in enumerate(processes):
            before = latest.get(process)
            if before is not None:
                self.add(before, transaction, PROCESS)
            latest[process] = transaction

    def add_realtime(self, calls: Sequence[int], returns: Sequence[int | None]) -> None:
        """Order by real time. `calls` increase; a transaction that never returned precedes nothing."""
        completed = sorted((ret, transaction) for transaction, ret in enumerate(returns) if ret is not None)
        barrier, position = -1, 0
        for transaction, call in enumerate(calls):
            if position < len(completed) and completed[position][0] < call:
                before, barrier = barrier, len(self.out)
                self.out.append({})
                if before >= 0:
                    self.out[before][barrier] = REALTIME
                while position < len(completed) and completed[position][0] < call:
                    self.out[completed[position][1]][barrier] = REALTIME
                    position += 1
            if barrier >= 0:
                self.out[barrier][transaction] = REALTIME

    @property
    def edge_count(self) -> int:
        """How many edges there are, barriers included."""
        return sum(map(len, self.out))

    def components(self) -> list[list[int]]:
        """List the strongly connected components of more than one node, smallest node first."""
        found = strong_components(range(len(self.out)), lambda node: iter(self.out[node]), len(self.out))
        return sorted(sorted(component) for component in found if len(component) > 1)

    def inside(self, component: Iterable[int]) -> Adjacency:
        """Cut out the edges between the nodes of a component."""
        members = dict.fromkeys(component)
        return {node: {t: kinds for t, kinds in self.out[node].items() if t in members} for node in members}

    def find_cycles(self, *, budget: int = EDGE_BUDGET) -> Found:
        """Search for a shortest cycle of each class that is there."""
        components = self.components()
        forms = [(suffix, kind) for suffix, kind in _FORMS if components and (kind == 0 or self._has(kind))]
        search = _Search(self.size, budget)
        for component in components:
            search.component(self.inside(component), forms)
        return Found(search.cycles, search.counts, not search.exhausted, search.visited)

    def short_cycle(self, kind: int, besides: int, *, budget: int = EDGE_BUDGET) -> Cycle:
        """Return a cycle over edges of these kinds, with one of `kind` if there is such; there must be a cycle.

        It is a shortest one, if the edges that may be visited suffice to look for it in each component.
        """
        search = _Search(self.size, budget)
        adjacencies = [self.inside(component) for component in self.components()]
        wanted = _Class("", kind, kind | besides)
        found: list[Cycle] = []
        for adjacency in adjacencies:
            search.ranks.clear()
            cycle = search.find(adjacency, wanted, 0)
            if cycle is not None:
                found.append(cycle)
        return min(found, key=lambda cycle: len(cycle.steps)) if found else search.any(adjacencies[0])

    def _has(self, kind: int) -> bool:
        return any(kinds & kind for targets in self.out for kinds in targets.values())


def strong_components(nodes: Iterable[int], successors: Callable[[int], Iterator[int]], size: int) -> list[list[int]]:
    """List all strongly connected components in reverse topological order (Tarjan 1972; Pearce's single array)."""
    low: list[int] | dict[int, int] = [0] * size
    done = size + 1
    found: list[list[int]] = []
    stack: list[int] = []
    counter = 0
    for root in nodes:
        if low[root]:
            continue
        counter += 1
        low[root] = counter
        stack.append(root)
        work = [(root, counter, successors(root))]
        while work:
            node, number, remaining = work[-1]
            lowest = low[node]
            for target in remaining:
                reached = low[target]
                if not reached:
                    low[node] = lowest
                    counter += 1
                    low[target] = counter
                    stack.append(target)
                    work.append((target, counter, successors(target)))
                    break
                if reached < lowest:
                    lowest = reached
            else:
                low[node] = lowest
                work.pop()
                if lowest == number:
                    component = []
                    while True:
                        member = stack.pop()
                        low[member] = done
                        component.append(member)
                        if member == node:
                            break
                    found.append(component)
                else:
                    parent = work[-1][0]
                    if lowest < low[parent]:
                        low[parent] = lowest
    return found


_FORMS: Final = (("", 0), ("-process", PROCESS), ("-realtime", REALTIME))


class _Class(NamedTuple):
    """A class of cycles: the kind of edge it must have, the kinds that close it."""

    name: str
    first: int
    closing: int


_CLASSES: Final = (
    _Class("G0", WW, WW),
    _Class("G1c", WR, DEPENDENCIES),
    _Class("G-single", RW, DEPENDENCIES),
    _Class("G-nonadjacent", RW, DEPENDENCIES | RW),
    _Class("G2-item", RW, DEPENDENCIES | RW),
)


def classify(cycle: Cycle) -> str:
    """Name a cycle by the kinds of its edges, in the gravest way that fits it."""
    kinds = [step.kind for step in cycle.steps]
    anti = [position for position, kind in enumerate(kinds) if kind == RW]
    if not anti:
        name = "G1c" if WR in kinds else "G0"
    elif len(anti) == 1:
        name = "G-single"
    elif any(kinds[(position + 1) % len(kinds)] == RW for position in anti):
        name = "G2-item"
    else:
        name = "G-nonadjacent"
    if REALTIME in kinds:
        return name + "-realtime"
    return name + "-process" if PROCESS in kinds else name


class _Search:
    """The cycles of one graph, component by component."""

    def __init__(self, size: int, budget: int) -> None:
        self.size = size
        self.budget = budget
        self.visited = 0
        self.exhausted = False
        self.cycles: dict[str, Cycle] = {}
        self.counts: dict[str, int] = {}
        self.ranks: dict[int, dict[int, int]] = {}  # of the present component: allowed kinds -> rank of each node

    def component(self, adjacency: Adjacency, forms: Sequence[tuple[str, int]]) -> None:
        """Find the classes of one component; a form with time is only of interest where the plain one is absent."""
        self.ranks.clear()
        found = False
        for wanted in _CLASSES:
            for suffix, extra in forms:
                if self.exhausted or self.counts.get(wanted.name + suffix, 0) >= COMPONENTS_A_CLASS:
                    break
                cycle = self.find(adjacency, wanted, extra)
                if cycle is not None:
                    self._keep(classify(cycle), cycle)
                    found = True
                    break
        if self.exhausted and not found:
            cycle = self.any(adjacency)
            self._keep(classify(cycle), cycle)

    def any(self, adjacency: Adjacency) -> Cycle:
        """Return some cycle of a component, whatever its class."""
        everything = WW | WR | RW | PROCESS | REALTIME | DEMAND
        source = min(adjacency)
        target, no_rank = next(iter(adjacency[source])), dict.fromkeys(adjacency, 0)
        budget, self.budget = self.budget, _FAR
        path = self._path(adjacency, target, source, everything, no_rank, _FAR)
        self.budget = budget
        assert path is not None, "a strongly connected component has a way back from every edge"
        return _cycle(adjacency, [source, *path[:-1]], (), self.size, everything)

    def _keep(self, name: str, cycle: Cycle) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        known = self.cycles.get(name)
        if known is None or len(cycle.steps) < len(known.steps):
            self.cycles[name] = cycle

    def find(self, adjacency: Adjacency, wanted: _Class, extra: int) -> Cycle | None:
        """Return a shortest cycle of one class in a component, or what was found when the budget ended."""
        closing = wanted.closing | extra
        rank = self.ranks.get(closing)
        if rank is None:
            rank = self.ranks[closing] = _topological_rank(adjacency, closing)
        best: list[int] | None = None
        best_kinds: tuple[int, ...] = ()
        for source, target in self._candidates(adjacency, wanted, rank):
            bound = _cost(best, self.size) if best is not None else len(adjacency) + 1
            if bound <= 2 or self.exhausted:
                break
            path, kinds = self._close(adjacency, wanted, closing, source, target, rank, bound)
            if path is not None:
                best, best_kinds = path, kinds
        return None if best is None else _cycle(adjacency, best, best_kinds, self.size, closing)

    def _candidates(self, adjacency: Adjacency, wanted: _Class, rank: dict[int, int]) -> Iterator[tuple[int, int]]:
        """List the edges of the required kind that could be closed."""
        for source, targets in adjacency.items():
            for target, kinds in targets.items():
                if kinds & wanted.first and rank[target] >= rank[source]:
                    yield source, target

    def _close(
        self,
        adjacency: Adjacency,
        wanted: _Class,
        closing: int,
        source: int,
        target: int,
        rank: dict[int, int],
        bound: int,
    ) -> tuple[list[int] | None, tuple[int, ...]]:
        """Return the nodes of a cycle that begins with source -> target, and the kinds of its fixed first edges."""
        if wanted.name == "G-nonadjacent":
            return self._close_nonadjacent(adjacency, closing, source, target, rank, bound)
        if wanted.name == "G2-item":
            return self._close_adjacent(adjacency, closing, source, target, rank, bound)
        path = self._path(adjacency, target, source, closing, rank, bound - 1)
        return (None if path is None else [source, *path[:-1]]), (wanted.first,)

    def _close_adjacent(
        self, adjacency: Adjacency, closing: int, source: int, target: int, rank: dict[int, int], bound: int
    ) -> tuple[list[int] | None, tuple[int, ...]]:
        best: list[int] | None = None
        for after, kinds in adjacency[target].items():
            if not kinds & RW:
                continue
            if after == source:
                return [source, target], (RW, RW)
            path = self._path(adjacency, after, source, closing, rank, bound - 2, banned=target)
            if path is not None:
                best = [source, target, *path[:-1]]
                bound = _cost(best, self.size)
        return best, (RW, RW)

    def _path(
        self,
        adjacency: Adjacency,
        start: int,
        goal: int,
        kinds: int,
        rank: dict[int, int],
        bound: int,
        banned: int = -1,
    ) -> list[int] | None:
        """Return a shortest path of fewer than `bound` edges (barriers cost nothing), or None."""
        size, lowest = self.size, rank[goal]
        before = {start: -1}
        distance = {start: 0}
        queue = deque([start])
        while queue:
            node = queue.popleft()
            far = distance[node]
            if node == goal:
                return _trace_back(before, goal)
            step = 1 if node < size else 0
            if far + step >= bound:
                continue
            targets = adjacency[node]
            self.visited += len(targets)
            for target, edge in targets.items():
                if edge & kinds and target != banned and rank[target] >= lowest:
                    known = distance.get(target)
                    if known is None or far + step < known:
                        distance[target] = far + step
                        before[target] = node
                        if step:
                            queue.append(target)
                        else:
                            queue.appendleft(target)
            if self.visited > self.budget:
                self.exhausted = True
                return None
        return None

    def _close_nonadjacent(
        self, adjacency: Adjacency, closing: int, source: int, target: int, rank: dict[int, int], bound: int
    ) -> tuple[list[int] | None, tuple[int, ...]]:
        """Walk on over at least one more rw edge and never two in a row; a state is a node and a mode (`_PLAIN`)."""
        start, goal = (target, _ONE_JUST_NOW), (source, _MORE)
        before: dict[tuple[int, int], tuple[int, int]] = {}
        distance = {start: 1}
        queue = deque([start])
        while queue and goal not in before:
            node, mode = state = queue.popleft()
            step = 1 if node < self.size else 0
            far = distance[state] + step
            if far > bound:
                continue
            self.visited += len(adjacency[node])
            for following, edge in adjacency[node].items():
                reached = []
                if edge & closing & ~RW:
                    reached.append((following, _PLAIN[mode]))
                if edge & RW and mode in _ANTI:
                    reached.append((following, _ANTI[mode]))
                for further in reached:
                    if far < distance.get(further, bound + 1):
                        distance[further] = far
                        before[further] = state
                        if step:
                            queue.append(further)
                        else:
                            queue.appendleft(further)
            if self.visited > self.budget:
                self.exhausted = True
                return None, ()
        if goal not in before or distance[goal] >= bound:
            return None, ()
        states = [goal]
        while states[-1] != start:
            states.append(before[states[-1]])
        states.reverse()
        nodes = [source, *(node for node, _ in states[:-1])]
        if len(set(nodes)) < len(nodes):
            return None, ()  # a walk that meets itself is made of smaller cycles, and those are looked for as well
        return nodes, tuple(RW if mode in (_ONE_JUST_NOW, _MORE_JUST_NOW) else 0 for _, mode in states)


_ONE, _ONE_JUST_NOW, _MORE, _MORE_JUST_NOW = range(4)
"""How many rw edges a walk has taken, and whether the last edge was one."""

_PLAIN: Final = {_ONE: _ONE, _ONE_JUST_NOW: _ONE, _MORE: _MORE, _MORE_JUST_NOW: _MORE}
_ANTI: Final = {_ONE: _MORE_JUST_NOW, _MORE: _MORE_JUST_NOW}


def _topological_rank(adjacency: Adjacency, kinds: int) -> dict[int, int]:
    """Rank nodes so that no path over `kinds` leads from a lower rank to a higher one."""
    numbers = {node: number for number, node in enumerate(adjacency)}
    nodes = list(adjacency)

    def successors(number: int) -> Iterator[int]:
        return iter([numbers[t] for t, edge in adjacency[nodes[number]].items() if edge & kinds])

    ordered = strong_components(range(len(nodes)), successors, len(nodes))
    return {nodes[member]: position for position, component in enumerate(ordered) for member in component}


def _cost(nodes: Sequence[int], size: int) -> int:
    return sum(node < size for node in nodes)


def _trace_back(before: dict[int, int], goal: int) -> list[int]:
    path = [goal]
    while before[path[-1]] >= 0:
        path.append(before[path[-1]])
    path.reverse()
    return path


def _cycle(adjacency: Adjacency, nodes: Sequence[int], fixed: Sequence[int], size: int, closing: int) -> Cycle:
    """Name the kinds of a cycle's edges, leave out barriers, and join what one step of time covers."""
    steps: list[Step] = []
    for position, node in enumerate(nodes):
        kinds = adjacency[node][nodes[(position + 1) % len(nodes)]]
        wanted = fixed[position] if position < len(fixed) else 0
        kind = wanted or _first_bit(kinds & closing & ~RW) or _first_bit(kinds & closing)
        if node >= size or (steps and steps[-1].kind == kind and kind in (PROCESS, REALTIME)):
            continue
        steps.append(Step(node, kind))
    while len(steps) > 1 and steps[0].kind == steps[-1].kind and steps[0].kind in (PROCESS, REALTIME):
        steps.pop(0)
    return Cycle(tuple(steps))


def _first_bit(kinds: int) -> int:
    return kinds & -kinds
