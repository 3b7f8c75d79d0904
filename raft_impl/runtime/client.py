"""A client of one group: finds the leader, tries again within its session, and says honestly how an operation ended.

One operation may take several attempts. What is said of it is decided over all of them:

* the value, when any attempt was answered by the machine (or `Negative`, when the machine said no);
* `Refused`, when every attempt that left here was refused with certainty that it has no effect, ever;
* `Unknown` otherwise: an attempt that timed out may still be on its way, or in a log.

A write is repeated only under its (session, sequence), so it cannot take effect twice; without sessions it is attempted
exactly once. Reads may be repeated at will. Late replies to earlier attempts of the same operation count.

Before its first request to a server a client greets it (see `wire`); a greeting is not an attempt.

All waiting is `env.recv(deadline)`: no tasks, no cancel scopes, nothing that a scheduler could order in two ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import Negative, NoClient, RaftError, Refused, Unknown
from ..machines.base import NEGATIVE, OK, READS, pack
from ..machines.sessions import NO_SESSION, WITHOUT_EFFECT
from .env import Environment
from .wire import Action, Hello, Reply, Request, Status, Welcome, decode, encode

RECONNECT: Final = "reconnect"
NOT_LEADER: Final = "not-leader"
DEPOSED: Final = "deposed"
TIMEOUT: Final = "timeout"

_MILLISECOND_NS: Final = 1_000_000
_BACKOFF_MIN_NS: Final = 5 * _MILLISECOND_NS
_BACKOFF_MAX_NS: Final = 50 * _MILLISECOND_NS
_CLIENT_NUMBERS: Final = 1 << 62
_REQUEST_IDS: Final = 1 << 62


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
        self._group = group
        self._servers = tuple(servers)
        self._home = home if home is not None else self._servers[0]
        self._routing = routing
        self._uses_sessions: bool = options["sessions"] == "on"
        self._timeout_ns: int = options["client_timeout_ms"] * _MILLISECOND_NS
        self._attempt_timeout_ns: int = options["client_attempt_timeout_ms"] * _MILLISECOND_NS
        self._number = env.randomness.below(_CLIENT_NUMBERS, "client")
        self._leader: str | None = None  # where the latest hint or success pointed
        self._connections: dict[str, int] = {}
        # Ids begin anywhere, so that no late reply to an earlier client of this address answers one of ours.
        self._last_id = env.randomness.below(_REQUEST_IDS, "request")
        self._sequence = 0

    async def open(self) -> None:
        """Open a session, if sessions are in use. Raises NoClient when that fails."""
        if not self._uses_sessions or self.session:
            return
        try:
            # Opening may be repeated at will: a session that was opened and not heard of is never used.
            self.session = await _Operation(self, Action.OPEN, b"", self._deadline()).run()
        except RaftError as error:
            raise NoClient(error.word) from None
        self._sequence = 0

    async def call(self, f: str, key: Any, value: Any) -> Any:
        """Execute one command. Raises Negative, Refused or Unknown; Refused("no-client") when it has no session."""
        deadline_ns = self._deadline()
        command = pack((f, key, value))
        if f in READS:
            return await _Operation(self, Action.READ, command, deadline_ns).run()
        if self._uses_sessions:
            if not self.session:
                await self._reopen()
            self._sequence += 1
        return await _Operation(self, Action.CALL, command, deadline_ns).run()

    def close(self) -> None:
        """Use the session no more. It is left to expire."""
        self.session = 0

    async def _reopen(self) -> None:
        try:
            await self.open()
        except NoClient:
            raise Refused("no-client") from None

    def _deadline(self) -> int:
        return self._env.clock.monotonic_ns() + self._timeout_ns


class _Operation:
    """The attempts of one operation."""

    def __init__(self, client: Client, action: Action, call: bytes, deadline_ns: int) -> None:
        self._client = client
        self._env = client._env
        self._action = action
        self._call = call
        self._deadline_ns = deadline_ns
        self._first_id = client._last_id + 1
        # Attempts of which nobody knows yet whether they have an effect.
        self._open: dict[int, None] = {}
        self._word = "unreachable"  # of the latest refusal or loss
        self._redirects = 0  # since the last pause
        self._is_single = action is Action.CALL and not client._uses_sessions
        self._target = self._first_target()

    async def run(self) -> Any:
        """Attempt until there is an answer, no sense in going on, or no time."""
        while (now := self._env.clock.monotonic_ns()) < self._deadline_ns:
            resume_ns = self._send(now)
            reply = await self._answer(resume_ns)
            if reply is not None:
                return self._result(reply)
            if self._is_over():
                break
        raise self._failure()

    # Sending.

    def _send(self, now: int) -> int:
        """Send the next attempt, or a greeting if the server is a stranger. Returns until when to wait."""
        client = self._client
        connection = client._connections.get(self._target)
        if connection is None:
            self._env.network.send(self._target, encode(client._group, Hello(client._number)))
        else:
            client._last_id += 1
            self._open[client._last_id] = None
            sequence = client._sequence if self._action is Action.CALL and client.session else 0
            session = client.session if self._action is Action.CALL else 0
            request = Request(connection, client._number, client._last_id, self._action, session, sequence, self._call)
            self._env.network.send(self._target, encode(client._group, request))
            if self._is_single:
                return self._deadline_ns
        return min(self._deadline_ns, now + client._attempt_timeout_ns)

    # Receiving.

    async def _answer(self, resume_ns: int) -> Reply | None:
        """Wait for what ends the operation. None: go on with the next attempt."""
        target = self._target
        while True:
            received = await self._env.recv(resume_ns)
            if received is None:
                if target == self._target:
                    self._move_on(target)
                return None
            source, frame = received
            decoded = decode(frame)
            if decoded is None:
                continue
            match decoded[1]:
                case Welcome(connection=connection):
                    is_new = self._client._connections.get(source) is None
                    self._client._connections[source] = connection
                    if is_new and source == self._target:
                        return None
                case Reply() as reply if reply.id in self._open:
                    if reply.status == Status.DONE or self._is_final(reply):
                        self._learn_leader(source, reply)
                        return reply
                    pause_ns = self._take(source, reply)
                    if pause_ns is not None:
                        # Replies that come during the pause still count.
                        resume_ns = min(self._deadline_ns, self._env.clock.monotonic_ns() + pause_ns)
                        if pause_ns == 0 or self._is_over():
                            return None
                        target = ""

    def _take(self, source: str, reply: Reply) -> int | None:
        """Learn from a reply that ends only an attempt: how long to pause before the next; None: keep waiting."""
        is_latest = reply.id == self._client._last_id
        self._word = reply.word
        if reply.word == RECONNECT:
            self._client._connections[source] = reply.value
        if reply.status == Status.UNKNOWN:
            return 0 if is_latest else None
        del self._open[reply.id]
        self._client._leader = reply.leader
        if not is_latest:
            return None
        return self._redirect(source, reply)

    def _redirect(self, source: str, reply: Reply) -> int:
        """Choose where to go after a refusal, and how long to wait before."""
        hint = reply.leader
        if hint is not None and hint != source and self._follows_hints and self._redirects < len(self._client._servers):
            self._redirects += 1
            self._target = hint
            return 0
        self._redirects = 0
        if reply.word == NOT_LEADER:
            self._move_on(source)
        return _BACKOFF_MIN_NS + self._env.randomness.below(_BACKOFF_MAX_NS - _BACKOFF_MIN_NS, "backoff")

    # Routing.

    @property
    def _follows_hints(self) -> bool:
        return self._client._routing == "leader" or self._action is not Action.READ

    def _first_target(self) -> str:
        client = self._client
        if client._leader is not None and self._follows_hints:
            return client._leader
        return self._random_server() if client._routing == "any" else client._home

    def _move_on(self, from_server: str) -> None:
        """Choose the next server after one that did not help."""
        client = self._client
        if client._leader == from_server:
            client._leader = None
        match client._routing:
            case "home":
                self._target = client._home
            case "any":
                self._target = self._random_server()
            case _:
                servers = client._servers
                position = servers.index(from_server) if from_server in servers else -1
                self._target = servers[(position + 1) % len(servers)]

    def _random_server(self) -> str:
        servers = self._client._servers
        return servers[self._env.randomness.below(len(servers), "route")]

    def _learn_leader(self, source: str, reply: Reply) -> None:
        if self._follows_hints and reply.status == Status.DONE:
            self._client._leader = source

    # Outcomes.

    def _is_final(self, reply: Reply) -> bool:
        """Whether trying again cannot help: the command is in the log and did nothing."""
        return reply.status == Status.REFUSED and reply.word in WITHOUT_EFFECT

    def _is_over(self) -> bool:
        """Whether the one attempt that was allowed has been made."""
        return self._is_single and self._client._last_id >= self._first_id

    def _result(self, reply: Reply) -> Any:
        if reply.status == Status.REFUSED:
            if reply.word == NO_SESSION:
                self._client.session = 0
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
