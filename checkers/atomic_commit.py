"""Whether transactions over several shards were atomic: orders placed in all of their shards, or in none.

The history holds `order` and `read` of the model `orders`: every read tells the list of each shard at one instant. What
can be wrong has a name:

* half-transaction: a read tells an order in one shard and not in another, or less often there;
* lost-order: a read has not got an order that was ok, or was read, before the read was invoked;
* applied-twice: an order stands in a list twice, or more often than clients placed one of its number;
* aborted-order: a read tells an order that was answered as failed, each time that it was placed;
* phantom-order: a read tells an order that was never placed;
* shards-disagree: the shards of a read have the same orders, in another order.

Notes
-----
A read without any of these has one list. The history is then one of a list, and the exact check of a list of unique
elements (`linearizability.fast.lists`) decides the rest: stale reads, and orders in an order against real time. Where a
number was placed more than once, the general engine does. So `valid` is a proof that the transactions are strictly
serializable.

Cost: linear in the orders that all reads told, and for `lost-order` in reads times orders of one customer.

References
----------
J. Gray and L. Lamport, "Consensus on Transaction Commit", ACM TODS 31(1), 2006, section 2: atomic commitment.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from .admission import Admission, Mismatched, admit, mismatch
from .history import History
from .linearizability.front.checker import check_linearizable, chosen_conventions
from .models import Model
from .models.containers import LIST_MODEL
from .operation import INF, Operation
from .values import show
from .verdict import Anomaly, Verdict

CHECKER: Final = "atomic-commit"

KINDS: Final = (
    "half-transaction",
    "lost-order",
    "applied-twice",
    "aborted-order",
    "phantom-order",
    "shards-disagree",
)


def check(history: History, model: Model, *, mismatched: Mismatched = "refuse", **options: Any) -> Verdict:
    """Judge a history of orders. `options` are those of `check_linearizable`."""
    begin = time.perf_counter()
    operations = history.operations(with_void=True)
    conventions = chosen_conventions(history)
    admission = admit(operations, model, conventions, history.where_index, mismatched=mismatched)
    found = [mismatch(operation, model, CHECKER) for operation in admission.mismatched]
    found += _first_of_each_kind(_all_anomalies(admission))
    if found:
        return Verdict(
            validity="invalid",
            checker=CHECKER,
            engine="shards",
            model=model.name,
            ops=len(operations),
            anomalies=tuple(found),
            steps=len(admission.operations),
            seconds=time.perf_counter() - begin,
            notes=tuple(admission.notes),
        )
    lists = history.admitted(_as_list(operation) for operation in admission.operations if not operation.is_void)
    verdict = check_linearizable(lists, LIST_MODEL, **options)
    return msgspec.structs.replace(
        verdict,
        engine=f"shards+{verdict.engine}".rstrip("+"),
        model=model.name,
        ops=len(operations),
        notes=(*admission.notes, *verdict.notes),
    )


def _as_list(operation: Operation) -> Operation:
    """The same operation of the one list that all shards have."""
    if operation.f == "order":
        number = operation.value[0]
        result = number if operation.type == "ok" else None
        return msgspec.structs.replace(operation, f="append", value=number, result=result)
    return msgspec.structs.replace(operation, result=operation.result[0][1])


def _all_anomalies(admission: Admission) -> Iterator[Anomaly]:
    by_key: dict[Any, list[Operation]] = {}
    for operation in admission.operations:
        by_key.setdefault(operation.key, []).append(operation)
    for key, operations in by_key.items():
        yield from _Customer(key, operations).anomalies()


class _Customer:
    """The orders and reads of one customer."""

    def __init__(self, key: Any, operations: Sequence[Operation]) -> None:
        self.key = key
        self.placed: dict[Any, list[Operation]] = {}  # by number, of which clients may have placed several
        for operation in operations:
            if operation.f == "order":
                self.placed.setdefault(operation.value[0], []).append(operation)
        self.reads = [operation for operation in operations if operation.f == "read" and operation.type == "ok"]

    def anomalies(self) -> Iterator[Anomaly]:
        """Everything that is wrong, read by read."""
        for read in self.reads:
            yield from self._within(read)
        yield from self._lost()

    def _within(self, read: Operation) -> Iterator[Anomaly]:
        """What is wrong with a read by itself."""
        (first, orders), *others = read.result
        twice: set[Any] = set()
        for shard, found in read.result:
            for number, times in Counter(found).items():
                placed = self.placed.get(number, [])
                possible = sum(order.type != "fail" for order in placed)
                if times > max(1, possible):
                    twice.add(number)
                    yield self._anomaly("applied-twice", read, number, f"{times} times in shard {shard}")
                if not placed:
                    yield self._anomaly("phantom-order", read, number, f"in shard {shard}, and no client placed it")
                elif not possible:
                    yield self._anomaly(
                        "aborted-order", read, number, f"in shard {shard}; it failed at index {placed[-1].ret}"
                    )
        for shard, found in others:
            more, fewer = Counter(orders) - Counter(found), Counter(found) - Counter(orders)
            missing = {number for number in (*more, *fewer) if number not in orders or number not in found}
            if differing := [number for number in (*more, *fewer) if number in missing or number not in twice]:
                number = differing[0]
                where, not_where = (first, shard) if number in more else (shard, first)
                less = "not" if number in missing else "less often"
                yield self._anomaly(
                    "half-transaction", read, number, f"in shard {where} and {less} in shard {not_where}"
                )
            elif len(orders) == len(found) and orders != found:
                number = next(one for one, other in zip(orders, found, strict=True) if one != other)
                yield self._anomaly("shards-disagree", read, number, f"in another order in {shard} than in {first}")

    def _lost(self) -> Iterator[Anomaly]:
        """Orders that were known to be placed when a read was invoked that has them in no shard."""
        orders = chain.from_iterable(self.placed.values())
        events = [(operation.ret, False, operation) for operation in (*orders, *self.reads)]
        events += [(read.call, True, read) for read in self.reads]
        known: dict[Any, int] = {}  # number -> line at which it was known to be placed
        for line, is_call, operation in sorted(events, key=lambda event: event[0]):
            if is_call:
                seen = {number for _, found in operation.result for number in found}
                if lost := [number for number in known if number not in seen]:
                    number = lost[0]
                    yield self._anomaly(
                        "lost-order", operation, number, f"in no shard, known to be placed since index {known[number]}"
                    )
            elif operation.f == "read":
                for _, found in operation.result:
                    for number in found:
                        known.setdefault(number, line)
            elif operation.type == "ok" and line != INF:
                known.setdefault(operation.value[0], line)

    def _anomaly(self, kind: str, read: Operation, number: Any, what: str) -> Anomaly:
        whose = "" if self.key is None else f" of {show(self.key)}"
        return Anomaly(
            checker=CHECKER,
            kind=kind,
            index=read.ret,
            message=f"order {show(number)}{whose}: {what}, says the read of indexes {read.call} to {read.ret}",
            evidence={"key": self.key, "order": number, "call": read.call, "shards": read.result},
        )


def _first_of_each_kind(anomalies: Iterator[Anomaly]) -> list[Anomaly]:
    first: dict[str, Anomaly] = {}
    for anomaly in sorted(anomalies, key=lambda anomaly: (anomaly.index or 0, anomaly.message)):
        first.setdefault(anomaly.kind, anomaly)
    return list(first.values())
