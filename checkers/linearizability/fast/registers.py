"""Registers whose written values are unique, and keys of maps that are such: the engine around `zones`.

This module turns operations into rows, says where that cannot be done (a value written twice, above all), and finds the
completion at which a violation became certain. Rows are columns of plain values, so that a million operations need no
million objects: `REGISTERS.decide_rows` takes them directly.

Maps come here key by key: put-if-absent is a cas from null, and so is replace from what it replaced.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, Final

from checkers.linearizability.failing_prefix import Bounds
from checkers.linearizability.result import Meter
from checkers.models import Model, maps, registers
from checkers.operation import Operation

from .fast_path import FastPath
from .zones import CAS, READ, REFUSED, WRITE, Columns, Violation, find_violation

_DEPENDENT: Final = ("replace", "remove")
"""Functions whose effect is not known before their answer is."""


def _failure(columns: Columns, meter: Meter) -> Bounds | None:
    """Decide columns; where they are not linearizable, say between which events that became certain."""
    violation = find_violation(columns, meter)
    return None if violation is None else violation.bounds


def _culprits(columns: Columns, violation: Violation, operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the operations that suffice to see a violation."""
    values, returns = set(violation.values), set(violation.returns)
    for row, kind, new, ret in zip(columns.rows, columns.kinds, columns.news, columns.returns):
        if ret in returns or (kind in (WRITE, CAS) and new in values):
            yield operations[row]


def columns_of(operations: Sequence[Operation], model: Model) -> Columns | str:
    """Make the columns of one register's operations, or say why this check does not apply to them."""
    kind = _object(operations, model)
    if isinstance(kind, str):
        return kind
    initial, functions = kind
    rows: list[int] = []
    kinds, olds, news = bytearray(), [], []
    for position in sorted(range(len(operations)), key=lambda position: operations[position].call):
        if operations[position].f not in functions:
            return f"{operations[position].f} is no operation on one register"
        row = _row(operations[position])
        if isinstance(row, str):
            return row
        if row is not None:
            kinds.append(row[0])
            olds.append(row[1])
            news.append(row[2])
            rows.append(position)
    calls = [operations[row].call for row in rows]
    returns = [operations[row].ret for row in rows]
    columns = Columns(calls, returns, bytes(kinds), olds, news, rows, initial)
    columns.has_exact_prefixes = all(_is_independent(operations[row]) for row in rows)
    return _obstacle(columns, operations) or columns


def _object(operations: Sequence[Operation], model: Model) -> tuple[Any, Container[str]] | str:
    """Find the initial value and the functions of the object, or say why it is no register."""
    if model.step is registers.step:
        return model.init, registers.FUNCTIONS
    if model.step is not maps.step or not isinstance(model.init, frozenset):
        return f"model {model.name} is no register"
    keys = {operation.key for operation in operations}
    if len(keys) > 1:
        return "the operations touch several keys"
    return next((value for key, value in model.init if key in keys), None), maps.FUNCTIONS


def _is_independent(operation: Operation) -> bool:
    """Whether a row says all that the operation may do while its answer is not known."""
    return operation.f not in _DEPENDENT and (operation.error != "absent" or operation.f == "read")


def _obstacle(columns: Columns, operations: Sequence[Operation]) -> str | None:
    values = columns.written()
    if len(set(values)) < len(values):
        return "a value is written twice"
    guarded = {operation.value for operation in operations if operation.f == "replace" and operation.type == "info"}
    if guarded and (REFUSED in columns.kinds or not guarded.isdisjoint(columns.olds)):
        return "a crashed replace may matter, and needs a value to be there"
    return None


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
        return f"{f} failed with {operation.error}"
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


REGISTERS: Final = FastPath(
    name="registers",
    rows_of=columns_of,
    size=lambda columns: columns.size,
    failure=_failure,
    prefix=lambda columns, end: columns.prefix(end),
    has_prefixes=lambda columns: columns.has_exact_prefixes and not columns.has_rivals(),
    culprits=_culprits,
)
