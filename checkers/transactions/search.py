"""A search for an order of transactions that explains what they read, guided by their dependency graph.

The graph of registers is incomplete: it accuses nothing falsely, but that it has no circle proves nothing. So `valid`
rests on a witness that this search finds and `replay` confirms, and where the graph saw nothing wrong, `invalid` on a
proof that there is none. What this costs beyond reading the graph is the few orders of versions that it leaves open.

What is searched
----------------
Events that must be put in a row. For the serializable models an event is a transaction. For the models of snapshot
isolation a transaction has two, its start (where it reads) and its commit (where it writes), and two that write one
object do not overlap (first committer wins; Cerone and Gotsman, "Analysing snapshot isolation", PODC 2016, where the
commit order and the snapshots of their theorem 4.2 are such a row). Edges of the graph that the model allows are kept:
ww, wr, process and realtime lead from commit to start, rw from start to commit. What an event reads must be the latest
version. As values are unique, a version that was replaced never comes back, so that is one rule: *no version is
replaced while a reader of it waits*. An uncertain transaction takes part if one of its values was read. Otherwise it is
left out: in an order with it, nobody reads what it wrote, and the order without it is as good.

How
---
Goals are taken in the order of the returns. An event that cannot be placed yet is blocked by some event that has to
come first: a predecessor in the graph, a waiting reader of the version that it would replace, or an open transaction
that writes the same object. That one becomes the next goal, until one can be placed, or the chain of blockers closes to
a circle. A circle blames *choices*: "A was placed before B, which writes the same object". If it blames none, there is
no order. Otherwise the latest choice is taken back, and B before A is learned, under the condition of the other choices
blamed (conflict-driven learning, as in solvers for boolean satisfiability; the choices are those of a polygraph:
Papadimitriou, JACM 1979; Cobra, OSDI 2020; PolySI, VLDB 2023). What is learned under no condition stays for good. Where
the latest event has several choices blamed, one is decided, and its opposite learned if that fails. Each step either
places an event or excludes part of the space, so the search ends; deciding serializability is NP-complete
(Papadimitriou), so it may take too long, and stops at `limit` steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from checkers.linearizability.result import CHECK_EVERY, LimitReached, Meter

from .graph import PROCESS, REALTIME, RW, Graph

STEP_LIMIT: Final = 20_000_000
"""Looks for a blocker, by default: some twenty seconds."""

_INITIAL: Final = -1


class Blame(NamedTuple):
    """A choice that a circle rests on: since this place of the trail, transaction `first` is before `second`."""

    place: int
    first: int
    second: int


class Learned(NamedTuple):
    """Transaction `first` comes before `second`, since the opposite closes this circle of transactions."""

    first: int
    second: int
    circle: tuple[int, ...]


@dataclass
class Outcome:
    """What the search found: `order` is a row of (transaction, whether it is its commit); None and no reason: none."""

    order: list[tuple[int, bool]] | None = None
    reason: str = ""
    machine_dependent: bool = False
    steps: int = 0
    learned: list[Learned] = field(default_factory=list)
    circle: tuple[int, ...] = ()


class Reads(NamedTuple):
    """What the transactions that happened read and wrote: `read[t]` are (object, writer), the writer -1 for nobody."""

    happened: Sequence[bool]
    read: Sequence[Sequence[tuple[int, int]]]
    wrote: Sequence[Sequence[int]]
    object_count: int


class _NoOrder(Exception):
    """The circle blames no choice."""


_PLACED, _LEARNED, _DECIDED = range(3)


class _Entry(NamedTuple):
    """One thing that was done: an event placed, or an edge between transactions added."""

    kind: int
    event: int  # _PLACED
    goal: int  # which goal it was done for
    first: int = -1
    second: int = -1
    replaced: tuple[int, ...] = ()  # the versions that a placed event replaced
    others: tuple[int, ...] = ()  # _DECIDED: if this fails, one of these before `second` instead
    blames: frozenset[Blame] = frozenset()


def find_order(
    graph: Graph,
    reads: Reads,
    returns: Sequence[int],
    *,
    snapshots: bool,
    process: bool,
    realtime: bool,
    limit: int = STEP_LIMIT,
    meter: Meter,
) -> Outcome:
    """Look for a row of all events that explains what was read; `returns` say which goals come first.

    The search stops after `limit` steps, or when `meter` says that time or memory ran out.
    """
    search = _Search(graph, reads, snapshots=snapshots, limit=limit, meter=meter)
    search.add_edges(graph, (0 if process else PROCESS) | (0 if realtime else REALTIME))
    outcome = Outcome()
    try:
        search.run(sorted((t for t, is_in in enumerate(reads.happened) if is_in), key=lambda t: (returns[t], t)))
        outcome.order = search.order()
    except _NoOrder:
        outcome.circle = search.circle
    except LimitReached as stopped:
        outcome.reason = f"the search for an order stopped: {stopped.reason}"
        outcome.machine_dependent = stopped.machine_dependent
    outcome.steps, outcome.learned = search.steps, search.learned
    return outcome


class _Versions:
    """The versions of each object: which is the latest, and who waits to read which."""

    def __init__(self, reads: Reads) -> None:
        """Number the versions: first the initial one of each object, then by writer."""
        count, size = reads.object_count, len(reads.happened)
        self.current = list(range(count))  # object -> its latest version
        self.writer = [_INITIAL] * count  # version -> transaction
        self.puts: list[list[tuple[int, int]]] = [[] for _ in range(size)]  # transaction -> (object, version)
        self.takes: list[list[int]] = [[] for _ in range(size)]  # transaction -> versions that it reads
        self.open_by: list[int] = [-1] * count  # object -> the transaction that started and will write it
        numbers: dict[tuple[int, int], int] = {}
        for transaction, objects in enumerate(reads.wrote):
            if reads.happened[transaction]:
                for thing in objects:
                    numbers[thing, transaction] = version = len(self.writer)
                    self.writer.append(transaction)
                    self.puts[transaction].append((thing, version))
        self.readers: list[list[int]] = [[] for _ in self.writer]
        for transaction, taken in enumerate(reads.read):
            if reads.happened[transaction]:
                for thing, writer in taken:
                    version = thing if writer == _INITIAL else numbers[thing, writer]
                    self.takes[transaction].append(version)
                    self.readers[version].append(transaction)
        self.waiting = [len(readers) for readers in self.readers]  # readers that are not placed
        self.hint = [0] * len(self.readers)  # where the last waiting reader was found

    def waiting_reader(self, version: int, besides: int, place: Sequence[int]) -> int:
        """Return a reader of a version that is not placed, other than its own replacer; or -1."""
        if self.waiting[version] == 1 and place[besides] < 0 and version in self.takes[besides]:
            return -1
        readers, number = self.readers[version], self.hint[version]
        while place[readers[number]] >= 0 or readers[number] == besides:
            number = number + 1 if number + 1 < len(readers) else 0
        self.hint[version] = number
        return readers[number]

    def start(self, transaction: int, step: int) -> None:
        """Let a transaction read (step 1), or take that back (-1)."""
        for version in self.takes[transaction]:
            self.waiting[version] -= step

    def open(self, transaction: int, by: int) -> None:
        """Say who has what this transaction will write open: itself, or nobody (-1)."""
        for thing, _ in self.puts[transaction]:
            self.open_by[thing] = by

    def replace(self, transaction: int) -> tuple[int, ...]:
        """Make what a transaction writes the latest versions; return those before."""
        puts = self.puts[transaction]
        replaced = tuple([self.current[thing] for thing, _ in puts])
        for thing, version in puts:
            self.current[thing] = version
        return replaced

    def restore(self, transaction: int, replaced: tuple[int, ...]) -> None:
        """Take that back."""
        for (thing, _), version in zip(self.puts[transaction], replaced, strict=True):
            self.current[thing] = version


class _Search:
    """Events: transaction t starts at event t and commits at `commit[t]`, the same one unless there are snapshots."""

    def __init__(self, graph: Graph, reads: Reads, *, snapshots: bool, limit: int, meter: Meter) -> None:
        self.size, self.snapshots = graph.size, snapshots
        self.barrier_base = 2 * graph.size if snapshots else graph.size
        count = self.barrier_base + len(graph.out) - graph.size
        self.before: list[list[int]] = [[] for _ in range(count)]
        self.after: list[list[int]] = [[] for _ in range(count)]
        self.waits_for = [0] * count  # unplaced predecessors
        self.hint = [0] * count  # where the last unplaced predecessor was found
        self.place: list[int] = [-1] * count  # position in the trail
        self.trail: list[_Entry] = []
        self.conditions: dict[tuple[int, int], list[frozenset[Blame]]] = {}  # of learned edges; one may come again
        self.steps, self.limit, self.meter = 0, limit, meter
        self.learned: list[Learned] = []
        self.circle: tuple[int, ...] = ()
        self.versions = _Versions(reads)

    # -- what is given --------------------------------------------------------------------------------------------

    def commit(self, transaction: int) -> int:
        """Return the event at which what a transaction writes is seen."""
        return transaction + self.size if self.snapshots else transaction

    def add_edges(self, graph: Graph, without: int) -> None:
        """Take the edges of the graph but for some kinds; those of what did not happen lead nowhere."""
        shift = self.barrier_base - self.size
        for source, targets in enumerate(graph.out):
            is_barrier = source >= self.size
            start = source + shift if is_barrier else source
            end = start if is_barrier else self.commit(source)
            for target, kinds in targets.items():
                kinds &= ~without
                to = target + shift if target >= self.size else target
                if kinds & ~RW:
                    self._link(end, to)
                if kinds & RW and (self.snapshots or not kinds & ~RW):
                    self._link(start, self.commit(target))
        if self.snapshots:
            for transaction in range(self.size):
                self._link(transaction, transaction + self.size)

    def _link(self, first: int, second: int) -> None:
        self.after[first].append(second)
        self.before[second].append(first)
        if self.place[first] < 0:
            self.waits_for[second] += 1

    # -- the search -----------------------------------------------------------------------------------------------

    def run(self, transactions: Sequence[int]) -> None:
        """Place the commits of these transactions, and whatever has to come before."""
        goals = [self.commit(transaction) for transaction in transactions]
        number = 0
        while number < len(goals):
            if self.place[goals[number]] >= 0:
                number += 1
            else:
                number = self._reach(goals[number], number)

    def _reach(self, goal: int, number: int) -> int:
        """Place an event and what blocks it; return the number of the goal to go on with."""
        path, links, on_path = [goal], [frozenset[Blame]()], {goal: 0}
        while path:
            self.steps += 1
            if self.steps % CHECK_EVERY == 0:
                self.meter.check(self.steps, len(self.trail))
            if self.steps > self.limit:
                raise LimitReached(f"step limit of {self.limit} reached")
            event = path[-1]
            blocker, blames = self._blocker(event)
            if blocker < 0:
                self._place(event, number)
                path.pop()
                links.pop()
                del on_path[event]
                continue
            if blocker in on_path:
                begin = on_path[blocker]
                self.circle = tuple(dict.fromkeys(self._transactions(path[begin:])))
                return self._resolve(frozenset().union(blames, *links[begin + 1 :]))
            on_path[blocker] = len(path)
            path.append(blocker)
            links.append(blames)
        return number

    def _transactions(self, events: Sequence[int]) -> Iterator[int]:
        for event in events:
            if event < self.barrier_base:
                yield event % self.size

    def _blocker(self, event: int) -> tuple[int, frozenset[Blame]]:
        """Return an event that has to come first, and the choices that this rests on; or -1."""
        if self.waits_for[event]:
            before, place = self.before[event], self.place
            number = self.hint[event]
            while place[before[number]] >= 0:
                number = number + 1 if number + 1 < len(before) else 0
            self.hint[event] = number
            return before[number], self.conditions.get((before[number], event), _KNOWN)[-1]
        if event >= self.barrier_base:
            return -1, _NONE
        versions = self.versions
        if self.snapshots and event < self.size:
            for thing, _ in versions.puts[event]:
                other = versions.open_by[thing]
                if other >= 0:
                    return self.commit(other), frozenset([Blame(self.place[other], other, event)])
            return -1, _NONE
        transaction = event % self.size
        for thing, _ in versions.puts[transaction]:
            version = versions.current[thing]
            if versions.waiting[version]:
                reader = versions.waiting_reader(version, transaction, self.place)
                if reader >= 0:
                    return reader, self._blame(version, transaction)
        return -1, _NONE

    def _blame(self, version: int, transaction: int) -> frozenset[Blame]:
        """Say since when the writer of a version is before another: since it was placed."""
        writer = self.versions.writer[version]
        if writer == _INITIAL:
            return _NONE
        return frozenset([Blame(self.place[writer], writer, transaction)])

    def _place(self, event: int, goal: int) -> None:
        replaced: tuple[int, ...] = ()
        self.place[event] = len(self.trail)
        if event < self.size:
            self.versions.start(event, 1)
            if self.snapshots:
                self.versions.open(event, event)
        if self._commits(event):
            replaced = self.versions.replace(event % self.size)
            if self.snapshots:
                self.versions.open(event - self.size, -1)
        self.trail.append(_Entry(_PLACED, event, goal, replaced=replaced))
        for follower in self.after[event]:
            self.waits_for[follower] -= 1

    def _commits(self, event: int) -> bool:
        return event < self.barrier_base and (event >= self.size or not self.snapshots)

    def _take_back(self, entry: _Entry) -> None:
        if entry.kind != _PLACED:
            self._take_edge_back(self.commit(entry.first), entry.second)
            return
        event = entry.event
        self.place[event] = -1
        for follower in self.after[event]:
            self.waits_for[follower] += 1
        if self._commits(event):
            self.versions.restore(event % self.size, entry.replaced)
            if self.snapshots:
                self.versions.open(event - self.size, event - self.size)
        if event < self.size:
            self.versions.start(event, -1)
            if self.snapshots:
                self.versions.open(event, -1)

    def _take_edge_back(self, first: int, second: int) -> None:
        self.after[first].pop()
        self.before[second].pop()
        self.hint[second] = 0
        self.waits_for[second] -= 1
        conditions = self.conditions[first, second]
        conditions.pop()
        if not conditions:
            del self.conditions[first, second]

    # -- conflicts ------------------------------------------------------------------------------------------------

    def _resolve(self, blames: frozenset[Blame]) -> int:
        """Take back the latest choice that a circle rests on, and learn its opposite."""
        if not blames:
            raise _NoOrder
        latest = max(blame.place for blame in blames)
        last = sorted(blame for blame in blames if blame.place == latest)
        rest = frozenset(blame for blame in blames if blame.place != latest)
        entry = self._go_back_to(latest)
        if entry.kind == _DECIDED:
            # `first` before `second` fails, so `second` is before `first`, and one of the others before `second`.
            self._learn(entry.second, entry.first, rest, entry.goal)
            self._choose(entry.others, entry.second, rest | entry.blames, entry.goal)
        else:
            self._choose(tuple(blame.second for blame in last), last[0].first, rest, entry.goal)
        return entry.goal

    def _go_back_to(self, place: int) -> _Entry:
        kept: list[_Entry] = []
        while len(self.trail) > place:
            entry = self.trail.pop()
            self._take_back(entry)
            kept.append(entry)
        return kept[-1]

    def _choose(self, firsts: tuple[int, ...], second: int, blames: frozenset[Blame], goal: int) -> None:
        """One of these transactions is before `second`, under the condition of these choices."""
        if len(firsts) == 1:
            self._learn(firsts[0], second, blames, goal)
            return
        here = frozenset([Blame(len(self.trail), firsts[0], second)])
        entry = _Entry(_DECIDED, -1, goal, firsts[0], second, others=firsts[1:], blames=blames)
        self._add_edge(entry, here)

    def _learn(self, first: int, second: int, blames: frozenset[Blame], goal: int) -> None:
        if blames:
            self._add_edge(_Entry(_LEARNED, -1, goal, first, second, blames=blames), blames)
            return
        self.learned.append(Learned(first, second, self.circle))
        self._link_for_good(self.commit(first), second)

    def _link_for_good(self, first: int, second: int) -> None:
        """Add an edge below those that the trail will take back from the ends of the lists."""
        self.after[first].insert(0, second)
        self.before[second].insert(0, first)
        self.hint[second] = 0
        self.waits_for[second] += 1
        if (first, second) in self.conditions:
            self.conditions[first, second] = [_NONE] * len(self.conditions[first, second])

    def _add_edge(self, entry: _Entry, condition: frozenset[Blame]) -> None:
        first, second = self.commit(entry.first), entry.second
        self._link(first, second)
        self.conditions.setdefault((first, second), []).append(condition)
        self.trail.append(entry)

    def order(self) -> list[tuple[int, bool]]:
        """List the events of transactions in the order in which they were placed."""
        events = (entry.event for entry in self.trail if entry.kind == _PLACED and entry.event < self.barrier_base)
        if self.snapshots:
            return [(event % self.size, event >= self.size) for event in events]
        return [(event, is_commit) for event in events for is_commit in (False, True)]


_NONE: Final[frozenset[Blame]] = frozenset()
_KNOWN: Final = (_NONE,)
