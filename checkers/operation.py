"""An operation: an invoke with what came of it, between two lines of a history.

* `ok`: it happened, with `result`.
* `fail` with a word of `NEGATIVE_ANSWERS`: the object was asked and said no. That is an observation, and it constrains.
* `fail` otherwise: it did not happen, and is as if it had never been invoked.
* `info`, also an invoke without any completion: it may take effect at any time after its call, or never.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from .op import Op
from .values import freeze, show

OutcomeType = Literal["ok", "fail", "info"]

NEGATIVE_ANSWERS: Final = frozenset({"precondition-failed", "absent", "exists", "empty", "held"})
"""Words of a `fail` with which the state machine answered: such a `fail` is an observation and constrains the state."""

INF: Final = 1 << 62
"""The return index of an operation that never returned: later than any line, and still a machine-size integer."""


class Operation(msgspec.Struct, frozen=True, gc=False):
    """An invoke with its completion: what a client asked, what it was told, and between which two lines.

    `value` is what was asked, `result` what an `ok` completion carried. `call` and `ret` are indexes of lines; `ret` is
    `INF` for an operation whose outcome is unknown.
    """

    process: int
    f: str
    key: Any
    value: Any
    result: Any
    type: OutcomeType
    error: Any
    call: int
    ret: int
    call_time: int = 0
    ret_time: int = 0

    @property
    def is_negative(self) -> bool:
        """The object was asked and answered no."""
        return self.type == "fail" and type(self.error) is str and self.error in NEGATIVE_ANSWERS

    @property
    def is_void(self) -> bool:
        """It certainly did not happen, and told nothing: as if never invoked."""
        return self.type == "fail" and not self.is_negative

    @property
    def is_crashed(self) -> bool:
        """Its outcome is unknown: it may have happened, may yet happen, or never."""
        return self.type == "info"


def other_operation(invoke: Op, completion: Op) -> str:
    """Say how a completion is one of another operation than this invoke; empty if it is not."""
    if completion.f == invoke.f and (completion.key is None or completion.key == invoke.key):
        return ""
    return f"a completion of {_name(completion)} for an invoke of {_name(invoke)}"


def pair(invoke: Op, completion: Op | None) -> Operation:
    """Make an operation of an invoke and what came of it; None: nothing did."""
    process: Any = invoke.process
    f, key, value = invoke.f, freeze(invoke.key), freeze(invoke.value)
    if completion is None or completion.type == "info" or completion.type == "invoke":
        error = None if completion is None else freeze(completion.error)
        return Operation(process, f, key, value, None, "info", error, invoke.index, INF, invoke.time, INF)
    kind = completion.type
    result = freeze(completion.value) if kind == "ok" else None
    error = freeze(completion.error)
    return Operation(
        process, f, key, value, result, kind, error, invoke.index, completion.index, invoke.time, completion.time
    )


def _name(op: Op) -> str:
    return op.f if op.key is None else f"{op.f} of key {show(op.key)}"
