"""Sessions: no command takes effect twice, however often it is sent (dissertation, chapter 6.3).

The table from (session, sequence) to the answer lives inside the replicated state, so every replica recognises a
repeated command after any leader change, restart or snapshot. A session is opened by a command of its own and is named
by the log index of that command. A client has one command outstanding; therefore the latest answer of a session is
enough: a lower sequence belongs to a command whose client has already moved on, and gets `stale`.

Opening takes effect once too. The command says by whom it was sent, in fields that an opening does not need otherwise,
so that a leader can answer a repeated one from what it has applied (`opened`). At the first feature level that memory
is each replica's own and no part of the state: a replica that began with a snapshot has none, and lets one more session
be opened, which nobody uses and which expires. From `OPENINGS_LEVEL` on the session's record says who opened it, for as
long as it is open, in state, digest and snapshot: then a repeated opening gives the same session on every replica.

A command of an unknown session is refused with `no-session` and never opens one: the session may have been known, may
have executed this very command, and may have expired since (the bug that silent re-creation is).

Sessions expire by the time *in the log*. Each leader stamps its commands with a cluster clock that it continues, on
its monotonic clock, from the latest stamp that it has seen. State time is the maximum of all stamps applied, so it is
equal on all replicas and never goes back; it is part of snapshot and digest, as a replica that forgot it would expire
sessions at other indexes than its peers. How long a session may be idle is fixed by the command that opened it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec

from ..errors import Corrupt
from .base import MALFORMED, MASK, OK, UNSUPPORTED, Answer, Machine, pack, record_digest, unpack
from .calls import TOO_LARGE, deeply, read_call
from .commands import (
    Action,
    Command,
    ImageWithOpenings,
    Session,
    SessionsImage,
    decode_command,
    decode_image,
)
from .features import FIRST_LEVEL, LEVEL, OPENINGS_LEVEL, require_known

NO_SESSION: Final = "no-session"
STALE: Final = "stale"
WITHOUT_EFFECT: Final = frozenset({NO_SESSION, MALFORMED, UNSUPPORTED, TOO_LARGE})
"""Words that say: this command did nothing, in the log or before it, and no earlier copy of it is remembered."""

_OPENINGS_KEPT: Final = 1 << 12
"""Openings that a replica remembers; clients repeat one within seconds."""
_NEVER: Final = (1 << 63) - 1
_TIME_FACTOR: Final = 0x9E3779B97F4A7C15
"""Odd, so that distinct times have distinct multiples modulo 2^64."""


_CALL: Final = int(Action.CALL)


_decode_level: Final[Callable[[bytes], int]] = msgspec.msgpack.Decoder(
    Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]
).decode


def level_in(data: bytes) -> int:
    """The level to which a FEATURE entry raises the group; that of every group for what is no level."""
    try:
        return max(FIRST_LEVEL, _decode_level(data))
    except msgspec.MsgspecError:
        return FIRST_LEVEL


class SessionedMachine:
    """A machine behind its session table: what a group replicates."""

    def __init__(self, machine: Machine, *, known_level: int = LEVEL) -> None:
        self.time_ns = 0
        self.level = FIRST_LEVEL
        """The feature level of the group."""
        self._known_level = known_level
        self._machine = machine
        self._sessions: dict[int, Session] = {}
        self._sessions_digest = 0
        self._openings: dict[tuple[int, int], int] = {}  # (client, number) -> session, oldest first: what was seen here
        self._replicated: dict[tuple[int, int], int] = {}  # the same, of sessions whose opening is part of the state
        # No session expires before this time; a lower bound, so that most commands look at no session but their own.
        self._next_expiry_ns = _NEVER

    def apply(self, index: int, data: bytes) -> Answer:
        """Execute the command of a committed entry. Whatever the bytes are, this gives an answer: see `calls`."""
        return deeply(self._apply, index, data)  # type: ignore[no-any-return]

    def _apply(self, index: int, data: bytes) -> Answer:
        try:
            command = decode_command(data)
        except (msgspec.MsgspecError, ValueError):
            return MALFORMED, None
        if command.time_ns > self.time_ns:
            self.time_ns = command.time_ns
            if self.time_ns >= self._next_expiry_ns:
                self._expire()
        if command.action == _CALL:
            return self._apply_once(command) if command.session else self._perform(self._machine.apply, command.call)
        if command.action is Action.OPEN:
            return self._open(index, command)
        self._forget(command.session)
        return OK, None

    def raise_level(self, data: bytes) -> None:
        """Execute a FEATURE entry: the group's level is at least this from now on. Raises TooNew."""
        self._set_level(max(self.level, level_in(data)))

    def answered(self, session: int, sequence: int) -> Answer | None:
        """The answer to a command that was applied already, or None. True on any replica, since it was committed."""
        known = self._sessions.get(session)
        if known is None or known.sequence != sequence or not known.answer:
            return None
        word, value = deeply(unpack, known.answer)
        return word, value

    def opened(self, client: int, number: int) -> int | None:
        """The session that this opening gave, if it is remembered here and the session is still open."""
        opening = client, number
        session = self._replicated.get(opening) or self._openings.get(opening)
        return session if session in self._sessions else None

    def read(self, call: bytes) -> Answer:
        """Answer a read from the state as it is."""
        return deeply(self._perform, self._machine.read, call)  # type: ignore[no-any-return]

    @property
    def digest(self) -> bytes:
        """The digest of the whole state: machine, sessions, time."""
        total = self._machine.digest + self._sessions_digest + (self.time_ns + self.level) * _TIME_FACTOR
        return (total & MASK).to_bytes(8)

    @property
    def session_count(self) -> int:
        """How many sessions are open."""
        return len(self._sessions)

    def snapshot(self) -> bytes:
        """The whole state."""
        return self.image()()

    def image(self) -> Callable[[], bytes]:
        """What `snapshot` would give now, made when and where that is wanted: it needs nothing that changes."""
        sessions = tuple(
            (name, known.sequence, known.answer, known.idle_ns, known.deadline_ns)
            for name, known in sorted(self._sessions.items())
        )
        time_ns, level, machine = self.time_ns, self.level, self._machine.image()
        if level < OPENINGS_LEVEL:
            return lambda: pack(SessionsImage(time_ns, sessions, machine(), level))
        openings = tuple(sorted((session, *opening) for opening, session in self._replicated.items()))
        return lambda: pack(ImageWithOpenings(time_ns, sessions, machine(), level, openings))

    def contents(self) -> Any:
        """The machine's own records for people, as lists with readable keys and values; most are `[key, value]`."""
        return deeply(_readable, self._machine.image()())

    def restore(self, data: bytes) -> None:
        """Replace the whole state. Raises TooNew or TooOld, or Corrupt for what no `snapshot` gave."""
        try:
            self._restore(decode_image(data))
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
            raise Corrupt("snapshot-format", f"the state in a snapshot: {error}") from None

    def _restore(self, image: ImageWithOpenings) -> None:
        self._set_level(image.level)
        self.time_ns = image.time_ns
        self._sessions = {}
        self._sessions_digest = 0
        self._openings = {}
        self._replicated = {}
        self._next_expiry_ns = _NEVER
        openings = {session: (client, number) for session, client, number in image.openings}
        for name, sequence, answer, idle_ns, deadline_ns in image.sessions:
            self._remember(name, Session(sequence, answer, idle_ns, deadline_ns, openings.get(name)))
        self._machine.restore(image.machine)

    def _open(self, index: int, command: Command) -> Answer:
        opening = (command.session, command.sequence) if command.sequence else None
        is_replicated = opening is not None and self.level >= OPENINGS_LEVEL
        known = self._replicated.get(opening) if opening is not None else None
        if is_replicated and known is not None:
            session = self._sessions[known]
            deadline_ns = max(session.deadline_ns, self._deadline(session.idle_ns))
            self._remember(known, Session(session.sequence, session.answer, session.idle_ns, deadline_ns, opening))
            return OK, known
        fresh = Session(0, b"", command.idle_ns, self._deadline(command.idle_ns), opening if is_replicated else None)
        self._remember(index, fresh)
        if opening is not None:
            self._openings[opening] = index
            if len(self._openings) > _OPENINGS_KEPT:
                del self._openings[next(iter(self._openings))]
        return OK, index

    def _apply_once(self, command: Command) -> Answer:
        if command.sequence < 1:
            return MALFORMED, None
        known = self._sessions.get(command.session)
        if known is None:
            return NO_SESSION, None
        if command.sequence <= known.sequence:
            if command.sequence < known.sequence:
                return STALE, None
            word, value = unpack(known.answer)
            return word, value
        answer = self._perform(self._machine.apply, command.call)
        deadline_ns = self._deadline(known.idle_ns)
        self._remember(
            command.session, Session(command.sequence, pack(answer), known.idle_ns, deadline_ns, known.opening)
        )
        return answer

    def _deadline(self, idle_ns: int) -> int:
        return min(self.time_ns + idle_ns, _NEVER) if idle_ns else _NEVER

    def _perform(self, method: Callable[[str, Any, Any], Answer], call: bytes) -> Answer:
        found = read_call(call)
        if found is None:
            return MALFORMED, None
        f, key, value = found
        try:
            since = self._machine.commands.get(f, _NEVER)
        except TypeError:  # a list or an object
            return MALFORMED, None
        return method(f, key, value) if since <= self.level else (UNSUPPORTED, None)

    def _set_level(self, level: int) -> None:
        require_known(level, self._known_level, "the group's state")
        self.level = level

    def _remember(self, name: int, session: Session) -> None:
        known = self._sessions.get(name)
        record = (name, session.sequence, session.answer, session.idle_ns, session.deadline_ns)
        if session.opening is None:
            session.digest = record_digest(pack(record))
        else:
            session.digest = record_digest(pack((*record, session.opening)))
            self._replicated[session.opening] = name
        self._sessions[name] = session
        self._sessions_digest += session.digest - (known.digest if known is not None else 0)
        if session.deadline_ns < self._next_expiry_ns:
            self._next_expiry_ns = session.deadline_ns

    def _forget(self, name: int) -> None:
        known = self._sessions.pop(name, None)
        if known is not None:
            self._sessions_digest -= known.digest
            if known.opening is not None:
                self._replicated.pop(known.opening, None)

    def _expire(self) -> None:
        expired = [name for name, known in self._sessions.items() if known.deadline_ns <= self.time_ns]
        for name in expired:
            self._forget(name)
        self._next_expiry_ns = min((known.deadline_ns for known in self._sessions.values()), default=_NEVER)


def _readable(value: Any) -> Any:
    """Images hold keys and values as msgpack bytes within msgpack: unpack them all."""
    if isinstance(value, bytes):
        return _readable(unpack(value))
    return [_readable(part) for part in value] if isinstance(value, list) else value
