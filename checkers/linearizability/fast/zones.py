"""Zones: whether reads and writes of unique values, and cas between them, have an order.

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
* **A crashed operation** that was not observed is left out. A crashed write or cas whose value was observed must have
  happened, at any time after its call (its return is infinite); and so must what a crashed cas of that kind expected,
  until nothing changes (a crashed cas may be needed by another crashed cas alone).
* **A refused cas(a, _)** says that the state was not a, at some instant of its interval. It never moves the state, so
  it does not matter for the zones, and most are settled by them: another value was certainly the state meanwhile. What
  zones leave open goes to `failed_cas`, which is exact too. With refused cas in the history, a crashed write that
  was never read may matter after all, since it can end the time of another value.

Notes: O(n log n), whatever the concurrency.

References: P. B. Gibbons and E. Korach, "Testing shared memories", SIAM Journal on Computing 26 (1997), section 4.
W. Golab, X. Li, M. A. Shah, "Analyzing consistency properties for fun and profit", PODC 2011, section 3.2.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import chain, compress, repeat
from typing import Any, Final, NamedTuple

from checkers.linearizability.failing_prefix import Bounds
from checkers.linearizability.result import Meter
from checkers.operation import INF

from . import failed_cas
from .fast_path import Undecided

READ: Final = 0
WRITE: Final = 1
CAS: Final = 2
REFUSED: Final = 3
IGNORED: Final = 255
"""The kind of a row that says nothing: a reader of files may leave it where it is."""

_IS_READ: Final = bytes(kind == READ for kind in range(256))
_IS_REFUSED: Final = bytes(kind == REFUSED for kind in range(256))
_IS_SETTER: Final = bytes(kind in (WRITE, CAS) for kind in range(256))
_SAYS_SOMETHING: Final = bytes(kind != IGNORED for kind in range(256))

BEFORE: Final = -INF
"""When the initial value was set: before every call (those of a lenient history may be negative)."""

NOWHERE: Final = -2
"""The source of a cas that expected a value which was never written."""


class Columns:
    """The operations of one register as columns, in the order of their calls.

    `kinds` are READ, WRITE, CAS and REFUSED, one byte each; `olds` hold the value read or expected, `news` the value
    written (by a refused cas: the value that it would have written, which matters in a prefix that ends before its
    refusal), `rows` the positions of the operations that the rows came from. Reads and refusals that never returned say
    nothing and have no row, or an IGNORED one; a write or cas that never returned has the return INF.
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

    @property
    def size(self) -> int:
        """How many rows say something."""
        return len(self.kinds) - self.kinds.count(IGNORED)

    def without_ignored(self) -> Columns:
        """Return the columns of the rows that say something."""
        if IGNORED not in self.kinds:
            return self
        kept = self.kinds.translate(_SAYS_SOMETHING)
        calls, returns = (array("q", compress(column, kept)) for column in (self.calls, self.returns))
        olds, news, rows = (list(compress(column, kept)) for column in (self.olds, self.news, self.rows))
        return Columns(calls, returns, bytes(compress(self.kinds, kept)), olds, news, rows, self.initial)

    def by_key(self, keys: Sequence[Hashable]) -> Mapping[Hashable, Columns]:
        """Split the columns of several registers, `keys` naming the one that each row is about."""
        places: defaultdict[Hashable, array[int]] = defaultdict(lambda: array("q"))
        for place, (key, kind) in enumerate(zip(keys, self.kinds)):
            if kind != IGNORED:
                places[key].append(place)
        return _Parts(self, places)

    def at(self, places: Sequence[int]) -> Columns:
        """Return the columns of the rows at these places."""
        calls, returns, rows = (
            array("q", map(column.__getitem__, places)) for column in (self.calls, self.returns, self.rows)
        )
        olds, news = (list(map(column.__getitem__, places)) for column in (self.olds, self.news))
        kinds = bytes(map(self.kinds.__getitem__, places))
        return Columns(calls, returns, kinds, olds, news, rows, self.initial)

    def written(self) -> list[Any]:
        """List the initial value and every value that was or may have been written."""
        return [self.initial, *compress(self.news, self.kinds.translate(_IS_SETTER))]

    def has_rivals(self) -> bool:
        """Whether a refused cas would have written what another one did: while it is pending, either may have."""
        refused = compress(self.news, self.kinds.translate(_IS_REFUSED))
        return not set(refused).isdisjoint(self.written())

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


class _Parts(Mapping[Hashable, Columns]):
    """The columns of each key, made when they are looked at: all together take as much room as the whole."""

    def __init__(self, whole: Columns, places: Mapping[Hashable, array[int]]) -> None:
        self._whole, self._places = whole, places

    def __getitem__(self, key: Hashable) -> Columns:
        return self._whole.at(self._places[key])

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


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
        return Bounds(0, self.upper, self.guess, self)


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
    refused = (row for row in zip(wanted, *intervals) if row[0] >= 0)  # the others were never written: they were right
    failed = failed_cas.first_failure(clusters, refused, meter)
    return None if failed is None else Violation(max(ret for ret in columns.returns if ret < INF), failed)


class Clusters:
    """The clusters of the values of one register, numbered in the order in which their setters were called.

    Number 0 is the initial value. Per cluster: `call` of its setter, `due` (the smallest return: the value was set by
    then), `last` (the largest call: the value was still there then), `shown` (the return of the operation that was
    called last), `source` (the cluster that a cas expected; -1 for a write). A cluster that was not observed and whose
    setter crashed has an infinite due, and stays out of everything here.
    """

    def __init__(self, columns: Columns) -> None:
        kinds = columns.kinds
        sets = kinds.translate(_IS_SETTER)
        self.values = columns.written()
        self.number = dict(zip(self.values, range(len(self.values))))
        if len(self.number) < len(self.values):
            # In a prefix alone too, where a cas has not been refused yet.
            raise Undecided("a value is written twice")
        self.call = array("q", chain((BEFORE,), compress(columns.calls, sets)))
        self.due = array("q", chain((BEFORE,), compress(columns.returns, sets)))
        self.last = self.call[:]
        self.shown = self.due[:]
        self.source = [-1] * len(self.values)
        self.upper = INF  # of the violations found so far, the smallest upper bound, and that violation
        self.violation: Violation | None = None
        self.refused_until: dict[Any, int] = {}  # value -> return of the last cas that was refused to write it
        if REFUSED in kinds:
            for kind, new, ret in zip(kinds, columns.news, columns.returns):
                if kind == REFUSED:
                    self.refused_until[new] = max(ret, self.refused_until.get(new, BEFORE))
        self.has_cas = CAS in kinds
        self.nowhere_until: dict[int, int] = {}  # cluster whose cas expected an unwritten value -> when that was sure
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
        self.starts, self.ends = due[:], last[:]
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
        path = self._between(root, self.tail[root])
        places = [
            [self.due[cluster] for cluster in path].index(self.starts[root]),
            [self.last[cluster] for cluster in path].index(self.ends[root]),
        ]
        return path[min(places) : max(places) + 1]
