"""The messages around a failure, event by event, with what each node knew after each of them.

A trace has a hundred thousand events, of which a person follows some hundred. So only windows of time are taken: around
the operations of the counterexample and before the failure, the latest first, up to a bound. What a node knows is
gathered from the beginning of the trace on; a step carries what changed since the step before it, so that the page can
go to any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from checkers.trace import Row
from harness.plans.plan import LinkSpec, Plan

from .texts import PageData, Texts, plain, value_text
from .timeline import micro

STEPS_MAX: Final = 12_000
"""More steps than these are not taken: about half a megabyte."""
BEFORE_NS: Final = 400_000_000
"""Time before the failure that is always shown: an election and what led to it."""
AROUND_NS: Final = 30_000_000
"""Time around an operation of the counterexample, and after the failure."""

FIELDS: Final = ("state", "role", "term", "vote", "last entry", "commit", "applied", "durable", "voters")
"""What is known of a replica, in the columns of the table; `durable` is the last entry and term on its disk."""

DELIVERED, LOST, UNDER_WAY = 0, 1, 2

Window = tuple[int, int]


def windows(focus: Iterable[Window], end_ns: int) -> list[Window]:
    """Join windows of time that touch, in order."""
    joined: list[Window] = []
    for begin, end in sorted((max(0, begin), min(end, end_ns)) for begin, end in focus):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def excerpt(rows: Sequence[Row], plan: Plan, focus: Sequence[Window], texts: Texts) -> PageData:
    """The steps within the windows, and their messages, as columns.

    `steps` are lists of index, time, actor (number in `actors`), text, message (-1: none), and the changes as flat
    triples of replica, field and text. `messages`: `s` source, `d` target, `k` kind, `a` sent and `b` ended (times),
    `f` fate, `w` why it was lost, `c` copy of another one, `x` and `y` steps of both ends (-1: not among them).
    """
    chosen = _chosen(rows, windows(focus, rows[-1][0] if rows else 0))
    return _Excerpt(plan, texts).read(rows, chosen)


def slow_ns(plan: Plan, link: LinkSpec) -> int:
    """Longer on its way than a healthy link makes it: then something delayed the message."""
    return link.delay_max_ns + plan.schedule.processing_max_ns + plan.schedule.quantum_ns


def _chosen(rows: Sequence[Row], wanted: Sequence[Window]) -> list[Window]:
    """Take whole windows from the latest back while they fit, and the end of the one that does not."""
    left, chosen, at = STEPS_MAX, list[Window](), len(rows) - 1
    for begin, end in reversed(wanted):
        earliest = None
        while at >= 0 and rows[at][0] > end:
            at -= 1
        while at >= 0 and left > 0 and rows[at][0] >= begin:
            if rows[at][1] in _STEPS:
                left -= 1
            earliest = rows[at][0]
            at -= 1
        if earliest is not None:
            chosen.append((earliest, end))
        if left <= 0:
            break
    return chosen[::-1]


_NETWORK: Final = ("send", "deliver", "drop", "duplicate")
_STEPS: Final = frozenset((
    *_NETWORK, "start", "stop", "crash", "refuse", "role", "term", "vote", "log-append", "log-truncate", "commit",
    "config", "snapshot", "persist-fail", "fsync", "fault-begin", "fault-end", "op",
))  # fmt: skip
"""Kinds of rows that are steps of their own; `apply` only changes what is known."""


class _Excerpt:
    """Reads all rows once."""

    def __init__(self, plan: Plan, texts: Texts) -> None:
        self._plan = plan
        self._texts = texts
        self._clients = {program.thread: program.client for program in plan.programs}
        self._several = len(plan.groups) > 1
        self._actors: dict[str, int] = {name: at for at, name in enumerate((*plan.nodes, *plan.clients))}
        self._replicas: dict[tuple[str, str], int] = {}
        self._changed: dict[tuple[int, int], str] = {}
        self._columns: dict[str, list[int]] = {name: [] for name in "sdkabfwcxy"}
        self._sent: dict[int, tuple[int, str, str, str]] = {}  # time, source, target, kind
        self._places: dict[int, int] = {}  # of messages among the columns
        self._originals: dict[int, int] = {}  # of copies
        self._steps: list[list[Any]] = []
        self._open_for: tuple[int, int] | None = None  # time and actor of the last step, when more may join it
        self._tellers: dict[str, Callable[..., str]] = {
            "start": self._start, "stop": self._end, "crash": self._end, "refuse": self._end, "role": self._role,
            "term": self._term, "vote": self._vote, "log-append": self._append, "log-truncate": self._truncate,
            "commit": self._commit, "apply": self._apply, "config": self._config, "snapshot": self._snapshot,
            "fsync": self._fsync, "persist-fail": self._persist_fail, "fault-begin": self._fault_begin,
            "fault-end": self._fault_end,
        }  # fmt: skip

    def read(self, rows: Sequence[Row], chosen: Sequence[Window]) -> PageData:
        remaining = list(chosen[::-1])
        for index, row in enumerate(rows):
            time, kind, actor, *fields = row
            while remaining and time > remaining[-1][1]:
                remaining.pop()
            within = bool(remaining) and time >= remaining[-1][0]
            if kind in _NETWORK:
                self._on_network(index, time, kind, actor, fields, within)
            elif kind == "op":
                if within:
                    self._on_op(index, time, fields[0])
            elif (tell := self._tellers.get(kind)) is not None:
                text = tell(actor, *fields)
                if within and text and kind in _STEPS:
                    self._step(index, time, actor, text)
        return {
            "actors": [plain(name) for name in self._actors],
            "nodes": len(self._plan.nodes),
            "replicas": [plain(f"{node} {group}" if self._several else node) for node, group in self._replicas],
            "fields": list(FIELDS),
            "windows": [[micro(begin), micro(end)] for begin, end in chosen],
            "messages": self._columns,
            "steps": self._steps,
            "slow": [micro(slow_ns(self._plan, link)) for link in (self._plan.links.node, self._plan.links.client)],
        }

    # -- messages -------------------------------------------------------------------------------------------------

    def _on_network(self, index: int, time: int, kind: str, actor: str, fields: Sequence[Any], within: bool) -> None:
        id_ = fields[0]
        if kind == "send":
            self._sent[id_] = (time, actor, fields[1], fields[2])
        elif kind == "duplicate":
            copy = fields[1]
            if id_ in self._sent:
                self._sent[copy] = (time, *self._sent[id_][1:])
                self._originals[copy] = id_
        if id_ not in self._sent:
            return
        if not within:
            if kind in ("deliver", "drop"):
                self._ended(id_, time, kind, fields)
                self._sent.pop(id_)
            return
        place = self._place(id_)
        if kind == "send":
            self._columns["x"][place] = self._step(index, time, actor, "", place)
        elif kind == "duplicate":
            copy = self._place(fields[1])
            self._columns["x"][copy] = self._step(index, time, self._sent[id_][1], "", copy)
        else:
            self._ended(id_, time, kind, fields)
            at = actor if kind == "deliver" else self._sent[id_][2]
            self._columns["y"][place] = self._step(index, time, at, "", place)

    def _ended(self, id_: int, time: int, kind: str, fields: Sequence[Any]) -> None:
        place = self._places.get(id_)
        if place is None:
            return
        self._columns["b"][place] = micro(time)
        self._columns["f"][place] = DELIVERED if kind == "deliver" else LOST
        if kind == "drop":
            self._columns["w"][place] = self._texts.place(plain(fields[1]))

    def _place(self, id_: int) -> int:
        """Place of a message among the columns, which it is given when it has none."""
        place = self._places.get(id_)
        if place is not None:
            return place
        time, source, target, kind = self._sent[id_]
        place = self._places[id_] = len(self._columns["s"])
        copy = self._places.get(self._originals.get(id_, -1), -1)
        text = self._texts.place(plain(kind))
        row = (self._actor(source), self._actor(target), text, micro(time), -1, UNDER_WAY, 0, copy, -1, -1)
        for name, value in zip("sdkabfwcxy", row, strict=True):
            self._columns[name].append(value)
        return place

    def _actor(self, name: str) -> int:
        return self._actors.setdefault(name, len(self._actors))

    def _step(self, index: int, time: int, actor: str, text: str, message: int = -1, *, joins: bool = True) -> int:
        """Add a step; what a node says of itself in one instant is one step, unless `joins` is unset."""
        changes = [part for (replica, field), known in self._changed.items() for part in (replica, field, known)]
        for place in range(2, len(changes), 3):
            changes[place] = self._texts.place(str(changes[place]))
        self._changed.clear()
        number = self._actor(actor) if actor else -1
        open_for = (micro(time), number) if joins and message < 0 <= number else None
        if open_for is not None and open_for == self._open_for:
            last = self._steps[-1]
            last[3] = self._texts.place(plain(f"{self._texts.text(last[3])}; {text}", 400))
            last[5] += changes
        else:
            self._steps.append([index, micro(time), number, self._texts.place(plain(text, 400)), message, changes])
        self._open_for = open_for
        return len(self._steps) - 1

    def _on_op(self, index: int, time: int, op: Sequence[Any]) -> None:
        process, outcome, f, key, value, error = op
        if not isinstance(process, int):
            return
        said = " ".join((str(f), *([] if key is None else [str(key)]), *([] if value is None else [value_text(value)])))
        words = {"invoke": f"asks {said}", "ok": f"was told {said}", "fail": f"was refused {said} ({error})"}
        text = words.get(outcome, f"does not know what became of {said} ({error})")
        client = self._clients.get(process % max(1, len(self._clients)), "")
        self._step(index, time, client, f"process {process} {text}", joins=False)

    # -- what nodes say of themselves: the text of the step -------------------------------------------------------

    def _knows(self, actor: str, group: str, field: str, value: Any) -> None:
        replica = self._replicas.setdefault((actor, group), len(self._replicas))
        self._changed[replica, FIELDS.index(field)] = plain(str(value))

    def _of(self, group: str) -> str:
        return f" of {group}" if self._several else ""

    def _start(self, actor: str, incarnation: int, code: str) -> str:
        self._life(actor, "up")
        return "starts" if incarnation == 1 else f"starts again, for the {incarnation}. time"

    def _end(self, actor: str, incarnation: int, reason: str) -> str:
        self._life(actor, "down")
        return f"goes down ({reason})"

    def _life(self, actor: str, state: str) -> None:
        described = self._plan.actors.get(actor)
        if described is None or described.kind == "client":
            return
        for group in {*described.groups, *(group for name, group in self._replicas if name == actor)}:
            self._knows(actor, group, "state", state)
            if state == "down":
                self._knows(actor, group, "role", "")

    def _role(self, actor: str, group: str, role: str, term: int) -> str:
        self._knows(actor, group, "role", role)
        self._knows(actor, group, "term", term)
        return f"is {role} in term {term}{self._of(group)}"

    def _term(self, actor: str, group: str, term: int) -> str:
        self._knows(actor, group, "term", term)
        return f"is in term {term}{self._of(group)}"

    def _vote(self, actor: str, group: str, term: int, candidate: str) -> str:
        self._knows(actor, group, "vote", f"{candidate} (term {term})")
        return f"votes for {candidate} in term {term}{self._of(group)}"

    def _append(self, actor: str, group: str, first: int, entries: Sequence[Any]) -> str:
        if not entries:
            return ""
        last, term = first + len(entries) - 1, entries[-1][0]
        self._knows(actor, group, "last entry", f"{last} (term {term})")
        named = f"entry {first}" if first == last else f"entries {first} to {last}"
        return f"appends {named} of term {term}{self._of(group)}"

    def _truncate(self, actor: str, group: str, first: int) -> str:
        self._knows(actor, group, "last entry", first - 1)
        return f"drops its entries from {first} on{self._of(group)}"

    def _commit(self, actor: str, group: str, index: int) -> str:
        self._knows(actor, group, "commit", index)
        return f"knows commits up to {index}{self._of(group)}"

    def _apply(self, actor: str, group: str, index: int, command: str, state: str) -> str:
        self._knows(actor, group, "applied", index)
        return ""

    def _config(
        self,
        actor: str,
        group: str,
        index: int,
        voters: Sequence[str],
        outgoing: Sequence[str],
        learners: Sequence[str],
    ) -> str:
        joint = f" and of {','.join(outgoing)}" if outgoing else ""
        self._knows(actor, group, "voters", f"{','.join(voters)}{joint}")
        return f"takes its voters to be {', '.join(voters)}{joint}{self._of(group)}" if index else ""

    def _snapshot(self, actor: str, group: str, how: str, index: int, term: int, state: Any) -> str:
        verb = {"taken": "takes", "installed": "installs", "recovered": "reads"}.get(how, how)
        if how != "taken":
            self._knows(actor, group, "last entry", f"{index} (term {term})")
        return f"{verb} a snapshot up to {index}{self._of(group)}"

    def _fsync(self, actor: str, files: Sequence[str], durable: Sequence[Any]) -> str:
        said = []
        for group, last, term, vote, *_ in durable:
            self._knows(actor, group, "durable", f"{last}, term {term}{f', vote {vote}' if vote else ''}")
            said.append(f"entries up to {last} and term {term} are durable{self._of(group)}")
        return "; ".join(said)

    def _persist_fail(self, actor: str, operation: str, reason: str) -> str:
        return f"fails to {operation} ({reason})"

    def _fault_begin(self, actor: str, fault: str, kind: str, targets: Sequence[str]) -> str:
        return f"fault {fault} begins: {kind}{' of ' + ', '.join(targets) if targets else ''}"

    def _fault_end(self, actor: str, fault: str, kind: str, outcome: str) -> str:
        return "everything is healed" if fault == "heal" else f"fault {fault} ends: {kind}"
