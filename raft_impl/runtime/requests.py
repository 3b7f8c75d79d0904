"""The requests of clients at one replica: what is proposed, what is read, and what is answered at once.

Reads. The core answers a read with an index that covers every write acknowledged until then, whether a round or a lease
confirmed that, and the machine answers once it has applied that much. The lease is checked against the time at which
the step began, when the request had already arrived: that instant is the read's place in real time, and a state newer
than the index at most shows later writes. So no read is confirmed twice, however far the machine is behind.

Nothing here acts on what the core wants done: each input returns the core's `Ready`, or None when the core was not
asked.
"""

from __future__ import annotations

from typing import Any, Final

from ..machines.base import MALFORMED, OK
from ..machines.calls import objection
from ..machines.commands import Action as LogAction
from ..machines.commands import Command, encode_command
from ..protocol.core import Raft
from ..protocol.ready import Answer, Proposed, ReadAt, Ready, Refused
from .applier import Applier
from .driver_messages import Action, Request
from .marks import READ_WAITED, REPEATED_COMMAND, REPEATED_OPENING
from .pending import PendingRequests
from .waiting import AdminCommand, PendingCommand, PendingRead

_CALL: Final = int(Action.CALL)
_OPEN: Final = int(Action.OPEN)


class ClusterClock:
    """Log time, continued on this leader's monotonic clock (see `machines.sessions`)."""

    def __init__(self) -> None:
        # In term `_term`, log time was `_base_ns` when the monotonic clock showed `_since_ns`.
        self._term = -1
        self._base_ns = 0
        self._since_ns = 0

    def stamp(self, now: int, term: int, time_ns: int) -> int:
        """The stamp of a command that is proposed now; `time_ns` is the latest one that the machine has applied."""
        if term != self._term:
            self._term, self._base_ns, self._since_ns = term, time_ns, now
        return self._base_ns + now - self._since_ns


class RequestHandler:
    """Turns requests into inputs of the core, and its answers into replies or pending requests."""

    def __init__(
        self, applier: Applier, pending: PendingRequests, notes: list[tuple[Any, ...]], *, session_idle_ns: int
    ) -> None:
        self._applier = applier
        self._pending = pending
        self._notes = notes
        self._session_idle_ns = session_idle_ns
        self._clock = ClusterClock()

    def request(self, now: int, core: Raft, source: str, request: Request) -> Ready | None:
        """Handle an attempt that the server has found to be no duplicate."""
        match request.action:
            case Action.READ:
                return core.read(now, PendingRead(source, request.id, request.call))
            case Action.CALL:
                return self._call(now, core, source, request)
            case Action.OPEN:
                return self._open(now, core, source, request)
            case Action.CLOSE:
                command = Command(
                    LogAction.CLOSE, self._clock.stamp(now, core.term, self._applier.machine.time_ns), request.session
                )
                return self._propose(now, core, PendingCommand(source, request.id), command)
            case _:
                self._pending.refuse(PendingCommand(source, request.id), MALFORMED)
                return None

    def _open(self, now: int, core: Raft, source: str, request: Request) -> Ready | None:
        """Open a session, once for all its attempts: else overload fills the log with its own retries."""
        attempt = PendingCommand(source, request.id)
        client, number = request.client, request.sequence
        if number:  # earlier clients give none
            attempt.key = _OPEN, client, number
            session = self._applier.machine.opened(client, number)
            if session is not None:
                self._notes.append(("mark", REPEATED_OPENING))
                self._pending.answer(source, request.id, OK, session)
                return None
            if core.is_leader and self._pending.attach_retry(attempt, core.term):
                return None
        command = Command(
            LogAction.OPEN,
            self._clock.stamp(now, core.term, self._applier.machine.time_ns),
            client,
            number,
            idle_ns=self._session_idle_ns,
        )
        return self._propose(now, core, attempt, command)

    def _call(self, now: int, core: Raft, source: str, request: Request) -> Ready | None:
        attempt = PendingCommand(source, request.id)
        session, sequence, call = request.session, request.sequence, request.call
        if session:
            attempt.key = _CALL, session, sequence
            known = self._applier.machine.answered(session, sequence)
            if known is not None:
                self._notes.append(("mark", REPEATED_COMMAND))
                self._pending.answer(source, request.id, *known)
                return None
            if core.is_leader and self._pending.attach_retry(attempt, core.term):
                return None
        refusal = objection(call)
        if refusal:
            self._pending.refuse(attempt, refusal)
            return None
        command = Command(
            LogAction.CALL, self._clock.stamp(now, core.term, self._applier.machine.time_ns), session, sequence, call
        )
        return self._propose(now, core, attempt, command)

    def _propose(self, now: int, core: Raft, pending: PendingCommand, command: Command) -> Ready:
        self._pending.register(pending)
        return core.propose(now, pending, encode_command(command))

    def take_answer(self, answer: Answer) -> None:
        """Pass an answer of the core on to the request that it names."""
        tag = answer.tag
        if isinstance(answer, ReadAt):
            if answer.index <= self._applier.index:
                self._pending.answer(tag.source, tag.id, *self._applier.machine.read(tag.call))
            else:
                self._notes.append(("mark", READ_WAITED))
                self._pending.add_read(answer.index, tag)
        elif isinstance(answer, Proposed):
            if isinstance(tag, PendingCommand):
                self._pending.appended(tag, answer.index, answer.term)
        elif isinstance(answer, Refused):
            if isinstance(tag, AdminCommand):
                tag.refused = answer.reason
            elif tag is not None:
                self._pending.refuse(tag, answer.reason, answer.leader)
