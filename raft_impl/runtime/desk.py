"""The clients of one replica who wait for an answer, and what becomes of them.

A proposal is remembered under its index, with its term; its fate is known when that index is applied (the same term:
the machine's answer; another: unknown), truncated, or swallowed by a snapshot (both unknown). Unknown it is, not
refused: this replica lost the entry, but another may hold it and commit it later.

A read is remembered until the machine has applied as much as its read index says.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

import msgspec

from ..machines.sessions import WITHOUT_EFFECT, SessionedMachine
from ..protocol.state import Entry
from .client import DEPOSED
from .wire import Reply, Status

RETIRED: Final = "shutdown"


class Waiter(msgspec.Struct, gc=False):
    """A client that waits for a proposal; `source` and `id` are those of its latest attempt."""

    source: str
    id: int
    session: int = 0
    sequence: int = 0
    term: int = 0
    """The term in which it was appended; 0 as long as that is open."""


class Reader(msgspec.Struct, gc=False):
    """A client that waits for a read."""

    source: str
    id: int
    call: bytes


class Desk:
    """Everyone who waits. `send` takes a reply to its client."""

    def __init__(self, send: Callable[[str, Reply], None]) -> None:
        self._send = send
        self.proposals: dict[int, Waiter] = {}
        """Who waits for which entry of this log, by index."""
        self._in_flight: dict[tuple[int, int], Waiter] = {}  # by (session, sequence)
        self._readers: list[tuple[int, int, Reader]] = []  # heap by (read index, arrival)
        self._arrivals = 0

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self.proposals) + len(self._readers)

    def answer(self, source: str, request_id: int, word: str, value: Any) -> None:
        """Give the machine's answer; what had no effect is a refusal."""
        status = Status.REFUSED if word in WITHOUT_EFFECT else Status.DONE
        self._send(source, Reply(request_id, status, word, value))

    def refuse(self, client: Waiter | Reader, word: str, leader: str | None = None) -> None:
        """Send a client away whose request had no effect."""
        if isinstance(client, Waiter):
            self._land(client)
        self._send(client.source, Reply(client.id, Status.REFUSED, word, None, leader))

    def retire(self) -> None:
        """Tell everyone that there will be no answer from here."""
        self._lose(list(self.proposals), RETIRED)
        readers, self._readers = self._readers, []
        for _, _, reader in readers:
            self.refuse(reader, RETIRED)

    # Proposals.

    def expect(self, waiter: Waiter) -> None:
        """A command is about to be proposed."""
        if waiter.session:
            self._in_flight[waiter.session, waiter.sequence] = waiter

    def joins(self, attempt: Waiter, term: int) -> bool:
        """Whether the command was proposed in this term already: then its answer goes to the latest attempt."""
        waiter = self._in_flight.get((attempt.session, attempt.sequence))
        if waiter is None or waiter.term not in (0, term):
            return False
        waiter.source, waiter.id = attempt.source, attempt.id
        return True

    def appended(self, waiter: Waiter, index: int, term: int) -> None:
        """A proposal stands in the log."""
        waiter.term = term
        self.proposals[index] = waiter

    def applied(self, entry: Entry, word: str, value: Any) -> None:
        """An entry was applied: if a proposal stood at its index, its fate is known."""
        waiter = self.proposals.pop(entry.index, None)
        if waiter is None:
            return
        self._land(waiter)
        if entry.term == waiter.term:
            self.answer(waiter.source, waiter.id, word, value)
        else:
            self._send(waiter.source, Reply(waiter.id, Status.UNKNOWN, DEPOSED))

    def lose_from(self, first: int) -> None:
        """The entries from `first` on are gone from this log."""
        self._lose([index for index in self.proposals if index >= first], DEPOSED)

    def lose_up_to(self, last: int) -> None:
        """The entries up to `last` are swallowed by a snapshot of another replica."""
        self._lose([index for index in self.proposals if index <= last], DEPOSED)

    def _lose(self, indexes: list[int], word: str) -> None:
        for index in indexes:
            waiter = self.proposals.pop(index)
            self._land(waiter)
            self._send(waiter.source, Reply(waiter.id, Status.UNKNOWN, word))

    def _land(self, waiter: Waiter) -> None:
        key = waiter.session, waiter.sequence
        if self._in_flight.get(key) is waiter:
            del self._in_flight[key]

    # Reads.

    def wait_for(self, index: int, reader: Reader) -> None:
        """A read has to wait until `index` is applied."""
        self._arrivals += 1
        heappush(self._readers, (index, self._arrivals, reader))

    def answer_readers(self, applied: int, machine: SessionedMachine) -> None:
        """Answer the reads whose index is applied by now."""
        readers = self._readers
        while readers and readers[0][0] <= applied:
            _, _, reader = heappop(readers)
            self.answer(reader.source, reader.id, *machine.read(reader.call))
