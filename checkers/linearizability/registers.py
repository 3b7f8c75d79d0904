"""Registers whose written values are unique: an exact check in O(n log n), whatever the concurrency.

When no value is written twice, each read names the operation that it read from. All operations of one value v (its
write, its completed reads, a successful cas that expected it) form a **cluster**, and the state is v from the first to
the last of them without interruption. Let f be the smallest return and s the largest call of the cluster:

* f < s is a **forward zone**: the state is certainly v between f and s.
* s < f is a **backward zone**: the whole cluster fits into one instant between s and f.

A history of reads and writes is linearizable iff each read returns after the call of the write it names, forward zones
are disjoint, and no backward zone lies strictly inside a forward one (Gibbons and Korach, section 4; the zones are
those of Golab, Li and Shah, section 3.2).

* **A successful cas(a, b)** makes the cluster of b follow that of a directly. Clusters joined so form a **block**,
  whose inner order is given; it must agree with real time, and then the block has one zone (smallest f, largest s).
  Two successful cas from one value are a violation.
* **A crashed operation** that nobody observed is left out. A crashed write or cas whose value was observed must have
  happened, at any time after its call (its return is infinite); and so must what a crashed cas of that kind expected,
  until nothing changes (a crashed cas may be needed by another crashed cas alone).
* **A refused cas(a, _)** says that the state was not a, at some instant of its interval. It never moves the state, so
  it does not matter for the zones, and most are settled by them: another value was certainly the state meanwhile. What
  zones leave open goes to `refusals`, which is exact too. With refused cas in the history, a crashed write that nobody
  read may matter after all, since it can end the time of another value.

The rows are columns of plain values, so that a million operations need no million objects. `Columns.of` makes them
from operations; anything that it cannot express (a value written twice, above all) is a reason to use another engine.

Maps come here key by key: put-if-absent is a cas from null, and so is replace from what it replaced.

References: P. B. Gibbons and E. Korach, "Testing shared memories", SIAM Journal on Computing 26 (1997), section 4.
W. Golab, X. Li, M. A. Shah, "Analyzing consistency properties for fun and profit", PODC 2011, section 3.2.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from itertools import compress, repeat
from typing import Any, Final, NamedTuple

from checkers.history import INF, Operation
from checkers.models import Model, maps, registers

from . import refusals
from .prefixes import Bounds, first_certain
from .result import LimitReached, Limits, LinearizabilityResult, Meter

ENGINE: Final = "registers"

NO_LIMITS: Final = Limits()

READ: Final = 0
WRITE: Final = 1
CAS: Final = 2
REFUSED: Final = 3

_DEPENDENT: Final = ("replace", "remove")
"""Functions whose effect is not known before their answer is."""

_IS_READ: Final = bytes(kind == READ for kind in range(256))
_IS_REFUSED: Final = bytes(kind == REFUSED for kind in range(256))
_IS_SETTER: Final = bytes(kind in (WRITE, CAS) for kind in range(256))

BEFORE: Final = -INF
"""When the initial value was set: before every call (those of a lenient history may be negative)."""

NOWHERE: Final = -2
"""The source of a cas that expected a value which nobody ever wrote."""


class NotUnique(ValueError):
    """A value is written twice (or the initial value is written): a read does not name its write.

    It can happen in a prefix alone, where a cas has not been refused yet.
    """


class Columns:
    """The operations of one register as columns, in the order of their calls.

    `kinds` are READ, WRITE, CAS and REFUSED, one byte each; `olds` hold the value read or expected, `news` the value
    written (by a refused cas: the value that it would have written, which matters in a prefix that ends before its
    refusal), `rows` the positions of the operations that the rows came from. Reads and refusals that never returned say
    nothing and have no row; a write or cas that never returned has the return INF.
    """

    def __init__(
        self,
        calls: Sequence[int],
        returns: Sequence[int],
        kinds: bytes,
        olds: Sequence[Any],
        news: Sequence[Any],
        rows: Sequence[int] | None = None,
        initial: Any = None,
    ) -> None:
        self.calls = calls
        self.returns = returns
        self.kinds = kinds
        self.olds = olds
        self.news = news
        self.rows = range(len(calls)) if rows is None else rows
        self.initial = initial
        self.has_exact_prefixes = True  # rows say all that an operation may do while its answer is not known

    @classmethod
    def of(cls, operations: Sequence[Operation], model: Model) -> Columns | str:
        """Make the columns of one register's operations, or say why this check does not apply to them."""
        if model.step is registers.step:
            initial, functions = model.init, registers.FUNCTIONS
        elif model.step is maps.step and isinstance(model.init, frozenset):
            keys = {operation.key for operation in operations}
            if len(keys) > 1:
                return "the operations touch several keys"
            initial = next((value for key, value in model.init if key in keys), None)
            functions = maps.FUNCTIONS
        else:
            return f"model {model.name} is no register"
        rows: list[int] = []
        kinds, olds, news = bytearray(), [], []
        is_plain, is_guarded = True, False
        for position in sorted(range(len(operations)), key=lambda position: operations[position].call):
            operation = operations[position]
            if operation.f not in functions:
                return f"{operation.f} is no operation on one register"
            row = _row(operation)
            if isinstance(row, str):
                return row
            is_guarded |= operation.f == "replace" and operation.type == "info"
            if row is not None:
                kinds.append(row[0])
                olds.append(row[1])
                news.append(row[2])
                rows.append(position)
                is_plain &= operation.f not in _DEPENDENT and (operation.error != "absent" or operation.f == "read")
        calls = [operations[row].call for row in rows]
        returns = [operations[row].ret for row in rows]
        made = cls(calls, returns, bytes(kinds), olds, news, rows, initial)
        made.has_exact_prefixes = is_plain
        values = made.written()
        if len(set(values)) < len(values):
            return "a value is written twice"
        if is_guarded and (REFUSED in made.kinds or not _guarded(operations).isdisjoint(olds)):
            return "a crashed replace may matter, and needs a value to be there"
        return made

    def by_key(self, keys: Sequence[Hashable]) -> dict[Hashable, Columns]:
        """Split the columns of several registers, `keys` naming the one that each row is about."""
        places: dict[Hashable, list[int]] = {}
        for place, key in enumerate(keys):
            if key in places:
                places[key].append(place)
            else:
                places[key] = [place]
        return {
            key: Columns(
                [self.calls[place] for place in own],
                [self.returns[place] for place in own],
                bytes([self.kinds[place] for place in own]),
                [self.olds[place] for place in own],
                [self.news[place] for place in own],
                [self.rows[place] for place in own],
                self.initial,
            )
            for key, own in places.items()
        }

    def written(self) -> list[Any]:
        """List the initial value and every value that somebody wrote or may have written."""
        return [self.initial, *compress(self.news, self.kinds.translate(_IS_SETTER))]

    def prefix(self, end: int) -> Columns:
        """Return the columns of the events with index <= `end`."""
        size = bisect_left(self.calls, end + 1)
        returns = self.returns[:size]
        # A cas whose refusal has not arrived yet may still succeed.
        kinds = bytes(CAS if kind == REFUSED and ret > end else kind for kind, ret in zip(self.kinds, returns))
        kept = [
            ret <= end or kind == WRITE or (kind == CAS and old != new)
            for kind, ret, old, new in zip(kinds, returns, self.olds, self.news)
        ]
        return Columns(
            list(compress(self.calls[:size], kept)),
            [ret if ret <= end else INF for ret in compress(returns, kept)],
            bytes(compress(kinds, kept)),
            list(compress(self.olds[:size], kept)),
            list(compress(self.news[:size], kept)),
            list(compress(self.rows[:size], kept)),
            self.initial,
        )


