"""One line of a history, in Jepsen's shape: who asked or was told what, and when.

The real-time order is the order of lines (`Op.index`), never `Op.time`, which is for people and latencies.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from .values import thaw

OpType = Literal["invoke", "ok", "fail", "info"]

NEMESIS: Final = "nemesis"
"""The one process that is not an integer. Its lines are for people: they constrain nothing."""


class Op(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
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


_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=thaw)


def encode_known(ops: list[Op]) -> bytes:
    """Encode ops that have no fields of other tools, with line ends."""
    return _encoder.encode_lines(ops)


def encode_op(op: Op) -> bytes:
    """Encode one op as a JSON object without a line end; fields of other tools come last, sorted."""
    if op.extra is None:
        return _encoder.encode(op)
    known = _encoder.encode(msgspec.structs.replace(op, extra=None))
    if not op.extra:
        return known
    return known[:-1] + b"," + _encoder.encode(op.extra)[1:]
