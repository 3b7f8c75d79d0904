"""Where everything stands after an event: replicas, messages on their way, operations, faults in force.

It is read from the rows of the trace alone, so that any event of a stored run can be looked at, forwards and back,
without running it again. A replica is what its notes said of it; the log of one that is down is what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from checkers.trace import Row
from harness.plans.plan import Plan

_TAIL: Final = 4
"""Entries of a log that are shown, from its end."""


class Replica(msgspec.Struct, kw_only=True):
    """A replica of a group on a node. `log` has the term of each entry that was noted, by index."""

    node: str
    group: str
    state: str = "not started"
    role: str = ""
    term: int = 0
    vote: str = ""
    log: dict[int, int] = {}
    commit: int = 0
    applied: int = 0
    snapshot: int = 0
    durable: int = 0
    voters: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()

    @property
    def last(self) -> int:
        """Index of the last entry."""
        return max(self.log, default=self.snapshot)

    @property
    def log_text(self) -> str:
        """The end of the log as index:term, after what came before it."""
        if not self.log:
            return f"(snapshot {self.snapshot})" if self.snapshot else "-"
        indexes = sorted(self.log)
        shown = " ".join(f"{index}:{self.log[index]}" for index in indexes[-_TAIL:])
        return f"... {shown}" if len(indexes) > _TAIL or self.snapshot else shown


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way. `at` is the index of the row that sent it."""

    id: int
    at: int
    sent_ns: int
    source: str
    target: str
    kind: str


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that was asked for and is not answered yet."""

    process: int
    client: str
    since_ns: int
    text: str


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that has begun and not ended."""

    id: str
    kind: str
    since_ns: int
    targets: tuple[str, ...]


