"""What nodes promise each other, told to the invariants: what a message says as it leaves, and that it has arrived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from checkers.raft.invariants import Invariants

from .kernel.fingerprint import Log
from .network import Awaited


class Promises:
    """Reads the messages that bind their senders, if the system says which those are and what they say."""

    def __init__(self, system: Any, invariants: Invariants, log: Log) -> None:
        self.watched: Mapping[str, int] = getattr(system, "promises", {})
        """Kinds of such messages, and one in how many is read."""
        self.awaited: Awaited = {}
        self._promise_of: Callable[[bytes], tuple[str, int, Any] | None] = getattr(
            system, "promise_of", lambda frame: None
        )
        self._on_send, self._on_arrival = invariants.on_send, invariants.on_arrival
        self._log = log

    def read(self, source: str, target: str, kind: str, message: int, data: bytes) -> None:
        """A message leaves that binds its sender: the invariants compare it with what is so."""
        promise = self._promise_of(data)
        if promise is None:
            return
        group, term, said = promise
        log, on_arrival = self._log, self._on_arrival
        index = log.base + len(log.rows) - 1
        self._on_send(index, source, target, group, kind, term, said)
        if kind in on_arrival:
            self.awaited[message] = data, partial(on_arrival[kind], index, source, target, group, term, said)