def _guarded(operations: Sequence[Operation]) -> set[Any]:
    """Collect what crashed replaces would have written, if anything was there to replace."""
    return {operation.value for operation in operations if operation.f == "replace" and operation.type == "info"}


def _row(operation: Operation) -> tuple[int, Any, Any] | str | None:
    """Name what an operation says about a register: (kind, old, new), nothing (None), or why that cannot be said."""
    f, outcome, value = operation.f, operation.type, operation.value
    if outcome == "fail":
        if operation.error == "absent" and f != "write" and f != "put-if-absent":
            return READ, None, None
        if operation.error == "precondition-failed" and f == "cas":
            return REFUSED, value[0], value[1]
        if operation.error == "exists" and f == "put-if-absent":
            return REFUSED, None, value
        return f"a {f} that failed with {operation.error}"
    if f == "read":
        return (READ, operation.result, None) if outcome == "ok" else None
    if f == "write":
        return WRITE, None, value
    if f == "cas":
        old, new = value
    elif f == "put-if-absent":
        old, new = None, value
    elif outcome == "info":
        return (WRITE, None, value) if f == "replace" else "a crashed remove, which works whatever the value"
    else:
        old, new = operation.result, value if f == "replace" else None
        if old is None and f == "replace":
            return "a replace that replaced nothing"
    if old == new:
        return (READ, old, None) if outcome == "ok" else None
    return CAS, old, new


