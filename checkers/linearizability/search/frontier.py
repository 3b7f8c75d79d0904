"""The frontier of just-in-time linearization: every configuration in which what was seen may have left the object.

Calls and returns are taken in order. Nothing is placed before it must be: an operation must be placed when it
returns; then, and only then, other pending operations may be placed before it. A configuration is

    (state, done, obligations, used)

* `done`: which pending changing operations have been placed. One bit a slot; slots are given at the call and free again
  at the return, so configurations are as large as the concurrency and not as the history.
* `obligations`: what still weighs on the configuration, two bits a slot, so that fewer bits are always better. A
  looking operation is an obligation until a state has satisfied it once: it is placed in that moment, which never hurts
  (*greedy readers*). A blind write is unmet until it can be hidden (below); its second bit says that it has been
  exposed.
* `used`: how many crashed operations of each class have been placed, packed into one integer. Crashed operations never
  have slots: they stay pending, and those of one class are interchangeable.

One configuration *dominates* another of equal state and `done` when its obligations are a subset and its use no larger:
it can do all that the other can. Only undominated ones are kept.

**Blind writes** are either *exposed* (the state becomes their value) or *hidden* directly before another exposed write
inside their interval. Exposing one write therefore meets the obligation of all that are pending, and writing the value
that is already there meets it for free. A write that is met can still be exposed, until it returns: its return is the
last chance, and the search branches there, unless no later operation needs its value. Exposing a write that is not
observed before the next one is never worth it, so moves are made only towards an observation. Of one class the
operation that returns first is taken first, and a crashed one last: any order that does otherwise still holds when the
two are exchanged. docs/checkers.md argues each of these.

Notes: a step is one move. With `width` set, a search keeps no more configurations than that, and remembers in
`complete` whether it ever had to choose.

References: G. Lowe, "Testing for linearizability", Concurrency and Computation 29 (2017), section 4 (just-in-time
linearization).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from checkers.linearizability.partition import pending as as_pending
from checkers.linearizability.result import Meter
from checkers.models.model import Later
from checkers.operation import INF, Operation

from .encoding import CHANGE, ILLEGAL_STATE, LOOK, WRITE, Encoding
from .look_ahead import LookAhead

UNLIMITED: Final = 1 << 60

MOVES_PER_WIDTH: Final = 16
"""Configurations expanded at one return, for each one that the search may keep."""

COUNT_BITS: Final = 20
"""Bits of a counter of used crashed operations, one of them a guard: enough for half a million of one class."""

COUNT_MASK: Final = (1 << COUNT_BITS - 1) - 1

Move = tuple[int, int, int]
"""(event position, class, slot; -1 for a crashed operation)"""

Path = Any
"""A chain (previous path, move) of the moves made, newest first, or None; kept only where a witness is asked for."""

Config = tuple[int, int, int, int, Path]
"""(state, done, obligations, used, path)"""

Entries = dict[int, list[tuple[int, int]]]
"""class -> [(return, bit)] of its pending operations, first return first"""


class Pending:
    """What is pending at one moment; equal for all configurations."""

    __slots__ = ("changes", "crashed", "foreseen", "fresh", "looks", "satisfied", "write_bits", "writes")

    def __init__(self) -> None:
        self.looks: dict[int, int] = {}  # obligation bits -> class
        self.writes: Entries = {}  # by obligation bits
        self.changes: Entries = {}  # by done bits
        self.crashed: dict[int, int] = {}  # class -> how many were called
        self.write_bits = 0  # obligation bits of the pending writes
        self.fresh = 0  # obligation bits of operations called since the frontier was last brought up to date
        self.satisfied: dict[int, int] = {}  # state -> obligation bits that it satisfies
        self.foreseen: dict[int, tuple[int, int, Operation]] = {}  # slot -> (sort, bit, what a look ahead may see)

    def copy(self) -> Pending:
        twin = Pending()
        twin.looks = dict(self.looks)
        twin.writes = {kind: list(entries) for kind, entries in self.writes.items()}
        twin.changes = {kind: list(entries) for kind, entries in self.changes.items()}
        twin.crashed = dict(self.crashed)
        twin.write_bits = self.write_bits
        twin.fresh = self.fresh
        twin.satisfied = dict(self.satisfied)
        twin.foreseen = dict(self.foreseen)
        return twin

    def add(self, sort: int, kind: int, slot: int, ret: int) -> None:
        """Take the call of an operation that will return."""
        if sort == CHANGE:
            _insert(self.changes, kind, (ret, 1 << slot))
            return
        bit = 1 << 2 * slot
        self.fresh |= bit
        self.satisfied.clear()
        if sort == LOOK:
            self.looks[bit] = kind
        else:
            _insert(self.writes, kind, (ret, bit))
            self.write_bits |= bit

    def remove(self, sort: int, kind: int, slot: int, bit: int) -> None:
        """Take the return of an operation that every configuration has placed."""
        self.foreseen.pop(slot, None)
        if sort == CHANGE:
            _remove(self.changes, kind, bit)
            return
        self.satisfied.clear()
        if sort == LOOK:
            del self.looks[bit]
        else:
            _remove(self.writes, kind, bit)
            self.write_bits &= ~bit

    def kinds(self) -> set[int]:
        """Collect the classes that are named here."""
        return {*self.looks.values(), *self.writes, *self.changes, *self.crashed}

    def rename(self, kinds: Mapping[int, int]) -> None:
        """Give classes the numbers that another encoding has for them."""
        self.looks = {bit: kinds[kind] for bit, kind in self.looks.items()}
        self.writes = {kinds[kind]: entries for kind, entries in self.writes.items()}
        self.changes = {kinds[kind]: entries for kind, entries in self.changes.items()}
        self.crashed = {kinds[kind]: count for kind, count in self.crashed.items()}
        self.satisfied.clear()

    @property
    def is_quiescent(self) -> bool:
        """Whether nothing but crashed operations is pending."""
        return not (self.looks or self.writes or self.changes)


class Frontier:
    """A set of configurations in which none dominates another."""

    __slots__ = ("groups", "guards", "size")

    def __init__(self, guards: int) -> None:
        self.groups: dict[tuple[int, int], list[Config]] = {}
        self.guards = guards
        self.size = 0

    def add(self, config: Config) -> bool:
        """Add a configuration unless one that is there dominates it; drop those that it dominates."""
        key = config[:2]
        group = self.groups.get(key)
        if group is None:
            self.groups[key] = [config]
            self.size += 1
            return True
        obligations, used = config[2], config[3]
        worse = False
        for other in group:
            if not other[2] & ~obligations and self.no_more(other[3], used):
                return False
            if not obligations & ~other[2] and self.no_more(used, other[3]):
                worse = True
        if worse:
            kept = [other for other in group if obligations & ~other[2] or not self.no_more(used, other[3])]
            self.size -= len(group) - len(kept)
            group = self.groups[key] = kept
        group.append(config)
        self.size += 1
        return True

    def no_more(self, used: int, than: int) -> bool:
        """Whether every counter of one is at most that of the other: no guard bit is borrowed from."""
        return not used or used == than or ((than | self.guards) - used) & self.guards == self.guards

    def configs(self) -> list[Config]:
        """List the configurations."""
        return [config for group in self.groups.values() for config in group]


class FrontierSearch:
    """The frontier of one object's history, event by event."""

    def __init__(
        self,
        encoding: Encoding,
        meter: Meter,
        *,
        width: int = UNLIMITED,
        witness: bool = False,
        look_ahead: LookAhead | None = None,
    ) -> None:
        self.encoding = encoding
        self.look_ahead = look_ahead
        self.meter = meter
        self.width = width
        self.witness = witness
        self.pending = Pending()
        self.frontier: list[Config] = [(encoding.start, 0, 0, 0, None)]
        self.complete = True  # no configuration was ever left out for want of width
        self.places: dict[int, int] = {}  # class of crashed operations -> shift of its counter
        self.guards = 0  # the guard bit of every counter
        self.steps = 0
        self.largest = 0
        self._checked_at = 0
        self._position = 0
        self._moment = -1  # the index of the event at hand
        self._foreseen_bits = 0, 0  # of the foreseen pending changes and looks
        self._later: dict[tuple[int, int], Later] = {}  # at this event, by what of the foreseen is unplaced

    def twin(self, meter: Meter) -> FrontierSearch:
        """Return a search of any width over the same classes, which begins at the beginning."""
        search = FrontierSearch(self.encoding, meter, look_ahead=self.look_ahead)
        search.places, search.guards = self.places, self.guards
        return search

    def call(self, kind: int, slot: int, ret: int, operation: Operation | None = None) -> None:
        """Take the call of an operation that will return at `ret`; to look ahead, `operation` must be told."""
        pending = self.pending
        if ret == INF:
            if kind not in self.places:
                shift = self.places[kind] = COUNT_BITS * len(self.places)
                self.guards |= 1 << shift + COUNT_BITS - 1
            pending.crashed[kind] = pending.crashed.get(kind, 0) + 1
            return
        sort = self.encoding.sorts[kind]
        if self.look_ahead is not None and operation is not None and self.look_ahead.model.foresees(operation):
            pending.foreseen[slot] = (sort, 1 << slot if sort == CHANGE else 1 << 2 * slot, operation)
        pending.add(sort, kind, slot, ret)

    def returned(self, kind: int, slot: int, ret: int, position: int = 0) -> bool:
        """Take a return: keep what has placed the operation, or can place it now. False if nothing can."""
        self._refresh()
        self._position = position
        self._moment = ret
        self._later.clear()
        sort = self.encoding.sorts[kind]
        bit = 1 << slot if sort == CHANGE else 1 << 2 * slot
        if sort == LOOK:
            self._force_look(bit)
        elif sort == CHANGE:
            self._force_change(bit)
        else:
            self._force_write(kind, bit, ret)
        self.pending.remove(sort, kind, slot, bit)
        return bool(self.frontier)

    # -- what a call brings, and what a state satisfies ----------------------------------------------------------------

    def _refresh(self) -> None:
        """Add the obligations of newly called operations to every configuration whose state does not satisfy them."""
        fresh = self.pending.fresh
        if fresh:
            satisfied = self._satisfied_by
            self.frontier = [
                (state, done, obligations | (fresh & ~satisfied(state)), used, path)
                for state, done, obligations, used, path in self.frontier
            ]
            self.pending.fresh = 0

    def _satisfied_by(self, state: int) -> int:
        """Return the obligation bits of pending operations that this state satisfies."""
        found = self.pending.satisfied.get(state)
        if found is None:
            found = 0
            step = self.encoding.step
            for bit, kind in self.pending.looks.items():
                if step(kind, state) != ILLEGAL_STATE:
                    found |= bit
            for kind, entries in self.pending.writes.items():
                if self.encoding.targets[kind] == state:
                    for _, bit in entries:
                        found |= bit
            self.pending.satisfied[state] = found
        return found

    # -- what a return forces -----------------------------------------------------------------------------------------

    def _force_look(self, bit: int) -> None:
        result, seen = Frontier(self.guards), Frontier(self.guards)
        todo = []
        for config in self.frontier:
            if config[2] & bit:
                todo.append(config)
            else:
                result.add(config)
                seen.add(config)
        if todo:
            self._search(todo, seen, result, clear=bit)
        self._replace_frontier(result)

    def _force_change(self, bit: int) -> None:
        result = Frontier(self.guards)
        todo = []
        for config in self.frontier:
            state, done, obligations, used, path = config
            if done & bit:
                result.add((state, done & ~bit, obligations, used, path))
            else:
                todo.append(config)
        if todo:
            self._search(todo, Frontier(self.guards), result, done=bit)
        self._replace_frontier(result)

    def _force_write(self, kind: int, bit: int, ret: int) -> None:
        """A write that is met may go; one that is not exposed has its last chance to be, if its value is needed."""
        exposed = bit << 1
        result = Frontier(self.guards)
        todo = []
        needed = self.encoding.last_need(self.encoding.targets[kind]) > ret
        for config in self.frontier:
            state, done, obligations, used, path = config
            if not obligations & bit:
                result.add((state, done, obligations & ~exposed, used, path))
            if obligations & bit or (needed and not obligations & exposed):
                todo.append(config)
        if todo:
            self._search(todo, Frontier(self.guards), result, clear=bit, exposed=exposed)
        self._replace_frontier(result)

    def _replace_frontier(self, result: Frontier) -> None:
        """Make the result the frontier, cut to the width."""
        configs = result.configs()
        self.largest = max(self.largest, len(configs))
        if len(configs) > self.width:
            configs = _best(configs, self.width)
            self.complete = False
        self.frontier = configs

    def _spend(self, held: int) -> None:
        if self.steps - self._checked_at >= self.meter.interval:
            self._checked_at = self.steps
            self.meter.check(self.steps, held + len(self.frontier))

    # -- looking ahead ------------------------------------------------------------------------------------------------

    def _is_dead(self, look_ahead: LookAhead, config: Config) -> bool:
        """Whether the answers that are still to come cannot be given from this configuration."""
        state, done, obligations, _, _ = config
        if not self._later:
            changes = looks = 0
            for sort, bit, _ in self.pending.foreseen.values():
                changes |= bit if sort == CHANGE else 0
                looks |= bit if sort == LOOK else bit << 1 if sort == WRITE else 0
            self._foreseen_bits = changes, looks
        changes, looks = self._foreseen_bits
        key = (done & changes, obligations & looks)
        later = self._later.get(key)
        if later is None:
            later = self._later[key] = look_ahead.after(self._moment, _unplaced(self.pending, done, obligations))
        return look_ahead.is_dead(self.encoding.states[state], later)

    # -- moves --------------------------------------------------------------------------------------------------------

    def _search(
        self, todo: list[Config], seen: Frontier, result: Frontier, *, clear: int = 0, done: int = 0, exposed: int = 0
    ) -> None:
        """Make moves from these configurations, breadth first, until the returning operation is placed.

        It is placed when `clear` is no obligation any more, or `done` is done. A returning write may be met on the way
        and still be exposed (`exposed`) later, so the search goes on from where it is only met.
        """
        queue = deque(config for config in todo if seen.add(config))
        budget = len(todo) + self.width * MOVES_PER_WIDTH
        forget = ~(clear | exposed)
        while queue:
            if budget <= 0:
                self.complete = False
                return
            budget -= 1
            parent = queue.popleft()
            was_met = not parent[2] & clear
            for config in self._moves(parent, exposed):
                if self.look_ahead is not None and self._is_dead(self.look_ahead, config):
                    continue
                state, now_done, obligations, used, path = config
                if done:
                    if now_done & done:
                        result.add((state, now_done & ~done, obligations, used, path))
                        continue
                elif obligations & exposed or not (was_met or obligations & clear):
                    result.add((state, now_done, obligations & forget, used, path))
                    if not exposed or obligations & exposed:
                        continue
                if seen.add(config):
                    queue.append(config)
            self._spend(seen.size + result.size)

    def _moves(self, config: Config, wanted: int) -> list[Config]:
        """List the configurations one useful move further; `wanted` is the exposed bit that is useful in itself."""
        state, done, obligations, used, path = config
        pending = self.pending
        step = self.encoding.step
        targets = self.encoding.targets
        found: list[Config] = []
        for kind, entries in pending.writes.items():
            for _, bit in entries:
                if not obligations & (bit << 1):
                    break
            else:
                continue
            target = targets[kind]
            if bit << 1 == wanted or self._is_useful(target, done, obligations, used):
                left = ((obligations & ~pending.write_bits) | bit << 1) & ~self._satisfied_by(target)
                found.append((target, done, left, used, self._longer(path, kind, bit.bit_length() // 2)))
        for kind, entries in pending.changes.items():
            after = step(kind, state)
            if after != ILLEGAL_STATE:
                for _, bit in entries:
                    if not done & bit:
                        left = obligations & ~self._satisfied_by(after)
                        found.append((after, done | bit, left, used, self._longer(path, kind, bit.bit_length() - 1)))
                        break
        if pending.crashed:
            self._crashed_moves(config, found)
        self.steps += len(found)
        return found

    def _crashed_moves(self, config: Config, found: list[Config]) -> None:
        state, done, obligations, used, path = config
        pending, encoding = self.pending, self.encoding
        for kind, called in pending.crashed.items():
            shift = self.places[kind]
            if used >> shift & COUNT_MASK >= called:
                continue
            if encoding.sorts[kind] == WRITE:
                after = encoding.targets[kind]
                live = pending.writes.get(kind, ())
                if after == state or any(not obligations & (bit << 1) for _, bit in live):
                    continue
                if not self._is_useful(after, done, obligations, used):
                    continue
                left = obligations & ~pending.write_bits & ~self._satisfied_by(after)
            else:
                after = encoding.step(kind, state)
                live = pending.changes.get(kind, ())
                if after in (ILLEGAL_STATE, state) or any(not done & bit for _, bit in live):
                    continue
                left = obligations & ~self._satisfied_by(after)
            found.append((after, done, left, used + (1 << shift), self._longer(path, kind, -1)))

    def _is_useful(self, target: int, done: int, obligations: int, used: int) -> bool:
        """Whether a pending operation, not yet placed, needs this state: a read, or a change legal there."""
        if obligations & self._satisfied_by(target) & ~self.pending.write_bits:
            return True
        step = self.encoding.step
        for kind, entries in self.pending.changes.items():
            if step(kind, target) != ILLEGAL_STATE:
                for _, bit in entries:
                    if not done & bit:
                        return True
        for kind, called in self.pending.crashed.items():
            is_left = self.encoding.sorts[kind] == CHANGE and used >> self.places[kind] & COUNT_MASK < called
            if is_left and step(kind, target) not in (ILLEGAL_STATE, target):
                return True
        return False

    def _longer(self, path: Path, kind: int, slot: int) -> Path:
        return (path, (self._position, kind, slot)) if self.witness else None

    def path(self) -> list[Move]:
        """Return the moves of the first configuration, in order."""
        moves = []
        path = self.frontier[0][4]
        while path is not None:
            path, move = path
            moves.append(move)
        return moves[::-1]


def _unplaced(pending: Pending, done: int, obligations: int) -> tuple[Operation, ...]:
    """List the foreseen operations that are pending here. A write not exposed yet may come or not."""
    found = []
    for sort, bit, operation in pending.foreseen.values():
        if sort == WRITE:
            if not obligations & bit << 1:
                found.append(as_pending(operation))
        elif (sort == CHANGE and not done & bit) or (sort == LOOK and obligations & bit):
            found.append(operation)
    return tuple(found)


def _insert(pending: Entries, kind: int, entry: tuple[int, int]) -> None:
    entries = pending.setdefault(kind, [])
    entries.append(entry)
    entries.sort()


def _remove(pending: Entries, kind: int, bit: int) -> None:
    entries = [entry for entry in pending[kind] if entry[1] != bit]
    if entries:
        pending[kind] = entries
    else:
        del pending[kind]


def _best(configs: list[Config], width: int) -> list[Config]:
    """Keep the configurations that owe and have used the least, of as many states as possible."""
    ranked = sorted(configs, key=lambda config: (config[2].bit_count() + 2 * _count_of(config[3]), config[:4]))
    by_state: dict[int, list[Config]] = {}
    for config in ranked:
        by_state.setdefault(config[0], []).append(config)
    kept: list[Config] = []
    rank = 0
    while len(kept) < width:
        for group in by_state.values():
            if rank < len(group) and len(kept) < width:
                kept.append(group[rank])
        rank += 1
    return kept


def _count_of(used: int) -> int:
    """Return how many crashed operations were placed: the sum of the counters (a sum of digits, as by casting out)."""
    return used % ((1 << COUNT_BITS) - 1)
