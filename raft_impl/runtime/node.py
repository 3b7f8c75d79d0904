"""A server: the replicas that one actor hosts, and the synchronous steps in which it serves them.

`process` takes a batch of messages and the timers that are due, `sync` makes durable what that wrote, `post` does what
had to wait for it. Nothing in between awaits: that is what lets a simulator run a step inside an event, and what keeps
"written" and "acknowledged" in one piece. A batch of several messages goes into each core as one (one append to each
follower, one fsync).

Requests of clients are taken in the order of their ids and each at most once (see `wire`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..machines.calls import TOO_LARGE
from ..machines.features import LEVEL
from ..protocol.ready import FAR_NS
from ..protocol.state import NodeId
from .administration import answer, status_of
from .admission import is_heard
from .client import RECONNECT
from .driver_messages import Action, Hello, LevelAsk, LevelTell, Reply, Request, Status, Welcome
from .env import Environment
from .group_spec import GroupSpec
from .images import Then
from .marks import DAMAGED_FRAME, FORMER_CONNECTION, REPEATED_REQUEST, STRANGER_DROPPED
from .member import Member
from .questions import NodeStatus
from .wire import PROTOCOL_TYPES, decode, encode

_CONNECTION_NUMBERS: Final = 1 << 62
_CLIENT_COUNT_MAX: Final = 1 << 16
"""Clients whose latest request id is remembered. To be taken twice, a copy must outlive 65,536 later clients."""


REQUEST_BYTES_MAX: Final = 16 * 1024 * 1024
"""A larger request is refused, unless the server was told another limit."""


class Server:
    """Satisfies `env.Served`."""

    def __init__(
        self,
        env: Environment,
        groups: Mapping[str, GroupSpec],
        options: Mapping[str, Any],
        *,
        level: int = LEVEL,
        request_bytes_max: int = REQUEST_BYTES_MAX,
    ) -> None:
        self.deadline_ns = 0
        self.must_sync = False
        """Whether something waits for an fsync."""
        self.storage: str = options["storage"]
        """With `sync` there is no `process` between one that gave True and its `post`; with `async` there may be."""
        self.notes: list[tuple[Any, ...]] = []
        self._env = env
        self._clock = env.clock
        self._request_bytes_max = request_bytes_max
        self._connection = env.randomness.below(_CONNECTION_NUMBERS, "connection")
        self._questions: list[tuple[str, Member, Request]] = []  # of administrators, in the batch being processed
        self._latest: dict[int, int] = {}  # client number -> its latest request id
        self._results: list[tuple[Then, Any]] = []  # of work that was done in the background
        self._members = {
            name: Member(env, name, spec, options, self.notes, self._connection >> 32, level, self._begin)
            for name, spec in groups.items()
        }
        self._all = tuple(self._members.values())

    async def start(self) -> None:
        """Recover every group from disk. Raises Corrupt or DiskFailed."""
        for member in self._all:
            await member.start()
        self._recompute_deadline()

    def process(self, messages: list[tuple[str, bytes]]) -> bool:
        """Handle messages and due timers. True when `sync` and then `post` must follow before the next `process`."""
        now = self._clock.monotonic_ns()
        members = self._all
        if self._results:
            results, self._results = self._results, []
            for then, result in results:
                then(now, result)
        if len(messages) > 1:
            for member in members:
                member.hold()
        for source, frame in messages:
            self._handle(now, source, decode(frame))
        must_sync = False
        deadline_ns = FAR_NS
        if self._questions:
            self._answer_questions(now)
        for member in members:
            if member.wake_at_ns <= now:
                member.wake(now)
            if member.is_held:
                member.release(now)
            if member.writer.must_sync:
                must_sync = True
            if member.wake_at_ns < deadline_ns:
                deadline_ns = member.wake_at_ns
        self.deadline_ns = deadline_ns
        self.must_sync = must_sync
        return must_sync

    async def sync(self) -> None:
        """Make durable what was written. Raises DiskFailed from the first disk error on."""
        for member in self._all:
            if member.writer.must_sync:
                await member.writer.sync()

    def post(self) -> None:
        """Do what had to wait for `sync`."""
        now = self._clock.monotonic_ns()
        for member in self._all:
            member.synced(now)
        self._recompute_deadline()

    def command(self, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        """Carry out an administrator's command: campaign, transfer (target), change (vote, listen, leave), compact.

        A change may come with `addresses` of members. True when it was taken. A caller outside a step must then let the
        server step: it may be due at once.
        """
        taken = self._members[group].command(self._clock.monotonic_ns(), name, arguments)
        self._recompute_deadline()
        return taken

    def is_member(self, name: str) -> bool:
        """Whether a node is a member of any group here, as far as its replica knows."""
        return any(name in member.roster for member in self._all)

    @property
    def leads(self) -> bool:
        """Whether a replica here leads its group, as far as it knows."""
        return any(member.is_leader for member in self._all)

    def resign(self) -> bool:
        """Begin to transfer every leadership held here. Returns whether any remains: call it again until none does."""
        now = self._clock.monotonic_ns()
        begun = [member.resign(now) or member.is_leader for member in self._all]
        self._recompute_deadline()
        return any(begun)

    def retire(self) -> None:
        """Answer every pending request: commands with "unknown", reads with "refused". The last step before a stop."""
        for member in self._all:
            member.retire()

    def inspect(self) -> dict[str, Any]:
        """What each group's replica is and holds."""
        return {member.group: member.inspect() for member in self._all}

    def level(self, group: str) -> int:
        """The feature level of one group, as far as it was applied here."""
        return self._members[group].level

    def reads_by_lease(self, group: str) -> bool:
        """Whether one group's replica would answer a read at once, by a lease."""
        return self._members[group].core.reads_by_lease(self._clock.monotonic_ns())

    def portrait(self, group: str) -> dict[str, Any]:
        """What a picture of one group's replica shows beside `inspect`."""
        return self._members[group].portrait()

    def status(self, group: str) -> NodeStatus:
        """What one group's replica is and how far it is, as administrators see it."""
        return status_of(self._clock.monotonic_ns(), self._members[group])

    def _answer_questions(self, now: int) -> None:
        """Answer administrators behind the batch with which they came, because a core that holds gives no answers."""
        for member in self._all:
            if member.is_held:
                member.release(now)
        questions, self._questions = self._questions, []
        for source, member, request in questions:
            self._env.network.send(source, encode(member.group, answer(now, member, request)))

    def _recompute_deadline(self) -> None:
        """Be called again when a timer is due; at once when something was written outside `process`."""
        must_sync = False
        deadline_ns = FAR_NS
        for member in self._all:
            must_sync = must_sync or member.writer.must_sync
            if member.wake_at_ns < deadline_ns:
                deadline_ns = member.wake_at_ns
        self.must_sync = must_sync
        self.deadline_ns = 0 if self._results or (must_sync and self.storage == "sync") else deadline_ns

    def _begin(self, work: Callable[[], Any], then: Then) -> None:
        """Have long work done in the background; a step will call `then` with its result."""

        def done(result: Any) -> None:
            self._results.append((then, result))
            self.deadline_ns = 0

        self._env.background(work, done)

    def _handle(self, now: int, source: str, decoded: tuple[str, Any] | None) -> None:
        if decoded is None:
            self.notes.append(("mark", DAMAGED_FRAME))
            self._env.network.distrust(source)
            return
        group, message = decoded
        member = self._members.get(group)
        if member is None:
            return
        kind = type(message)
        if kind in PROTOCOL_TYPES:
            if source in member.roster or is_heard(member.core, source, message):
                member.act(now, member.core.step(now, NodeId(source), message))
            else:
                self.notes.append(("mark", STRANGER_DROPPED))
        elif kind is Request:
            self._request(now, source, member, message)
        elif kind is Hello:
            self._env.network.send(source, encode(group, Welcome(self._connection, member.directory.addresses)))
        elif kind is LevelAsk:
            member.answer_level(source, message)
        elif kind is LevelTell:
            member.hear_level(now, source, message)

    def _request(self, now: int, source: str, member: Member, request: Request) -> None:
        if request.connection != self._connection:
            # This incarnation did not take it. The one that it names may have taken another copy of it.
            self.notes.append(("mark", FORMER_CONNECTION))
            answer = Reply(request.id, Status.UNKNOWN, RECONNECT, self._connection)
            self._env.network.send(source, encode(member.group, answer))
            return
        latest = self._latest
        if request.id <= latest.get(request.client, 0):
            self.notes.append(("mark", REPEATED_REQUEST))
            return
        if len(request.call) > self._request_bytes_max:
            answer = Reply(request.id, Status.REFUSED, TOO_LARGE, self._request_bytes_max)
            self._env.network.send(source, encode(member.group, answer))
            return
        latest.pop(request.client, None)  # to the end: the front is who was silent longest
        latest[request.client] = request.id
        if len(latest) > _CLIENT_COUNT_MAX:
            del latest[next(iter(latest))]
        if request.action == Action.ADMIN:
            self._questions.append((source, member, request))
        else:
            member.request(now, source, request)
