"""Replay of a witness: what proves a `valid`, whatever found the order.

A witness is a row of events: the start of each transaction, where it reads, and its commit, where its writes are seen.
Serial ones have the two side by side. The replay runs the transactions in that row and compares every read with what
was answered; it knows neither the graph nor how the row was found.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

from checkers.operation import INF

from .nodes import Transactions


class WitnessRefuted(Exception):
    """The order that was found does not explain the history: the search is wrong, and no verdict can be trusted."""


def replay(
    transactions: Transactions,
    happened: Sequence[bool],
    row: Sequence[tuple[int, bool]],
    *,
    process: bool,
    realtime: bool,
) -> None:
    """Raise `WitnessRefuted` unless this row of (transaction, whether it is its commit) explains all that was read.

    Every transaction that happened must start and commit once, in this order; two that write one object must not
    overlap; and each must see the latest committed versions at its start, and then its own writes. `process` and
    `realtime` ask in addition that whatever came before it, in its session or in time, had committed at its start.
    """
    row = [(transaction, is_commit) for transaction, is_commit in row if happened[transaction]]
    _require_each_once(row, happened)
    committed: dict[Hashable, Any] = {}
    changed_at: dict[Hashable, int] = {}
    started_at: dict[int, int] = {}
    for place, (transaction, is_commit) in enumerate(row):
        if not is_commit:
            started_at[transaction] = place
            _require_reads(transactions, transaction, committed)
            continue
        own: dict[Hashable, Any] = {}
        for f, key, value in transactions.done[transaction]:
            if f != "r":
                own[key] = _written(f, own.get(key, committed.get(key)), value)
        for key in own:
            if changed_at.get(key, -1) > started_at[transaction]:
                raise WitnessRefuted(f"{transactions.name(transaction)} overlaps another writer of {key!r}")
            changed_at[key] = place
        committed.update(own)
    if realtime:
        _require_time(transactions, row)
    if process:
        _require_sessions(transactions, row)


def _require_each_once(row: Sequence[tuple[int, bool]], happened: Sequence[bool]) -> None:
    starts = [transaction for transaction, is_commit in row if not is_commit]
    commits = [transaction for transaction, is_commit in row if is_commit]
    wanted = [transaction for transaction, is_in in enumerate(happened) if is_in]
    places = {event: place for place, event in enumerate(row)}
    if sorted(starts) != wanted or sorted(commits) != wanted:
        raise WitnessRefuted("not each transaction starts and commits once")
    if any(places[transaction, False] > places[transaction, True] for transaction in wanted):
        raise WitnessRefuted("a transaction commits before it starts")


def _written(f: str, before: Any, value: Any) -> Any:
    return value if f == "w" else (*(before or ()), value)


def _require_reads(transactions: Transactions, transaction: int, committed: dict[Hashable, Any]) -> None:
    own: dict[Hashable, Any] = {}
    knows_reads = transactions.committed[transaction]
    for f, key, value in transactions.done[transaction]:
        present = own[key] if key in own else committed.get(key)
        if f != "r":
            own[key] = _written(f, present, value)
        elif knows_reads and present != value and not (present is None and value == _EMPTY):
            raise WitnessRefuted(f"{transactions.name(transaction)} read {key!r} = {value!r}, not {present!r}")


_EMPTY: Final[tuple[Any, ...]] = ()


def _require_time(transactions: Transactions, row: Sequence[tuple[int, bool]]) -> None:
    earliest = INF
    for transaction, is_commit in reversed(row):
        operation = transactions.operations[transaction]
        if is_commit:
            earliest = min(earliest, operation.ret)
        elif earliest < operation.call:
            raise WitnessRefuted(f"{transactions.name(transaction)} starts before what had completed when it was asked")


def _require_sessions(transactions: Transactions, row: Sequence[tuple[int, bool]]) -> None:
    latest: dict[int, int] = {}
    for transaction, _ in row:
        operation = transactions.operations[transaction]
        if latest.get(operation.process, -1) > operation.call:
            raise WitnessRefuted(f"process {operation.process} does not keep its order")
        latest[operation.process] = operation.call


def replay_atomic(transactions: Transactions, happened: Sequence[bool], order: Sequence[int]) -> None:
    """Raise `WitnessRefuted` unless this order of transactions explains all that was read as read atomic.

    Each transaction sees those from which it read something, all of which must come before it, and none besides. Of
    each object it must have read what the last of these that wrote it had left, or the initial value.
    """
    order = [transaction for transaction in order if happened[transaction]]
    if sorted(order) != [transaction for transaction, is_in in enumerate(happened) if is_in]:
        raise WitnessRefuted("not each transaction stands in the order once")
    objects: dict[Hashable, _Object] = {}
    for transaction in order:
        reads = _external_reads(transactions, transaction) if transactions.committed[transaction] else {}
        sizes = {
            key: objects.setdefault(key, _Object()).size_of(value, transactions.write) for key, value in reads.items()
        }
        sees = [objects[key].writer.get(size) for key, size in sizes.items() if size]
        for key, size in sizes.items():
            latest = max((objects[key].size.get(other, 0) for other in sees if other is not None), default=0)
            if size != latest or (size and size not in objects[key].writer):
                raise WitnessRefuted(f"{transactions.name(transaction)} read {key!r} = {reads[key]!r}, not the latest")
        for f, key, value in transactions.done[transaction]:
            if f != "r":
                objects.setdefault(key, _Object()).write(transaction, value)


class _Object:
    """What was written to one object, in the order of the transactions."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.writer: dict[int, int] = {}  # how many values there were when a transaction was done -> which one
        self.size: dict[int, int] = {}  # the same, the other way round
        self._number: dict[Any, int] = {}

    def write(self, transaction: int, value: Any) -> None:
        """Add what a transaction wrote; what it writes after that takes the place of this version."""
        self.writer.pop(self.size.get(transaction, 0), None)
        self.values.append(value)
        self._number[value] = self.size[transaction] = len(self.values)
        self.writer[len(self.values)] = transaction

    def size_of(self, read: Any, write: str) -> int:
        """Return how many values there were when this could be read; -1 for never."""
        if write == "w":
            return 0 if read is None else self._number.get(read, -1)
        return len(read or ()) if tuple(read or ()) == tuple(self.values[: len(read or ())]) else -1


def _external_reads(transactions: Transactions, transaction: int) -> dict[Hashable, Any]:
    """Return what a transaction read of others; raise `WitnessRefuted` if it contradicts itself."""
    own: dict[Hashable, list[Any]] = {}
    reads: dict[Hashable, Any] = {}
    for f, key, value in transactions.done[transaction]:
        mine = own.get(key, [])
        if f != "r":
            own.setdefault(key, []).append(value)
        elif transactions.write == "append":
            seen = value or ()
            outside = seen[: len(seen) - len(mine)]
            if seen != (*outside, *mine) or reads.setdefault(key, outside) != outside:
                raise WitnessRefuted(
                    f"{transactions.name(transaction)} read {key!r} = {value!r} against its own account"
                )
        elif value != (mine[-1] if mine else reads.setdefault(key, value)):
            raise WitnessRefuted(f"{transactions.name(transaction)} read {key!r} = {value!r} against its own account")
    return reads