def applicable(operations: Sequence[Operation], model: Model) -> str | None:
    """Return None where this check applies, else why not."""
    columns = Columns.of(operations, model)
    return columns if isinstance(columns, str) else None


def check_operations(
    operations: Sequence[Operation], model: Model, limits: Limits = NO_LIMITS
) -> LinearizabilityResult:
    """Decide the operations of one register, or say unknown with the reason why this check does not apply."""
    columns = Columns.of(operations, model)
    if isinstance(columns, str):
        return LinearizabilityResult(validity="unknown", engine=ENGINE, reason=columns)
    return check_columns(columns, limits, operations)


def check_columns(
    columns: Columns, limits: Limits = NO_LIMITS, operations: Sequence[Operation] = ()
) -> LinearizabilityResult:
    """Decide columns; `operations` are those that `columns.rows` count, for naming the culprits."""
    meter = Meter(limits)
    certain: int | None = None
    culprits: list[Operation] = []
    try:
        violation = find_violation(columns, meter)
        if violation is not None:
            certain, violation = _shortest(columns, violation, meter)
            culprits = [operations[row] for row in _rows_of(columns, violation)] if operations else []
    except LimitReached as limit:
        return LinearizabilityResult(
            validity="unknown",
            engine=ENGINE,
            steps=len(columns.calls),
            reason=limit.reason,
            machine_dependent=limit.machine_dependent,
        )
    return LinearizabilityResult(
        validity="valid" if violation is None else "invalid",
        engine=ENGINE,
        steps=len(columns.calls),
        certain=certain,
        blocked=next((operation for operation in operations if operation.ret == certain), None),
        culprits=tuple(culprits),
    )


class Violation(NamedTuple):
    """Why a register is not linearizable.

    The prefix that ends at `upper` fails, and the shortest that does may end at `guess`. `values` are those whose
    operations cannot be ordered, `returns` the operations (by their return) that suffice to see it beside those values'
    setters.
    """

    upper: int
    guess: int
    values: tuple[Any, ...] = ()
    returns: tuple[int, ...] = ()

    @property
    def bounds(self) -> Bounds:
        """The violation became certain between these events."""
        return Bounds(0, self.upper, self.guess)


def find_violation(columns: Columns, meter: Meter) -> Violation | None:
    """Decide columns: None if they are linearizable."""
    clusters = Clusters(columns)
    meter.check(len(columns.calls), len(clusters.values))
    violation = clusters.join() or clusters.compare()
    if violation is not None or REFUSED not in columns.kinds:
        return violation
    is_refused = columns.kinds.translate(_IS_REFUSED)
    wanted = map(clusters.number.get, compress(columns.olds, is_refused), repeat(-1))
    intervals = compress(columns.calls, is_refused), compress(columns.returns, is_refused)
    refused = (row for row in zip(wanted, *intervals) if row[0] >= 0)  # nobody wrote the others: they were right
    failed = refusals.first_failure(clusters, refused, meter)
    return None if failed is None else Violation(max(ret for ret in columns.returns if ret < INF), failed)


