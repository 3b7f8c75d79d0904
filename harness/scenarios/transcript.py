"""The transcript: the trace since the last command, in lines for people.

The rows of one step of a node keep their order, except that its notes (a new role, a vote, entries) come before the
messages that it sent because of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from checkers.trace import Row
from harness.sim.network import Link
from harness.sim.world import SimWorld
from harness.systems.system import System

from .language import write_terms
from .node_state import NodeState, columns, describe_members, table_of
from .plan import GROUP

_MARKS: Final = ("torn", "repair", "repeated", "read waited", "damaged")
"""Parts of the names of the coverage marks that are printed."""


ANSWERED: Final = ("read", "dequeue", "size", "add-and-get", "replace", "remove")
"""Ops whose answer says more than that they were done."""


class _Remembering(dict[int, tuple[Link, str, bytes]]):
    """The messages that wait, which also keeps the frame of every one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: dict[int, bytes] = {}

    def __setitem__(self, message: int, entry: tuple[Link, str, bytes]) -> None:
        self.frames[message] = entry[2]
        super().__setitem__(message, entry)


class _Recovery:
    """What a node notes between its start and its first role."""

    def __init__(self) -> None:
        self.term = 0
        self.vote = "-"


class Transcript:
    """Reads the world's trace, and keeps each node's log as its notes describe it."""

    def __init__(self, world: SimWorld, system: System) -> None:
        self._world = world
        self._system = system
        self._waiting = world.network.waiting = _Remembering()
        self._read = 0  # rows that were turned into lines
        self._lines: list[str] = []
        self._held: tuple[str, list[str]] = ("", [])  # the messages that an actor sent in the present step
        self._logs: dict[str, dict[int, int]] = {name: {} for name in world.plan.nodes}
        self._applied: dict[str, int] = {}
        self._commits: dict[str, int] = {}
        self._recoveries: dict[str, _Recovery] = {}
        self._sent: dict[int, str] = {}  # message -> "A>B kind"
        self._formats: dict[str, Callable[..., str | None]] = {  # by kind of row; rows of other kinds give no line
            "start": self._format_start,
            "crash": self._format_crash,
            "refuse": self._format_refuse,
            "fsync": self._format_fsync,
            "role": self._format_role,
            "term": self._format_term,
            "vote": self._format_vote,
            "log-append": self._format_log_append,
            "log-truncate": self._format_log_truncate,
            "commit": self._format_commit,
            "apply": self._format_apply,
            "config": self._format_config,
            "snapshot": self._format_snapshot,
            "send": self._format_send,
            "drop": self._format_drop,
            "duplicate": self._format_duplicate,
            "mark": self._format_mark,
            "op": self._format_op,
        }

    def say(self, line: str) -> None:
        """Add a line, after what happened so far."""
        self._catch_up()
        self._lines.append(line)

    def drain(self) -> list[str]:
        """The lines since the last call."""
        self._catch_up()
        lines, self._lines = self._lines, []
        return lines

    # States and tables.

    def node_states(self) -> list[NodeState]:
        """Every node as it is now."""
        self._catch_up()
        return [self._node_state(name) for name in self._world.plan.nodes]

    def waiting(self) -> list[str]:
        """The messages that wait, oldest first."""
        return [
            f"{link.source}>{link.target.name} {self._system.describe_frame(data)}"
            for link, _, data in self._waiting.values()
        ]

    def frame_of(self, message: int) -> bytes | None:
        """The bytes of a message between replicas, also after it was delivered."""
        return self._waiting.frames.get(message)

    def show(self) -> None:
        """Add a table of all nodes."""
        self._lines += table_of(self.node_states(), self._world.plan.groups[GROUP].voters)

    def show_progress(self, node: str) -> None:
        """Add a table of what a leader knows of its followers."""
        self._catch_up()
        state = self._state(node)
        peers = state["peers"] if state is not None else {}
        fields = ("pace", "match", "next", "inflight")
        table = [["follower", *fields]]
        table += [[name, *(str(peers[name][field]) for field in fields)] for name in sorted(peers)]
        self._lines += columns(table) if peers else [f"{node} leads no other node"]

    def _state(self, name: str) -> dict[str, Any] | None:
        server = self._world.hosts[name].server
        state: dict[str, Any] | None = server.inspect()[GROUP] if server is not None else None
        return state

    def _node_state(self, name: str) -> NodeState:
        state = self._state(name)
        log = self._logs[name]
        if state is not None:  # entries that a snapshot replaced leave the log without a note
            for index in [index for index in log if index < state["first"]]:
                del log[index]
        commit, applied = self._commits.get(name, 0), self._applied.get(name, 0)
        node = NodeState(
            node=name,
            role="refuses" if self._world.hosts[name].refused else "down",
            first=min(log) if log else applied + 1,
            log=tuple(log[index] for index in sorted(log)),
            commit=commit,
            applied=applied,
        )
        if state is None:
            return node
        voters, outgoing, learners = (tuple(names) for names in state["membership"][:3])
        return msgspec.structs.replace(
            node,
            role=str(state["role"]),
            term=state["term"],
            vote=state["vote"],
            voters=voters,
            outgoing=outgoing,
            learners=learners,
        )

    # From rows to lines.

    def _catch_up(self) -> None:
        log = self._world.log
        for row in log.since(self._read):
            if row[1] in ("deliver", "fsync") or row[2] != self._held[0]:
                self._release()
            line = self._line(row)
            if line is None:
                continue
            if row[1] == "send":
                self._held = (row[2], [*self._held[1], line])
            else:
                self._lines.append(line)
        self._release()
        self._read = log.index

    def _release(self) -> None:
        self._lines += self._held[1]
        self._held = ("", [])

    def _line(self, row: Row) -> str | None:
        format_row = self._formats.get(row[1])
        return format_row(row[2], *row[3:]) if format_row is not None else None

    def _format_start(self, actor: str, incarnation: int, code: str) -> str | None:
        if actor in self._logs:
            self._logs[actor] = {}
            self._commits.pop(actor, None)
            self._applied.pop(actor, None)
            self._recoveries[actor] = _Recovery()
        return None

    def _format_crash(self, actor: str, incarnation: int, reason: str) -> str:
        return f"{actor} crashes ({reason})"

    def _format_refuse(self, actor: str, incarnation: int, reason: str) -> str:
        self._recoveries.pop(actor, None)
        return f"{actor} refuses to start: {reason}"

    def _format_fsync(self, actor: str, files: tuple[str, ...], durable: Sequence[Sequence[Any]]) -> None:
        if files == ("recovered",):  # after a power loss: what the disk still holds
            last = durable[0][1] if durable else 0
            self._cut_log(actor, last + 1)

    def _format_role(self, actor: str, group: str, role: str, term: int) -> str | None:
        recovery = self._recoveries.pop(actor, None)
        if recovery is None:
            return f"{actor} {role} t{term}"
        if self._world.hosts[actor].incarnation == 1:
            return None
        log = self._node_state(actor).log_text
        return f"{actor} starts again: t{recovery.term}, vote {recovery.vote}, log [{log}]"

    def _format_term(self, actor: str, group: str, term: int) -> str | None:
        if actor in self._recoveries:
            self._recoveries[actor].term = term
            return None
        return f"{actor} enters t{term}"

    def _format_vote(self, actor: str, group: str, term: int, candidate: str) -> str | None:
        if actor in self._recoveries:
            self._recoveries[actor].vote = candidate
            return None
        return f"{actor} votes for {candidate} in t{term}"

    def _format_log_append(
        self, actor: str, group: str, first: int, entries: tuple[tuple[int, bytes], ...]
    ) -> str | None:
        for index, (term, _) in enumerate(entries, first):
            self._logs[actor][index] = term
        if actor in self._recoveries:
            return None
        terms = write_terms([term for term, _ in entries])
        last = first + len(entries) - 1
        return f"{actor} appends {first} [{terms}]" if last == first else f"{actor} appends {first}..{last} [{terms}]"

    def _format_log_truncate(self, actor: str, group: str, first: int) -> str:
        self._cut_log(actor, first)
        return f"{actor} truncates from {first}"

    def _cut_log(self, actor: str, first: int) -> None:
        self._logs[actor] = {index: term for index, term in self._logs[actor].items() if index < first}

    def _format_commit(self, actor: str, group: str, index: int) -> str | None:
        self._commits[actor] = index
        return f"{actor} commits {index}" if actor not in self._recoveries else None

    def _format_apply(self, actor: str, group: str, index: int, command: bytes, state: bytes) -> None:
        self._applied[actor] = index

    def _format_config(
        self, actor: str, group: str, index: int, voters: Any, outgoing: Any, learners: Any
    ) -> str | None:
        if actor in self._recoveries:
            return None
        return f"{actor} members {describe_members(voters, outgoing, learners)}"

    def _format_snapshot(self, actor: str, group: str, how: str, index: int, term: int, state: bytes) -> str | None:
        if how != "taken":
            log = self._logs[actor]
            kept = {i: t for i, t in log.items() if i > index} if log.get(index) == term else {}
            self._logs[actor] = kept
            self._applied[actor] = self._commits[actor] = index
        return f"{actor} snapshot {how} at {index} (t{term})"

    def _format_send(self, actor: str, message: int, target: str, kind: str, size: int) -> str | None:
        self._sent[message] = f"{actor}>{target} {kind}"
        frame = self._waiting.frames.get(message)
        return f"{actor}>{target} {self._system.describe_frame(frame)}" if frame is not None else None

    def _format_drop(self, actor: str, message: int, reason: str) -> str | None:
        return None if reason == "script" else f"{self._sent[message]} is lost ({reason})"

    def _format_duplicate(self, actor: str, message: int, copy: int) -> None:
        self._sent[copy] = self._sent[message]

    def _format_mark(self, actor: str, name: str, *_: Any) -> str | None:
        situation = name.rpartition(": ")[2]
        return f"{actor} ({situation})" if any(word in situation for word in _MARKS) else None

    def _format_op(self, _: str, op: tuple[Any, ...]) -> str | None:
        process, kind, f, key, value, error = op
        if kind == "invoke":
            return None
        clients = self._world.plan.clients
        words = [clients[process % len(clients)], f, *([key] if key is not None else [])]
        if kind == "ok" and f == "add-and-get":
            added, value = value
            words.append(_plain(added))
        if kind == "ok" and f in ANSWERED:
            return " ".join(words) + f" -> {_plain(value)}"
        words += [_plain(value)] if value is not None else []
        return " ".join(words) + f" -> {kind}" + (f" ({error})" if error else "")


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    return " ".join(_plain(part) for part in value) if isinstance(value, list | tuple) else str(value)
