"""What a participant keeps of a transaction: records, in a module of their own so that it can be compiled."""

from __future__ import annotations

from typing import Any

import msgspec


class Branch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a transaction is in this shard: where it is decided, whom it concerns, and what it appends to which list."""

    home: str
    shards: list[str]
    key: Any
    element: Any


class Transaction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The record of a transaction. Only one that is prepared has a branch."""

    state: str
    branch: Branch | None = None
