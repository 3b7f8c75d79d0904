"""A client of one group: finds the leader, retries within its session, and reports exactly how an operation ended.

One operation may take several attempts. Its outcome is decided over all of them:

* the value, when any attempt was answered by the machine (or `Negative`, when the machine said no);
* `Refused`, when every attempt that was sent has been refused with certainty that it has no effect, ever;
* `Unknown` otherwise: an attempt that timed out may still be on its way, or in a log.

A write is repeated only under its (session, sequence), so it cannot take effect twice; without sessions it is attempted
exactly once. Reads may be repeated at will. Late replies to earlier attempts of the same operation count.

Before its first request to a server a client greets it (see `wire`); a greeting is not an attempt.

All waiting is `env.recv(deadline)`: no tasks, no cancel scopes, nothing that a scheduler could order in two ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..errors import Negative, NoClient, RaftError, Refused, Unknown
from ..machines.base import MALFORMED, NEGATIVE, OK, READS, pack
from ..machines.calls import CALL_BYTES_MAX, TOO_LARGE
from ..machines.sessions import NO_SESSION, WITHOUT_EFFECT
from .connections import Connections
from .driver_messages import Action, Reply, Status, Welcome
from .env import Environment
from .questions import Outcome, Question, decode_outcome, encode_question
from .route import Route
from .wire import decode

RECONNECT: Final = "reconnect"
NO_CLIENT: Final = "no-client"
NOT_LEADER: Final = "not-leader"
NOT_MEMBER: Final = "not-member"
"""A server that was removed knows no leader; another one may."""
DEPOSED: Final = "deposed"
TIMEOUT: Final = "timeout"

_MILLISECOND_NS: Final = 1_000_000
_BACKOFF_MIN_NS: Final = 5 * _MILLISECOND_NS
_BACKOFF_MAX_NS: Final = 50 * _MILLISECOND_NS


class Client:
    """One logical process: one operation at a time, one session."""

    def __init__(
        self,
        env: Environment,
        *,
        group: str,
        servers: Sequence[str],
        home: str | None,
        routing: str,
        options: Mapping[str, Any],
    ) -> None:
        self.session = 0
        """The open session; 0 while there is none."""
        self._env = env
        self._connections = Connections(env, group)
        self._route = Route(servers, home, routing, env.randomness)
        self._uses_sessions: bool = options["sessions"] == "on"
        self._timeout_ns: int = options["client_timeout_ms"] * _MILLISECOND_NS
        self._attempt_timeout_ns: int = options["client_attempt_timeout_ms"] * _MILLISECOND_NS
        self._sequence = 0
        self._opening = 0  # number of the latest attempt to open a session

    async def open(self, deadline_ns: int | None = None) -> None:
        """Open a session, if sessions are in use. Raises NoClient when that fails.

        The deadline is on the monotonic clock, here and in `call`; without one it is `client_timeout_ms` from now.
        """
        if not self._uses_sessions or self.session:
            return
        try:
            # Opening may be repeated at will: a session whose answer was lost is never used, and expires.
            self._opening += 1
            self.session = await self._operation(Action.OPEN, b"", deadline_ns or self._deadline()).run()
        except RaftError as error:
            raise NoClient(error.word) from None
        self._sequence = 0

    async def call(self, f: str, key: Any, value: Any, deadline_ns: int | None = None) -> Any:
        """Execute one command. Raises Negative, Refused or Unknown; Refused("no-client") when it has no session."""
        reopen_until_ns = deadline_ns
        deadline_ns = deadline_ns or self._deadline()
        try:
            command = pack((f, key, value))
        except (TypeError, ValueError, OverflowError, RecursionError):  # nothing that msgpack can hold
            raise Refused(MALFORMED) from None
        if len(command) > CALL_BYTES_MAX:
            raise Refused(TOO_LARGE)
        if f in READS:
            return await self._operation(Action.READ, command, deadline_ns).run()
        if self._uses_sessions:
            if not self.session:
                await self._reopen(reopen_until_ns)
            self._sequence += 1
        try:
            return await self._operation(Action.CALL, command, deadline_ns).run()
        except (Refused, Unknown) as error:
            if error.word == NO_SESSION:
                self.session = 0
            raise

    async def administer(self, question: Question, server: str | None = None) -> Outcome:
        """Ask one of the questions of `administration`, of one server if it is named. Raises Refused or Unknown."""
        route = self._route if server is None else Route((server,), server, "home", self._env.randomness)
        value = await self._operation(Action.ADMIN, encode_question(question), self._deadline(), route).run()
        outcome = decode_outcome(value)
        if outcome.refused:
            raise Refused(outcome.refused)
        return outcome

    def learn(self, addresses: Mapping[str, str]) -> None:
        """Take where members of the group are: from a server that was greeted, or from who knows it otherwise."""
        self._env.network.learn(self._connections.group, self._route.learn(addresses))

    @property
    def leader(self) -> str | None:
        """The server that leads, as far as is known here."""
        return self._route.leader

    def close(self) -> None:
        """Leave: tell the leader that the session is not needed any more. If that is lost, it expires."""
        if self.session:
            self._connections.send(self._route.first(follows_hints=True), Action.CLOSE, self.session, 0, b"")
        self.session = 0

    async def _reopen(self, deadline_ns: int | None) -> None:
        try:
            await self.open(deadline_ns)
        except NoClient:
            raise Refused(NO_CLIENT) from None

    def _deadline(self) -> int:
        return self._env.clock.monotonic_ns() + self._timeout_ns

    def _operation(self, action: Action, call: bytes, deadline_ns: int, route: Route | None = None) -> _Operation:
        is_call = action is Action.CALL
        session = self.session if is_call else 0
        sequence = self._opening if action is Action.OPEN else self._sequence
        return _Operation(
            self._env,
            self._connections,
            route or self._route,
            action,
            call,
            session=session,
            sequence=sequence if session or action is Action.OPEN else 0,
            is_single=is_call and not self._uses_sessions,
            deadline_ns=deadline_ns,
            attempt_timeout_ns=self._attempt_timeout_ns,
            learn=self.learn,
        )


class _Operation:
    """The attempts of one operation."""

    def __init__(
        self,
        env: Environment,
        connections: Connections,
        route: Route,
        action: Action,
        call: bytes,
        *,
        session: int,
        sequence: int,
        is_single: bool,
        deadline_ns: int,
        attempt_timeout_ns: int,
        learn: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._env = env
        self._connections = connections
        self._route = route
        self._action = action
        self._call = call
        self._session = session
        self._sequence = sequence
        self._is_single = is_single  # at most one attempt may be sent
        self._deadline_ns = deadline_ns
        self._attempt_timeout_ns = attempt_timeout_ns
        self._learn = learn
        self._open: dict[int, None] = {}  # attempts whose effect is not known yet
        self._latest_id: int | None = None  # of the latest attempt
        self._asked_ns = 0  # when the target was sent the latest attempt or greeting
        self._word = "unreachable"  # of the latest refusal or loss
        self._redirects = 0  # since the last pause
        self._follows_hints = route.follows_hints(is_read=action is Action.READ)
        self._target = route.first(follows_hints=self._follows_hints)

    async def run(self) -> Any:
        """Attempt until there is an answer, another attempt is not allowed, or time is up."""
        while (now := self._env.clock.monotonic_ns()) < self._deadline_ns:
            resume_ns = self._send(now)
            reply = await self._answer(resume_ns)
            if reply is not None:
                return self._result(reply)
            if self._is_over():
                break
        raise self._failure()

    def _send(self, now: int) -> int:
        """Send the next attempt, or a greeting if the server is not known. Returns until when to wait."""
        self._asked_ns = now
        request_id = self._connections.send(self._target, self._action, self._session, self._sequence, self._call)
        if request_id is not None:
            self._latest_id = request_id
            self._open[request_id] = None
            if self._is_single:
                return self._deadline_ns
        return min(self._deadline_ns, now + self._attempt_timeout_ns)

    # Receiving.

    async def _answer(self, resume_ns: int) -> Reply | None:
        """Wait for what ends the operation. None: go on with the next attempt."""
        target = self._target
        while True:
            received = await self._env.recv(resume_ns)
            if received is None:
                if target == self._target and self._has_waited_enough(resume_ns):
                    self._target = self._route.after(target)
                return None
            source, frame = received
            decoded = decode(frame)
            if decoded is None or decoded[0] != self._connections.group:
                continue
            match decoded[1]:
                case Welcome(connection=connection, addresses=addresses):
                    is_new = self._connections.learn(source, connection)
                    if addresses:
                        self._learn(dict(addresses))
                    if is_new and source == self._target:
                        return None
                case Reply() as reply if reply.id in self._open:
                    self._route.silent_ns = 0
                    if reply.status == Status.DONE or self._is_final(reply):
                        if self._follows_hints and reply.status == Status.DONE:
                            self._route.leader = source
                        return reply
                    pause_ns = self._take(source, reply)
                    if pause_ns is not None:
                        # Replies that come during the pause still count.
                        resume_ns = min(self._deadline_ns, self._env.clock.monotonic_ns() + pause_ns)
                        if pause_ns == 0 or self._is_over():
                            return None
                        target = ""

    def _has_waited_enough(self, now: int) -> bool:
        return self._route.is_silent(self._target, now - self._asked_ns, self._attempt_timeout_ns)

    def _take(self, source: str, reply: Reply) -> int | None:
        """Take a reply that ends only an attempt. Returns the pause before the next one; None: keep waiting."""
        is_latest = reply.id == self._latest_id
        self._word = reply.word
        if reply.word == RECONNECT:
            self._connections.learn(source, reply.value)
        if reply.status == Status.UNKNOWN:
            return 0 if is_latest else None
        del self._open[reply.id]
        self._route.leader = reply.leader
        if reply.leader is not None and not self._route.knows(reply.leader):
            self._connections.forget(source)  # it knows a server that we do not: let it say where that is
            self._route.leader = None
        if not is_latest:
            return None
        return self._redirect(source, reply)

    def _redirect(self, source: str, reply: Reply) -> int:
        """Choose the next server after a refusal, and the pause before."""
        hint = self._route.leader
        if hint is not None and hint != source and self._follows_hints and self._redirects < self._route.server_count:
            self._redirects += 1
            self._target = hint
            return 0
        self._redirects = 0
        if reply.word in (NOT_LEADER, NOT_MEMBER):
            self._target = self._route.after(source)
        return _BACKOFF_MIN_NS + self._env.randomness.below(_BACKOFF_MAX_NS - _BACKOFF_MIN_NS, "backoff")

    # Outcomes.

    def _is_final(self, reply: Reply) -> bool:
        """Whether another attempt cannot help: the command is in the log and did nothing, or no log will take it."""
        return reply.status == Status.REFUSED and reply.word in WITHOUT_EFFECT

    def _is_over(self) -> bool:
        """Whether the one attempt that is allowed has been made."""
        return self._is_single and self._latest_id is not None

    def _result(self, reply: Reply) -> Any:
        if reply.status == Status.REFUSED:
            self._open.pop(reply.id, None)
            self._word = reply.word
            raise self._failure()
        if reply.word == OK:
            return reply.value
        raise Negative(reply.word) if reply.word in NEGATIVE else Unknown(reply.word)

    def _failure(self) -> RaftError:
        if not self._open:
            return Refused(self._word)
        return Unknown(self._word if self._word in (DEPOSED, NO_SESSION, RECONNECT) else TIMEOUT)
