"""Histories: what clients saw, one event a line, in Jepsen's shape.

The real-time order is the order of lines (`index`), never `time`, which is for people and latencies.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

OpType = Literal["invoke", "ok", "fail", "info"]

NEGATIVE_ANSWERS = frozenset({"precondition-failed", "absent", "exists", "empty", "held"})
"""Words of a `fail` with which the state machine answered: such a `fail` is an observation and constrains the state."""


class Op(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of a history. `process` is an integer, or "nemesis"; `extra` keeps fields that other tools added."""

    index: int
    time: int
    process: int | str
    type: OpType
    f: str
    key: Any = None
    value: Any = None
    error: Any = None
    extra: dict[str, Any] | None = None
