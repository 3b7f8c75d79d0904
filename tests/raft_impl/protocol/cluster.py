"""Several cores on one table: a network that moves only when told, disks that can be slow, and a clock set by hand.

The driver here is the simplest legal one (`raft_impl.protocol.ready`): write, make durable, report, send, apply,
answer. A node whose disk is `slow` acknowledges nothing until `flush`. Every entry that any node applies is compared
with what the others applied at that index, and every leader with the other leaders of its term, so each test is also a
safety test.

    cluster = Cluster("abc")
    cluster.elect("a")
    cluster.propose("a", "x=1")
    assert cluster.applied("b") == ["x=1"]
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from raft_impl.protocol.config import MILLISECOND_NS, Config
from raft_impl.protocol.core import Raft
from raft_impl.protocol.messages import Append, Message, PreVoteReply, VoteReply, kind
from raft_impl.protocol.ready import Answer, Persist, Ready
from raft_impl.protocol.state import (
    Change,
    Entry,
    EntryKind,
    HardState,
    Index,
    Membership,
    NodeId,
    Role,
    Snapshot,
    Term,
)
from raft_impl.protocol.status import Status

T_NS = 150 * MILLISECOND_NS
HEARTBEAT_NS = 50 * MILLISECOND_NS

Packet = tuple[NodeId, NodeId, Message]
"""(source, target, message)"""


class Disk:
    """What one node has made durable."""

    def __init__(self) -> None:
        self.hard_state = HardState(Term(0))
        self.entries: list[Entry] = []
        self.snapshot: Snapshot | None = None
        self.drop_to = Index(0)  # with the next snapshot, entries up to here go

    def commit(self, persist: Persist) -> None:
        """Make one write durable, in the order that the contract states."""
        if persist.snapshot is not None:
            self.snapshot = persist.snapshot
            self.entries = [entry for entry in self.entries if entry.index > self.drop_to]
        if persist.truncate_from is not None:
            cut = [entry for entry in self.entries if entry.index >= persist.truncate_from]
            again = [entry for entry in persist.entries if persist.snapshot is not None and entry in cut]
            assert not again, "a crash after the cut would lose entries that an installation keeps"
            self.entries = [entry for entry in self.entries if entry.index < persist.truncate_from]
        if persist.entries:
            covered = self.snapshot.meta.index if self.snapshot is not None else 0
            expected = self.entries[-1].index + 1 if self.entries else covered + 1
            assert persist.entries[0].index == expected, "a gap in the log on disk"
        self.entries.extend(persist.entries)
        if persist.hard_state is not None:
            assert persist.hard_state.term >= self.hard_state.term, "the durable term fell"
            self.hard_state = persist.hard_state


class Node:
    """One core, its disk, its machine (the list of applied commands) and what it answered."""

    def __init__(self, name: NodeId) -> None:
        self.name = name
        self.disk = Disk()
        self.core: Raft | None = None
        self.slow = False
        self.waiting: list[Ready] = []  # not durable yet, oldest first
        self.draining = False
        self.machine: list[str] = []
        self.answers: dict[Any, Answer] = {}
        self.notes: list[tuple[Any, ...]] = []
        self.wake_at_ns = 0
        self.incarnations = 0


class Cluster:
    """Named nodes, a network under manual control, and one true clock that all nodes share."""

    def __init__(
        self,
        voters: Iterable[str],
        *,
        learners: Iterable[str] = (),
        spare: Iterable[str] = (),
        logs: dict[str, Sequence[int]] | None = None,
        terms: dict[str, int] | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        """Start all nodes; `spare` ones run but are no members. `logs` gives the terms of entries already on a disk."""
        self.config = Config(election_timeout_min_ns=T_NS, heartbeat_ns=HEARTBEAT_NS, **options)
        self.membership = Membership(
            tuple(NodeId(name) for name in voters), (), tuple(NodeId(name) for name in learners)
        )
        self.now = 0
        self.network: list[Packet] = []
        self.cut_links: set[tuple[str, str]] = set()
        self.lose: Callable[[Packet], bool] = lambda packet: False
        self.log_of_messages: list[Packet] = []
        self._random = random.Random(seed)
        self._tags = 0
        self._truth: dict[int, Entry] = {}  # what was applied at each index, by the first node that did
        self._leaders: dict[int, str] = {}  # the leader of each term
        self.nodes: dict[str, Node] = {}
        for name in [*self.membership.voters, *self.membership.learners, *map(NodeId, spare)]:
            node = self.nodes[name] = Node(name)
            terms_on_disk = (logs or {}).get(name, ())
            node.disk.entries = [
                Entry(Index(index), Term(term), EntryKind.COMMAND, f"{index}@{term}".encode())
                for index, term in enumerate(terms_on_disk, 1)
            ]
            last = terms_on_disk[-1] if terms_on_disk else 0
            node.disk.hard_state = HardState(Term(max(last, (terms or {}).get(name, 0))))
            self.restart(name)

    # life

    def restart(self, name: str) -> None:
        """Start a node from what its disk holds."""
        node = self.nodes[name]
        disk = node.disk
        node.incarnations += 1
        self._load(node, disk.snapshot)
        node.core = Raft(
            node.name,
            self.config,
            membership=self.membership,
            now=self.now,
            hard_state=disk.hard_state,
            snapshot=disk.snapshot,
            entries=disk.entries,
            incarnation=node.incarnations,
        )
        self._obey(node, node.core.start(self.now))

    def crash(self, name: str) -> None:
        """Stop a node at once; what was not durable is gone."""
        node = self.nodes[name]
        node.core = None
        node.waiting.clear()

    # inputs

    def core(self, name: str) -> Raft:
        """The running core of a node."""
        core = self.nodes[name].core
        assert core is not None, f"{name} is down"
        return core

    def campaign(self, name: str) -> None:
        """Fire a node's election timer."""
        self._obey(self.nodes[name], self.core(name).campaign(self.now))

    def elect(self, name: str) -> None:
        """Have a node win an election and commit its first entry, whichever node led before."""
        self.now += 2 * T_NS  # no node is in contact any more
        self.campaign(name)
        self.settle()
        assert self.status(name).role is Role.LEADER, f"{name} was not elected"

    def elect_without_commit(self, name: str) -> None:
        """Have a node win an election, whatever becomes of its first entry; fire its timer until it does."""
        for _ in range(5):
            self.now += 2 * T_NS
            self.campaign(name)
            self.settle()
            if self.status(name).role is Role.LEADER:
                return
        raise AssertionError(f"{name} was not elected")

    def propose(self, name: str, data: str, *, settle: bool = True) -> Any:
        """Propose a command; returns its tag."""
        tag = self._tag(data)
        self._obey(self.nodes[name], self.core(name).propose(self.now, tag, data.encode()))
        if settle:
            self.settle()
        return tag

    def read(self, name: str, *, settle: bool = True) -> Any:
        """Ask for a read; returns its tag."""
        tag = self._tag("read")
        self._obey(self.nodes[name], self.core(name).read(self.now, tag))
        if settle:
            self.settle()
        return tag

    def change(self, name: str, *, settle: bool = True, **lists: Iterable[str]) -> Any:
        """Ask for a change of membership (vote=, listen=, leave=); returns its tag."""
        tag = self._tag("change")
        change = Change(**{what: tuple(NodeId(node) for node in nodes) for what, nodes in lists.items()})
        self._obey(self.nodes[name], self.core(name).change(self.now, tag, change))
        if settle:
            self.settle()
        return tag

    def transfer(self, name: str, target: str, *, settle: bool = True) -> Any:
        """Ask a leader to hand over; returns the tag."""
        tag = self._tag("transfer")
        self._obey(self.nodes[name], self.core(name).transfer(self.now, tag, NodeId(target)))
        if settle:
            self.settle()
        return tag

    def compact(self, name: str, *, keep: int = 0) -> None:
        """Snapshot the machine and drop the log but for `keep` entries."""
        node, core = self.nodes[name], self.core(name)
        applied = core.status().applied
        if applied < core.status().first:
            return  # nothing to gain, or an image is about to replace the machine
        snapshot = Snapshot(core.snapshot_meta(applied), self._image(node))
        index = Index(max(core.status().first - 1, applied - keep))
        node.disk.drop_to = index
        self._obey(node, core.compact(self.now, index, snapshot))

    def step(self, target: str, source: str, message: Message) -> None:
        """Hand a message to a node, past the network."""
        self._obey(self.nodes[target], self.core(target).step(self.now, NodeId(source), message))

    def flush(self, name: str) -> None:
        """A slow disk finishes everything that was written."""
        node = self.nodes[name]
        node.draining = True
        while node.waiting:
            self._finish(node, node.waiting.pop(0))
        node.draining = False

    # network and time

    def cut(self, side: str, other: str | None = None) -> None:
        """Cut all links between two sides, both ways; by default between `side` and all others."""
        others = other if other is not None else "".join(name for name in self.nodes if name not in side)
        self.cut_links |= {(a, b) for a in side for b in others} | {(b, a) for a in side for b in others}

    def cut_one_way(self, source: str, target: str) -> None:
        """Lose everything from the nodes in `source` to those in `target`."""
        self.cut_links |= {(a, b) for a in source for b in target}

    def heal(self) -> None:
        """Restore all links, and have time pass for a heartbeat or two to tell."""
        self.cut_links.clear()
        self.run(2 * HEARTBEAT_NS)

    def deliver_one(self) -> None:
        """Move the oldest packet."""
        packet = source, target, message = self.network.pop(0)
        node = self.nodes[target]
        if node.core is None or (source, target) in self.cut_links or self.lose(packet):
            return
        self.log_of_messages.append(packet)
        self._obey(node, node.core.step(self.now, source, message))

    def deliver_batch(self, target: str) -> None:
        """Move all packets for one node at once, as a driver with a full inbox does."""
        node = self.nodes[target]
        batch = self.take(target=target)
        if node.core is None:
            return
        node.core.hold()
        for packet in batch:
            if (packet[0], target) not in self.cut_links and not self.lose(packet):
                self.log_of_messages.append(packet)
                node.core.step(self.now, packet[0], packet[2])
        self._obey(node, node.core.release(self.now))

    def settle(self) -> None:
        """Deliver until nothing moves."""
        for _ in range(100_000):
            if not self.network:
                return
            self.deliver_one()
        raise AssertionError("the network never falls silent")

    def take(self, kind_word: str = "", source: str = "", target: str = "") -> list[Packet]:
        """Take matching packets off the network, to deliver them later or never."""

        def matches(packet: Packet) -> bool:
            return kind_word in ("", kind(packet[2])) and source in ("", packet[0]) and target in ("", packet[1])

        taken = [packet for packet in self.network if matches(packet)]
        self.network = [packet for packet in self.network if not matches(packet)]
        return taken

    def run(self, duration_ns: int) -> None:
        """Let time pass; packets need none."""
        end = self.now + duration_ns
        while True:
            self.settle()
            due = min(
                [(node.wake_at_ns, name) for name, node in self.nodes.items() if node.core is not None],
                default=(end + 1, ""),
            )
            if due[0] > end:
                self.now = end
                return
            self.now = max(self.now, due[0])
            self.wake(due[1])

    def wake(self, name: str) -> None:
        """Have a node look at its timers."""
        self._obey(self.nodes[name], self.core(name).wake(self.now))

    # looking

    def status(self, name: str) -> Status:
        """The status of a node."""
        return self.core(name).status()

    def leaders(self) -> list[str]:
        """Who leads now."""
        return [name for name, node in self.nodes.items() if node.core is not None and node.core.is_leader]

    def leader(self) -> str:
        """The one leader of the latest term."""
        return max(self.leaders(), key=lambda name: self.status(name).term)

    def answer(self, name: str, tag: Any) -> Answer | None:
        """What a node answered to a request so far."""
        return self.nodes[name].answers.get(tag)

    def applied(self, name: str) -> list[str]:
        """The commands a node has applied."""
        return self.nodes[name].machine

    def log(self, name: str) -> list[int]:
        """The terms of the entries in a node's log."""
        return [entry.term for entry in self.core(name).entries(Index(0), Index(1 << 60))]

    def notes(self, name: str, kind_word: str) -> list[tuple[Any, ...]]:
        """What a node noted of one kind, in all its incarnations."""
        return [note for note in self.nodes[name].notes if note[0] == kind_word]

    def sent(self, kind_word: str) -> list[Packet]:
        """All delivered messages of a kind."""
        return [packet for packet in self.log_of_messages if kind(packet[2]) == kind_word]

    # the driver

    def _obey(self, node: Node, ready: Ready) -> None:
        core = node.core
        assert core is not None
        node.wake_at_ns = ready.wake_at_ns
        node.notes += ready.notes
        self._check_leaders(node, ready)
        self.network += [(node.name, target, message) for target, message in ready.send_now]
        node.waiting.append(ready)
        held_up = node.slow and any(waiting.persist is not None for waiting in node.waiting)
        if not held_up and not node.draining:
            self.flush(node.name)
        while ready.wants_timeout:
            ready = core.offer_timeout(self._random.randrange(T_NS, 2 * T_NS))
            node.wake_at_ns = ready.wake_at_ns

    def _finish(self, node: Node, ready: Ready) -> None:
        """Write, do what waited for that, and acknowledge the write."""
        assert node.core is not None
        if ready.persist is not None:
            node.disk.commit(ready.persist)
        self._complete(node, ready)
        if ready.persist is not None:
            self._obey(node, node.core.persisted(self.now, ready.persist.token))

    def _complete(self, node: Node, ready: Ready) -> None:
        """Everything that waited for the disk."""
        assert node.core is not None
        self.network += [(node.name, target, message) for target, message in ready.send_after]
        if ready.restore is not None:
            self._load(node, ready.restore)
        for entry in ready.apply:
            self._apply(node, entry)
        for answer in ready.answer_after:
            assert answer.tag not in node.answers, f"{answer.tag} was answered twice"
            node.answers[answer.tag] = answer
        if ready.apply or ready.restore is not None:
            index = ready.apply[-1].index if ready.apply else ready.restore.meta.index  # type: ignore[union-attr]
            self._obey(node, node.core.applied(self.now, index))

    def _apply(self, node: Node, entry: Entry) -> None:
        truth = self._truth.setdefault(entry.index, entry)
        assert truth == entry, f"{node.name} applied {entry} where {truth} was applied before"
        self._execute(node, entry)

    # the machine

    def _execute(self, node: Node, entry: Entry) -> None:
        if entry.kind is EntryKind.COMMAND:
            node.machine.append(entry.data.decode())

    def _image(self, node: Node) -> bytes:
        return msgspec.msgpack.encode(node.machine)

    def _load(self, node: Node, snapshot: Snapshot | None) -> None:
        node.machine = msgspec.msgpack.decode(snapshot.data, type=list[str]) if snapshot is not None else []

    # what is watched

    def _check_leaders(self, node: Node, ready: Ready) -> None:
        for note in ready.notes:
            if note[0] == "role" and note[1] == "leader":
                first = self._leaders.setdefault(note[2], node.name)
                assert first == node.name, f"{first} and {node.name} both lead in term {note[2]}"

    def _tag(self, what: str) -> str:
        self._tags += 1
        return f"{what}#{self._tags}"


