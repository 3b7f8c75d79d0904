"""The general engine: just-in-time linearization, with everything that is known to keep it small.

It sweeps over calls and returns and keeps a *frontier*: all configurations in which the operations seen so far may have
left the object. Nothing is placed before it must be. An operation must be placed when it returns; then, and only then,
other pending operations may be placed before it. A configuration is

    (state, done, burden, used)

* `done`: which pending changing operations have been placed. One bit a slot; slots are given at the call and free again
  at the return, so configurations are as large as the concurrency and not as the history.
* `burden`: what still weighs on the configuration, two bits a slot, so that fewer bits are always better. A looking
  operation is a burden until the state has suited it once: it is placed in that moment, which never hurts (*greedy
  readers*). A blind write is unmet until it can be hidden (below); its second bit says that it has been exposed.
* `used`: how many crashed operations of each class have been placed, packed into one integer. Crashed operations never
  have slots: they stay pending for ever, and those of one class are interchangeable.

One configuration *dominates* another of equal state and `done` when its burden is a subset and its use no larger: it
can do all that the other can. Only undominated ones are kept.

**Blind writes** are either *exposed* (the state becomes their value) or *hidden* directly before another exposed write
inside their interval. Exposing one write therefore meets the obligation of all that are pending, and writing the value
that is already there meets it for free. A write that is met can still be exposed, until it returns: its return is the
last chance, and the search branches there, unless nobody later needs its value. Exposing a write that nobody observes
before the next one is never worth it, so moves are made only towards somebody who looks. Of equal classes the operation
that returns first is taken first, and a crashed one last (exchange arguments).

**Beam and widening.** The complete frontier decides exactly, but may be large. So a narrow beam goes first. If it dies,
the search goes back some way and tries again with a wider one, in geometric steps. `valid` needs any one configuration
to survive; `invalid` is said only when a frontier that was complete since its start died.

Notes: a step is one attempted move; a state is one configuration held. Valid histories take time linear in their length
for a given width. The worst case is exponential in the concurrency and in the number of distinct crashed classes.

References: G. Lowe, "Testing for linearizability", Concurrency and Computation 29 (2017), section 4 (just-in-time
linearization). K. Kingsbury, Knossos (memoised models). The rest is argued in docs/checkers.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from checkers.history import INF, Operation
from checkers.models import Model
from checkers.verdict import Validity

from .alphabet import CHANGE, ILLEGAL_STATE, LOOK, WRITE, Alphabet
from .result import LimitReached, Limits, LinearizabilityResult, Meter
from .suppliers import Unsupplied, find_unsupplied
from .witness import replay

ENGINE: Final = "jit"

NO_LIMITS: Final = Limits()

STRIDE: Final = 32
"""Events between snapshots to which the search can go back."""

FIRST_WIDTH: Final = 1
"""Configurations that the first, greedy beam keeps."""

WIDENING: Final = 4
"""Each time the beam dies it becomes so many times wider, and goes back twice as far."""

MOVES_PER_WIDTH: Final = 16
"""Configurations expanded at one return, for each one that the beam keeps."""

COUNT_BITS: Final = 20
"""Bits of a counter of used crashed operations, one of them a guard: enough for half a million of one class."""

Path = Any
"""A chain (previous path, move) of the moves made, newest first, or None; kept only where a witness is asked for."""

Config = tuple[int, int, int, int, Path]
"""(state, done, burden, used, path)"""


def applicable(operations: Sequence[Operation], model: Model) -> str | None:
    """Return None: every model will do."""
    return None


def check_operations(
    operations: Sequence[Operation], model: Model, limits: Limits = NO_LIMITS, *, witness: bool = False
) -> LinearizabilityResult:
    """Decide the operations of one object."""
    search = Search(operations, model, Meter(limits), witness=witness)
    unsupplied = find_unsupplied(search.alphabet)
    if unsupplied is not None:
        return search.refuted(unsupplied)
    try:
        blocked = search.run()
    except LimitReached as limit:
        return search.result("unknown", reason=limit.reason, machine_dependent=limit.machine_dependent)
    if blocked is not None:
        return search.result("invalid", blocked=blocked)
    return search.result("valid", order=search.order() if witness else None)


class Pending:
    """What is pending at one moment; equal for all configurations, so it can be rebuilt at any event."""

    __slots__ = ("changes", "crashed", "fresh", "looks", "obligations", "suits", "writes")

    def __init__(self) -> None:
        self.looks: dict[int, int] = {}  # burden bit -> class
        self.writes: dict[int, list[tuple[int, int]]] = {}  # class -> [(return, burden bit)], first return first
        self.changes: dict[int, list[tuple[int, int]]] = {}  # class -> [(return, done bit)], first return first
        self.crashed: dict[int, int] = {}  # class -> how many were called
        self.obligations = 0  # burden bits of the pending writes
        self.fresh = 0  # burden bits of operations called since the frontier was last brought up to date
        self.suits: dict[int, int] = {}  # state -> burden bits that it lifts

    def copy(self) -> Pending:
        twin = Pending()
        twin.looks = dict(self.looks)
        twin.writes = {kind: list(entries) for kind, entries in self.writes.items()}
        twin.changes = {kind: list(entries) for kind, entries in self.changes.items()}
        twin.crashed = dict(self.crashed)
        twin.obligations = self.obligations
        twin.fresh = self.fresh
        twin.suits = dict(self.suits)
        return twin


class Snapshot(NamedTuple):
    """Where the search can go back to. `complete`: every configuration there is stands in the frontier."""

    position: int
    frontier: list[Config]
    pending: Pending
    complete: bool


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
        burden, used = config[2], config[3]
        guards = self.guards
        worse = False
        for other in group:
            if not other[2] & ~burden and (
                other[3] == used or not other[3] or ((used | guards) - other[3]) & guards == guards
            ):
                return False
            if not burden & ~other[2] and (
                other[3] == used or not used or ((other[3] | guards) - used) & guards == guards
            ):
                worse = True
        if worse:
            kept = [
                other
                for other in group
                if burden & ~other[2] or (used and ((other[3] | guards) - used) & guards != guards)
            ]
            self.size += 1 + len(kept) - len(group)
            kept.append(config)
            self.groups[key] = kept
        else:
            group.append(config)
            self.size += 1
        return True

    def configs(self) -> list[Config]:
        """List the configurations."""
        return [config for group in self.groups.values() for config in group]


class Search:
    """One search over one object's operations."""

    def __init__(self, operations: Sequence[Operation], model: Model, meter: Meter, *, witness: bool = False) -> None:
        self.alphabet = Alphabet(operations, model)
        self.meter = meter
        self.witness = witness
        self.steps = 0
        self.checked_at = 0
        self.largest = 0
        self.events, self.slots = _events(self.alphabet.operations)
        self.crashed_place = {kind: place for place, kind in enumerate(self.alphabet.crashed_classes())}
        self.guards = sum(1 << (COUNT_BITS * place + COUNT_BITS - 1) for place in self.crashed_place.values())
        self.pending = Pending()
        self.frontier: list[Config] = [(self.alphabet.start, 0, 0, 0, None)]
        self.complete = True
        self.width: int = FIRST_WIDTH

    # -- the sweep, and going back ------------------------------------------------------------------------------------

    def run(self) -> Operation | None:
        """Sweep to the end; return the operation at whose return a complete frontier died, if one did."""
        snapshots: list[Snapshot] = []
        position, level, safe = 0, 0, -1  # `safe`: from there on the beam may be narrow again
        events = self.events
        while position < len(events):
            if position % STRIDE == 0 and (not snapshots or snapshots[-1].position < position):
                if self.complete:
                    snapshots.clear()
                snapshots.append(Snapshot(position, self.frontier, self.pending.copy(), self.complete))
            if level and position > safe:
                level, self.width = 0, FIRST_WIDTH
            number = events[position]
            if number >= 0:
                self.call(number)
            else:
                self.returned(~number, position)
                if not self.frontier:
                    if self.complete:
                        return self.alphabet.operations[~number]
                    level += 1
                    back = STRIDE << level
                    safe = max(safe, position + back)
                    self.width = FIRST_WIDTH * WIDENING**level
                    position = self.go_back(snapshots, position - back)
                    continue
            position += 1
        return None

    def go_back(self, snapshots: list[Snapshot], target: int) -> int:
        """Return to the last snapshot at or before the target, but not further than to a complete one."""
        while len(snapshots) > 1 and snapshots[-1].position > target and not snapshots[-1].complete:
            snapshots.pop()
        snapshot = snapshots[-1]
        self.frontier = snapshot.frontier
        self.pending = snapshot.pending.copy()
        self.complete = snapshot.complete
        return snapshot.position

    # -- events -------------------------------------------------------------------------------------------------------

    def call(self, number: int) -> None:
        alphabet, pending = self.alphabet, self.pending
        kind = alphabet.classes[number]
        ret = alphabet.operations[number].ret
        if ret == INF:
            pending.crashed[kind] = pending.crashed.get(kind, 0) + 1
            return
        slot = self.slots[number]
        sort = alphabet.sorts[kind]
        if sort == CHANGE:
            _insert(pending.changes, kind, (ret, 1 << slot))
            return
        bit = 1 << 2 * slot
        pending.fresh |= bit
        pending.suits.clear()
        if sort == LOOK:
            pending.looks[bit] = kind
        else:
            _insert(pending.writes, kind, (ret, bit))
            pending.obligations |= bit

    def returned(self, number: int, position: int) -> None:
        """Keep what has placed the returning operation, or can place it now."""
        self.refresh()
        alphabet, pending = self.alphabet, self.pending
        kind = alphabet.classes[number]
        slot = self.slots[number]
        sort = alphabet.sorts[kind]
        bit = 1 << slot if sort == CHANGE else 1 << 2 * slot
        if sort == LOOK:
            self.force_look(bit, position)
            del pending.looks[bit]
        elif sort == CHANGE:
            self.force_change(bit, position)
            _remove(pending.changes, kind, bit)
        else:
            self.force_write(kind, bit, position)
            _remove(pending.writes, kind, bit)
            pending.obligations &= ~bit
        if sort != CHANGE:
            pending.suits.clear()

    def refresh(self) -> None:
        """Put the burden of newly called operations on every configuration whose state does not lift it."""
        fresh = self.pending.fresh
        if fresh:
            suits = self.suits
            self.frontier = [
                (state, done, burden | (fresh & ~suits(state)), used, path)
                for state, done, burden, used, path in self.frontier
            ]
            self.pending.fresh = 0

    def suits(self, state: int) -> int:
        """Return the burden bits of pending operations that this state lifts."""
        found = self.pending.suits.get(state)
        if found is None:
            found = 0
            step = self.alphabet.step
            for bit, kind in self.pending.looks.items():
                if step(kind, state) != ILLEGAL_STATE:
                    found |= bit
            for kind, entries in self.pending.writes.items():
                if self.alphabet.targets[kind] == state:
                    for _, bit in entries:
                        found |= bit
            self.pending.suits[state] = found
        return found

    # -- what a return forces -----------------------------------------------------------------------------------------

    def force_look(self, bit: int, position: int) -> None:
        passed = [config for config in self.frontier if not config[2] & bit]
        todo = [config for config in self.frontier if config[2] & bit]
        result = Frontier(self.guards)
        for config in passed:
            result.add(config)
        if todo:
            seen = Frontier(self.guards)
            for config in passed:
                seen.add(config)
            self.search(todo, seen, result, position, goal_clear=bit, goal_done=0, goal_exposed=0)
        self.settle(result, 0, 0)

    def force_change(self, bit: int, position: int) -> None:
        passed = [config for config in self.frontier if config[1] & bit]
        todo = [config for config in self.frontier if not config[1] & bit]
        result = Frontier(self.guards)
        for state, done, burden, used, path in passed:
            result.add((state, done & ~bit, burden, used, path))
        if todo:
            self.search(todo, Frontier(self.guards), result, position, goal_clear=0, goal_done=bit, goal_exposed=0)
        self.settle(result, bit, 0)

    def force_write(self, kind: int, bit: int, position: int) -> None:
        exposed = bit << 1
        both = bit | exposed
        result = Frontier(self.guards)
        todo = []
        needed = self.alphabet.last_need(self.alphabet.targets[kind]) > self.events_index(position)
        for config in self.frontier:
            state, done, burden, used, path = config
            if not burden & bit:
                result.add((state, done, burden & ~both, used, path))
            if burden & bit or (needed and not burden & exposed):
                todo.append(config)
        if todo:
            self.search(
                todo, Frontier(self.guards), result, position, goal_clear=bit, goal_done=0, goal_exposed=exposed
            )
        self.settle(result, 0, both)

    def events_index(self, position: int) -> int:
        return self.alphabet.operations[~self.events[position]].ret

    def settle(self, result: Frontier, done: int, burden: int) -> None:
        """Make the result the frontier, cut to the width of the beam."""
        configs = result.configs()
        if len(configs) > self.largest:
            self.largest = len(configs)
        if len(configs) > self.width:
            configs = _best(configs, self.width)
            self.complete = False
        self.frontier = configs
        self.spend(0)

    def spend(self, held: int) -> None:
        if self.steps - self.checked_at >= self.meter.interval:
            self.checked_at = self.steps
            self.meter.check(self.steps, held + len(self.frontier))

    # -- moves --------------------------------------------------------------------------------------------------------

    def search(
        self,
        todo: list[Config],
        seen: Frontier,
        result: Frontier,
        position: int,
        *,
        goal_clear: int,
        goal_done: int,
        goal_exposed: int,
    ) -> None:
        """Make moves from these configurations, breadth first, until the returning operation is placed.

        It is placed when `goal_clear` is no burden any more, or `goal_done` is done. A returning write may be met and
        still be exposed later on the way (`goal_exposed`), so the search goes on from where it is only met.
        """
        queue = deque(config for config in todo if seen.add(config))
        budget = len(todo) + self.width * MOVES_PER_WIDTH
        forget_burden = goal_clear | goal_exposed
        while queue:
            if budget <= 0:
                self.complete = False
                return
            budget -= 1
            parent = queue.popleft()
            was_met = not parent[2] & goal_clear
            for config in self.moves(parent, position, goal_exposed):
                state, done, burden, used, path = config
                if goal_done:
                    if done & goal_done:
                        result.add((state, done & ~goal_done, burden, used, path))
                        continue
                elif burden & goal_exposed or not (was_met or burden & goal_clear):
                    result.add((state, done, burden & ~forget_burden, used, path))
                    if not goal_exposed or burden & goal_exposed:
                        continue
                if seen.add(config):
                    queue.append(config)
            self.spend(seen.size + result.size)

    def moves(self, config: Config, position: int, wanted: int) -> list[Config]:
        """List the configurations one useful move further; `wanted` is the exposed bit that is useful in itself."""
        state, done, burden, used, path = config
        pending, alphabet = self.pending, self.alphabet
        found: list[Config] = []
        step = alphabet.step
        targets = alphabet.targets
        obligations = pending.obligations
        for kind, entries in pending.writes.items():
            for _, bit in entries:
                if not burden & (bit << 1):
                    break
            else:
                continue
            target = targets[kind]
            if bit << 1 == wanted or self.is_useful(target, state, done, burden, used):
                self.steps += 1
                left = ((burden & ~obligations) | bit << 1) & ~self.suits(target)
                found.append((target, done, left, used, self.longer(path, position, kind, bit.bit_length() // 2)))
        for kind, entries in pending.changes.items():
            after = step(kind, state)
            if after != ILLEGAL_STATE:
                for _, bit in entries:
                    if not done & bit:
                        self.steps += 1
                        left = burden & ~self.suits(after)
                        found.append(
                            (after, done | bit, left, used, self.longer(path, position, kind, bit.bit_length() - 1))
                        )
                        break
        if pending.crashed:
            self.crashed_moves(config, position, found)
        return found

    def crashed_moves(self, config: Config, position: int, found: list[Config]) -> None:
        state, done, burden, used, path = config
        pending, alphabet = self.pending, self.alphabet
        for kind, called in pending.crashed.items():
            shift = COUNT_BITS * self.crashed_place[kind]
            if used >> shift & (1 << COUNT_BITS - 1) - 1 >= called:
                continue
            if alphabet.sorts[kind] == WRITE:
                after = alphabet.targets[kind]
                live = pending.writes.get(kind)
                if live is not None and any(not burden & (bit << 1) for _, bit in live):
                    continue
                if after == state or not self.is_useful(after, state, done, burden, used):
                    continue
                left = burden & ~pending.obligations & ~self.suits(after)
            else:
                after = alphabet.step(kind, state)
                live = pending.changes.get(kind)
                if after in (ILLEGAL_STATE, state):
                    continue
                if live is not None and any(not done & bit for _, bit in live):
                    continue
                left = burden & ~self.suits(after)
            self.steps += 1
            found.append((after, done, left, used + (1 << shift), self.longer(path, position, kind, -1)))

    def is_useful(self, target: int, state: int, done: int, burden: int, used: int) -> bool:
        """Whether somebody pending and not yet placed looks at this state: a looker, or a change legal there."""
        suits = self.suits(target)
        if burden & suits & ~self.pending.obligations:
            return True
        step = self.alphabet.step
        for kind, entries in self.pending.changes.items():
            if step(kind, target) != ILLEGAL_STATE:
                for _, bit in entries:
                    if not done & bit:
                        return True
        for kind, called in self.pending.crashed.items():
            if self.alphabet.sorts[kind] == CHANGE:
                after = step(kind, target)
                shift = COUNT_BITS * self.crashed_place[kind]
                if after not in (ILLEGAL_STATE, target) and used >> shift & (1 << COUNT_BITS - 1) - 1 < called:
                    return True
        return False

    def longer(self, path: Path, position: int, kind: int, slot: int) -> Path:
        return (path, (position, kind, slot)) if self.witness else None

    def order(self) -> tuple[Operation, ...]:
        """Return the order that the first surviving configuration stands for."""
        moves = []
        path = self.frontier[0][4]
        while path is not None:
            path, move = path
            moves.append(move)
        return tuple(replay(self.alphabet, self.events, self.slots, moves[::-1]))

    def refuted(self, unsupplied: Unsupplied) -> LinearizabilityResult:
        return LinearizabilityResult(
            validity="invalid",
            engine=ENGINE,
            steps=len(self.alphabet.operations),
            blocked=unsupplied.observer,
            culprits=unsupplied.culprits,
        )

    def result(
        self,
        validity: Validity,
        *,
        blocked: Operation | None = None,
        order: tuple[Operation, ...] | None = None,
        reason: str = "",
        machine_dependent: bool = False,
    ) -> LinearizabilityResult:
        return LinearizabilityResult(
            validity=validity,
            engine=ENGINE,
            steps=self.steps,
            states=self.largest,
            blocked=blocked,
            swept=True,
            order=order,
            reason=reason,
            machine_dependent=machine_dependent,
        )


def _events(operations: Sequence[Operation]) -> tuple[list[int], list[int]]:
    """Order calls (number) and returns (~number) by index, and give each live operation the lowest free slot."""
    stamped = [(operation.call, number) for number, operation in enumerate(operations)]
    stamped += [(operation.ret, ~number) for number, operation in enumerate(operations) if operation.ret != INF]
    stamped.sort()
    events = [number for _, number in stamped]
    slots = [-1] * len(operations)
    free: list[int] = []
    width = 0
    for number in events:
        if number < 0:
            free.append(slots[~number])
        elif operations[number].ret != INF:
            if not free:
                free.append(width)
                width += 1
            slots[number] = free.pop()
    return events, slots


def _insert(pending: dict[int, list[tuple[int, int]]], kind: int, entry: tuple[int, int]) -> None:
    entries = pending.setdefault(kind, [])
    entries.append(entry)
    entries.sort()


def _remove(pending: dict[int, list[tuple[int, int]]], kind: int, bit: int) -> None:
    entries = [entry for entry in pending[kind] if entry[1] != bit]
    if entries:
        pending[kind] = entries
    else:
        del pending[kind]


def _best(configs: list[Config], width: int) -> list[Config]:
    """Keep the least burdened configurations, as many states as possible."""
    ranked = sorted(configs, key=lambda config: (config[2].bit_count() + 2 * config[3].bit_count(), config[:4]))
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
