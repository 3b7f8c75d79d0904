"""What became of each element of a set: lost, stale, never read, or stable, and after how long.

A set to which elements are added (`add` e) and which is read as a whole (`read` -> list). An element is *known* from
the first line that proves it is in the set: an add of it was ok or was refused since it `exists`, or a read returned
it. With the reads in the order of their invokes, and counting as missing it only those invoked after its first add was,

* lost: known, and missing in the last read that could have it, which began after it was known;
* stable: in the last such read; from the last read without it on, it is always there. Its *stable latency* is the time
  from known to the invoke of the first read of that unbroken row, 0 if no read after known missed it;
* stale: stable, but a read that began after it was known missed it, so it appeared late;
* never-read: nothing is known of it, or no read could have it.

`lost` is a violation, whatever the store promises. So are elements that were never added, `phantom`, those whose add
failed, `revived`, those that were read before their first add began, `future`, or refused as there before that,
`refused`, and those that one read returns twice, `duplicate`. `stale` is one if the set is to be linearizable.

After the checker `set-full` of Jepsen, with order by lines instead of times. Elements may be added more than once:
nothing ever leaves the set, so the first add of each counts.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any, Final

from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.operation import Operation
from checkers.values import show
from checkers.verdict import Anomaly, Validity, Verdict

from .staleness import quantiles

CHECKER: Final = "set-full"

SHOWN_MAX: Final = 10
"""Elements named in a message; the evidence has all."""


def check(history: History, *, linearizable: bool = True) -> Verdict:
    """Follow every element; `linearizable=False` forgives elements that appear late."""
    begin = time.perf_counter()
    sets = [_Set(key, operations, history) for key, operations in history.by_key(with_void=True).items()]
    anomalies = [anomaly for one in sets for anomaly in one.anomalies(linearizable=linearizable)]
    fates = {fate: sum(len(one.fates[fate]) for one in sets) for fate in FATES}
    latencies = [latency / 1e6 for one in sets for latency in one.latencies_ns]
    nothing_known = not anomalies and not fates["stable"]
    validity: Validity = "invalid" if anomalies else "unknown" if nothing_known else "valid"
    return Verdict(
        validity=validity,
        checker=CHECKER,
        engine="elements",
        model="set",
        ops=len(history.operations()),
        anomalies=_first_of_each_kind(anomalies),
        reason="no read could have shown an element" if validity == "unknown" else "",
        steps=sum(len(one.reads) for one in sets),
        seconds=time.perf_counter() - begin,
        details={**fates, "stable_latency_ms": quantiles(latencies)},
    )


FATES: Final = ("stable", "stale", "lost", "never-read")


class _Set:
    """One set: when each element became known, and which reads had it."""

    def __init__(self, key: Hashable, operations: list[Operation], history: History) -> None:
        self.key = key
        self.reads: list[tuple[Operation, frozenset[Any]]] = []
        self.duplicates: list[tuple[Operation, Any]] = []
        self.adds: dict[Any, Operation] = {}  # element -> the first add that may have happened
        self.failed: dict[Any, Operation] = {}
        self.told: list[Operation] = []  # adds that were ok, or refused since the element was there
        for operation in operations:
            self._note(operation, history)
        self.known: dict[Any, tuple[int, int]] = {}  # element -> (line, time) from which it is certainly in the set
        self.present: dict[Any, int] = {}  # element -> position of the last read that has it
        self.absent: dict[Any, int] = {}  # element -> position of the last read that could have it and has not
        self.strangers: dict[Any, Operation] = {}
        self._follow()
        self.fates: dict[str, list[Any]] = {fate: [] for fate in FATES}
        self.latencies_ns: list[int] = []
        for element in self.adds:
            self._decide(element)

    def _note(self, operation: Operation, history: History) -> None:
        if operation.f == "add":
            if operation.type == "ok" or operation.is_negative:
                self.told.append(operation)
            if not operation.is_negative:
                (self.failed if operation.is_void else self.adds).setdefault(operation.value, operation)
        elif operation.f != "read" or (operation.type == "ok" and type(operation.result) is not tuple):
            where = history.where_index(operation.call)
            raise MalformedHistory(f"{operation.f} -> {show(operation.result)}", "add, or read of a list", where)
        elif operation.type == "ok":
            elements = frozenset(operation.result)
            if len(elements) < len(operation.result):
                seen: set[Any] = set()
                twice = next(e for e in operation.result if e in seen or seen.add(e))  # type: ignore[func-returns-value]
                self.duplicates.append((operation, twice))
            self.reads.append((operation, elements))

    def _follow(self) -> None:
        for add in sorted(self.told, key=lambda add: add.ret, reverse=True):
            self.known[add.value] = (add.ret, add.ret_time)
        self._follow_returns()
        for position in range(len(self.reads) - 1, -1, -1):
            for element in self.reads[position][1] - self.present.keys():
                self.present[element] = position
        waiting = list(self.adds.items())[::-1]  # operations are listed by their invokes, and so are adds
        invoked: set[Any] = set()
        for position, (read, elements) in enumerate(self.reads):
            while waiting and waiting[-1][1].call < read.call:
                invoked.add(waiting.pop()[0])
            for element in invoked - elements:
                self.absent[element] = position

    def _follow_returns(self) -> None:
        """An element is also known from the first read that returned it; and reads may return what was never added."""
        returned: set[Any] = set()
        for read, elements in sorted(self.reads, key=lambda entry: entry[0].ret):
            if elements <= returned:
                continue
            for element in read.result:
                if element not in returned and not self._may_be_there(element, read):
                    self.strangers.setdefault(element, read)
                if element not in self.known or read.ret < self.known[element][0]:
                    self.known[element] = (read.ret, read.ret_time)
            returned |= elements

    def _may_be_there(self, element: Any, operation: Operation) -> bool:
        """Say whether an add of this element had begun when an operation returned."""
        add = self.adds.get(element)
        return add is not None and add.call < operation.ret

    def _decide(self, element: Any) -> None:
        known, present, absent = self.known.get(element), self.present.get(element, -1), self.absent.get(element, -1)
        missed_after = known is not None and absent >= 0 and self.reads[absent][0].call > known[0]
        if known is not None and absent > present and missed_after:
            self.fates["lost"].append(element)
        elif known is not None and present > absent:
            self.fates["stable"].append(element)
            latency = 0
            if missed_after:
                self.fates["stale"].append(element)
                latency = max(0, self.reads[absent + 1][0].call_time - known[1])
            self.latencies_ns.append(latency)
        else:
            self.fates["never-read"].append(element)

    def anomalies(self, *, linearizable: bool) -> list[Anomaly]:
        """List what is wrong, at most one anomaly a kind."""
        kinds = ("lost", "stale") if linearizable else ("lost",)
        found = [self._missed(kind, self.fates[kind]) for kind in kinds if self.fates[kind]]
        for element, read in self.strangers.items():
            kind, why = self._whence(element)
            found.append(self._anomaly(kind, read.ret, f"a read returned {show(element)}; {why}", [element]))
        for add in self.told:
            if add.is_negative and not self._may_be_there(add.value, add):
                what = f"an add of {show(add.value)} was refused as it exists; no add of it had begun"
                found.append(self._anomaly("refused", add.ret, what, [add.value]))
        for read, element in self.duplicates:
            found.append(self._anomaly("duplicate", read.ret, f"a read returned {show(element)} twice", [element]))
        return found

    def _whence(self, element: Any) -> tuple[str, str]:
        """Say how an element came into a read before an add of it could have: the kind of anomaly, and why."""
        add, failed = self.adds.get(element), self.failed.get(element)
        if add is not None:
            return "future", f"its first add began only at index {add.call}"
        return ("phantom", "no add of it") if failed is None else ("revived", f"its add at index {failed.call} failed")

    def _missed(self, kind: str, elements: list[Any]) -> Anomaly:
        def witness(element: Any) -> int:
            return self.reads[self.absent[element]][0].ret

        first = min(elements, key=witness)
        named = ", ".join(map(show, elements[:SHOWN_MAX])) + (", ..." if len(elements) > SHOWN_MAX else "")
        read = self.reads[self.absent[first]][0]
        what = (
            f"{kind}: {named}. {show(first)} was known to be in the set at index {self.known[first][0]}; "
            f"the read of indexes {read.call} to {read.ret} has not got it"
        )
        return self._anomaly(kind, witness(first), what, elements)

    def _anomaly(self, kind: str, index: int, what: str, elements: list[Any]) -> Anomaly:
        prefix = "" if self.key is None else f"key {show(self.key)}: "
        evidence = {"key": self.key, "elements": elements}
        return Anomaly(checker=CHECKER, kind=kind, index=index, message=prefix + what, evidence=evidence)


def _first_of_each_kind(anomalies: list[Anomaly]) -> tuple[Anomaly, ...]:
    first: dict[str, Anomaly] = {}
    for anomaly in sorted(anomalies, key=lambda anomaly: anomaly.index or 0):
        first.setdefault(anomaly.kind, anomaly)
    return tuple(first.values())
