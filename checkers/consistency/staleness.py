"""How stale reads of registers are: in time and in versions.

A read of value v, written by w, is stale if some write that began after w had completed was itself complete before the
read began: then v was certainly not the latest value any more. How stale it is at least is measured twice:

* time: from the first completion of such a write to the beginning of the read (Golab, Li and Shah, "Analyzing
  Consistency Properties for Fun and Profit", PODC 2011: a history is Delta-atomic if no read is staler than Delta);
* versions: how many such writes there are; each of them lies between w and the read in every order that respects time,
  so that k-atomicity with a smaller k is ruled out.

Both are lower bounds: what overlaps is given the benefit of the doubt, and where a value was written more than once the
read is taken to have seen the latest write that it can have seen. The bound 0 therefore accepts all linearizable
histories, and some that are not; the exact check is `check(history, "register")`.

Two more findings have no degree: `phantom-read`, a value that was never written, and `future-read`, one whose write
began after the read had completed.

Operations: `write` v, `read` -> v (null: the initial value), `cas` [old, new], which reads old and writes new. What a
cas reads, another one has written: where old and new are one value, its own write explains nothing.

Notes
-----
O(n log n) for each key: the earliest completion after an instant is a suffix minimum over writes sorted by invoke, and
versions are counted by a Fenwick tree while sweeping over completions.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.operation import INF, Operation
from checkers.values import show
from checkers.verdict import Anomaly, Verdict

CHECKER: Final = "staleness"

_FUNCTIONS: Final = ("read", "write", "cas")


class StaleRead(NamedTuple):
    """A read, the newer write that was complete first, and how far the read lags behind."""

    operation: Operation
    value: Any
    overwritten_by: Operation
    lag_ns: int
    versions: int


def check(history: History, *, max_lag_ns: int = 0, max_versions: int = 0, initial: Any = None) -> Verdict:
    """Measure every read, and judge against both bounds."""
    begin = time.perf_counter()
    anomalies: dict[str, Anomaly] = {}
    stale: list[StaleRead] = []
    reads = 0
    for key, operations in history.by_key().items():
        register = _Register(key, operations, initial, history)
        reads += len(register.reads)
        stale += register.judge(anomalies)
    for read in sorted(stale, key=lambda read: (-read.lag_ns, read.operation.ret)):
        if read.lag_ns > max_lag_ns:
            _add(anomalies, "stale-read", "time", read.operation, _describe(read), _evidence(read))
    for read in sorted(stale, key=lambda read: (-read.versions, read.operation.ret)):
        if read.versions > max_versions:
            _add(anomalies, "stale-read", "versions", read.operation, _describe(read), _evidence(read))
    return Verdict(
        validity="invalid" if anomalies else "valid",
        checker=CHECKER,
        engine="zones",
        model="register",
        ops=len(history.operations()),
        anomalies=tuple(anomalies.values()),
        steps=reads,
        seconds=time.perf_counter() - begin,
        details={
            "reads": reads,
            "stale": len(stale),
            "lag_ms": quantiles([read.lag_ns / 1e6 for read in stale]),
            "versions": quantiles([float(read.versions) for read in stale]),
        },
    )


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median, 95th and 99th percentile and the maximum (nearest rank)."""
    if not values:
        return {}
    ordered = sorted(values)
    ranks = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    return {name: ordered[max(0, -(-rank * len(ordered) // 100) - 1)] for name, rank in ranks.items()}


class _Register:
    """One key: its writes sorted by invoke, and its reads."""

    def __init__(self, key: Hashable, operations: list[Operation], initial: Any, history: History) -> None:
        self.key = key
        self.reads: list[tuple[Operation, Any]] = []
        self.writes: list[Operation] = []
        writers: dict[Any, list[Operation]] = {}
        for operation in operations:
            if operation.f not in _FUNCTIONS:
                where = history.where_index(operation.call)
                raise MalformedHistory(operation.f, f"one of {', '.join(_FUNCTIONS)}", where)
            if operation.is_negative:
                continue
            if operation.f == "read":
                if operation.type == "ok":
                    self.reads.append((operation, operation.result))
                continue
            written = operation.value
            if operation.f == "cas":
                old, written = operation.value
                if operation.type == "ok":
                    self.reads.append((operation, old))
            self.writes.append(operation)
            writers.setdefault(written, []).append(operation)
        self.initial = initial
        self.calls = [write.call for write in self.writes]
        # for each position: the write that completes first among those invoked from there on
        self.first_done: list[Operation] = list(accumulate(reversed(self.writes), _earlier))[::-1]
        self.latest_return = {
            value: list(accumulate((write.ret for write in group), max)) for value, group in writers.items()
        }
        self.writer_calls = {value: [write.call for write in group] for value, group in writers.items()}

    def judge(self, anomalies: dict[str, Anomaly]) -> list[StaleRead]:
        """List the stale reads; put phantoms and futures among the anomalies."""
        stale: list[tuple[Operation, Any, Operation, int]] = []
        for operation, value in self.reads:
            since = self._since(operation, value, anomalies)
            if since is None:
                continue
            position = bisect_right(self.calls, since)
            if position < len(self.first_done) and self.first_done[position].ret < operation.call:
                stale.append((operation, value, self.first_done[position], since))
        versions = self._count([(since, operation.call) for operation, _, _, since in stale])
        return [
            StaleRead(operation, value, newer, max(0, operation.call_time - newer.ret_time), count)
            for (operation, value, newer, _), count in zip(stale, versions, strict=True)
        ]

    def _since(self, operation: Operation, value: Any, anomalies: dict[str, Anomaly]) -> int | None:
        """Return the latest line at which a write of this value, that the read can have seen, completed."""
        calls = self.writer_calls.get(value, [])
        visible = bisect_left(calls, operation.ret)
        later = calls[visible : visible + 1]
        if visible and calls[visible - 1] == operation.call:  # its own write, of a cas that writes what it read
            visible -= 1
        if visible:
            return self.latest_return[value][visible - 1]
        if value == self.initial:
            return -1
        said = f"process {operation.process} read {show(self.key)} = {show(value)} (index {operation.ret})"
        evidence = {"key": self.key, "value": value, "call": operation.call, "return": operation.ret}
        if later:
            what = f"{said}; its first write began only at index {later[0]}"
            _add(anomalies, "future-read", "", operation, what, {**evidence, "write": later[0]})
        else:
            _add(anomalies, "phantom-read", "", operation, f"{said}, which no operation wrote", evidence)
        return None

    def _count(self, spans: list[tuple[int, int]]) -> list[int]:
        """Count, for each span, the writes that lie strictly inside it."""
        answers = [0] * len(spans)
        completed = sorted((write.ret, position) for position, write in enumerate(self.writes) if write.ret != INF)
        tree = _Fenwick(len(self.writes))
        done = 0
        for number in sorted(range(len(spans)), key=lambda number: spans[number][1]):
            start, end = spans[number]
            while done < len(completed) and completed[done][0] < end:
                tree.add(completed[done][1])
                done += 1
            answers[number] = done - tree.count(bisect_right(self.calls, start))
        return answers


def _earlier(a: Operation, b: Operation) -> Operation:
    return a if a.ret < b.ret else b


class _Fenwick:
    """Counts marked positions below a position (Fenwick 1994)."""

    def __init__(self, size: int) -> None:
        self.sums = [0] * (size + 1)

    def add(self, position: int) -> None:
        position += 1
        while position < len(self.sums):
            self.sums[position] += 1
            position += position & -position

    def count(self, below: int) -> int:
        total = 0
        while below > 0:
            total += self.sums[below]
            below -= below & -below
        return total


def _add(
    anomalies: dict[str, Anomaly], kind: str, detail: str, operation: Operation, what: str, evidence: dict[str, Any]
) -> None:
    anomalies.setdefault(
        f"{kind}/{detail}",
        Anomaly(checker=CHECKER, kind=kind, detail=detail, index=operation.ret, message=what, evidence=evidence),
    )


def _describe(read: StaleRead) -> str:
    operation, newer = read.operation, read.overwritten_by
    return (
        f"process {operation.process} read {show(operation.key)} = {show(read.value)} (indexes {operation.call} to "
        f"{operation.ret}), {read.lag_ns / 1e6:g} ms after the write of index {newer.call} was complete; "
        f"{read.versions} newer version{'s' * (read.versions != 1)} had been written"
    )


def _evidence(read: StaleRead) -> dict[str, Any]:
    return {
        "key": read.operation.key,
        "value": read.value,
        "call": read.operation.call,
        "overwritten_by": read.overwritten_by.call,
        "lag_ns": read.lag_ns,
        "versions": read.versions,
    }
