"""Transactions over registers: write a unique value, read the latest.

A read of a register shows one version and nothing of those before it, so the order of versions has to be inferred
(Kingsbury and Alvaro, "Elle", VLDB 2020, section 5). What is inferred here, from the safest to the boldest:

* the initial value, null, precedes all others;
* a transaction that read one version and then wrote another replaced the first one, or a later one;
* versions that one process met one after another are in that order, if sessions are ordered;
* versions that were met one after the other in real time are in that order, if the store is strict.

The last two hold only for stores that promise sessions or real time. So the analysis runs in up to three rounds, each
with one more inference, and stops at the first that contradicts the expected models. A cycle that a bolder round finds
carries that round's suffix (`G-single-realtime`), as it blames the order of sessions or of time.

The second inference is no assumption. If a transaction read v and installed a version *before* v, then it depends on
the writer of v, which depends on it: G1c, which every model above read uncommitted forbids. For the same reason a cycle
of ww edges is only claimed to be G1c: one of the two is there.

Edges: ww from the writer of a version to the writer of a later one, wr from writer to reader, rw from the reader of a
version to the writer of a later one. If what is inferred for one register goes in a circle (`cyclic-versions`), only
its wr edges are used.

Why `valid` and `invalid` are right
-----------------------------------
* An accusation is sound: each edge holds in every order that explains the history under the expected model.
* The graph is incomplete: blind writes that nothing relates stay unordered, and so it never makes a history `valid` for
  a model of snapshots or of one order. That takes a witness (`settle`, `search`, `replay`), and where there is none,
  the proof of that accuses: of the weakest anomaly that all orders have, G2-item or G-nonadjacent.
* Read committed and read uncommitted need none. Their circles are of ww and wr, the wr edges are all known, and if
  those make no circle, then any order of the transactions that keeps them orders the versions without one.

Assumes that each value is written to a key at most once, and never null; otherwise the verdict is `unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import chain, pairwise
from typing import Any, Final, NamedTuple

from checkers.history import History
from checkers.linearizability.result import Limits, Meter
from checkers.operation import INF
from checkers.pause import collection_paused
from checkers.values import show
from checkers.verdict import Verdict

from .analysis import Analysis, Key
from .anomalies import forbidden, require_models
from .decide import Budget, NotUnique, Rounds
from .graph import EDGE_BUDGET, RW, WR, WW, Graph, strong_components
from .nodes import Transactions, describe
from .search import STEP_LIMIT

CHECKER: Final = "rw-register"

INITIAL_PAIRS_MAX: Final = 10_000
"""Edges a key from readers of the initial value to writers that nothing else orders; see `list_append`."""


class Reason(NamedTuple):
    """Why one version precedes another: the inference, and the transactions that met the two versions."""

    how: str  # initial | read-then-written | written-over | process | realtime
    before: int = -1
    after: int = -1


ROUNDS: Final = ("", "-process", "-realtime")


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
    """Check a history of read-write transactions against consistency models (names in `anomalies.MODELS`).

    `process` and `realtime` say whether the order of sessions and of time is looked at; models that need them are not
    judged without. `step_limit` bounds the search for an order; time and memory (of the OS process) are looked at
    before each analysis and during that search. Raises `MalformedHistory` for operations of another form.
    """
    require_models(expect)
    unwanted = forbidden(expect)
    suffixes = [
        suffix
        for suffix, wanted in zip(ROUNDS, (True, process, realtime), strict=True)
        if wanted and (suffix == "" or any(name.endswith(suffix) for name in unwanted))
    ]
    meter = Meter(Limits(seconds=time_limit_s, bytes=memory_limit_bytes))
    transactions = Transactions(history, "w")
    rounds = Rounds(transactions, partial(RwRegister, transactions), suffixes, process=process, realtime=realtime)
    return rounds.judge(CHECKER, expect, Budget(budget, step_limit, meter))


class _Register(Key):
    """All that happened to one register."""

    __slots__ = ("contested", "later", "reads", "touched")

    def __init__(self, name: Hashable) -> None:
        super().__init__(name)
        self.reads: dict[Hashable, list[int]] = {}  # value -> who read it before writing here
        self.contested: dict[Hashable, list[int]] = {}  # value -> who read it, and contradicts itself
        self.touched: list[tuple[int, Any, Any]] = []  # (transaction, first version met, last version met)
        self.later: dict[Hashable, dict[Hashable, Reason]] = {}  # value -> values that replaced it -> why

    @property
    def shown(self) -> Iterable[Hashable]:
        return [*self.reads, *self.contested]

    def infer(self, before: Hashable, after: Hashable, reason: Reason) -> None:
        """Say that one version precedes another."""
        if before != after:
            self.later.setdefault(before, {}).setdefault(after, reason)


class RwRegister(Analysis[_Register]):
    """What is known of the versions of each register, the anomalies that are no cycles, and the evidence of edges."""

    CHECKER = CHECKER
    WRITE = "w"
    knows_versions = False
    leaves_open = True

    def __init__(self, transactions: Transactions, suffix: str = "") -> None:
        """Infer the versions' orders; `suffix` says with which inference beyond what was read."""
        super().__init__(transactions)
        self.suffix = suffix
        for transaction, done in enumerate(transactions.done):
            self._take(transaction, done, committed=transactions.committed[transaction])
        self.happened = self.find_happened()
        for key in self.keys.values():
            self._judge_reads(key)
            self._order(key)

    def name(self, cycle: str) -> str:
        """Claim no more than the inferences allow: see the head of this module."""
        cycle = cycle.replace("G0", "G1c")
        return cycle if cycle.endswith(("-process", "-realtime")) else cycle + self.suffix

    # -- what each transaction did --------------------------------------------------------------------------------

    def new_key(self, name: Hashable) -> _Register:
        return _Register(name)

    def _take(self, transaction: int, done: Sequence[tuple[str, Any, Any]], *, committed: bool) -> None:
        met: dict[Hashable, list[Any]] = {}  # versions that the transaction met, in order
        wrote: dict[Hashable, list[Any]] = {}
        external: dict[Hashable, Any] = {}  # what it read before it wrote there
        contested: dict[Hashable, list[Any]] = {}  # reads that contradict its own
        will_write = [(name, value) for f, name, value in done if f == "w"]
        for f, name, value in done:
            versions = met.get(name)
            if f == "w":
                self._take_write(transaction, name, value)
                met.setdefault(name, []).append(value)
                wrote.setdefault(name, []).append(value)
            elif not committed:
                continue
            elif will_write and (name, value) in will_write and value not in wrote.get(name, ()):
                what = f"read {show(name)} = {show(value)} before it wrote it"
                self.found("future-read", what, [transaction], key=name, read=value)
            elif versions is None:
                met[name] = [value]
                external[name] = value
            elif versions[-1] != value:
                what = f"read {show(name)} = {show(value)} after it had read or written {show(versions[-1])}"
                self.found("internal", what, [transaction], key=name, read=value, expected=versions[-1])
                contested.setdefault(name, []).append(value)
        for name, values in wrote.items():
            self.keys[name].writers[values[-1]] |= 1
        for name, value in external.items():
            if name in contested:
                contested[name].append(value)
            else:
                self.key(name).reads.setdefault(value, []).append(transaction)
        for name, values in contested.items():
            self._take_contested(transaction, name, values, wrote.get(name))
        for name, versions in met.items():
            self._take_versions(transaction, name, wrote.get(name, []) if name in contested else versions)

    def _take_contested(self, transaction: int, name: Hashable, values: list[Any], wrote: list[Any] | None) -> None:
        """Keep reads that contradict each other or the transaction's writes: they saw something, and order nothing."""
        key = self.key(name)
        for value in dict.fromkeys(values):
            if wrote is None or value not in wrote:
                key.contested.setdefault(value, []).append(transaction)

    def _take_versions(self, transaction: int, name: Hashable, versions: list[Any]) -> None:
        if versions:
            key = self.key(name)
            key.touched.append((transaction, versions[0], versions[-1]))
            for before, after in pairwise(versions):
                how = "written-over" if before in key.writers and key.writers[before] >> 1 == transaction else _READ
                key.infer(before, after, Reason(how, transaction, transaction))

    def _take_write(self, transaction: int, name: Hashable, value: Any) -> None:
        key = self.key(name)
        if value is None:
            raise NotUnique(f"null was written to key {show(name)}, which reads as its initial value")
        if value in key.writers or value in key.aborted:
            raise NotUnique(f"value {show(value)} was written to key {show(name)} twice")
        key.writers[value] = 2 * transaction

    # -- anomalies that are no cycles -----------------------------------------------------------------------------

    def _judge_reads(self, key: _Register) -> None:
        for value, readers in key.contested.items():
            self._judge_read(key, value, readers)
        for value, readers in key.reads.items():
            self._judge_read(key, value, readers)
            wrote = [reader for reader in readers if reader in key.writing]
            if len(wrote) > 1:
                first, second = wrote[:2]
                so_did = f"and so did {self.transactions.name(first)}"
                what = f"read {show(key.name)} = {show(value)} and wrote it, {so_did}"
                self.found("lost-update", what, [second, first], key=key.name, read=value)

    def _judge_read(self, key: _Register, value: Any, readers: list[int]) -> None:
        entry = key.writers.get(value)
        if value is None:
            return
        said = f"read {show(key.name)} = {show(value)}"
        if entry is None:
            number = key.aborted.get(value)
            if number is None:
                self.found("garbage-read", f"{said}, which no transaction wrote", readers[:1], key=key.name, read=value)
                return
            writer = self.transactions.aborted[number]
            what = f"{said}, and the write of {show(value)} by T{writer.call} had failed"
            self.found("G1a", what, readers[:1], key=key.name, read=value, writer=describe(writer))
            self._judge_update(key, value, readers, describe(writer))
            return
        if not entry & 1:
            what = f"{said}; {self.transactions.name(entry >> 1)} wrote that and then wrote over it"
            self.found("G1b", what, [readers[0], entry >> 1], key=key.name, read=value)

    def _judge_update(self, key: _Register, value: Any, readers: list[int], writer: dict[str, Any]) -> None:
        for reader in readers:
            if reader in key.writing:
                what = f"wrote {show(key.name)} on top of {show(value)} of {writer['name']}, which failed"
                self.found("dirty-update", what, [reader], key=key.name, read=value, writer=writer)
                return

    # -- the versions of each register ----------------------------------------------------------------------------

    def _order(self, key: _Register) -> None:
        if self.suffix == "-process":
            self._infer_from_sessions(key)
        elif self.suffix == "-realtime":
            self._infer_from_time(key)
        circle = _circle(key)
        if circle is not None:
            key.usable = False
            self._found_circle(key, circle)
            return
        replaced = {after for laters in key.later.values() for after in laters}
        for value, entry in key.writers.items():
            if value not in replaced and self.happened[entry >> 1]:
                key.infer(None, value, Reason("initial"))

    def _infer_from_sessions(self, key: _Register) -> None:
        latest: dict[int, tuple[int, Any]] = {}
        for transaction, first, last in key.touched:
            if not self.happened[transaction]:
                continue
            process = self.transactions.operations[transaction].process
            if process in latest:
                before, version = latest[process]
                key.infer(version, first, Reason("process", before, transaction))
            latest[process] = (transaction, last)

    def _infer_from_time(self, key: _Register) -> None:
        """Relate each transaction to those that completed before it and after which no other did: the rest follows."""
        operations = self.transactions.operations
        running: list[tuple[int, int, int, Any]] = []  # (return, call, transaction, last version)
        frontier: list[tuple[int, int, int, Any]] = []
        latest_call = -1
        for transaction, first, last in key.touched:
            if not self.happened[transaction]:
                continue
            operation = operations[transaction]
            while running and running[0][0] < operation.call:
                done = heappop(running)
                frontier.append(done)
                latest_call = max(latest_call, done[1])
            frontier = [done for done in frontier if done[0] > latest_call]
            for _, _, before, version in frontier:
                key.infer(version, first, Reason("realtime", before, transaction))
            if operation.ret != INF:
                heappush(running, (operation.ret, operation.call, transaction, last))

    def _found_circle(self, key: _Register, circle: list[Any]) -> None:
        edges = list(pairwise([*circle, circle[0]]))
        last = max(range(len(edges)), key=lambda place: (key.later[edges[place][0]][edges[place][1]].after, place))
        edges = edges[last + 1 :] + edges[: last + 1]  # the one that was met last is told first
        steps = [key.later[before][after]._asdict() for before, after in edges]
        told = [
            self._reason({"value": before, "next": after, "key": key.name, **step})
            for (before, after), step in zip(edges, steps, strict=True)
        ]
        who = list(dict.fromkeys(step[which] for step in steps for which in ("after", "before") if step[which] >= 0))
        after = self.transactions.name(steps[-1]["after"])
        what = f"{told[-1].removeprefix(after).lstrip()}, but {show(edges[-1][0])} came after {show(edges[-1][1])}"
        because = [
            f"{show(before)} < {show(after)}, because {why}." for (before, after), why in zip(edges, told, strict=True)
        ]
        who.insert(0, who.pop(who.index(steps[-1]["after"])))
        kind = "cyclic-versions" + self.suffix
        self.found(
            kind, what, who, because=because, key=key.name, versions=[before for before, _ in edges], steps=steps
        )

    # -- edges ----------------------------------------------------------------------------------------------------

    def add_edges(self, graph: Graph) -> None:
        """Add what was read (wr), and what is inferred of versions (ww, rw)."""
        for key in self.keys.values():
            for value, readers in chain(key.reads.items(), key.contested.items()):
                entry = key.writers.get(value)
                if entry is not None:
                    for reader in readers:
                        graph.add(entry >> 1, reader, WR)
            if key.usable:
                self._add_versions(graph, key)

    def _add_versions(self, graph: Graph, key: _Register) -> None:
        for value, laters in key.later.items():
            writer = key.writers.get(value)
            readers = key.reads.get(value, [])
            if value is None and len(readers) * len(laters) > INITIAL_PAIRS_MAX:
                self.notes.append(f"key {show(key.name)}: {len(laters)} first writes were not ordered")
                continue
            for later in laters:
                entry = key.writers.get(later)
                if entry is None:
                    continue
                if writer is not None:
                    graph.add(writer >> 1, entry >> 1, WW)
                for reader in readers:
                    graph.add(reader, entry >> 1, RW)

    def sources(self, key: _Register) -> Iterator[tuple[int, int]]:
        for value, readers in key.reads.items():
            entry = key.writers.get(value)
            if value is None:
                yield from ((reader, -1) for reader in readers)
            elif entry is not None:
                yield from ((reader, entry >> 1) for reader in readers)

    # -- evidence -------------------------------------------------------------------------------------------------

    def evidence(self, kind: int, source: int, target: int, key: _Register) -> Iterator[dict[str, Any]]:
        """Find the versions of this register that order two transactions."""
        if kind == WR:
            for value in key.written_by(source):
                if target in key.reads.get(value, ()) or target in key.contested.get(value, ()):
                    yield {"value": value, "how": "read"}
            return
        if not key.usable:
            return
        values = key.written_by(source) if kind == WW else [v for v, who in key.reads.items() if source in who]
        for value in values:
            for after in key.written_by(target):
                reason = key.later.get(value, {}).get(after)
                if reason is not None:
                    yield {"value": value, "next": after, **reason._asdict()}

    def claim(self, evidence: dict[str, Any]) -> str:
        source, target, key = evidence["source"], evidence["target"], show(evidence["key"])
        match evidence["type"]:
            case "ww":
                return f"{target} wrote {key} = {show(evidence['next'])} after {show(evidence['value'])} of {source}"
            case "wr":
                return f"{target} saw {key} = {show(evidence['value'])} of {source}"
            case _:
                return f"{source} did not see {key} = {show(evidence['next'])} of {target}"

    def say(self, evidence: dict[str, Any]) -> str:
        source, target, key = evidence["source"], evidence["target"], show(evidence["key"])
        value = show(evidence["value"])
        if evidence["type"] == "wr":
            return f"{target} read {key} = {value}, which {source} wrote"
        did = "wrote" if evidence["type"] == "ww" else "read"
        after = show(evidence["next"])
        return f"{source} {did} {key} = {value}, and {target} wrote {after}, a later version: {self._reason(evidence)}"

    def _reason(self, evidence: dict[str, Any]) -> str:
        value, after, key = (show(evidence[which]) for which in ("value", "next", "key"))
        if evidence["how"] == "initial":
            return f"{value} is the initial one"
        first, second = (self.transactions.name(evidence[which]) for which in ("before", "after"))
        match evidence["how"]:
            case "process" | "realtime" as how:
                met = self._met(evidence["before"], evidence["key"], evidence["value"])
                did = self._met(evidence["after"], evidence["key"], evidence["next"])
                whose = ", of the same process," if how == "process" else ""
                return (
                    f"{second} {did.replace('written', 'wrote')} {key} = {after} after {first}{whose} had {met} {value}"
                )
            case "written-over":
                return f"{first} wrote {key} = {value} and then {after}"
            case _:
                return f"{first} read {key} = {value} and then wrote {after}"

    def _met(self, transaction: int, key: Hashable, value: Any) -> str:
        return "written" if ("w", key, value) in self.transactions.done[transaction] else "read"


_READ: Final = "read-then-written"


def _circle(key: _Register) -> list[Any] | None:
    """Return versions each of which precedes the next, in a circle, if there are any."""
    values = list(dict.fromkeys([*key.later, *(after for laters in key.later.values() for after in laters)]))
    number = {value: position for position, value in enumerate(values)}

    def successors(position: int) -> Iterator[int]:
        return iter([number[after] for after in key.later.get(values[position], ())])

    for component in strong_components(range(len(values)), successors, len(values)):
        if len(component) > 1:
            return _walk_round(values, set(component), min(component), successors)
    return None


def _walk_round(
    values: list[Any], component: set[int], start: int, successors: Callable[[int], Iterator[int]]
) -> list[Any]:
    """Walk inside a strongly connected component until a version comes again."""
    path, seen = [start], {start: 0}
    while True:
        following = next(position for position in successors(path[-1]) if position in component)
        if following in seen:
            return [values[position] for position in path[seen[following] :]]
        seen[following] = len(path)
        path.append(following)
