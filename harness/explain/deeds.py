"""Who did what: the trace of a short run as sentences, one for each actor, up to the row at which it was wrong.

Only what decides a failure is told: elections, votes, entries, configurations, snapshots, what was lost in a crash,
messages that were lost, and what clients were answered. Of what a node believed and what its disk kept, the latter is
read from the rows of the disk model: a vote that was cast and not durable is lost with the power, and that is said.
Deeds of a kind that follow each other are one deed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from checkers.trace import Row
from harness.plans.plan import Plan

_KILLED: Final = {"power": "lost power", "kill": "was killed"}


Told = Iterable[tuple[str, str, str]]
"""Actor, text, and the kind by which deeds are joined."""


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an actor did, or that befell it. `kind` and `until` join deeds that follow each other."""

    time_ns: int
    actor: str
    text: str
    kind: str = ""


class _Node:
    """What one node has in one group, and what of it its disk keeps."""

    def __init__(self) -> None:
        self.votes: dict[int, str] = {}  # by term: for whom it ever voted
        self.vote: tuple[int, str] | None = None  # the one it holds now
        self.last = 0  # index of its last entry
        self.last_term = 0
        self.commit = 0  # as far as it knew
        self.leads = False


class _Teller:
    """Reads rows in order and gives deeds."""

    def __init__(self, plan: Plan) -> None:
        self._clients = {program.thread: program.client for program in plan.programs}
        self._faults = {fault.id: fault for fault in plan.faults}
        self._several = len(plan.groups) > 1
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._calls: dict[int, int] = {}  # when the call of a process began
        self._codes: dict[str, str] = {}  # which code an actor ran last
        self._messages: dict[int, tuple[str, str, str]] = {}  # source, target, kind

        self._handlers: dict[str, Callable[..., Told]] = {
            "start": self._on_start,
            "crash": self._on_crash,
            "refuse": self._on_refuse,
            "role": self._on_role,
            "vote": self._on_vote,
            "fsync": self._on_fsync,
            "log-append": self._on_log_append,
            "log-truncate": self._on_log_truncate,
            "commit": self._on_commit,
            "config": self._on_config,
            "snapshot": self._on_snapshot,
            "persist-fail": self._on_persist_fail,
            "send": self._on_send,
            "drop": self._on_drop,
            "op": self._on_op,
            "fault-begin": self._on_fault_begin,
            "fault-end": self._on_fault_end,
        }

    def read(self, row: Row) -> Iterator[Deed]:
        """The deeds of one row; a kind that is not told has none."""
        time_ns, kind, actor, *fields = row
        handler = self._handlers.get(kind)
        if handler is not None:
            for subject, text, joined in handler(time_ns, actor, *fields):
                yield Deed(time_ns=time_ns, actor=subject, text=text, kind=joined)

    # -- the life of an actor -------------------------------------------------------------------------------------

    def _on_start(self, _: int, actor: str, incarnation: int, code: str) -> Told:
        was, self._codes[actor] = self._codes.get(actor, code), code
        if incarnation > 1:
            yield actor, "started again" if was == code else f"started again with other code ({code} for {was})", ""

    def _on_crash(self, _: int, actor: str, incarnation: int, reason: str) -> Told:
        yield actor, _KILLED.get(reason, f"ended by {reason}"), ""
        for (name, _group), node in self._nodes.items():
            if name == actor:
                node.leads = False

    def _on_refuse(self, _: int, actor: str, incarnation: int, reason: str) -> Told:
        yield actor, f"refused to start ({reason})", ""

    # -- what nodes say and what their disks keep -----------------------------------------------------------------

    def _on_role(self, _: int, actor: str, group: str, role: str, term: int) -> Told:
        node = self._node(actor, group)
        if role == "leader":
            yield actor, f"led in term {term}{self._of(group)}", ""
        elif node.leads:
            yield actor, f"stepped down in term {term}{self._of(group)}", ""
        node.leads = role == "leader"

    def _on_vote(self, _: int, actor: str, group: str, term: int, candidate: str) -> Told:
        node = self._node(actor, group)
        before = node.votes.setdefault(term, candidate)
        node.vote = (term, candidate)
        again = f", although it had voted for {before}" if before != candidate else ""
        if candidate == actor:
            yield actor, f"stood for election in term {term}{self._of(group)}{again}", ""
        else:
            yield actor, f"voted for {candidate} in term {term}{self._of(group)}{again}", ""

    def _on_fsync(self, _: int, actor: str, files: Sequence[str], durable: Sequence[Any]) -> Told:
        if "recovered" not in files:
            return
        for group, last, term, vote, *_rest in durable:
            node = self._node(actor, group)
            kept = (term, vote) if vote else None
            if node.vote is not None and node.vote != kept and node.vote[0] >= term:
                yield actor, f"lost its vote for {node.vote[1]} in term {node.vote[0]}{self._of(group)}", ""
            if node.last > last:
                yield actor, f"lost {_entries(last + 1, node.last)}{self._of(group)}", ""
            node.vote, node.last = kept, last

    def _on_log_append(self, _: int, actor: str, group: str, first: int, entries: Sequence[Any]) -> Told:
        node = self._node(actor, group)
        node.last = first + len(entries) - 1
        if entries:
            node.last_term = entries[-1][0]
            yield self._of_log(actor, group, node)

    def _on_log_truncate(self, _: int, actor: str, group: str, first: int) -> Told:
        node = self._node(actor, group)
        yield actor, f"dropped {_entries(first, node.last)}{self._of(group)}", ""
        node.last = min(node.last, first - 1)

    def _on_commit(self, _: int, actor: str, group: str, index: int) -> Told:
        node = self._node(actor, group)
        node.commit = index
        yield self._of_log(actor, group, node)

    def _on_config(
        self,
        _: int,
        actor: str,
        group: str,
        index: int,
        voters: Sequence[str],
        outgoing: Sequence[str],
        learners: Sequence[str],
    ) -> Told:
        if index:
            joint = f" and of {', '.join(outgoing)}" if outgoing else ""
            yield actor, f"took its voters to be {', '.join(voters)}{joint} by entry {index}{self._of(group)}", ""

    def _on_snapshot(self, _: int, actor: str, group: str, how: str, index: int, term: int, state: bytes) -> Told:
        verb = {"taken": "took a snapshot", "installed": "installed a snapshot", "recovered": "read a snapshot"}[how]
        node = self._node(actor, group)
        node.last = max(node.last, index)
        yield actor, f"{verb} up to {index}{self._of(group)}", ""

    def _on_persist_fail(self, _: int, actor: str, operation: str, reason: str) -> Told:
        yield actor, f"failed to {operation} ({reason})", ""

    # -- messages, clients, faults --------------------------------------------------------------------------------

    def _on_send(self, _: int, actor: str, id_: int, target: str, kind: str, size: int) -> Told:
        self._messages[id_] = (actor, target, kind)
        return ()

    def _on_drop(self, _: int, actor: str, id_: int, reason: str) -> Told:
        if reason != "down" and id_ in self._messages:
            source, target, kind = self._messages[id_]
            yield source, f"lost a message to {target} ({kind}, {reason})", f"lost {target} {kind} {reason}"

    def _on_op(self, time_ns: int, _: str, op: Sequence[Any]) -> Told:
        process, outcome, f, key, value, error = op
        if outcome == "invoke":
            self._calls[process] = time_ns
            return
        client = self._clients.get(process % max(1, len(self._clients)), f"process {process}")
        said = f"{f}{f' {key}' if key is not None else ''}{f' {value}' if value is not None else ''}"
        began = f" (asked at {self._calls.get(process, time_ns) / 1e9:.3f} s)"
        words = {"ok": f"was told {said}{began}", "fail": f"was refused {said} ({error}){began}"}
        yield client, words.get(outcome, f"never learnt what became of {said} ({error}){began}"), ""

    def _on_fault_begin(self, _: int, __: str, fault: str, kind: str, targets: Sequence[str]) -> Told:
        aimed = f" of {', '.join(targets)}" if targets else ""
        yield fault, f"{kind}{aimed} began", ""

    def _on_fault_end(self, _: int, __: str, fault: str, kind: str, outcome: str) -> Told:
        yield (
            fault if fault in self._faults else "heal",
            "ended" if fault in self._faults else "everything was healed",
            "",
        )

    def _of_log(self, actor: str, group: str, node: _Node) -> tuple[str, str, str]:
        """Entries and commits grow by turns, and are one deed."""
        commits = f" and knew commits up to {node.commit}" if node.commit else ""
        return (
            actor,
            f"had entries up to {node.last} of term {node.last_term}{commits}{self._of(group)}",
            f"log {group}",
        )

    def _node(self, actor: str, group: str) -> _Node:
        return self._nodes.setdefault((actor, group), _Node())

    def _of(self, group: str) -> str:
        return f" of {group}" if self._several else ""


def deeds(rows: Sequence[Row], plan: Plan, until: int) -> list[Deed]:
    """What happened up to the row of index `until`, in order; deeds of one kind that follow each other are one."""
    teller, told = _Teller(plan), list[Deed]()
    latest: dict[str, int] = {}  # the place of each actor's last deed
    for row in rows[: until + 1]:
        for deed in teller.read(row):
            at = latest.get(deed.actor)
            if deed.kind and at is not None and told[at].kind == deed.kind:
                told[at] = deed
            else:
                latest[deed.actor] = len(told)
                told.append(deed)
    return told


def sentences(told: Sequence[Deed]) -> dict[str, str]:
    """What each actor did, as one sentence, in the order in which they first did something."""
    by_actor: dict[str, list[str]] = {}
    for deed in told:
        by_actor.setdefault(deed.actor, []).append(f"{deed.text} at {deed.time_ns / 1e9:.3f} s")
    return {actor: ", ".join(texts) for actor, texts in by_actor.items()}


def _entries(first: int, last: int) -> str:
    return f"entry {first}" if first >= last else f"entries {first} to {last}"
