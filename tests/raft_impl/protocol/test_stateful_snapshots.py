"""Snapshots under Hypothesis: taken, sent in pieces, cut short, overtaken and half written, against a list of commands.

`CoreMachine` lets everything happen; here what happens is mostly about snapshots. A node falls behind and the others
forget what it lacks; its image travels in chunks that get lost, doubled and reordered; either side crashes meanwhile,
and a crash leaves any prefix of what was being written; a newer image or a newer leader takes over; members come and
go; disks lag, acknowledge several writes at once, and drop what snapshots cover in their own time.

The model is the list of all entries that any node ever applied, from the first on, and is slow and obvious: what a
machine must hold at an index, and what a snapshot there must say, is told by going through that list again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raft_impl.machines import CATALOG
from raft_impl.machines.base import pack, unpack
from raft_impl.machines.commands import Action, Command, decode_command, encode_command
from raft_impl.machines.sessions import SessionedMachine
from raft_impl.protocol.membership import decode, members
from raft_impl.protocol.messages import Append, AppendReply, SnapshotChunk, SnapshotReply, kind
from raft_impl.protocol.ready import Persist, Proposed, Ready
from raft_impl.protocol.state import Entry, EntryKind, HardState, Index, Membership, Snapshot, Term
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, Disk, Node

NAMES = "abcx"
LAST = Index(1 << 40)
KEY = "k"
SESSION_IDLE_NS = 9 * T_NS
LAST_WORD = encode_command(Command(Action.OPEN, 0, idle_ns=1))

names = st.sampled_from(NAMES)
fates = st.sampled_from(["deliver", "deliver", "deliver", "lose", "duplicate", "delay"])
aims = st.sampled_from([*NAMES, "sender", "sender", "receiver", "receiver"])


class Absence(msgspec.Struct, frozen=True):
    """How a node falls behind.

    It may have led, and go on writing for itself when it is cut off, to a disk that answers or does not. A mute one
    hears what is written and is not heard: it may hold what the image covers, and more of what follows than any other
    node, when appends to the others are held back. With a change of membership, the others stop in the joint
    configuration.
    """

    name: str
    own_writes: int
    is_slow: bool
    is_mute: bool
    writes: int
    held_back: int
    change: str
    keep: int


class Sending(msgspec.Struct, frozen=True):
    """What becomes of the chunks of the image, whether its last one meets a slow disk, and what happens then."""

    fates: list[str]
    is_completed: bool
    is_slow: bool
    then: str


absences = st.builds(
    Absence,
    name=st.sampled_from("abcabcabcx"),
    own_writes=st.sampled_from([0, 0, 2, 6]),
    is_slow=st.booleans(),
    is_mute=st.booleans(),
    writes=st.integers(1, 4),
    held_back=st.integers(0, 2),
    change=st.sampled_from(["", "", "listen", "vote", "leave"]),
    keep=st.sampled_from([0, 0, 0, 1]),
)
sendings = st.builds(
    Sending,
    fates=st.lists(fates, max_size=6),
    is_completed=st.booleans(),
    is_slow=st.booleans(),
    then=st.sampled_from(
        [
            "",
            "receiver restarts",
            "receiver writes half",
            "receiver compacts",
            "receiver lags",
            "sender dies",
            "another leads",
            "newer image",
        ]
    ),
)


# The model.


def effects(history: Sequence[Entry]) -> tuple[list[list[int]], dict[int, int], int]:
    """The commands that took effect, in order, the latest sequence of each session still open, and the time."""
    done: list[list[int]] = []
    latest: dict[int, int] = {}
    idle_ns: dict[int, int] = {}
    used_ns: dict[int, int] = {}
    now = 0
    for entry in history:
        if entry.kind is not EntryKind.COMMAND:
            continue
        command = decode_command(entry.data)
        now = max(now, command.time_ns)
        latest = {session: latest[session] for session in latest if now - used_ns[session] < idle_ns[session]}
        if command.action is Action.OPEN:
            latest[entry.index] = 0
            idle_ns[entry.index], used_ns[entry.index] = command.idle_ns, now
        elif command.session == 0:
            done.append([0, command.sequence])
        elif command.session in latest and command.sequence > latest[command.session]:
            latest[command.session], used_ns[command.session] = command.sequence, now
            done.append([command.session, command.sequence])
    return done, latest, now


def membership_after(history: Sequence[Entry], initial: Membership) -> Membership:
    """The configuration of the last entry that holds one."""
    configurations = [decode(entry.data) for entry in history if entry.kind is EntryKind.CONFIG]
    return configurations[-1] if configurations else initial


def loaded(snapshot: Snapshot | None) -> SessionedMachine:
    machine = SessionedMachine(CATALOG["list"]())
    if snapshot is not None:
        machine.restore(unpack(snapshot.data)[1])
    return machine


def pieces(persist: Persist) -> list[Persist]:
    """What one write consists of, in the order in which it may become durable."""
    parts = []
    if persist.snapshot is not None:
        parts.append(Persist(persist.token, snapshot=persist.snapshot))
    if persist.hard_state is not None:
        parts.append(Persist(persist.token, hard_state=persist.hard_state))
    if persist.truncate_from is not None:
        parts.append(Persist(persist.token, truncate_from=persist.truncate_from))
    return parts + [Persist(persist.token, entries=(entry,)) for entry in persist.entries]


def ends(disk: Disk) -> list[tuple[Index, Term]]:
    """(index, term) of the last entry that the snapshot covers and of the last one in the log, if there are any."""
    covered = [(disk.snapshot.meta.index, disk.snapshot.meta.term)] if disk.snapshot is not None else []
    return covered + [(entry.index, entry.term) for entry in disk.entries[-1:]]


class SnapshotCluster(Cluster):
    """A cluster whose machines have sessions, and which judges every state and every image against the model."""

    def __init__(self, voters: str, **options: Any) -> None:
        self.history: list[Entry] = []
        self.steady = loaded(None)  # a machine that applies the history and never sees a snapshot
        self.digests = [self.steady.digest]  # of its states, by index
        self.machines: dict[str, SessionedMachine] = {}
        self.positions: dict[str, int] = {}  # up to where each machine has applied
        self.cut_to: dict[str, int] = {}  # up to where each core was allowed to forget
        super().__init__(voters, **options)

    # life

    def restart(self, name: str) -> None:
        disk = self.nodes[name].disk
        snapshot = disk.snapshot
        self.cut_to[name] = 0
        if snapshot is not None:
            meta = snapshot.meta
            joins = any((entry.index, entry.term) == (meta.index, meta.term) for entry in disk.entries)
            self.cut_to[name] = disk.entries[0].index if joins else meta.index
        # What a half-written disk holds may be of a later term than its record of the term; a driver takes that one.
        last_term = max([term for _, term in ends(disk)], default=Term(0))
        if disk.hard_state.term < last_term:
            disk.hard_state = HardState(last_term)
        super().restart(name)

    def crash_amid_write(self, name: str, whole: int, parts: int) -> None:
        """Stop a node when the oldest `whole` writes on their way were durable, and some parts of the next one."""
        node = self.nodes[name]
        writes = [ready.persist for ready in node.waiting if ready.persist is not None]
        for persist in writes[:whole]:
            node.disk.commit(persist)
        for persist in writes[whole : whole + 1]:
            for part in pieces(persist)[:parts]:
                node.disk.commit(part)
        self.crash(name)

    def sync(self, name: str, count: int) -> None:
        """One fsync covers the oldest `count` of what waits, and is acknowledged once."""
        node, core = self.nodes[name], self.core(name)
        done, node.waiting = node.waiting[:count], node.waiting[count:]
        writes = [ready.persist for ready in done if ready.persist is not None]
        for persist in writes:
            node.disk.commit(persist)
        node.draining = True
        for ready in done:
            self._complete(node, ready)
        if writes:
            self._obey(node, core.persisted(self.now, writes[-1].token))
        node.draining = False

    def compact(self, name: str, *, keep: int = 0) -> None:
        """As in `Cluster`, but a disk that is slow to write the image drops nothing with it."""
        status = self.status(name)
        if status.applied >= status.first:
            self.cut_to[name] = max(self.cut_to[name], status.applied - keep)
        super().compact(name, keep=keep)
        self.nodes[name].disk.drop_to = Index(0)

    def tidy(self, name: str, keep: int) -> None:
        """The disk forgets what its snapshot covers, but for some entries."""
        disk = self.nodes[name].disk
        if disk.snapshot is None:
            return
        meta = disk.snapshot.meta
        if any((entry.index, entry.term) == (meta.index, meta.term) for entry in disk.entries):
            disk.entries = [entry for entry in disk.entries if entry.index > meta.index - keep]

    # the machine

    def _execute(self, node: Node, entry: Entry) -> None:
        assert entry.index == self.positions[node.name] + 1, "a machine skips or repeats an entry"
        if entry.index > len(self.history):
            self.history.append(entry)
            if entry.kind is EntryKind.COMMAND:
                self.steady.apply(entry.index, entry.data)
            self.digests.append(self.steady.digest)
        if entry.kind is EntryKind.COMMAND:
            self.machines[node.name].apply(entry.index, entry.data)
        self.positions[node.name] = entry.index
        self._judge(self.machines[node.name], entry.index)

    def _image(self, node: Node) -> bytes:
        """No two nodes, nor two incarnations of one, make equal images of equal states."""
        return pack((node.name * node.incarnations, self.machines[node.name].snapshot()))

    def _load(self, node: Node, snapshot: Snapshot | None) -> None:
        self.machines[node.name] = loaded(snapshot)
        position = snapshot.meta.index if snapshot is not None else Index(0)
        if snapshot is not None:
            assert position >= self.positions[node.name] or node.core is None, "an image takes a machine back"
        self.positions[node.name] = position
        self._judge(self.machines[node.name], position)

    # judging

    def _obey(self, node: Node, ready: Ready) -> None:
        if ready.persist is not None and ready.persist.snapshot is not None:
            self._judge_snapshot(ready.persist.snapshot)
        if ready.restore is not None:
            self.cut_to[node.name] = max(self.cut_to[node.name], ready.restore.meta.index)
        super()._obey(node, ready)

    def _complete(self, node: Node, ready: Ready) -> None:
        for target, message in ready.send_after:
            # One fsync may cover an answer in one term and a truncation by the next leader: that answer is void.
            if isinstance(message, AppendReply) and message.term == node.disk.hard_state.term:
                last = max([index for index, _ in ends(node.disk)], default=Index(0))
                assert message.match <= last, f"{node.name} tells {target} of {message.match}; its disk ends at {last}"
        super()._complete(node, ready)

    def _judge(self, machine: SessionedMachine, position: int) -> None:
        """The state is what the history up to here leaves, and that of a machine that never saw a snapshot."""
        assert machine.digest == self.digests[position]
        done, latest, now = effects(self.history[:position])
        assert machine.read(pack(("read", KEY, None))) == ("ok", done)
        assert (machine.session_count, machine.time_ns) == (len(latest), now)
        for session, sequence in latest.items():
            expected = ("ok", [session, sequence]) if sequence else None
            assert machine.answered(session, sequence) == expected, f"session {session} forgot its latest answer"

    def _judge_snapshot(self, snapshot: Snapshot) -> None:
        """An image says what was committed where it stands: state, term and membership."""
        meta = snapshot.meta
        assert 0 < meta.index <= len(self.history), "an image of a state that no node applied"
        assert meta.term == self.history[meta.index - 1].term
        assert meta.membership == membership_after(self.history[: meta.index], self.membership)
        self._judge(loaded(snapshot), meta.index)


class SnapshotMachine(RuleBasedStateMachine):
    """Three voters and a spare node, whose snapshots are at the mercy of the strategy."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster: SnapshotCluster
        self.sequences: dict[int, int] = {}  # the latest command that a session's client sent
        self.proposals: dict[Any, tuple[str, bytes]] = {}
        self.precedents: dict[tuple[int, int], tuple[Entry, int | None]] = {}

    @initialize(entries=st.sampled_from([1, 64]), chunk=st.sampled_from([20, 60, 4096]))
    def start(self, entries: int, chunk: int) -> None:
        self.cluster = SnapshotCluster("abc", spare="x", max_entries_per_append=entries, snapshot_chunk_bytes=chunk)
        self.cluster.elect("a")
        self._open("a")
        self.cluster.settle()
        self._call("a", retry=False)

    def is_up(self, name: str) -> bool:
        return self.cluster.nodes[name].core is not None

    def running(self) -> list[str]:
        return [name for name in NAMES if self.is_up(name)]

    # clients

    def _open(self, name: str) -> None:
        self._propose(name, encode_command(Command(Action.OPEN, self.cluster.now, idle_ns=SESSION_IDLE_NS)))

    def _call(self, name: str, *, retry: bool) -> None:
        """The next command of the session that was opened last, or the latest one again; or one without a session."""
        session = max(effects(self.cluster.history)[1], default=0)
        sequence = self.sequences.get(session, 0) + (0 if retry else 1)
        self.sequences[session] = sequence
        call = pack(("append", KEY, [session, sequence]))
        self._propose(name, encode_command(Command(Action.CALL, self.cluster.now, session, sequence, call)))

    def _propose(self, name: str, data: bytes) -> None:
        core = self.cluster.core(name)
        tag = f"proposal#{len(self.proposals)}"
        self.proposals[tag] = (name, data)
        self.cluster._obey(self.cluster.nodes[name], core.propose(self.cluster.now, tag, data))

    @rule(name=names, what=st.sampled_from(["call", "call", "retry", "open"]))
    def request(self, name: str, what: str) -> None:
        target = name if self.is_up(name) else next(iter(self.cluster.leaders()), None)
        if target is None:
            return
        if what == "open":
            self._open(target)
        else:
            self._call(target, retry=what == "retry")

    # snapshots

    @rule(name=aims, keep=st.integers(0, 3))
    def compact(self, name: str, keep: int) -> None:
        """What is asked for is what is forgotten, as soon as the image is durable."""
        name = self._choose_target(name)
        if not self.is_up(name):
            return
        cluster, before = self.cluster, self.cluster.status(name)
        cluster.compact(name, keep=keep)
        if not cluster.nodes[name].slow and before.applied > before.snapshot:
            assert cluster.status(name).first == max(before.first, before.applied - keep + 1)
            assert cluster.status(name).snapshot == before.applied

    @rule(name=names, keep=st.integers(0, 3))
    def tidy_disk(self, name: str, keep: int) -> None:
        self.cluster.tidy(name, keep)

    @rule(absence=absences, sending=sendings)
    def fall_behind(self, absence: Absence, sending: Sending) -> None:
        """The others go on without a node, forget some of what it lacks, and begin to send it an image."""
        if absence.own_writes:
            self._write_alone(absence)
        leader = self._leader_beside(absence.name)
        if leader is not None:
            self._go_on_without(absence, leader)
        self.cluster.cut_links.clear()
        self._begin_to_send(sending, absence.name)

    def _write_alone(self, absence: Absence) -> None:
        """Have a node lead, if it can, append what no other will ever see, and cut it off."""
        cluster = self.cluster
        self._repair(absence.name)
        self.hold_an_election(absence.name)
        cluster.settle()
        if absence.name in cluster.leaders():
            cluster.nodes[absence.name].slow = absence.is_slow
            for _ in range(absence.own_writes):
                self._call(absence.name, retry=False)
            cluster.take(source=absence.name)
            cluster.cut(absence.name)

    def _go_on_without(self, absence: Absence, leader: str) -> None:
        cluster = self.cluster
        others = [other for other in NAMES if other != absence.name]
        if absence.is_mute and not absence.own_writes:
            cluster.cut_one_way(absence.name, "".join(others))
        else:
            cluster.cut(absence.name)
        if absence.change:
            cluster.change(leader, settle=False, **{absence.change: "x" if absence.name != "x" else "b"})
            self._deliver_until_joint(leader)
        for _ in range(absence.writes):
            self._call(leader, retry=False)
        late = [packet for packet in cluster.network if packet[1] != absence.name and isinstance(packet[2], Append)]
        for packet in late[len(late) - absence.held_back :]:
            cluster.network.remove(packet)
        if not absence.change:
            cluster.settle()
        for other in others:
            cluster.compact(other, keep=absence.keep)

    def _begin_to_send(self, sending: Sending, receiver: str) -> None:
        cluster = self.cluster
        writes_half = sending.then == "receiver writes half"
        is_slow = sending.is_slow or writes_half
        for fate in sending.fates:
            self.deliver_up_to_a_chunk()
            self._deliver_chunk_to(receiver, fate, is_slow=is_slow)
        is_completed = writes_half or (sending.is_completed and sending.then != "newer image")
        for _ in range(50 if is_completed else 0):
            self.deliver_up_to_a_chunk()
            if self._deliver_chunk_to(receiver, "deliver", is_slow=is_slow):
                break
        sender = self._choose_target("sender")
        match sending.then:
            case "receiver restarts" if self.is_up(receiver):
                cluster.crash(receiver)
                cluster.restart(receiver)
            case "receiver writes half" if self.is_up(receiver):
                writes = [ready for ready in cluster.nodes[receiver].waiting if ready.persist is not None]
                cluster.crash_amid_write(receiver, max(0, len(writes) - 1), 1)
                cluster.restart(receiver)
            case "receiver lags" if self.is_up(receiver):
                cluster.nodes[receiver].slow = True
                for _ in range(3):
                    cluster.settle()
                    cluster.sync(receiver, 2)
            case "receiver compacts" if self.is_up(receiver):
                cluster.compact(receiver)
            case "sender dies" if self.is_up(sender):
                cluster.crash(sender)
            case "another leads":
                self.hold_an_election(next(name for name in "abc" if name not in (sender, receiver)))
            case "newer image" if sender in cluster.leaders():
                self._call(sender, retry=False)
                chunks = cluster.take("snapshot") + cluster.take("snapshot-reply")
                cluster.settle()
                cluster.compact(sender)
                cluster.network += chunks

    def _leader_beside(self, name: str) -> str | None:
        """Who of the others leads, when they are all well, or can be made to."""
        cluster = self.cluster
        others = [other for other in NAMES if other != name]
        for other in others:
            self._repair(other)
        for candidate in [leader for leader in cluster.leaders() if leader != name] or others:
            if candidate not in cluster.leaders():
                self.hold_an_election(candidate)
            if candidate in cluster.leaders():
                cluster.settle()
                if candidate in cluster.leaders():
                    return candidate
        return None

    def _repair(self, name: str) -> None:
        if not self.is_up(name):
            self.cluster.restart(name)
        self.cluster.nodes[name].slow = False
        self.cluster.flush(name)

    def _deliver_until_joint(self, leader: str) -> None:
        """Stop where the machine of the leader stands in the joint configuration, if it comes to that."""

        def is_joint() -> bool:
            core, status = self.cluster.core(leader), self.cluster.status(leader)
            return status.applied >= status.first and core.snapshot_meta(status.applied).membership.is_joint

        self._deliver_until(is_joint)

    @rule()
    def deliver_up_to_a_chunk(self) -> None:
        """Begin to send an image, if a follower needs one."""
        self.pass_time(HEARTBEAT_NS)
        self._deliver_until(lambda: any(isinstance(packet[2], SnapshotChunk) for packet in self.cluster.network))

    def _deliver_until(self, is_reached: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if not self.cluster.network or is_reached():
                return
            self.cluster.deliver_one()
        raise AssertionError("the network never falls silent")

    def _deliver_chunk_to(self, name: str, fate: str, *, is_slow: bool) -> bool:
        """Move the first chunk there is for this node. True for the last chunk of an image."""
        for at, (_, target, message) in enumerate(self.cluster.network):
            if target == name and isinstance(message, SnapshotChunk):
                if message.done and is_slow:
                    self.cluster.nodes[name].slow = True
                self._move(at, fate)
                return message.done
        return False

    def _choose_target(self, name: str) -> str:
        """The name of a node that sends or gets an image, if that was asked for and there is one."""
        for sender in self.cluster.leaders():
            for receiver, peer in self.cluster.status(sender).peers.items():
                if peer.pace == "snapshot":
                    return {"sender": sender, "receiver": receiver}.get(name, name)
        return {"sender": "a", "receiver": "c"}.get(name, name)

    @rule(data=st.data(), fate=fates)
    def move_a_chunk(self, data: st.DataObject, fate: str) -> None:
        network = self.cluster.network
        found = [at for at, packet in enumerate(network) if isinstance(packet[2], SnapshotChunk | SnapshotReply)]
        if found:
            self._move(data.draw(st.sampled_from(found)), fate)

    @rule(back=st.integers(1, 12), count=st.integers(1, 12))
    def repeat_old_chunks(self, back: int, count: int) -> None:
        """The network has kept copies, and delivers them again in their order."""
        old = self.cluster.sent("snapshot")[-back:][:count]
        for packet in old:
            self.cluster.network.insert(0, packet)
            self.cluster.deliver_one()

    # network and time

    @precondition(lambda self: self.cluster.network)
    @rule(data=st.data(), fate=fates)
    def move_a_packet(self, data: st.DataObject, fate: str) -> None:
        self._move(data.draw(st.integers(0, len(self.cluster.network) - 1)), fate)

    def _move(self, at: int, fate: str) -> None:
        network = self.cluster.network
        packet = network.pop(at)
        if fate in ("duplicate", "delay"):
            network.append(packet)
        if fate in ("deliver", "duplicate"):
            network.insert(0, packet)
            self.cluster.deliver_one()

    @rule(name=names)
    def deliver_an_inbox(self, name: str) -> None:
        self.cluster.deliver_batch(name)

    @rule()
    def deliver_everything(self) -> None:
        self.cluster.settle()

    @rule(duration_ns=st.sampled_from([1, HEARTBEAT_NS, T_NS]))
    def pass_time(self, duration_ns: int) -> None:
        self.cluster.now += duration_ns
        for name in self.running():
            if self.cluster.nodes[name].wake_at_ns <= self.cluster.now:
                self.cluster.wake(name)

    @rule(name=names)
    def hold_an_election(self, name: str) -> None:
        """Only votes move: what an older leader sent stays on its way."""
        if not self.is_up(name):
            return
        cluster = self.cluster
        cluster.now += 2 * T_NS
        cluster.campaign(name)
        for _ in range(20):
            votes = [at for at, packet in enumerate(cluster.network) if "vote" in kind(packet[2])]
            if not votes:
                return
            self._move(votes[0], "deliver")

    # nodes and disks

    @rule(name=aims, whole=st.integers(0, 2), parts=st.integers(0, 3), is_back=st.booleans())
    def crash_or_restart(self, name: str, whole: int, parts: int, is_back: bool) -> None:
        name = self._choose_target(name)
        if self.is_up(name):
            self.cluster.crash_amid_write(name, whole, parts)
            if not is_back:
                return
        self.cluster.restart(name)

    @rule(name=aims, slow=st.booleans())
    def disk(self, name: str, slow: bool) -> None:
        name = self._choose_target(name)
        if self.is_up(name):
            self.cluster.nodes[name].slow = slow
            if not slow:
                self.cluster.flush(name)

    @rule(name=aims, count=st.integers(1, 4))
    def sync(self, name: str, count: int) -> None:
        name = self._choose_target(name)
        if self.is_up(name):
            self.cluster.sync(name, count)

    @rule(name=names, what=st.sampled_from(["vote", "listen", "leave"]))
    def change(self, name: str, what: str) -> None:
        for leader in self.cluster.leaders():
            self.cluster.change(leader, settle=False, **{what: name})

    # what must hold

    @invariant()
    def logs_match(self) -> None:
        """Log Matching by induction: what any log ever held at (index, term), and the term before it, is one thing."""
        for name in self.running():
            core, status = self.cluster.core(name), self.cluster.status(name)
            before = core.term_at(Index(status.first - 1))
            assert before is not None
            for entry in core.entries(Index(0), LAST):
                assert before <= entry.term, f"terms fall in the log of {name}"
                precedent = self.precedents.setdefault((entry.index, entry.term), (entry, before))
                assert precedent == (entry, before)
                before = entry.term
                if entry.index <= min(status.commit, len(self.cluster.history)):
                    assert entry == self.cluster.history[entry.index - 1]

    @invariant()
    def only_what_was_asked_for_is_forgotten(self) -> None:
        for name in self.running():
            status = self.cluster.status(name)
            assert status.first - 1 <= self.cluster.cut_to[name]
            assert status.applied <= status.commit <= status.last
            assert status.durable <= status.last

    @invariant()
    def the_configuration_in_force_is_the_last_in_the_log(self) -> None:
        for name in self.running():
            core, status = self.cluster.core(name), self.cluster.status(name)
            log = self.cluster.history[: status.first - 1] + core.entries(Index(0), LAST)
            assert status.membership == membership_after(log, self.cluster.membership)

    @invariant()
    def what_a_core_takes_for_durable_is_on_its_disk(self) -> None:
        for name in self.running():
            disk, core, status = self.cluster.nodes[name].disk, self.cluster.core(name), self.cluster.status(name)
            covered = disk.snapshot.meta.index if disk.snapshot is not None else 0
            on_disk = {entry.index: entry for entry in disk.entries}
            for entry in core.entries(Index(0), status.durable):
                assert entry.index <= covered or on_disk.get(entry.index) == entry
            assert status.first - 1 <= covered or status.applied < status.first, "forgotten before the image is durable"

    def teardown(self) -> None:
        """Whatever happened, with everything healed all members hold all that any node ever applied, and go on."""
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        for name in NAMES:
            self._repair(name)
        cluster.run(20 * T_NS)
        leader = cluster.leader()
        self._propose(leader, LAST_WORD)
        cluster.run(10 * T_NS)

        history = cluster.history
        assert history[-1].data == LAST_WORD
        for name in members(cluster.status(leader).membership):
            assert cluster.positions[name] == len(history), f"{name} did not catch up"
        stands = {(entry.index, entry.term): entry.data for entry in history}
        for tag, (name, data) in self.proposals.items():
            answer = cluster.answer(name, tag)
            if isinstance(answer, Proposed):
                assert stands.get((answer.index, answer.term), data) == data


SnapshotMachine.TestCase.settings = settings(
    max_examples=400, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSnapshots = SnapshotMachine.TestCase
