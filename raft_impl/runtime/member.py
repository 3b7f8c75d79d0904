"""One group's replica on a server: the core, its log on disk, its machine, and the requests that wait for an answer.

This is the driver of the contract in `protocol.ready`. A step gives inputs to the core and acts on what comes back:
messages that may leave at once do, what must be durable goes to the log, and all that depends on it waits in
`_waiting` until `synced` says that an fsync covered it. What is written while an fsync is under way belongs to the
next one, so it makes no difference here whether steps go on meanwhile (asynchronous storage) or not.

Reads. The core answers a read with an index that covers every write acknowledged until then, whether a round or a lease
confirmed that, and the machine answers once it has applied that much. The lease is looked at with the time at which the
step began, when the request had arrived already: that instant is the read's place in real time, and a state that is
newer than the index at most shows later writes. Nothing has to be asked twice, however far the machine is behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import msgspec

from ..machines import CATALOG
from ..machines.base import pack
from ..machines.sessions import Action as LogAction
from ..machines.sessions import Command, SessionedMachine, encode_command
from ..protocol.core import Raft
from ..protocol.membership import Change, members
from ..protocol.ready import FAR_NS, Answer, Proposed, ReadAt, Ready, Refused
from ..protocol.replica import payload_digest
from ..protocol.state import Entry, EntryKind, Index, Membership, NodeId, Snapshot
from .env import Environment
from .marks import DEPOSED_WITH_PROPOSALS, LEVEL_RAISED, READ_WAITED, REPEATED_COMMAND, SNAPSHOT
from .options import MILLISECOND_NS, core_config
from .pending import PendingCommand, PendingRead, PendingRequests
from .wal import Wal
from .wire import Action, LevelAsk, LevelTell, Request, encode

MALFORMED: Final = "malformed"

_COMMAND: Final = int(EntryKind.COMMAND)


class GroupSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a group replicates, and who its members are before its log says otherwise."""

    machine: str
    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()


class _Admin(msgspec.Struct, gc=False):
    """An administrator's command, and why it was refused, if it was."""

    refused: str = ""


