"""Transactions over lists: append a unique element, read a whole list.

This is the strongest workload for finding isolation anomalies (Kingsbury and Alvaro, "Elle", VLDB 2020): a read of a
list shows the versions it went through, so nearly the whole version order of each object is known, not guessed.

How it infers
-------------
For each key the longest read gives the order of elements; every other read must be a prefix of it. Then

* ww: the writer of an element precedes the writer of the next one;
* wr: the writer of the last element of a read precedes the reader;
* rw: the reader of n elements precedes the writer of element n + 1.

An element that a committed transaction appended and no read shows comes after the longest read: its writer follows the
writer of the last element (ww) and every reader of the longest version (rw).

A transaction's own appends are taken off the end of its reads, since it sees its own writes before any other does; what
is left must agree among its reads of one key (`internal`). A transaction of unknown outcome counts as committed once
one of its appends was read.

What it assumes
---------------
Each element is appended to a key at most once; if not, the verdict is `unknown` and names the element. It is sound: a
reported cycle is in every possible explanation of the history. It is complete as well, but for one thing: elements that
nobody read are in no known order. A graph without circles has an order that puts them somewhere. One with circles that
the expected model allows (write skew under snapshot isolation) may have more of them, whichever element was first; so
where a list has two such elements, the history is settled by a witness or a proof that there is none (`settle`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from checkers.history import History
from checkers.linearizability.result import Limits, Meter
from checkers.operation import Operation
from checkers.pause import collection_paused
from checkers.values import show
from checkers.verdict import Verdict

from .analysis import Analysis, Key
from .anomalies import require_models
from .decide import Budget, NotUnique, Rounds
from .graph import EDGE_BUDGET, RW, WR, WW, Graph
from .nodes import Transactions, brief, describe
from .search import STEP_LIMIT

CHECKER: Final = "list-append"

UNREAD_PAIRS_MAX: Final = 10_000
"""Edges a key from readers of the longest version to writers of elements that were never read. They are as many as the
product of both, and a key that is hardly ever read would have millions that say nothing new."""


@collection_paused()
def check(
    history: History,
    *,
    expect: Sequence[str] = ("strict-serializable",),
    process: bool = True,
    realtime: bool = True,
    budget: int = EDGE_BUDGET,
    step_limit: int = STEP_LIMIT,
    time_limit_s: float | None = None,
    memory_limit_bytes: int | None = None,
) -> Verdict:
    """Check a history of list-append transactions against consistency models (names in `anomalies.MODELS`).

    `process` and `realtime` say whether the order of sessions and of time is looked at; models that need them are not
    judged without. `step_limit` bounds the search for an order, where one is needed; time and memory (of the OS
    process) are looked at before each analysis and during that search. Raises `MalformedHistory` for operations of
    another form.
    """
    require_models(expect)
    meter = Meter(Limits(seconds=time_limit_s, bytes=memory_limit_bytes))
    transactions = Transactions(history, "append")
    rounds = Rounds(transactions, lambda _: ListAppend(transactions), [""], process=process, realtime=realtime)
    return rounds.judge(CHECKER, expect, Budget(budget, step_limit, meter))


class _Contested(NamedTuple):
    """A read that contradicts its own transaction, which had appended `own_count` elements there before."""

    name: Hashable
    value: tuple[Any, ...]
    own_count: int
    what: str
    evidence: dict[str, Any]


class _List(Key):
    """All that happened to one list; its values are elements."""

    __slots__ = ("_read", "contested", "order", "position", "reads")

    def __init__(self, name: Hashable) -> None:
        super().__init__(name)
        self.reads: list[tuple[int, tuple[Any, ...]]] = []  # (transaction, what it read before its own appends)
        self.contested: list[tuple[int, tuple[Any, ...]]] = []  # the same, of transactions that contradict themselves
        self.order: tuple[Any, ...] = ()
        self.position: dict[Hashable, int] = {}
        self._read: dict[int, tuple[Any, ...]] = {}

    @property
    def shown(self) -> Iterable[Hashable]:
        return chain(self.order, *(read for _, read in self.contested))

    def place(self, element: Hashable) -> int:
        """Return where an element stands; what no read shows comes after everything else."""
        return self.position.get(element, len(self.order))

    def read_of(self, transaction: int) -> tuple[Any, ...] | None:
        """Return what a transaction read here."""
        if not self._read:
            self._read = dict(self.reads)
        return self._read.get(transaction)


class ListAppend(Analysis[_List]):
    """The version order of each list, the anomalies that are no cycles, and the evidence of edges."""

    CHECKER = CHECKER
    WRITE = "append"
    knows_versions = True

    def __init__(self, transactions: Transactions) -> None:
        super().__init__(transactions)
        self._leaves_open = False
        for transaction, done in enumerate(transactions.done):
            self._take(transaction, done, committed=transactions.committed[transaction])
        for key in self.keys.values():
            self._order(key)
        self.happened = self.find_happened()

    # -- what each transaction did --------------------------------------------------------------------------------

    def new_key(self, name: Hashable) -> _List:
        return _List(name)

    def _take(self, transaction: int, done: Sequence[tuple[str, Any, Any]], *, committed: bool) -> None:
        own: dict[Hashable, list[Any]] = {}
        seen: dict[Hashable, tuple[Any, ...]] = {}
        future: dict[Hashable, Any] = {}  # of each list that was read before the transaction appended to it: an element
        contested: list[_Contested] = []
        for f, name, value in done:
            if f == "append":
                appended = own.setdefault(name, [])
                key = self.key(name)
                if value in key.writers or value in key.aborted:
                    raise NotUnique(f"element {show(value)} was appended to key {show(name)} twice")
                key.writers[value] = 2 * transaction
                appended.append(value)
                if name in seen and value in seen[name]:
                    future.setdefault(name, value)
            elif committed:
                found = self._take_read(transaction, name, value or (), own.get(name), seen)
                if found is not None:
                    contested.append(found)
        for name, appended in own.items():
            self.keys[name].writers[appended[-1]] |= 1
        for one in contested:
            self._take_contested(transaction, one, own.get(one.name, []), seen)
        for name, element in future.items():
            if name in seen:
                self._take_future(transaction, self.keys[name], element)

    def _take_read(
        self,
        transaction: int,
        name: Hashable,
        value: tuple[Any, ...],
        own: list[Any] | None,
        seen: dict[Hashable, tuple[Any, ...]],
    ) -> _Contested | None:
        """Note a read; return it instead if it contradicts what the transaction read or appended before."""
        if own:
            if value[-len(own) :] != tuple(own):
                what = f"read {show(name)} = {brief(value)} after it had appended {show(own)}"
                return _Contested(name, value, len(own), what, {"expected_end": list(own)})
            read, value = value, value[: -len(own)]
            twice = next((element for element in own if element in value), None)
            if twice is not None:
                self._found_twice(self.key(name), transaction, read, twice)
                self.key(name).contested.append((transaction, value))
                return None
        known = seen.get(name)
        if known is None:
            seen[name] = value
            self.key(name).reads.append((transaction, value))
        elif known != value:
            what = f"read {show(name)} = {brief(known)} and then, without its own appends, {brief(value)}"
            return _Contested(name, value, len(own or ()), what, {"expected": known})
        return None

    def _take_contested(
        self, transaction: int, read: _Contested, own: list[Any], seen: dict[Hashable, tuple[Any, ...]]
    ) -> None:
        """Keep a read that contradicts its own transaction: it saw something, and orders nothing."""
        key = self.key(read.name)
        if read.name in seen:  # which of its reads is the wrong one cannot be said
            del seen[read.name]
            key.contested.append(key.reads.pop())
        key.contested.append((transaction, read.value))
        later = next((element for element in own[read.own_count :] if element in read.value), None)
        if later is None:
            self.found("internal", read.what, [transaction], key=read.name, read=read.value, **read.evidence)
        else:
            self._found_future(key, transaction, read.value, later)

    def _take_future(self, transaction: int, key: _List, element: Any) -> None:
        """Take out a read that shows what its own transaction appended only afterwards: it orders nothing."""
        key.contested.append(key.reads.pop())
        self._found_future(key, transaction, key.contested[-1][1], element)

    def _found_future(self, key: _List, reader: int, read: tuple[Any, ...], element: Any) -> None:
        what = f"read {show(key.name)} = {brief(read)} before it appended {show(element)}"
        self.found("future-read", what, [reader], key=key.name, read=read, element=element)

    # -- the order of each list -----------------------------------------------------------------------------------

    def _order(self, key: _List) -> None:
        self._judge_contested(key)
        longest_reader, longest = max(key.reads, key=lambda read: len(read[1]), default=(-1, ()))
        key.order = longest
        key.position = {element: position for position, element in enumerate(longest)}
        if len(key.position) < len(longest):
            self._found_duplicate(key, longest_reader, longest)
        for reader, read in key.reads:
            if read != longest[: len(read)]:
                key.usable = False
                self._found_incompatible(key, reader, read, longest_reader)
                break
        self._find_unwritten(key, longest_reader)
        if key.usable:
            self._find_aborted(key)
            self._find_scrambled(key)
            self._find_intermediate(key)
            self._find_lost_updates(key)

    def _judge_contested(self, key: _List) -> None:
        for reader, read in key.contested:
            said = f"read {show(key.name)} = {brief(read)}"
            for element in read:
                if element in key.aborted:
                    self._found_aborted(key, reader, read, element)
                elif element not in key.writers:
                    what = f"{said}; no transaction appended {show(element)}"
                    self.found("garbage-read", what, [reader], key=key.name, read=read, element=element)
            self._judge_last(key, reader, read)

    def _found_duplicate(self, key: _List, reader: int, read: tuple[Any, ...]) -> None:
        key.usable = False
        twice = next(element for position, element in enumerate(read) if key.position[element] != position)
        self._found_twice(key, reader, read, twice)

    def _found_twice(self, key: _List, reader: int, read: tuple[Any, ...], twice: Any) -> None:
        what = f"read {show(key.name)} = {brief(read)}, which holds {show(twice)} twice"
        self.found("duplicate-elements", what, [reader], key=key.name, read=read, element=twice)

    def _found_incompatible(self, key: _List, reader: int, read: tuple[Any, ...], longest_reader: int) -> None:
        other = self.transactions.name(longest_reader)
        what = f"read {show(key.name)} = {brief(read)}, {other} read {brief(key.order)}: neither grew into the other"
        self.found("incompatible-order", what, [reader, longest_reader], key=key.name, read=read, other=key.order)

    def _find_unwritten(self, key: _List, reader: int) -> None:
        for element in key.order:
            if element not in key.writers and element not in key.aborted:
                key.usable = False
                what = f"read {show(key.name)} = {brief(key.order)}; no transaction appended {show(element)}"
                self.found("garbage-read", what, [reader], key=key.name, read=key.order, element=element)
                return

    def _find_aborted(self, key: _List) -> None:
        if not key.aborted:
            return
        shown = [position for position, element in enumerate(key.order) if element in key.aborted]
        if not shown:
            return
        first = shown[0]
        element = key.order[first]
        reader, read = min((r for r in key.reads if len(r[1]) > first), key=lambda r: r[0])
        writer, extra = self._found_aborted(key, reader, read, element)
        for after in key.order[first + 1 :]:
            entry = key.writers.get(after)
            if entry is not None and self.transactions.committed[entry >> 1]:
                under = f"{show(element)} of T{writer.call}, which failed"
                what = f"appended {show(after)} to {show(key.name)} on top of {under}"
                self.found("dirty-update", what, [entry >> 1], **extra)
                return

    def _found_aborted(
        self, key: _List, reader: int, read: tuple[Any, ...], element: Any
    ) -> tuple[Operation, dict[str, Any]]:
        writer = self.transactions.aborted[key.aborted[element]]
        what = f"read {show(key.name)} = {brief(read)}, and the append of {show(element)} by T{writer.call} had failed"
        extra = {"key": key.name, "read": read, "element": element, "writer": describe(writer)}
        self.found("G1a", what, [reader], **extra)
        return writer, extra

    def _find_scrambled(self, key: _List) -> None:
        """What one transaction appended stands in the order in which it appended it, and none of it is left out."""
        latest: dict[int, tuple[int, Any]] = {}
        unread = len(key.order)
        for element, entry in key.writers.items():
            position = key.position.get(element, unread)
            before = latest.get(entry >> 1)
            if before is not None and position < before[0]:
                what = (
                    f"appended {show(before[1])} and then {show(element)}, but {show(key.name)} was {brief(key.order)}"
                )
                self.found("cyclic-versions", what, [entry >> 1], key=key.name, read=key.order, element=element)
                key.usable = False
                return
            latest[entry >> 1] = (position, element)

    def _find_intermediate(self, key: _List) -> None:
        writers = key.writers
        for reader, read in key.reads:
            if read and not writers.get(read[-1], 1) & 1:
                self._judge_last(key, reader, read)

    def _judge_last(self, key: _List, reader: int, read: tuple[Any, ...]) -> None:
        entry = key.writers.get(read[-1], 1) if read else 1
        if not entry & 1 and entry >> 1 != reader:
            writer = self.transactions.name(entry >> 1)
            what = f"read {show(key.name)} = {brief(read)}; {writer} appended {show(read[-1])} and then more"
            self.found("G1b", what, [reader, entry >> 1], key=key.name, read=read, element=read[-1])

    def _find_lost_updates(self, key: _List) -> None:
        """Committed transactions that read one version and appended to it."""
        wrote = key.writing
        at_version: dict[int, int] = {}
        for reader, read in key.reads:
            if reader not in wrote:
                continue
            rival = at_version.setdefault(len(read), reader)
            if rival != reader:
                so_did = f"and so did {self.transactions.name(rival)}"
                what = f"read {show(key.name)} = {brief(read)} and appended to it, {so_did}"
                self.found("lost-update", what, [reader, rival], key=key.name, read=read)

    # -- edges ----------------------------------------------------------------------------------------------------

    def add_edges(self, graph: Graph) -> None:
        """Add what the reads reveal: ww, wr and rw."""
        for key in self.keys.values():
            if key.usable:
                self._add_key(graph, key)
            else:
                _add_reads_from(graph, key, key.reads)
            _add_reads_from(graph, key, key.contested)

    def _add_key(self, graph: Graph, key: _List) -> None:
        order, writers, add = key.order, key.writers, graph.add
        following: list[int] = [-1] * (len(order) + 1)  # position -> the next writer at or after it
        for position in range(len(order) - 1, -1, -1):
            entry = writers.get(order[position])
            following[position] = following[position + 1] if entry is None else entry >> 1
        before = -1
        for element in order:
            entry = writers.get(element)
            if entry is not None:
                if before >= 0:
                    add(before, entry >> 1, WW)
                before = entry >> 1
        for reader, read in key.reads:
            size = len(read)
            if size and (entry := writers.get(order[size - 1])) is not None:
                add(entry >> 1, reader, WR)
            if following[size] >= 0:
                add(reader, following[size], RW)
        self._add_unread(graph, key, before)

    def _unread(self, key: _List) -> list[int]:
        """List the transactions that took effect and whose appends to this key were never read."""
        unread = (entry >> 1 for element, entry in key.writers.items() if element not in key.position)
        return [writer for writer in dict.fromkeys(unread) if self.happened[writer]]

    def _add_unread(self, graph: Graph, key: _List, last_writer: int) -> None:
        unread = self._unread(key)
        if not unread:
            return
        if last_writer >= 0:
            for writer in unread:
                graph.add(last_writer, writer, WW)
        self._leaves_open = self._leaves_open or len(unread) > 1
        readers = [reader for reader, read in key.reads if len(read) == len(key.order)]
        if len(readers) * len(unread) > UNREAD_PAIRS_MAX:
            self.notes.append(f"key {show(key.name)}: {len(unread)} appends that nobody read were not ordered")
            self.knows_versions = False
            return
        for reader in readers:
            for writer in unread:
                graph.add(reader, writer, RW)

    @property
    def leaves_open(self) -> bool:
        """Elements that nobody read are in no known order, where a list has several of them."""
        return self._leaves_open

    def sources(self, key: _List) -> Iterator[tuple[int, int]]:
        for reader, read in key.reads:
            if not read:
                yield reader, -1
            elif (entry := key.writers.get(read[-1])) is not None:
                yield reader, entry >> 1

    # -- evidence -------------------------------------------------------------------------------------------------

    def evidence(self, kind: int, source: int, target: int, key: _List) -> list[dict[str, Any]]:
        """Find what orders two transactions by this list, at best elements that stand next to each other."""
        found = _evidence(kind, source, target, key, self.happened)
        return [] if found is None else [found]

    def say(self, evidence: dict[str, Any]) -> str:
        return _say(evidence)

    def claim(self, evidence: dict[str, Any]) -> str:
        return _claim(evidence)


def _add_reads_from(graph: Graph, key: _List, reads: list[tuple[int, tuple[Any, ...]]]) -> None:
    """Where the order of a list is in doubt, what was read still came from a writer."""
    for reader, read in reads:
        if read and (entry := key.writers.get(read[-1])) is not None:
            graph.add(entry >> 1, reader, WR)


def _evidence(kind: int, source: int, target: int, key: _List, happened: Sequence[bool]) -> dict[str, Any] | None:
    if kind == WR:
        read = key.read_of(target)
        written = key.written_by(source)
        for seen in (read, *(seen for reader, seen in key.contested if reader == target)):
            if seen and seen[-1] in written:
                return {"value": seen[-1], "read": seen, "how": "next"}
        shown = [e for e in written if e in read] if read else []
        return {"value": shown[-1], "read": read, "how": "later"} if shown and key.usable else None
    if not key.usable or not happened[target]:
        return None
    if kind == WW:
        return _why_ww(source, target, key)
    read = key.read_of(source)
    unseen = [] if read is None else [e for e in key.written_by(target) if key.place(e) >= len(read)]
    if read is None or not unseen:
        return None
    following = next((e for e in key.order[len(read) :] if e in key.writers), None)
    return {"read": read, "next": unseen[0], "how": _how(following, unseen[0], key)}


def _why_ww(source: int, target: int, key: _List) -> dict[str, Any] | None:
    """Choose the closest two elements, the source's before the target's."""
    known = [element for element in key.written_by(source) if element in key.position]
    pairs = [
        (key.place(after) - key.place(value), value, after)
        for value in known
        for after in key.written_by(target)
        if key.place(value) < key.place(after)
    ]
    if not pairs:
        return None
    _, value, after = min(pairs, key=lambda pair: pair[0])
    following = next((e for e in key.order[key.place(value) + 1 :] if e in key.writers), None)
    return {"value": value, "next": after, "how": _how(following, after, key)}


def _say(evidence: dict[str, Any]) -> str:
    source, target, key = evidence["source"], evidence["target"], show(evidence["key"])
    match evidence["type"]:
        case "ww":
            value, after = brief(evidence["value"]), brief(evidence["next"])
            return f"{source} appended {value} to {key} and {target} appended {after} {_WHEN[evidence['how']]}"
        case "wr":
            which = "whose last element" if evidence["how"] == "next" else f"whose element {brief(evidence['value'])}"
            return f"{target} read {key} = {brief(evidence['read'])}, {which} {source} appended"
        case _:
            unseen = f"did not see {brief(evidence['next'])}, which {target} appended {_WHEN[evidence['how']]}"
            return f"{source} read {key} = {brief(evidence['read'])} and {unseen}"


def _claim(evidence: dict[str, Any]) -> str:
    source, target, key = evidence["source"], evidence["target"], show(evidence["key"])
    match evidence["type"]:
        case "ww":
            what = f"{brief(evidence['value'])} of {source} stands before {brief(evidence['next'])} of {target}"
            return f"in {key}, {what}"
        case "wr":
            return f"{target} saw {brief(evidence['value'])} of {source} in {key}"
        case _:
            return f"{source} did not see {brief(evidence['next'])} of {target} in {key}"


_WHEN: Final = {"next": "right after that", "later": "later", "unread": "after all that anybody read"}


def _how(following: Any, element: Any, key: _List) -> str:
    if element not in key.position:
        return "unread"
    return "next" if following == element else "later"
