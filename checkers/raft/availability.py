"""Availability while faults are in force: what a quorum owes that can talk.

A *stretch* is a time in which nothing changes about who can talk with whom: some nodes are up, healthy and connected
with each other both ways, they hold a majority of the members, and all other nodes are silent towards them. Liveness
after the heal is asked of the whole run; here it is asked of each stretch, with bounds that follow from the options of
the plan (`Pace`).

Within a stretch

* `leader`: some connected node leads at the latest `leader_ns` after its beginning. It is judged where the stretch
  lasts as long;
* `election`: once a connected node has led for `settle_ns`, and the stretch has lasted as long, no connected node's
  term rises, and no other one leads. Nothing is lost and every clock is healthy, so nobody has a reason to campaign;
* `read`, `write`: from then on, and after a write that was begun in the stretch was ok, every request of a client that
  can talk with the connected nodes is answered within `request_ns`, or is one of at most `FAILURES_MAX` in a row that
  fail. That write shows that a majority is in step.

What is counted is the time in which a request is under way: a client that is told no has not waited longer for what it
did not ask. A no of the machine is an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from checkers.op import Op
from checkers.operation import NEGATIVE_ANSWERS
from checkers.verdict import Anomaly, Verdict

CHECKER: Final = "liveness"
KIND: Final = "unavailable"

FAILURES_MAX: Final = 5
"""Requests of one client and kind that may fail in a row without having waited: a session may have expired."""

_READS: Final = ("read", "size")


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a correct system is under a plan.

    `settle_ns` is the time in which an election that was under way has ended, `leader_ns` that in which one succeeds.
    A request needs `request_ns`, and `attempt_ns` for each server that does not answer.
    """

    settle_ns: int
    leader_ns: int
    request_ns: int
    attempt_ns: int

    def due_ns(self, silent: int) -> int:
        """How long a request may take where some nodes do not answer; each may be asked twice, once by a hint."""
        return self.request_ns + 2 * silent * self.attempt_ns


class Stretch(msgspec.Struct, kw_only=True):
    """A time in which the connected nodes and the silent ones stay the same."""

    begin_ns: int
    end_ns: int = 0
    connected: tuple[str, ...]
    silent: int
    threads: frozenset[int]
    """The clients, as the first processes of their threads, that reach all connected nodes."""
    settle_ns: int
    """How long it takes until nothing is on its way any more that was sent before."""
    leaders: dict[str, tuple[str, int]] = msgspec.field(default_factory=dict)
    """Group to the connected node that leads and since when."""
    led_ns: dict[str, int] = msgspec.field(default_factory=dict)
    """Group to when a connected node led for the first time."""