def _shortest(columns: Columns, violation: Violation, meter: Meter) -> tuple[int | None, Violation]:
    """Find the shortest failing prefix, where prefixes can be told, and what is wrong with it."""
    found = {violation.upper: violation}

    def check(end: int) -> Bounds | None:
        earlier = find_violation(columns.prefix(end), meter)
        if earlier is None:
            return None
        found[min(earlier.upper, end)] = earlier
        return earlier.bounds

    if not columns.has_exact_prefixes:
        return None, violation
    try:
        certain = first_certain(check, violation.bounds)
    except NotUnique:
        return None, violation
    return certain, found[certain]


def _rows_of(columns: Columns, violation: Violation) -> Iterator[int]:
    """Yield the rows of the operations that suffice to see a violation."""
    values, returns = set(violation.values), set(violation.returns)
    for row, kind, new, ret in zip(columns.rows, columns.kinds, columns.news, columns.returns):
        if ret in returns or (kind in (WRITE, CAS) and new in values):
            yield row


class Clusters:
    """The clusters of the values of one register, numbered in the order in which their setters were called.

    Number 0 is the initial value. Per cluster: `call` of its setter, `due` (the smallest return: the value was set by
    then), `last` (the largest call: the value was still there then), `shown` (the return of the operation that was
    called last), `source` (the cluster that a cas expected; -1 for a write). A cluster that nobody observed and whose
    setter crashed has an infinite due, and stays out of everything here.
    """

    def __init__(self, columns: Columns) -> None:
        kinds = columns.kinds
        sets = kinds.translate(_IS_SETTER)
        self.values = columns.written()
        self.number = dict(zip(self.values, range(len(self.values))))
        if len(self.number) < len(self.values):
            raise NotUnique
        self.call = [BEFORE, *compress(columns.calls, sets)]
        self.due = [BEFORE, *compress(columns.returns, sets)]
        self.last = self.call.copy()
        self.shown = self.due.copy()
        self.source = [-1] * len(self.values)
        self.upper = INF  # of the violations found so far, the smallest upper bound, and that violation
        self.violation: Violation | None = None
        self.refused_until: dict[Any, int] = {}  # value -> return of the last cas that was refused to write it
        if REFUSED in kinds:
            for kind, new, ret in zip(kinds, columns.news, columns.returns):
                if kind == REFUSED:
                    self.refused_until[new] = max(ret, self.refused_until.get(new, BEFORE))
        self.has_cas = CAS in kinds
        self.nowhere_until: dict[int, int] = {}  # cluster whose cas expected what nobody wrote -> when that was sure
        if self.has_cas:
            setters = compress(zip(kinds, columns.olds), sets)
            for cluster, (kind, old) in enumerate(setters, 1):
                if kind == CAS:
                    self.source[cluster] = self.number.get(old, NOWHERE)
                    if old not in self.number:
                        self.nowhere_until[cluster] = self.refused_until.get(old, BEFORE)
        self._read(columns, kinds.translate(_IS_READ))

    def _read(self, columns: Columns, reads: bytes) -> None:
        """Enter the completed reads into the clusters of their values."""
        get, call, due, last, shown = self.number.get, self.call, self.due, self.last, self.shown
        rows = zip(compress(columns.calls, reads), compress(columns.returns, reads), compress(columns.olds, reads))
        for called, returned, value in rows:
            cluster = get(value)
            if cluster is None:
                sure = max(returned, self.refused_until.get(value, BEFORE))
                self._found(Violation(sure, sure, (), (returned,)))
                continue
            if returned < due[cluster]:
                if returned < call[cluster]:
                    self._found(Violation(returned, returned, (value,), (returned,)))
                due[cluster] = returned
            if called > last[cluster]:
                last[cluster] = called
                shown[cluster] = returned

    def _found(self, violation: Violation) -> None:
        if violation.upper < self.upper:
            self.upper = violation.upper
            self.violation = violation

    def join(self) -> Violation | None:
        """Join clusters by the successful cas between them into blocks, and check the order inside each.

        A block is named by its first cluster, its root. Afterwards `roots` are the blocks in the order of their first
        calls, `starts` and `ends` their zones (smallest due, largest last), and `successor` leads through a block.
        """
        size = len(self.values)
        self.successor = [-1] * size
        self.block = list(range(size))
        self.tail = self.block.copy()
        self.starts, self.ends = self.due, self.last
        if not self.has_cas or self.violation is not None:
            self.roots = [cluster for cluster in range(size) if self.due[cluster] < INF]
            return self.violation
        self._need_sources()
        self._link()
        if self.violation is None:
            self._order()
        return self.violation

    def _need_sources(self) -> None:
        """What a cas that must have happened expected, must have been set before: follow crashed setters backwards."""
        due, source = self.due, self.source
        for cluster, old in enumerate(source):
            while old >= 0 and due[old] == INF and due[cluster] < INF:
                due[old] = due[cluster]
                cluster, old = old, source[old]

    def _link(self) -> None:
        due, source, successor = self.due, self.source, self.successor
        for cluster, old in enumerate(source):
            if due[cluster] == INF or old == -1:
                continue
            if old == NOWHERE:
                self._accuse((cluster,), self.nowhere_until[cluster])
            elif successor[old] >= 0:
                self._accuse((old, cluster, successor[old]))
            else:
                successor[old] = cluster

    def _order(self) -> None:
        """Walk each block: a later cluster must not be set before an earlier one was last seen."""
        due, last, successor, block = self.due, self.last, self.successor, self.block
        self.starts, self.ends = due.copy(), last.copy()
        self.roots = [cluster for cluster, old in enumerate(self.source) if old == -1 and due[cluster] < INF]
        walked = len(self.roots)
        for root in self.roots:
            cluster = successor[root]
            if cluster < 0:
                continue
            start, end, latest = due[root], last[root], root
            while cluster >= 0:
                walked += 1
                block[cluster] = root
                if due[cluster] < end:
                    self._accuse(self._between(latest, cluster))
                if due[cluster] < start:
                    start = due[cluster]
                if last[cluster] > end:
                    end, latest = last[cluster], cluster
                self.tail[root] = cluster
                cluster = successor[cluster]
            self.starts[root], self.ends[root] = start, end
        if walked < len(due) - due.count(INF):
            in_cycle = [n for n, old in enumerate(self.source) if old >= 0 and due[n] < INF and block[n] == n]
            self._accuse(tuple(in_cycle))

    def _between(self, first: int, final: int) -> tuple[int, ...]:
        """List the clusters of one block from `first` to `final`."""
        clusters = [first]
        while clusters[-1] != final:
            clusters.append(self.successor[clusters[-1]])
        return tuple(clusters)

    def _accuse(self, clusters: tuple[int, ...], until: int = BEFORE) -> None:
        """Note a violation that these clusters suffice to see, `until` being one more event that it took."""
        known = [self.due[n] for n in clusters] + [self.shown[n] for n in clusters if self.shown[n] < INF] + [until]
        self._found(Violation(max(known), max(known), tuple(self.values[n] for n in clusters), tuple(known)))

    def compare(self) -> Violation | None:
        """Compare the zones of blocks: forward ones must be disjoint, and none may hold a backward one."""
        starts, ends = self.starts, self.ends
        forward = [root for root in self.roots if starts[root] < ends[root]]
        forward.sort(key=starts.__getitem__)
        open_until, owner = BEFORE, -1
        for root in forward:
            if starts[root] < open_until:
                self._clash(owner, root)
            if ends[root] > open_until:
                open_until, owner = ends[root], root
        begins = [starts[root] for root in forward]
        for root in self.roots:
            start, end = starts[root], ends[root]
            if end <= start:
                before = bisect_left(begins, end) - 1
                if before >= 0 and ends[forward[before]] > start:
                    self._clash(forward[before], root)
        self.forward = forward
        return self.violation

    def _clash(self, one: int, other: int) -> None:
        if max(self.starts[one], self.starts[other]) >= self.upper:
            return
        self._accuse((*self._extremes(one), *self._extremes(other)))

    def _extremes(self, root: int) -> tuple[int, ...]:
        """List the clusters of a block from the one due first to the one seen last, whichever way round."""
        chain = self._between(root, self.tail[root])
        places = [
            [self.due[cluster] for cluster in chain].index(self.starts[root]),
            [self.last[cluster] for cluster in chain].index(self.ends[root]),
        ]
        return chain[min(places) : max(places) + 1]
