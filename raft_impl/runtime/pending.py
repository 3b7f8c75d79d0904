"""The requests of clients that wait for an answer from one replica.

A proposed command is kept under its log index, together with the term in which it was appended. Its outcome is known
when that index is applied: if the entry there has the same term, the machine's answer is the client's; if it has
another, the outcome is unknown. It is also unknown when the entry is truncated, or replaced by a snapshot that another
replica took. "Unknown" and not "refused", because this replica has lost the entry but another may hold it and commit
it later.

A read is kept until the machine has applied the read index that the core gave for it.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

from ..machines.sessions import NO_SESSION, WITHOUT_EFFECT, SessionedMachine
from ..protocol.state import Entry
from .client import DEPOSED
from .driver_messages import Reply, Status
from .marks import OUTCOME_CUT, OUTCOME_IN_IMAGE, OUTCOME_REPLACED, RETRY_ATTACHED, SESSION_GONE
from .waiting import PendingCommand, PendingRead

RETIRED: Final = "shutdown"


class PendingRequests:
    """All requests that wait at one replica. `send` takes a reply to its client."""

    def __init__(self, send: Callable[[str, Reply], None], notes: list[tuple[Any, ...]]) -> None:
        self._send = send
        self._notes = notes
        self.proposals: dict[int, PendingCommand] = {}
        """Commands in this replica's log, by index."""
        self._in_flight: dict[tuple[int, int, int], PendingCommand] = {}  # by key
        self._reads: list[tuple[int, int, PendingRead]] = []  # heap by (read index, arrival)
        self._arrivals = 0

    @property
    def count(self) -> int:
        """Number of requests that wait."""
        return len(self.proposals) + len(self._reads)

    # Answers.

    def answer(self, source: str, request_id: int, word: str, value: Any) -> None:
        """Send the machine's answer."""
        status = Status.DONE
        if word in WITHOUT_EFFECT:
            status = Status.REFUSED
            if word == NO_SESSION:
                self._notes.append(("mark", SESSION_GONE))
        self._send(source, Reply(request_id, status, word, value))

    def refuse(self, request: PendingCommand | PendingRead, word: str, leader: str | None = None) -> None:
        """Refuse a request that had no effect and will have none."""
        if isinstance(request, PendingCommand):
            self._forget(request)
        self._send(request.source, Reply(request.id, Status.REFUSED, word, None, leader))

    def retire(self) -> None:
        """Answer every request, because this server stops: commands with "unknown", reads with "refused"."""
        self._drop(list(self.proposals), RETIRED)
        reads, self._reads = self._reads, []
        for _, _, read in reads:
            self.refuse(read, RETIRED)

    # Commands.

    def register(self, command: PendingCommand) -> None:
        """Remember a command that is about to be proposed, so that a retry of it can be recognised."""
        if command.key is not None:
            self._in_flight[command.key] = command

    def attach_retry(self, attempt: PendingCommand, term: int) -> bool:
        """If this command was already proposed in `term`, send its answer to this attempt. Returns whether it was."""
        command = self._in_flight.get(attempt.key) if attempt.key is not None else None
        if command is None or command.term not in (0, term):
            return False
        command.source, command.id = attempt.source, attempt.id
        self._notes.append(("mark", RETRY_ATTACHED))
        return True

    def appended(self, command: PendingCommand, index: int, term: int) -> None:
        """The command was appended to the log."""
        command.term = term
        self.proposals[index] = command

    def applied(self, entry: Entry, word: str, value: Any) -> None:
        """An entry was applied: answer the command that waits at its index, if there is one."""
        command = self.proposals.pop(entry.index, None)
        if command is None:
            return
        self._forget(command)
        if entry.term == command.term:
            self.answer(command.source, command.id, word, value)
        else:
            self._notes.append(("mark", OUTCOME_REPLACED))
            self._send(command.source, Reply(command.id, Status.UNKNOWN, DEPOSED))

    def drop_from(self, first: int) -> None:
        """The entries from `first` on were truncated from this log."""
        self._drop([index for index in self.proposals if index >= first], DEPOSED, OUTCOME_CUT)

    def drop_up_to(self, last: int) -> None:
        """The entries up to `last` were replaced by a snapshot of another replica."""
        self._drop([index for index in self.proposals if index <= last], DEPOSED, OUTCOME_IN_IMAGE)

    def _drop(self, indexes: list[int], word: str, mark: str = "") -> None:
        for index in indexes:
            if mark:
                self._notes.append(("mark", mark))
            command = self.proposals.pop(index)
            self._forget(command)
            self._send(command.source, Reply(command.id, Status.UNKNOWN, word))

    def _forget(self, command: PendingCommand) -> None:
        if command.key is not None and self._in_flight.get(command.key) is command:
            del self._in_flight[command.key]

    # Reads.

    def add_read(self, index: int, read: PendingRead) -> None:
        """Keep a read until `index` is applied."""
        self._arrivals += 1
        heappush(self._reads, (index, self._arrivals, read))

    def answer_reads(self, applied: int, machine: SessionedMachine) -> None:
        """Answer the reads whose index has been applied."""
        reads = self._reads
        while reads and reads[0][0] <= applied:
            _, _, read = heappop(reads)
            self.answer(read.source, read.id, *machine.read(read.call))
