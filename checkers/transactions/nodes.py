"""The transactions of a history, as the nodes of its dependency graph.

A transaction is an operation `txn` whose value is a list of micro-operations ["r", key, value], ["append", key,
element] or ["w", key, value]; what was read is filled in when it is `ok`. Aborted transactions (`fail`) are kept apart:
their writes must not be seen. A transaction of unknown outcome (`info`) may have written; what it read is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from checkers.history import History
from checkers.kinds import require_one_kind
from checkers.malformed import MalformedHistory
from checkers.models.transactions import LIST_APPEND, RW_REGISTER, answers_transaction, reads_lists
from checkers.operation import INF, Operation
from checkers.values import show

from .graph import Graph

MicroOperation = tuple[str, Any, Any]

_READ_ONLY: Final = "r"

LIST_SHOWN_MAX: Final = 12
"""Longer lists are shown by their ends in sentences; evidence has all of them."""


class Transactions:
    """The transactions that happened or may have happened, numbered in the order of their invokes, and the aborted."""

    def __init__(self, history: History, write: str) -> None:
        """Take the transactions of a history whose writes are called `write`."""
        self.write = write
        self.operations: list[Operation] = []
        self.aborted: list[Operation] = []
        for operation in sorted(history.operations(with_void=True), key=lambda operation: operation.call):
            _validate(operation, write, history)
            (self.aborted if operation.type == "fail" else self.operations).append(operation)
        model = LIST_APPEND if write == "append" else RW_REGISTER
        require_one_kind([*self.operations, *self.aborted], model, history.conventions.source, history.where_index)
        self.done: list[Sequence[MicroOperation]] = [
            operation.result if operation.type == "ok" else operation.value for operation in self.operations
        ]
        self.committed = [operation.type == "ok" for operation in self.operations]

    def __len__(self) -> int:
        return len(self.operations)

    def graph(self, *, process: bool, realtime: bool) -> Graph:
        """Start the dependency graph with the orders that do not depend on what was read."""
        graph = Graph(len(self.operations))
        if process:
            graph.add_processes([operation.process for operation in self.operations])
        if realtime:
            returns = [None if operation.ret == INF else operation.ret for operation in self.operations]
            graph.add_realtime([operation.call for operation in self.operations], returns)
        return graph

    def name(self, transaction: int) -> str:
        """Name a transaction for people: by the index of its invoke."""
        return f"T{self.operations[transaction].call}"

    def describe(self, transaction: int) -> dict[str, Any]:
        """Show a transaction as data."""
        return describe(self.operations[transaction])

    def certain_at(self, transactions: Sequence[int]) -> int:
        """Return the index of the line with which the last of these transactions became known."""
        operations = [self.operations[transaction] for transaction in transactions]
        return max(operation.call if operation.ret == INF else operation.ret for operation in operations)


def describe(operation: Operation) -> dict[str, Any]:
    """Show a transaction as data: who, when, and what it did."""
    return {
        "name": f"T{operation.call}",
        "process": operation.process,
        "type": operation.type,
        "call": operation.call,
        "return": None if operation.ret == INF else operation.ret,
        "value": operation.result if operation.type == "ok" else operation.value,
    }


def micro(operations: Sequence[MicroOperation]) -> str:
    """Print micro-operations for people: `append x 1, r y [1, 2]`."""
    return ", ".join(f"{f} {show(key)} {brief(value)}" for f, key, value in operations)


def brief(value: Any) -> str:
    """Print a value for people; a long list by its ends."""
    if type(value) is tuple and len(value) > LIST_SHOWN_MAX:
        return f"[{show(value[:2])[1:-1]}, ..., {show(value[-4:])[1:-1]}]"
    return show(value)


def _validate(operation: Operation, write: str, history: History) -> None:
    value = operation.result if operation.type == "ok" else operation.value
    fits = operation.f == "txn" and type(value) is tuple
    if not fits or not all(type(m) is tuple and len(m) == 3 and m[0] in (_READ_ONLY, write) for m in value):
        found = f"{operation.f} {show(value)}"
        expected = f'a txn [["r", key, null] or ["{write}", key, value], ...]'
        raise MalformedHistory(found, expected, history.where_index(operation.call))
    if write == "append" and not reads_lists(value):
        where = history.where_index(operation.ret if operation.type == "ok" else operation.call)
        raise MalformedHistory(f"txn {show(value)}", 'reads of lists: ["r", key, a list or null]', where)
    if operation.type == "ok" and not answers_transaction(operation.value, operation.result):
        found = f"txn {show(operation.value)} answered as txn {show(operation.result)}"
        raise MalformedHistory(found, "a completion that answers its invoke", history.where_index(operation.ret))