def alone(*, log: Sequence[int] = (), term: int = 0, voters: str = "abc", **options: Any) -> Cluster:
    """A cluster of which only node "a" runs: the test plays the others, and finds in `network` what "a" says to
    them."""
    cluster = Cluster(voters, logs={"a": log}, terms={"a": term}, **options)
    for name in voters[1:]:
        cluster.crash(name)
    return cluster


def elected(cluster: Cluster, *supporters: str) -> None:
    """Let "a", which is alone, win an election by the votes of these, and forget what it sent."""
    cluster.now += 2 * T_NS
    term = Term(cluster.status("a").term + 1)
    cluster.campaign("a")
    if cluster.config.pre_vote:
        for name in supporters:
            cluster.step("a", name, PreVoteReply(term, True))
    for name in supporters:
        cluster.step("a", name, VoteReply(term, True))
    assert cluster.status("a").role is Role.LEADER
    cluster.network.clear()


def entry(index: int, term: int, data: str = "") -> Entry:
    """A command; by default its text says where it was first appended, as in the logs of `Cluster`."""
    return Entry(Index(index), Term(term), EntryKind.COMMAND, (data or f"{index}@{term}").encode())


def append(term: int, prev: int, prev_term: int, *terms: int, commit: int = 0) -> Append:
    """AppendEntries of a leader of `term` with entries of these terms after (prev, prev_term)."""
    entries = tuple(entry(index, entry_term) for index, entry_term in enumerate(terms, prev + 1))
    return Append(Term(term), Index(prev), Term(prev_term), Index(commit), entries)