class Availability:
    """Follows stretches of one run, and judges them."""

    def __init__(self, pace: Pace, groups: Sequence[str]) -> None:
        self.pace = pace
        self.stretches: list[Stretch] = []
        self.judged_ns = 0
        """For how long, of all stretches together, an election would have been noticed."""
        self._groups = tuple(groups)
        self._anomalies: dict[str, Anomaly] = {}  # by detail, the first of each

    # -- while it runs --------------------------------------------------------------------------------------------

    def begin(self, stretch: Stretch) -> None:
        """A stretch begins."""
        self.stretches.append(stretch)
        for group in stretch.leaders:
            stretch.led_ns[group] = stretch.begin_ns

    def end(self, stretch: Stretch, now: int, index: int) -> None:
        """It has ended."""
        stretch.end_ns = now
        for group in self._groups:
            led_ns = stretch.led_ns.get(group)
            if led_ns is None and now - stretch.begin_ns > self.pace.leader_ns:
                nodes = ", ".join(stretch.connected)
                span = _ms(now - stretch.begin_ns)
                self._add(
                    "leader",
                    index,
                    f"{nodes} could talk from {_s(stretch.begin_ns)} on for {span}, and none of them led {group}; "
                    f"expected within {_ms(self.pace.leader_ns)}",
                )
            steady_ns = self.steady_ns(stretch, group)
            if steady_ns is not None:
                self.judged_ns += max(0, now - steady_ns)

    def leads(self, stretch: Stretch, now: int, index: int, group: str, node: str) -> None:
        """A connected node leads from now on."""
        self._require_rest(stretch, now, index, group, f"{node} became leader")
        stretch.leaders[group] = (node, now)
        stretch.led_ns.setdefault(group, now)

    def rises(self, stretch: Stretch, now: int, index: int, group: str, node: str, term: int) -> None:
        """The term of a connected node is higher than any of theirs before."""
        self._require_rest(stretch, now, index, group, f"{node} went on to term {term}")
        stretch.leaders.pop(group, None)

    def steady_ns(self, stretch: Stretch, group: str) -> int | None:
        """From when on nobody has a reason to campaign; None while nobody leads."""
        if group not in stretch.leaders:
            return None
        return max(stretch.begin_ns + stretch.settle_ns, stretch.leaders[group][1] + self.pace.settle_ns)

    def _require_rest(self, stretch: Stretch, now: int, index: int, group: str, what: str) -> None:
        steady_ns = self.steady_ns(stretch, group)
        if steady_ns is None or now <= steady_ns:
            return
        leader, since_ns = stretch.leaders[group]
        nodes = ", ".join(stretch.connected)
        self._add(
            "election",
            index,
            f"{what} in {group} at {_s(now)}, where {leader} had led since {_s(since_ns)} and nothing had kept "
            f"{nodes} from talking since {_s(stretch.begin_ns)}",
        )

    # -- afterwards -----------------------------------------------------------------------------------------------

    def verdict(self, history: Iterable[Op], thread_count: int) -> Verdict:
        """Judge the requests too, and say what was found."""
        if len(self._groups) == 1:
            self._judge_requests(history, thread_count)
        anomalies = tuple(self._anomalies.values())
        return Verdict(
            validity="invalid" if anomalies else "valid",
            checker=CHECKER,
            anomalies=anomalies,
            details={"calm_ms": self.judged_ns // 1_000_000},
        )

    def _judge_requests(self, history: Iterable[Op], thread_count: int) -> None:
        (group,) = self._groups
        pending = iter(self.stretches)
        stretch = next(pending, None)
        open_: dict[int, Op] = {}
        waits: dict[tuple[int, str], _Wait] = {}
        steady_ns: int | None = None
        for op in history:
            while stretch is not None and op.time >= stretch.end_ns:
                if steady_ns is not None:
                    self._judge_unanswered(stretch, steady_ns, open_.values(), waits, thread_count)
                stretch, steady_ns = next(pending, None), None
                waits.clear()
            if stretch is None:
                return
            if not isinstance(op.process, int):
                continue
            if op.type == "invoke":
                open_[op.process] = op
                continue
            asked = open_.pop(op.process, None)
            if asked is None or asked.time < stretch.begin_ns:
                continue
            kind = _kind(op.f)
            answered = op.type == "ok" or (op.type == "fail" and op.error in NEGATIVE_ANSWERS)
            if steady_ns is None:
                rest_ns = self.steady_ns(stretch, group)
                if rest_ns is not None and kind == "write" and op.type == "ok":
                    steady_ns = max(rest_ns, op.time)
                continue
            thread = op.process % thread_count
            if asked.time < steady_ns or thread not in stretch.threads:
                continue
            wait = waits.setdefault((thread, kind), _Wait())
            wait.add(asked, op)
            self._judge_wait(stretch, op, kind, wait, answered=answered)
            if answered:
                del waits[thread, kind]

    def _judge_wait(self, stretch: Stretch, op: Op, kind: str, wait: _Wait, *, answered: bool) -> None:
        due_ns = self.pace.due_ns(stretch.silent)
        if wait.waited_ns > due_ns or (not answered and wait.failures > FAILURES_MAX):
            self._accuse(stretch, op, kind, wait, due_ns)

    def _judge_unanswered(
        self,
        stretch: Stretch,
        steady_ns: int,
        open_: Iterable[Op],
        waits: Mapping[tuple[int, str], _Wait],
        thread_count: int,
    ) -> None:
        """Judge what was under way when a stretch ended."""
        due_ns = self.pace.due_ns(stretch.silent)
        for asked in open_:
            thread = int(asked.process) % thread_count
            if asked.time < steady_ns or thread not in stretch.threads:
                continue
            kind = _kind(asked.f)
            wait = waits.get((thread, kind), _Wait())
            wait.waited_ns += stretch.end_ns - asked.time
            if wait.waited_ns > due_ns:
                unanswered = msgspec.structs.replace(asked, type="info", error="not answered yet")
                self._accuse(stretch, unanswered, kind, wait, due_ns)

    def _accuse(self, stretch: Stretch, op: Op, kind: str, wait: _Wait, due_ns: int) -> None:
        leader = ", ".join(node for node, _ in stretch.leaders.values())
        self._add(
            kind,
            op.index,
            f"process {op.process} waited {_ms(wait.waited_ns)} for a {kind} ({wait.failures} requests without an "
            f"answer, the last one {op.f}: {op.type} {op.error or ''}), where {leader} led and nothing had kept "
            f"{', '.join(stretch.connected)} from talking since {_s(stretch.begin_ns)}; expected within {_ms(due_ns)}",
        )

    def _add(self, detail: str, index: int, message: str) -> None:
        if detail not in self._anomalies:
            anomaly = Anomaly(checker=CHECKER, kind=KIND, detail=detail, index=index, message=message)
            self._anomalies[detail] = anomaly


class _Wait:
    """How long one client has waited for an answer of one kind."""

    __slots__ = ("failures", "waited_ns")

    def __init__(self) -> None:
        self.waited_ns = 0
        self.failures = 0

    def add(self, asked: Op, told: Op) -> None:
        self.waited_ns += told.time - asked.time
        self.failures += told.type != "ok"


def _kind(f: str) -> str:
    return "read" if f in _READS else "write"


def _ms(span_ns: int) -> str:
    return f"{span_ns / 1e6:.0f} ms"


def _s(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3f} s"
