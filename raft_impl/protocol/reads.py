"""Linearizable reads without writing to the log (dissertation 6.4): read indexes, rounds, and forwarded reads.

A leader answers a read from its state only when it knows that it still led *after* the read arrived. It begins a
heartbeat round then; once a majority has answered that round (or a later one) in the leader's term, no newer leader
can have committed anything before the round began, and the commit index at that moment, the read index, covers every
write that was acknowledged by anyone. All reads that came in one batch share one round.

Rounds are numbered from 1 within a leadership; with the term that makes them globally unique, so an answer can only
count for the round it belongs to. Each remembers when it left: leases count from the send time, never from the answer.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .ready import FAR_NS, Answer, Refused
from .state import Index, NodeId

Asker = tuple[NodeId | None, Any]
"""Who wants a read index: (None, tag) for this node's driver, (follower, context) for a forwarded batch."""


class Rounds:
    """Numbers of heartbeat rounds and when each left, for as long as that can matter."""

    def __init__(self, memory_ns: int) -> None:
        """Forget rounds that left longer than `memory_ns` ago."""
        self.last = 0
        self._memory_ns = memory_ns
        self._sent: deque[int] = deque()  # send times of the rounds up to `last`, consecutive

    def begin(self, now: int) -> int:
        """Number a round that leaves now."""
        self.last += 1
        self._sent.append(now)
        while self._sent[0] < now - self._memory_ns:
            self._sent.popleft()
        return self.last

    def sent_ns(self, number: int) -> int | None:
        """When a round left; None if it was never sent or is forgotten."""
        ago = self.last - number
        return self._sent[-1 - ago] if 0 <= ago < len(self._sent) else None


class PendingReads:
    """A leader's reads: those that wait for a round to begin, and those whose round waits for its answers."""

    def __init__(self) -> None:
        self.waiting: list[Asker] = []  # no round covers them yet
        self.rounds: deque[tuple[int, Index, list[Asker]]] = deque()
        """Those that are out: (round, read index, askers), oldest first."""
        self.count = 0

    def add(self, asker: Asker) -> None:
        """A read arrived."""
        self.waiting.append(asker)
        self.count += 1

    def begin(self, number: int, commit: Index) -> None:
        """All waiting reads are covered by round `number`, which begins at this commit index."""
        if self.waiting:
            self.rounds.append((number, commit, self.waiting))
            self.waiting = []

    def confirm(self, number: int) -> list[tuple[Asker, Index]]:
        """A quorum answered round `number`: the reads this settles, with their read indexes."""
        settled: list[tuple[Asker, Index]] = []
        while self.rounds and self.rounds[0][0] <= number:
            _, index, askers = self.rounds.popleft()
            settled += [(asker, index) for asker in askers]
        self.count -= len(settled)
        return settled

    def drain(self) -> list[Asker]:
        """Every read that was not answered, in order of arrival."""
        askers = [asker for _, _, batch in self.rounds for asker in batch] + self.waiting
        self.rounds.clear()
        self.waiting = []
        self.count = 0
        return askers


class ForwardedReads:
    """A follower's reads: each batch asks the leader for one read index, under a context that is never used twice.

    An answer to a batch of an earlier incarnation of this node must not be taken for an answer to one of this: its
    index may be too old. Hence `incarnation`, a number that differs between them.
    """

    def __init__(self, incarnation: int, patience_ns: int) -> None:
        """Refuse batches that were not answered within `patience_ns`."""
        self.waiting: list[Any] = []  # tags not yet sent
        self._context = incarnation << 32
        self._patience_ns = patience_ns
        self._asked: dict[int, tuple[int, list[Any]]] = {}  # context -> (deadline, tags), oldest first
        self.deadline_ns = FAR_NS
        """When the oldest batch will have waited too long."""

    @property
    def count(self) -> int:
        """How many reads are not answered."""
        return len(self.waiting) + sum(len(tags) for _, tags in self._asked.values())

    def ask(self, now: int) -> int:
        """Make a batch of the waiting reads: the context to send to the leader."""
        self._context += 1
        self._asked[self._context] = (now + self._patience_ns, self.waiting)
        self.waiting = []
        self._set_deadline()
        return self._context

    def answered(self, context: int) -> list[Any]:
        """The leader answered: the tags of that batch, none if it is unknown or was given up."""
        tags = self._asked.pop(context, (0, []))[1]
        self._set_deadline()
        return tags

    def expire(self, now: int, leader: NodeId | None) -> list[Answer]:
        """Refuse the batches that waited too long."""
        late = [context for context, (deadline, _) in self._asked.items() if deadline <= now]
        refused: list[Answer] = [
            Refused(tag, "not-ready", leader) for context in late for tag in self._asked.pop(context)[1]
        ]
        self._set_deadline()
        return refused

    def drain(self, leader: NodeId | None) -> list[Answer]:
        """Refuse everything, because the leader that was asked leads no more."""
        tags = [tag for _, batch in self._asked.values() for tag in batch] + self.waiting
        self._asked.clear()
        self.waiting = []
        self._set_deadline()
        return [Refused(tag, "deposed", leader) for tag in tags]

    def _set_deadline(self) -> None:
        self.deadline_ns = next(iter(self._asked.values()))[0] if self._asked else FAR_NS