class Standing:
    """Reads rows in order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._clients = {program.thread: program.client for program in plan.programs}
        self.index = -1  # of the row that was read last
        self.time_ns = 0
        self.replicas: dict[tuple[str, str], Replica] = {}
        self.incarnations: dict[str, int] = {}
        self.messages: dict[int, Message] = {}  # on their way
        self.carried: Message | None = None  # what the last row sent, delivered or lost
        self.calls: dict[int, Call] = {}
        self.faults: dict[str, InForce] = {}
        self.has_roles = False  # whether the system says who leads
        for name in plan.nodes:
            for group in plan.actors[name].groups:
                self.replicas[name, group] = Replica(node=name, group=group)
        self._readers: dict[str, Callable[..., None]] = {
            "start": self._on_start,
            "stop": self._on_end,
            "crash": self._on_end,
            "refuse": self._on_end,
            "role": self._on_role,
            "term": self._on_term,
            "vote": self._on_vote,
            "log-append": self._on_append,
            "log-truncate": self._on_truncate,
            "commit": self._on_commit,
            "apply": self._on_apply,
            "config": self._on_config,
            "snapshot": self._on_snapshot,
            "fsync": self._on_fsync,
            "send": self._on_send,
            "duplicate": self._on_duplicate,
            "deliver": self._on_arrival,
            "drop": self._on_arrival,
            "op": self._on_op,
            "fault-begin": self._on_fault_begin,
            "fault-end": self._on_fault_end,
        }

    def read(self, row: Row) -> None:
        """Take the next row."""
        self.index += 1
        self.time_ns = row[0]
        self.carried = None
        reader = self._readers.get(row[1])
        if reader is not None:
            reader(row[2], *row[3:])

    def client_of(self, process: int) -> str:
        """The client that a process belongs to."""
        return self._clients.get(process % max(1, len(self._clients)), f"process {process}")

    def replica(self, node: str, group: str) -> Replica:
        """A replica, which its first note may bring into being."""
        return self.replicas.setdefault((node, group), Replica(node=node, group=group))

    def leaders(self) -> list[Replica]:
        """Replicas that say they lead."""
        return [replica for replica in self.replicas.values() if replica.state == "up" and replica.role == "leader"]

    # -- the life of an actor -------------------------------------------------------------------------------------

    def _on_start(self, actor: str, incarnation: int, _code: str) -> None:
        self.incarnations[actor] = incarnation
        for replica in self._of(actor):
            # What survived is noted again while the node reads its disk.
            replica.state, replica.role, replica.term, replica.vote = "up", "", 0, ""
            replica.log, replica.commit, replica.applied, replica.snapshot = {}, 0, 0, 0

    def _on_end(self, actor: str, _incarnation: int, reason: str) -> None:
        for replica in self._of(actor):
            replica.state, replica.role = f"down ({reason})", ""

    def _of(self, actor: str) -> list[Replica]:
        return [replica for replica in self.replicas.values() if replica.node == actor]

    # -- what nodes say of themselves -----------------------------------------------------------------------------

    def _on_role(self, actor: str, group: str, role: str, term: int) -> None:
        self.has_roles = True
        replica = self.replica(actor, group)
        replica.role, replica.term = role, term

    def _on_term(self, actor: str, group: str, term: int) -> None:
        replica = self.replica(actor, group)
        if term > replica.term:
            replica.vote = ""
        replica.term = term

    def _on_vote(self, actor: str, group: str, term: int, candidate: str) -> None:
        replica = self.replica(actor, group)
        replica.term, replica.vote = max(term, replica.term), candidate

    def _on_append(self, actor: str, group: str, first: int, entries: Sequence[Sequence[Any]]) -> None:
        log = self.replica(actor, group).log
        for index, entry in enumerate(entries, first):
            log[index] = entry[0]

    def _on_truncate(self, actor: str, group: str, first: int) -> None:
        replica = self.replica(actor, group)
        replica.log = {index: term for index, term in replica.log.items() if index < first}

    def _on_commit(self, actor: str, group: str, index: int) -> None:
        self.replica(actor, group).commit = index

    def _on_apply(self, actor: str, group: str, index: int, _command: Any, _state: Any) -> None:
        self.replica(actor, group).applied = index

    def _on_config(
        self, actor: str, group: str, _index: int, voters: Sequence[str], outgoing: Sequence[str], _: Sequence[str]
    ) -> None:
        replica = self.replica(actor, group)
        replica.voters, replica.outgoing = tuple(voters), tuple(outgoing)

    def _on_snapshot(self, actor: str, group: str, how: str, index: int, term: int, _state: Any) -> None:
        replica = self.replica(actor, group)
        if how != "taken":
            is_prefix = replica.log.get(index) == term
            replica.log = {at: one for at, one in replica.log.items() if is_prefix and at > index}
            replica.commit = replica.applied = max(replica.applied, index)
        replica.snapshot = index

    def _on_fsync(self, actor: str, _files: Sequence[str], durable: Sequence[Sequence[Any]]) -> None:
        for group, last, *_ in durable:
            self.replica(actor, group).durable = last

    # -- messages, clients, faults --------------------------------------------------------------------------------

    def _on_send(self, actor: str, id: int, target: str, kind: str, _size: int) -> None:
        self.carried = Message(id=id, at=self.index, sent_ns=self.time_ns, source=actor, target=target, kind=kind)
        self.messages[id] = self.carried

    def _on_duplicate(self, _actor: str, id: int, copy: int) -> None:
        original = self.messages.get(id)
        if original is not None:
            self.carried = self.messages[copy] = msgspec.structs.replace(original, id=copy)

    def _on_arrival(self, _actor: str, id: int, _: str) -> None:
        self.carried = self.messages.pop(id, None)

    def _on_op(self, _actor: str, op: Sequence[Any]) -> None:
        process, outcome, *_ = op
        if outcome != "invoke":
            self.calls.pop(process, None)
            return
        client = self.client_of(process)
        self.calls[process] = Call(process=process, client=client, since_ns=self.time_ns, text=op_text(op))

    def _on_fault_begin(self, _actor: str, fault: str, kind: str, targets: Sequence[str]) -> None:
        self.faults[fault] = InForce(id=fault, kind=kind, since_ns=self.time_ns, targets=tuple(targets))

    def _on_fault_end(self, _actor: str, fault: str, _kind: str, _outcome: str) -> None:
        self.faults.pop(fault, None)


def op_text(op: Sequence[Any]) -> str:
    """What an operation asks for: its function, key and value."""
    _, _, f, key, value, *_ = op
    return " ".join([str(f), *([] if key is None else [str(key)]), *([] if value is None else [value_text(value)])])


def value_text(value: Any) -> str:
    """A value of an operation, on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return str(value)