class Member:
    """A replica of one group."""

    # More than thirty attributes are slow without slots.
    __slots__ = (
        "_applied",
        "_env",
        "_incarnation",
        "_incoming",
        "_level",
        "_levels",
        "_levels_asked_ns",
        "_machine",
        "_notes",
        "_options",
        "_pending",
        "_send",
        "_session_idle_ns",
        "_snapshot_index",
        "_snapshot_threshold",
        "_spec",
        "_stamp_base_ns",
        "_stamp_since_ns",
        "_stamp_term",
        "_sync_began_ns",
        "_sync_count",
        "_sync_ns",
        "_syncing_count",
        "_timeout_ns",
        "_tokens",
        "_trailing_entries",
        "_waiting",
        "_wal",
        "core",
        "group",
        "is_held",
        "must_sync",
        "wake_at_ns",
    )

    def __init__(
        self,
        env: Environment,
        group: str,
        spec: GroupSpec,
        options: Mapping[str, Any],
        notes: list[tuple[Any, ...]],
        incarnation: int,
        level: int,
    ) -> None:
        self.group = group
        self.wake_at_ns = 0
        """When the core wants to be woken."""
        self.is_held = False
        """Whether inputs are being collected into one batch."""
        self.must_sync = False
        """Whether something waits for an fsync."""
        self._env = env
        self._send = env.network.send
        self._incarnation = incarnation
        self._level = level
        self._levels: dict[str, int] = {}  # feature levels that members told this leader
        self._levels_asked_ns = -FAR_NS
        self._spec = spec
        self._options = options
        self._notes = notes
        self._snapshot_threshold: int = options["snapshot_threshold"]
        self._trailing_entries: int = options["trailing_entries"]
        self._timeout_ns: int = options["election_timeout_ms"] * MILLISECOND_NS
        self._session_idle_ns: int = options["session_ttl_ms"] * MILLISECOND_NS
        self._wal = Wal(
            env.disk, group, segment_bytes=options["segment_bytes"], trailing_entries=self._trailing_entries
        )
        self.core: Raft
        """The protocol; whatever an input of it gives goes to `act`. There from `start` on."""
        self._machine = self._new_machine()
        self._incoming: SessionedMachine | None = None  # an installed image that is not durable yet
        self._applied = 0
        self._snapshot_index = 0
        self._tokens: list[int] = []  # writes that are not durable yet, oldest first
        self._waiting: deque[tuple[int, Ready]] = deque()  # with the token that must be durable first
        self._syncing_count = 0  # how many of `_tokens` the running fsync covers
        self._pending = PendingRequests(lambda source, reply: self._send(source, encode(group, reply)))
        self._sync_count = 0
        self._sync_ns = 0
        self._sync_began_ns = 0
        # The cluster clock: log time `_stamp_base_ns` was at monotonic time `_stamp_since_ns`, in term `_stamp_term`.
        self._stamp_term = -1
        self._stamp_base_ns = 0
        self._stamp_since_ns = 0

    # Life.

    async def start(self) -> None:
        """Recover from disk. Raises Corrupt or DiskFailed."""
        recovered = await self._wal.recover()
        for what in recovered.repaired:
            self._mark(what)
        snapshot = recovered.snapshot
        if snapshot is not None:
            self._machine.restore(snapshot.data)
            self._applied = self._snapshot_index = snapshot.meta.index
        now = self._env.clock.monotonic_ns()
        self.core = Raft(
            NodeId(self._env.actor),
            core_config(self._options),
            hard_state=recovered.hard_state,
            snapshot=snapshot,
            entries=recovered.entries,
            membership=Membership(self._nodes(self._spec.voters), (), self._nodes(self._spec.learners)),
            applied=Index(self._applied),
            now=now,
            incarnation=self._incarnation,
        )
        self.act(now, self.core.start(now))

    def hold(self) -> None:
        """Collect the coming inputs into one batch."""
        self.is_held = True
        self.core.hold()

    def release(self, now: int) -> None:
        """Act on the batch."""
        self.is_held = False
        self.act(now, self.core.release(now))

    def wake(self, now: int) -> None:
        """The time that the core asked for has come."""
        self.act(now, self.core.wake(now))
        if self._machine.level < self._level and self.core.is_leader:
            self._ask_levels(now)

    # The disk.

    def sync(self) -> Coroutine[Any, Any, None]:
        """Make durable what was written so far. Raises DiskFailed."""
        self._syncing_count = len(self._tokens)
        self._sync_began_ns = self._env.clock.monotonic_ns()
        return self._wal.sync()

    def synced(self, now: int) -> None:
        """The fsync is done: send, apply and answer what had to wait for it, and tell the core."""
        count, self._syncing_count = self._syncing_count, 0
        if not count:
            return
        self._sync_count += 1
        self._sync_ns += now - self._sync_began_ns
        token = self._tokens[count - 1]
        del self._tokens[:count]
        self.must_sync = bool(self._tokens)
        waiting = self._waiting
        while waiting and waiting[0][0] <= token:
            self._complete(now, waiting.popleft()[1])
        self.act(now, self.core.persisted(now, token))

    # Acting on what the core wants.

    def act(self, now: int, ready: Ready) -> None:
        """Do what may be done at once, and leave the rest for the fsync if one is needed or under way.

        Answers count as what may be done at once: a refusal promises nothing, a read index was committed by a durable
        quorum, and a proposal is only remembered.
        """
        if self.is_held:
            return
        self.wake_at_ns = ready.wake_at_ns
        if ready.notes:
            self._take_notes(ready)
        if ready.send_now:
            self._send_all(ready.send_now)
        for answer in ready.answer_after:
            self._take_answer(answer)
        persist = ready.persist
        if persist is not None:
            self._wal.write(persist)
            self._tokens.append(persist.token)
            self.must_sync = True
            if persist.truncate_from is not None:
                self._pending.drop_from(persist.truncate_from)
        if ready.send_after or ready.restore is not None or ready.apply:
            if self.must_sync or self._waiting:
                self._waiting.append((self._tokens[-1] if self._tokens else 0, ready))
            else:
                self._complete(now, ready)
        if ready.wants_timeout:
            timeout_ns = self._timeout_ns + self._env.randomness.below(self._timeout_ns, "election")
            self.act(now, self.core.offer_timeout(timeout_ns))

    def _complete(self, now: int, ready: Ready) -> None:
        """Do what depended on durability."""
        if ready.send_after:
            self._send_all(ready.send_after)
        if ready.restore is not None:
            self._restore(ready.restore)
        if ready.apply:
            self._apply(ready.apply)
        if ready.apply or ready.restore is not None:
            self._pending.answer_reads(self._applied, self._machine)
            self.core.applied(now, Index(self._applied))
            if self._snapshot_threshold and self._applied - self._snapshot_index >= self._snapshot_threshold:
                self._compact(now)

    def _send_all(self, messages: list[tuple[NodeId, Any]]) -> None:
        send = self._send
        last: Any = None
        frame = b""
        for target, message in messages:
            if message is not last:  # a heartbeat is one object for all its targets
                frame = encode(self.group, message)
                last = message
            send(target, frame)

    def _take_notes(self, ready: Ready) -> None:
        group, notes = self.group, self._notes
        for note in ready.notes:
            kind = note[0]
            if kind == "snapshot":
                note = (*note[:-1], self._image_digest(note[1], ready))
                self._mark(SNAPSHOT[note[1]])
            elif kind == "role" and self._pending.proposals and note[1] != "leader":
                self._mark(DEPOSED_WITH_PROPOSALS)
            notes.append((kind, group, *note[1:]))

    def _image_digest(self, how: str, ready: Ready) -> bytes:
        """The digest of the state in a snapshot: ours, or that of the image that a leader sent."""
        if how != "installed" or ready.restore is None:
            return self._machine.digest
        self._incoming = self._new_machine()
        self._incoming.restore(ready.restore.data)
        return self._incoming.digest

    # The machine.

    def _apply(self, entries: list[Entry]) -> None:
        machine, notes, requests, group = self._machine, self._notes, self._pending, self.group
        for entry in entries:
            if entry.kind == _COMMAND:
                word, value = machine.apply(entry.index, entry.data)
            else:
                word, value = "", None
                if entry.kind is EntryKind.FEATURE:
                    machine.raise_level(entry.data)
                    self._mark(LEVEL_RAISED)
            self._applied = entry.index
            notes.append(("apply", group, entry.index, payload_digest(entry.kind, entry.data), machine.digest))
            if requests.proposals:
                requests.applied(entry, word, value)

    def _restore(self, snapshot: Snapshot) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is None:
            incoming = self._new_machine()
            incoming.restore(snapshot.data)
        self._machine = incoming
        self._applied = self._snapshot_index = snapshot.meta.index
        self._pending.drop_up_to(snapshot.meta.index)

    def _compact(self, now: int) -> None:
        """Take a snapshot of the machine as it is, and let the log before it go, but for the trailing entries."""
        index = Index(self._applied)
        snapshot = Snapshot(self.core.snapshot_meta(index), self._machine.snapshot())
        self._snapshot_index = self._applied
        self.act(now, self.core.compact(now, Index(max(0, index - self._trailing_entries)), snapshot))

    def _new_machine(self) -> SessionedMachine:
        return SessionedMachine(CATALOG[self._spec.machine](), known_level=self._level)

    # Clients.

    def request(self, now: int, source: str, request: Request) -> None:
        """Handle an attempt that the server has found to be no duplicate."""
        match request.action:
            case Action.READ:
                self.act(now, self.core.read(now, PendingRead(source, request.id, request.call)))
            case Action.CALL:
                self._call(now, PendingCommand(source, request.id, request.session, request.sequence), request.call)
            case Action.OPEN:
                command = Command(LogAction.OPEN, self._stamp(now), idle_ns=self._session_idle_ns)
                self._propose(now, PendingCommand(source, request.id), command)
            case _:
                self._pending.refuse(PendingCommand(source, request.id), MALFORMED)

    def _call(self, now: int, pending: PendingCommand, call: bytes) -> None:
        if pending.session:
            known = self._machine.answered(pending.session, pending.sequence)
            if known is not None:
                self._mark(REPEATED_COMMAND)
                self._pending.answer(pending.source, pending.id, *known)
                return
            if self.core.is_leader and self._pending.attach_retry(pending, self.core.term):
                return
        command = Command(LogAction.CALL, self._stamp(now), pending.session, pending.sequence, call)
        self._propose(now, pending, command)

    def _propose(self, now: int, pending: PendingCommand, command: Command) -> None:
        self._pending.register(pending)
        self.act(now, self.core.propose(now, pending, encode_command(command)))

    def _take_answer(self, answer: Answer) -> None:
        tag = answer.tag
        if isinstance(answer, ReadAt):
            if answer.index <= self._applied:
                self._pending.answer(tag.source, tag.id, *self._machine.read(tag.call))
            else:
                self._mark(READ_WAITED)
                self._pending.add_read(answer.index, tag)
        elif isinstance(answer, Proposed):
            if isinstance(tag, PendingCommand):
                self._pending.appended(tag, answer.index, answer.term)
        elif isinstance(answer, Refused):
            if isinstance(tag, _Admin):
                tag.refused = answer.reason
            elif tag is not None:
                self._pending.refuse(tag, answer.reason, answer.leader)

    def _stamp(self, now: int) -> int:
        """The cluster clock: log time, continued on this leader's monotonic clock (see `machines.sessions`)."""
        term = self.core.term
        if term != self._stamp_term:
            self._stamp_term, self._stamp_base_ns, self._stamp_since_ns = term, self._machine.time_ns, now
        return self._stamp_base_ns + now - self._stamp_since_ns

    # Feature levels (see `machines.features`).

    def tell_level(self, source: str, ask: LevelAsk) -> None:
        """Answer a leader's question."""
        self._send(source, encode(self.group, LevelTell(ask.term, self._level)))

    def hear_level(self, now: int, source: str, tell: LevelTell) -> None:
        """Raise the group's level as soon as every member knows a higher one."""
        if not self.core.is_leader or tell.term != self.core.term:
            return
        self._levels[source] = tell.level
        common = min(self._levels.get(node, 0) for node in self._others()) if self._others() else self._level
        if common > self._machine.level:
            self._propose_level(now, min(common, self._level))

    def _ask_levels(self, now: int) -> None:
        if now - self._levels_asked_ns < self._timeout_ns:
            return
        self._levels_asked_ns = now
        self._levels.clear()
        others = self._others()
        for node in others:
            self._send(node, encode(self.group, LevelAsk(self.core.term)))
        if not others:
            self._propose_level(now, self._level)

    def _propose_level(self, now: int, level: int) -> None:
        """A repeated or lost proposal does no harm: a level only rises, and the leader asks again until it has."""
        self._levels.clear()
        self.act(now, self.core.propose(now, None, pack(level), EntryKind.FEATURE))

    def _others(self) -> tuple[NodeId, ...]:
        return tuple(node for node in members(self.core.status().membership) if node != self._env.actor)

    # Administration.

    def command(self, now: int, name: str, arguments: Mapping[str, Any]) -> bool:
        """Carry out an administrator's command. True when it was taken; its effects may need a `sync`."""
        admin = _Admin()
        match name:
            case "campaign":
                if self.core.is_leader:
                    return False
                self.act(now, self.core.campaign(now))
            case "transfer":
                self.act(now, self.core.transfer(now, admin, NodeId(arguments["target"])))
            case "change":
                fields = {key: self._nodes(arguments.get(key, ())) for key in ("vote", "listen", "leave")}
                self.act(now, self.core.change(now, admin, Change(**fields)))
            case "compact":
                # An image that was installed and is not durable yet has moved the log's beginning past the machine.
                if self._applied <= self._snapshot_index or self.core.term_at(Index(self._applied)) is None:
                    return False
                self._compact(now)
            case _:
                raise ValueError(f"command is {name!r}; expected campaign, transfer, change or compact")
        return not admin.refused

    def resign(self, now: int) -> bool:
        """Begin to hand leadership to the voter that is furthest, if this replica leads. True when that was begun."""
        status = self.core.status()
        voters = [node for node in status.membership.voters if node in status.peers]
        if not self.core.is_leader or not voters:
            return False
        heir = max(voters, key=lambda node: status.peers[node].match)
        return self.command(now, "transfer", {"target": heir})

    def retire(self) -> None:
        """Tell everyone who waits that there will be no answer from here."""
        self._pending.retire()

    @property
    def is_leader(self) -> bool:
        """Whether this replica leads its group, as far as it knows."""
        return self.core.is_leader

    def inspect(self) -> dict[str, Any]:
        """What this replica is and holds, for people."""
        return {
            **msgspec.to_builtins(self.core.status()),
            "digest": self._machine.digest.hex(),
            "sessions": self._machine.session_count,
            "level": self._machine.level,
            "snapshot_index": self._snapshot_index,
            "waiting_clients": self._pending.count,
            "fsync_count": self._sync_count,
            "fsync_ns": self._sync_ns,
        }

    def _mark(self, name: str) -> None:
        self._notes.append(("mark", name))

    @staticmethod
    def _nodes(names: Any) -> tuple[NodeId, ...]:
        return tuple(NodeId(name) for name in names)
