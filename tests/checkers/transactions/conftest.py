"""A history of transactions on one line each.

`txn("ax1 ry12 rz")` appends 1 to x, read y = [1, 2] and z = [].
With registers, `txn("wx1 ry2 rz")` wrote 1 to x, read y = 2 and z = null.

Values are single digits or letters. `history` runs transactions concurrently; `.` between them lets what came before
complete first. A transaction is (process:)(!|?)text: `1:ax1` of process 1, `!ax1` aborted, `?ax1` of unknown outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from checkers.history import History
from checkers.op import Op

Micro = list[Any]


def txn(text: str, *, lists: bool = True) -> list[Micro]:
    """Read the mini language."""
    return [_micro(word, lists) for word in text.split()]


def _micro(word: str, lists: bool) -> Micro:
    f, key, values = word[0], word[1], [int(v) if v.isdigit() else v for v in word[2:]]
    if f == "r":
        return ["r", key, values if lists else (values[0] if values else None)]
    return [{"a": "append", "w": "w"}[f], key, values[0]]


def history(*lines: str, lists: bool = True) -> History:
    """Make a history whose transactions run concurrently, but for what `.` separates."""
    ops: list[Op] = []
    pending: list[tuple[int, str, list[Micro]]] = []

    def add(process: int, type: Any, value: Any) -> None:
        ops.append(Op(index=len(ops), time=len(ops), process=process, type=type, f="txn", value=value))

    def complete() -> None:
        for process, outcome, value in pending:
            add(process, outcome, value if outcome == "ok" else _asked(value))
        pending.clear()

    for number, line in enumerate(lines):
        if line == ".":
            complete()
            continue
        process, _, text = line.rpartition(":")
        outcome = {"!": "fail", "?": "info"}.get(text[0], "ok")
        value = txn(text.lstrip("!?"), lists=lists)
        who = int(process) if process else 100 + number
        add(who, "invoke", _asked(value))
        pending.append((who, outcome, value))
    complete()
    return History(ops)


def _asked(value: list[Micro]) -> list[Micro]:
    return [[f, key, None if f == "r" else what] for f, key, what in value]


@pytest.fixture(name="history")
def history_fixture() -> Callable[..., History]:
    """Make histories from the mini language."""
    return history
