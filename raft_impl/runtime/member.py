"""One group's replica on a server: the driver of its core, by the contract in `protocol.ready`.

A step gives inputs to the core and acts on what comes back: messages that depend on nothing are sent at once, what must
be durable goes to the log, and everything that depends on it waits in `_waiting` until an fsync has covered it.

The parts of a replica each have a file: `log_writer` (writes and fsyncs), `applier` (the state machine), `requests` and
`pending` (clients), `feature_levels`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from ..machines import CATALOG
from ..machines.features import require_known
from ..machines.sessions import SessionedMachine, level_in
from ..protocol.core import Raft
from ..protocol.ready import Ready
from ..protocol.state import Change, EntryKind, NodeId
from .applier import Applier, payload_digest
from .directory import Directory
from .driver_messages import LevelAsk, LevelTell, Request
from .env import Environment
from .feature_levels import FeatureLevels
from .group_spec import GroupSpec
from .images import Begin, Images
from .inspection import describe
from .log_writer import LogWriter
from .marks import DEPOSED_WITH_PROPOSALS, LEVEL_PROPOSED, LOADING, SNAPSHOT
from .options import MILLISECOND_NS, core_config
from .pending import PendingRequests
from .requests import RequestHandler
from .waiting import AdminCommand
from .wal import Wal
from .wire import encode


class Member:
    """A replica of one group."""

    def __init__(
        self,
        env: Environment,
        group: str,
        spec: GroupSpec,
        options: Mapping[str, Any],
        notes: list[tuple[Any, ...]],
        incarnation: int,
        level: int,
        begin: Begin,
    ) -> None:
        """`begin` has work done in the background."""
        self.group = group
        self.wake_at_ns = 0
        """When the core next needs `wake`."""
        self.roster: frozenset[str] = frozenset()
        """Everybody in the configuration in force."""
        self.is_held = False
        """Whether inputs are being collected into one batch."""
        self.core: Raft
        """The protocol, from `start` on. What one of its inputs returns goes to `act`."""
        self.writer = LogWriter(
            Wal(env.disk, group, segment_bytes=options["segment_bytes"], trailing_entries=options["trailing_entries"]),
            env.clock,
        )
        self._env = env
        self._send = env.network.send
        self._notes = notes
        self._incarnation = incarnation
        self._config = core_config(options)
        self.directory = Directory(_nodes(spec.voters), _nodes(spec.learners), spec.addresses)
        self._timeout_ns: int = options["election_timeout_ms"] * MILLISECOND_NS
        self._waiting: deque[tuple[int, Ready]] = deque()  # with the write that must be durable first
        self._pending = PendingRequests(self._send_message, notes)
        self._applier = Applier(
            group, lambda: SessionedMachine(CATALOG[spec.machine](), known_level=level), self._pending, notes
        )
        self._images = Images(
            self._applier,
            begin,
            threshold=options["snapshot_threshold"],
            trailing_entries=options["trailing_entries"],
        )
        self._requests = RequestHandler(
            self._applier, self._pending, notes, session_idle_ns=options["session_ttl_ms"] * MILLISECOND_NS
        )
        self._levels = FeatureLevels(
            env.actor, level, self._send_message, allowed=options["feature_level"], interval_ns=self._timeout_ns
        )

    async def start(self) -> None:
        """Recover from disk. Raises Corrupt (TooNew, where newer code wrote there) or DiskFailed."""
        recovered = await self.writer.recover()
        for entry in recovered.entries:
            if entry.kind is EntryKind.FEATURE:
                require_known(level_in(entry.data), self._levels.known, f"entry {entry.index} of the log")
        for what in (*recovered.repaired, *recovered.marks):
            self._mark(what)
        if recovered.snapshot is not None:
            self._applier.recover(recovered.snapshot)
        now = self._env.clock.monotonic_ns()
        self.core = Raft(
            NodeId(self._env.actor),
            self._config,
            hard_state=recovered.hard_state,
            snapshot=recovered.snapshot,
            entries=recovered.entries,
            membership=self.directory.initial,
            applied=self._applier.index,
            now=now,
            incarnation=self._incarnation,
        )
        self.act(now, self.core.start(now))

    # Inputs.

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
        if self._applier.machine.level < self._levels.wanted and self.core.is_leader:
            self._raise_level(now, self._levels.ask(now, self.core))
        if self.directory.unwritten and self.core.is_leader:
            self.act(now, self.core.change(now, AdminCommand(), Change(addresses=self.directory.unwritten)))

    def request(self, now: int, source: str, request: Request) -> None:
        """Handle a client's attempt that the server has found to be no duplicate."""
        ready = self._requests.request(now, self.core, source, request)
        if ready is not None:
            self.act(now, ready)

    def answer_level(self, source: str, ask: LevelAsk) -> None:
        """Tell a leader which feature level this code knows."""
        self._levels.answer(source, ask)

    def hear_level(self, now: int, source: str, tell: LevelTell) -> None:
        """Take a member's answer to that question."""
        self._raise_level(now, self._levels.hear(now, self.core, self._applier.machine.level, source, tell))

    def synced(self, now: int) -> None:
        """The fsync is done: send, apply and answer what had to wait for it, and report it to the core."""
        token = self.writer.synced(now)
        if not token:
            return
        waiting = self._waiting
        while waiting and waiting[0][0] <= token:
            self._complete(now, waiting.popleft()[1])
        self.act(now, self.core.persisted(now, token))

    # Acting on what the core wants.

    def act(self, now: int, ready: Ready) -> None:
        """Do what may be done at once, and leave the rest for the fsync if one is needed or under way.

        Answers may be given at once: a refusal promises nothing, a read index was committed by a durable quorum, and a
        proposal is only remembered.
        """
        if self.is_held:
            return
        self.wake_at_ns = ready.wake_at_ns
        if self._images.loading or (ready.restore is not None and ready is not self._images.loaded):
            if ready.send_now:  # depends on nothing: a heartbeat is answered meanwhile
                self._send_all(ready.send_now)
                ready.send_now = []
            self._mark(LOADING)
            self._images.load_before(ready, self._act_late)
            return
        if ready.notes:
            self._take_notes(ready)
        if ready.send_now:
            self._send_all(ready.send_now)
        for answer in ready.answer_after:
            self._requests.take_answer(answer)
        persist = ready.persist
        if persist is not None:
            self.writer.write(persist)
            if persist.truncate_from is not None:
                self._pending.drop_from(persist.truncate_from)
        if ready.send_after or ready.restore is not None or ready.apply:
            if self.writer.must_sync or self._waiting:
                self._waiting.append((self.writer.latest_token, ready))
            else:
                self._complete(now, ready)
        if ready.wants_timeout:
            timeout_ns = self._timeout_ns + self._env.randomness.below(self._timeout_ns, "election")
            self.act(now, self.core.offer_timeout(timeout_ns))

    def _act_late(self, now: int, ready: Ready) -> None:
        """Act on what waited for a snapshot; when the core wants to be woken has changed since."""
        ready.wake_at_ns = self.wake_at_ns
        self.act(now, ready)

    def _raise_level(self, now: int, ready: Ready | None) -> None:
        """Act on a proposal to raise the level, if there is one."""
        if ready is not None:
            self._mark(LEVEL_PROPOSED)
            self.act(now, ready)

    def _complete(self, now: int, ready: Ready) -> None:
        """Do what depended on durability."""
        if ready.send_after:
            self._send_all(ready.send_after)
        applier = self._applier
        if ready.restore is not None:
            applier.restore(ready.restore)
        if ready.apply:
            applier.apply(ready.apply)
        if ready.apply or ready.restore is not None:
            self._pending.answer_reads(applier.index, applier.machine)
            self.core.applied(now, applier.index)
            threshold = self._images.threshold
            if threshold and applier.index - applier.snapshot_index >= threshold:
                self._images.make(self.core, self.act)

    def _send_all(self, messages: list[tuple[NodeId, Any]]) -> None:
        send = self._send
        last: Any = None
        frame = b""
        for target, message in messages:
            if message is not last:  # a heartbeat is one object for all its targets
                frame = encode(self.group, message)
                last = message
            send(target, frame)

    def _send_message(self, target: str, message: Any) -> None:
        self._send(target, encode(self.group, message))

    def _take_notes(self, ready: Ready) -> None:
        group, notes = self.group, self._notes
        for note in ready.notes:
            kind = note[0]
            if kind == "log-append":
                digests = tuple([(entry.term, payload_digest(entry.kind, entry.data)) for entry in note[2]])
                notes.append((kind, group, note[1], digests))
                continue
            if kind == "mark":
                notes.append(note)
                continue
            if kind == "config":
                self.roster = frozenset(name for names in note[2:] for name in names)
                self.directory.follow(self.core.status().membership)
                self._env.network.learn(group, dict(self.directory.addresses))
            elif kind == "snapshot":
                note = (*note[:-1], self._images.digest(note[1]))
                notes.append(("mark", SNAPSHOT[note[1]]))
            elif kind == "role" and self._pending.proposals and note[1] != "leader":
                self._mark(DEPOSED_WITH_PROPOSALS)
            notes.append((kind, group, *note[1:]))

    def _mark(self, name: str) -> None:
        self._notes.append(("mark", name))

    # Administration.

    def command(self, now: int, name: str, arguments: Mapping[str, Any]) -> bool:
        """Carry out an administrator's command. True when it was taken; its effects may need a `sync`."""
        return not self.administer(now, name, arguments)

    def administer(self, now: int, name: str, arguments: Mapping[str, Any]) -> str:
        """The same, with the word that says why it was refused; an empty one when it was taken."""
        admin = AdminCommand()
        match name:
            case "campaign":
                if self.core.is_leader:
                    return "leading"
                self.act(now, self.core.campaign(now))
            case "transfer":
                self.act(now, self.core.transfer(now, admin, NodeId(arguments["target"])))
            case "change":
                fields = {key: _nodes(arguments.get(key, ())) for key in ("vote", "listen", "leave")}
                addresses = tuple((NodeId(name), text) for name, text in arguments.get("addresses", {}).items())
                self.act(now, self.core.change(now, admin, Change(**fields, addresses=addresses)))
            case "compact":
                # A received snapshot that is not durable yet has moved the log's beginning past the machine.
                index = self._applier.index
                if index <= self._applier.snapshot_index or self.core.term_at(index) is None:
                    return "nothing-new"
                self._images.make(self.core, self.act)
            case _:
                raise ValueError(f"command is {name!r}; expected campaign, transfer, change or compact")
        return admin.refused

    def successor(self) -> NodeId | None:
        """The most up-to-date other voter, if this replica leads and there is one."""
        status = self.core.status()
        voters = [node for node in status.membership.voters if node in status.peers]
        return max(voters, key=lambda node: status.peers[node].match) if voters else None

    def resign(self, now: int) -> bool:
        """Begin to hand leadership to the most up-to-date voter, if this replica leads. True when that was begun."""
        successor = self.successor()
        return successor is not None and self.command(now, "transfer", {"target": successor})

    def retire(self) -> None:
        """Answer every pending request, because this server stops."""
        self._pending.retire()

    @property
    def is_leader(self) -> bool:
        """Whether this replica leads its group, as far as it knows."""
        return self.core.is_leader

    @property
    def level(self) -> int:
        """The feature level of the group, as far as it was applied here."""
        return self._applier.machine.level

    def inspect(self) -> dict[str, Any]:
        """What this replica is and holds, for people."""
        return {
            **msgspec.to_builtins(self.core.status()),
            "digest": self._applier.machine.digest.hex(),
            "sessions": self._applier.machine.session_count,
            "level": self.level,
            "known_level": self._levels.known,
            "snapshot_index": self._applier.snapshot_index,
            "waiting_clients": self._pending.count,
            "fsync_count": self.writer.sync_count,
            "fsync_ns": self.writer.sync_ns,
        }

    def portrait(self) -> dict[str, Any]:
        """What a picture of this replica shows beside `inspect`: entries in words, the machine's records, its votes."""
        status = self.core.status()
        return {
            "entries": [describe(entry) for entry in self.core.entries(status.first, status.last)],
            "machine": self._applier.machine.contents(),
            "granted": list(self.core.granted),
        }


def _nodes(names: Any) -> tuple[NodeId, ...]:
    return tuple(NodeId(name) for name in names)
