"""Raft's promise after the heal: a leader, progress, one state, quiet terms, each within a bound.

Safety can be broken at one event; liveness only by waiting. So time is judged here, true time, in units of the largest
election timeout, and only after the heal of a plan whose faults allow it (`tolerable`): the caller decides that.
The healed set is the set of replicas that can reach each other after the heal and hold a majority of every
configuration.

Let the deadline be `heal + bound_timeouts * timeout`. Then

* `no-leader`: no healed replica led at any instant between heal and deadline, and none committed anything while
  another led (an outsider whose fault is over may lead the healed set as well as any);
* `no-progress`: no operation that was invoked after the heal was ok before the deadline;
* `no-convergence`: what the healed set had committed at the deadline is not applied by all of the healed set one bound
  later, or (detail `state`) healed replicas end at one index in different states;
* `terms-grow`: after the deadline the highest term of the healed set rises more than `TERM_RISES_MAX` times in one
  bound.

* `stalled`: something that was asked for after the heal did not come about within one bound of being asked (or of
  `heal + bound`, which is later for what is asked at once). The detail says what: a `write` or a `read` of a client, a
  `transfer` of leadership or a `change` of membership that an administrator wanted;
* `terms-grow`, detail `quiet`: in a time in which nobody asked for anything, after all that had come about, the highest
  term of the healed set rose more than `QUIET_RISES_MAX` times. Not where a server that was removed, and has not heard
  of it, may campaign as often as it likes, since neither pre-vote nor a quorum's loyalty is in use;
* `terms-grow`, detail `transfer`: while an orderly transfer of leadership was waited for, the highest term rose by more
  than one. The successor has all entries when it is told to campaign, and nothing is lost: everybody votes for it, the
  leader too, so one election does it (dissertation 3.10). It is asked only where pre-votes keep others from campaigns;
* `chatter`: in that time healed replicas sent each other more than `QUIET_MESSAGES_FACTOR` times the heartbeats and
  their answers, and `QUIET_MESSAGES` beside them.

Convergence is asked for what was committed at an instant, because under load replicas need never be equal at any one
instant. Terms may rise now and then, since links stay lossy after the heal and some heartbeats in a row may be lost;
a livelock raises them again and again.

A trace that ends before a bound has passed decides nothing about it: what holds by then is fine, what does not is
`unknown`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from checkers.op import Op
from checkers.trace import Row
from checkers.verdict import Anomaly, Verdict

TERM_RISES_MAX: Final = 2
"""Elections that lossy links may cost within one bound; more is growth."""


QUIET_RISES_MAX: Final = 1
"""Elections in a quiet time: links lose nothing after the heal, so that a second one has no reason."""


QUIET_MESSAGES_FACTOR: Final = 2
QUIET_MESSAGES: Final = 100
"""What a quiet group may send: twice its heartbeats with their answers, which is twice what was ever seen, and the
messages of an election or two."""

RequestKind = Literal["write", "read", "transfer", "change"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was asked for after the heal: by whom, when first, and when it came about.

    `is_orderly`: a transfer in which nobody else has a reason to campaign.
    """

    kind: RequestKind
    asker: str
    group: str = ""
    began_ns: int
    done_ns: int | None
    is_orderly: bool = False


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which nobody asked for anything.

    `heartbeats` are the messages that leaders and their followers owe each other in it, if that is known.
    `may_be_disturbed`: a server was removed, has not heard of it, and by the options of the plan nothing keeps such a
    server from campaigns (Ongaro's dissertation, 4.2.3); terms say nothing then.
    """

    begin_ns: int
    end_ns: int
    heartbeats: int | None = None
    may_be_disturbed: bool = False


class Standing(msgspec.Struct, kw_only=True):
    """Where one replica stands: what its notes said so far."""

    leads: bool = False
    term: int = 0
    commit: int = 0
    applied: int = 0
    state: bytes = b""
    refused: bool = False


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a plan by which its recovery is judged."""

    heal_ns: int
    timeout_ns: int
    timeouts: int

    @property
    def length_ns(self) -> int:
        """One bound."""
        return self.timeouts * self.timeout_ns

    @property
    def deadline_ns(self) -> int:
        """When leader, progress and the last election are due."""
        return self.heal_ns + self.length_ns

    @property
    def convergence_ns(self) -> int:
        """When what was committed at the deadline is due everywhere."""
        return self.deadline_ns + self.length_ns

    def due_ns(self, began_ns: int) -> int:
        """When something is due that was asked for at `began_ns`: what is asked at once has to wait for a leader."""
        return max(began_ns, self.deadline_ns) + self.length_ns


def judge(
    rows: Iterable[Row],
    history: Sequence[Op],
    *,
    healed: Mapping[str, Sequence[str]],
    bound: Bound,
    end_ns: int,
    first_index: int = 0,
    standing: Mapping[tuple[str, str], Standing] | None = None,
    requests: Sequence[Request] = (),
    quiet: Quiet | None = None,
) -> Verdict:
    """Judge the recovery of each group's healed set, from trace rows and the history of the same run.

    `rows` begin at `first_index`, at the heal or before it; if they do not begin with the run, `standing` says where
    each (group, actor) stood. `end_ns` is when the run ended. `requests` are what was asked for after the heal, and
    `quiet` is when nothing was.
    """
    groups = [
        _Group(name, replicas, bound, standing or {}, quiet, [one for one in requests if one.group == name])
        for name, replicas in healed.items()
    ]
    by_actor: dict[tuple[str, str], _Group] = {
        (group.name, actor): group for group in groups for actor in group.replicas
    }
    by_name = {group.name: group for group in groups}
    findings = _Findings(bound, end_ns)
    last = first_index - 1
    replicas = {actor for names in healed.values() for actor in names}
    quiet_messages = 0
    for last, row in enumerate(rows, first_index):
        findings.clock(last, row[0])
        if row[1] in _NOTES:
            if (group := by_actor.get((row[3], row[2]))) is not None:
                group.note(last, row)
            elif row[1] == "role" and (group := by_name.get(row[3])) is not None:
                group.outsider(row[2], leads=row[4] == "leader")
        elif row[1] == "send":
            if quiet is not None and quiet.begin_ns < row[0] <= quiet.end_ns:
                quiet_messages += row[2] in replicas and row[4] in replicas
        elif row[1] in _LIVES:
            for group in groups:
                if row[2] in group.replicas:
                    group.life(row)
                else:
                    group.outsider(row[2], leads=False)
    progress_ns = first_fresh_ok(history, bound)
    findings.due("no-progress", "", progress_ns, bound.deadline_ns, "no operation invoked after the heal was ok")
    for group in groups:
        group.conclude(findings)
    for request in requests:
        findings.request(request)
    if quiet is not None:
        findings.quiet(quiet, quiet_messages)
    return findings.verdict({"progress_ms": _since(progress_ns, bound)}, steps=last + 1 - first_index)


def first_fresh_ok(history: Sequence[Op], bound: Bound) -> int | None:
    """When the first operation completed that was invoked after the heal."""
    fresh: dict[int | str, bool] = {}
    for op in history:
        if op.type == "invoke":
            fresh[op.process] = op.time >= bound.heal_ns
        elif op.type == "ok" and fresh.get(op.process):
            return op.time
    return None


def _since(time_ns: int | None, bound: Bound) -> float | None:
    return None if time_ns is None else max(0, time_ns - bound.heal_ns) / 1e6


_NOTES: Final = frozenset({"role", "term", "commit", "apply", "snapshot"})
_LIVES: Final = frozenset({"start", "stop", "crash", "refuse"})


class _Group:
    """The healed set of one group, followed row by row."""

    def __init__(
        self,
        name: str,
        replicas: Sequence[str],
        bound: Bound,
        standing: Mapping[tuple[str, str], Standing],
        quiet: Quiet | None,
        requests: Sequence[Request],
    ) -> None:
        self.name = name
        self.bound = bound
        self.replicas = {actor: msgspec.structs.replace(standing.get((name, actor), Standing())) for actor in replicas}
        self.leading_outsiders = {
            actor for (group, actor), at in standing.items() if group == name and at.leads and actor not in replicas
        }
        self.led_ns: int | None = bound.heal_ns if self._has_leader() else None
        self.due_commit: int | None = None  # the highest commit of the healed set when the deadline passed
        self.converged_ns: int | None = None
        self.rises: deque[int] = deque()  # when the healed set's highest term rose, within the last bound
        self.quiet = quiet
        self.quiet_rises: list[int] = []  # the rows at which it rose in the quiet time
        self.rise_index: int | None = None  # the row at which it had risen too often
        self.transfers = [_Orderly(one.began_ns, one.done_ns) for one in requests if one.is_orderly and one.done_ns]
        self.top_term = max((replica.term for replica in self.replicas.values()), default=0)

    def note(self, index: int, row: Row) -> None:
        time_ns, kind, actor, _ = row[:4]
        fields = row[4:]
        self._pass(time_ns)
        replica = self.replicas[actor]
        match kind:
            case "role":
                replica.leads = fields[0] == "leader"
                if replica.leads and time_ns > self.bound.heal_ns and self.led_ns is None:
                    self.led_ns = time_ns
                self._term(index, time_ns, replica, fields[1])
            case "term":
                self._term(index, time_ns, replica, fields[0])
            case "commit":
                replica.commit = fields[0]
                if self.led_ns is None and self.leading_outsiders and time_ns > self.bound.heal_ns:
                    self.led_ns = time_ns
            case "apply":
                replica.applied, replica.state = fields[0], fields[2]
            case "snapshot" if fields[0] != "taken":
                replica.applied = replica.commit = fields[1]
                replica.state = fields[3]
        if self.due_commit is not None:
            self._note_convergence(time_ns)

    def life(self, row: Row) -> None:
        time_ns, kind, actor = row[:3]
        self._pass(time_ns)
        replica = self.replicas[actor]
        replica.leads = False
        replica.refused = kind == "refuse"
        if kind == "start":
            replica.commit = replica.applied = 0
            replica.state = b""

    def outsider(self, actor: str, *, leads: bool) -> None:
        """Note whether a replica outside the healed set leads now."""
        if leads:
            self.leading_outsiders.add(actor)
        else:
            self.leading_outsiders.discard(actor)

    def _has_leader(self) -> bool:
        return any(replica.leads for replica in self.replicas.values())

    def _pass(self, time_ns: int) -> None:
        """Look at the clock before the row that comes next is taken."""
        if self.led_ns is None and time_ns >= self.bound.heal_ns and self._has_leader():
            self.led_ns = self.bound.heal_ns
        if self.due_commit is None and time_ns > self.bound.deadline_ns:
            self.due_commit = self._committed()
            self._note_convergence(self.bound.deadline_ns)

    def _term(self, index: int, time_ns: int, replica: Standing, term: int) -> None:
        replica.term = term
        if term <= self.top_term:
            return
        for transfer in self.transfers:
            transfer.rises(index, time_ns, term - self.top_term)
        self.top_term = term
        if self.quiet is not None and self.quiet.begin_ns < time_ns <= self.quiet.end_ns:
            self.quiet_rises.append(index)
        if time_ns <= self.bound.deadline_ns:
            return
        self.rises.append(time_ns)
        while self.rises[0] < time_ns - self.bound.length_ns:
            self.rises.popleft()
        if len(self.rises) > TERM_RISES_MAX and self.rise_index is None:
            self.rise_index = index

    def _committed(self) -> int:
        return max((replica.commit for replica in self._present()), default=0)

    def _present(self) -> list[Standing]:
        return [replica for replica in self.replicas.values() if not replica.refused]

    def _note_convergence(self, time_ns: int) -> None:
        due = self._committed() if self.due_commit is None else self.due_commit
        if self.converged_ns is None and all(replica.applied >= due for replica in self._present()):
            self.converged_ns = time_ns

    def conclude(self, findings: _Findings) -> None:
        bound = self.bound
        self._pass(findings.end_ns)
        self._note_convergence(findings.end_ns)
        group = self.name
        findings.due("no-leader", group, self.led_ns, bound.deadline_ns, "no leader of the healed set was seen")
        behind = sorted(actor for actor, replica in self.replicas.items() if replica.applied < (self.due_commit or 0))
        findings.due(
            "no-convergence", group, self.converged_ns, bound.convergence_ns,
            f"{', '.join(behind)} did not apply what the healed set had committed", replicas=behind,
        )  # fmt: skip
        states: dict[int, set[bytes]] = {}
        for replica in self._present():
            if replica.state:
                states.setdefault(replica.applied, set()).add(replica.state)
        if any(len(found) > 1 for found in states.values()):
            findings.add("no-convergence", group, "healed replicas end at one index in different states", "state")
        if self.rise_index is not None:
            what = f"the highest term rose more than {TERM_RISES_MAX} times within {bound.timeouts} election timeouts"
            findings.add("terms-grow", group, f"{what}, after the same time to settle", index=self.rise_index)
        quiet = self.quiet
        if quiet is not None and len(self.quiet_rises) > QUIET_RISES_MAX and not quiet.may_be_disturbed:
            timeouts = (quiet.end_ns - quiet.begin_ns) // bound.timeout_ns
            what = (
                f"the highest term rose {len(self.quiet_rises)} times in {timeouts} election timeouts without requests"
            )
            findings.add("terms-grow", group, what, "quiet", index=self.quiet_rises[QUIET_RISES_MAX])
        for transfer in self.transfers:
            if transfer.risen > 1:
                what = f"the highest term rose by {transfer.risen} while leadership was handed over, which takes one"
                findings.add("terms-grow", group, what, "transfer", index=transfer.index, began_ns=transfer.began_ns)
        findings.times[f"{group}/leader_ms"] = _since(self.led_ns, bound)


class _Orderly:
    """An orderly transfer of leadership, and by how much the highest term rose while it was waited for."""

    def __init__(self, began_ns: int, done_ns: int) -> None:
        self.began_ns, self.done_ns = began_ns, done_ns
        self.risen = 0
        self.index = 0  # the row of the latest rise

    def rises(self, index: int, time_ns: int, by: int) -> None:
        if self.began_ns < time_ns <= self.done_ns:
            self.risen += by
            self.index = index


class _Findings:
    """Broken bounds, and bounds that the trace is too short to judge."""

    def __init__(self, bound: Bound, end_ns: int) -> None:
        self.bound = bound
        self.end_ns = end_ns
        self.last = 0
        self.passed: dict[int, int] = {}  # a bound -> the first row after it
        self.anomalies: list[Anomaly] = []
        self.open: list[str] = []
        self.times: dict[str, float | None] = {}

    def clock(self, index: int, time_ns: int) -> None:
        """Note which row is the first one after each bound: there its violation became certain."""
        self.last = index
        if time_ns > self.bound.deadline_ns:
            self.passed.setdefault(self.bound.deadline_ns, index)
            if time_ns > self.bound.convergence_ns:
                self.passed.setdefault(self.bound.convergence_ns, index)

    def due(self, kind: str, group: str, came_ns: int | None, due_ns: int, what: str, **evidence: Any) -> None:
        """Something was due at `due_ns`: it came in time, or too late, or the trace ended before."""
        if came_ns is not None and came_ns <= due_ns:
            return
        if came_ns is None and self.end_ns < due_ns:
            self.open.append(f"{kind} {group}".rstrip())
            return
        timeouts = (due_ns - self.bound.heal_ns) // self.bound.timeout_ns
        what = f"{what} within {timeouts} election timeouts after the heal"
        self.add(kind, group, what, index=self.passed.get(due_ns), came_ns=came_ns, **evidence)

    def request(self, request: Request) -> None:
        """Something was asked for: it came about in time, or too late, or the trace ended before."""
        bound = self.bound
        due_ns = bound.due_ns(request.began_ns)
        if request.done_ns is not None and request.done_ns <= due_ns:
            return
        if request.done_ns is None and self.end_ns < due_ns:
            self.open.append(f"{request.kind} of {request.asker}")
            return
        timeouts = (due_ns - request.began_ns) // bound.timeout_ns
        what = f"a {request.kind} of {request.asker} did not come about within {timeouts} election timeouts"
        evidence = {"began_ns": request.began_ns, "done_ns": request.done_ns}
        self.add("stalled", request.group, what, request.kind, **evidence)

    def quiet(self, quiet: Quiet, messages: int) -> None:
        """Nobody asked for anything: only heartbeats are due."""
        if quiet.heartbeats is None:
            return
        most = QUIET_MESSAGES_FACTOR * quiet.heartbeats + QUIET_MESSAGES
        if messages > most:
            what = f"{messages} messages while nobody asked for anything; {quiet.heartbeats} are heartbeats"
            self.add("chatter", "", what, messages=messages, heartbeats=quiet.heartbeats)

    def add(
        self, kind: str, group: str, what: str, detail: str = "", index: int | None = None, **evidence: Any
    ) -> None:
        evidence = {"group": group, "heal_ns": self.bound.heal_ns, "timeout_ns": self.bound.timeout_ns, **evidence}
        self.anomalies.append(
            Anomaly(
                checker="liveness",
                kind=kind,
                detail=detail,
                index=self.last if index is None else index,
                message=f"{group}: {what}" if group else what,
                evidence=evidence,
            )
        )

    def verdict(self, times: dict[str, float | None], *, steps: int) -> Verdict:
        reason = ""
        if self.open and not self.anomalies:
            reason = f"the trace ends before the bound of: {', '.join(self.open)}"
        return Verdict(
            validity="invalid" if self.anomalies else "unknown" if reason else "valid",
            checker="liveness",
            anomalies=tuple(self.anomalies),
            reason=reason,
            steps=steps,
            details={**times, **self.times},
        )
