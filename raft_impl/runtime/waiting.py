"""What waits at a replica for its answer: the records that `requests` makes and `pending` keeps."""

from __future__ import annotations

import msgspec


class PendingCommand(msgspec.Struct, gc=False):
    """A request that changes state; `source` and `id` are those of the client's latest attempt."""

    source: str
    id: int
    key: tuple[int, int, int] | None = None
    """What its repetitions have in common: (action, session, sequence), or (action, client, number) of an opening."""
    term: int = 0
    """The term in which it was appended; 0 before that."""


class PendingRead(msgspec.Struct, gc=False):
    """A request that only reads."""

    source: str
    id: int
    call: bytes


class AdminCommand(msgspec.Struct, gc=False):
    """An administrator's command, and why it was refused, if it was."""

    refused: str = ""
