"""What a quorum owes that can talk: a leader, rest, and answers, each within its bound."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.op import Op, OpType
from checkers.raft.availability import FAILURES_MAX, Availability, Pace, Stretch

MS = 1_000_000
PACE = Pace(settle_ns=100 * MS, leader_ns=1_000 * MS, request_ns=50 * MS, attempt_ns=20 * MS)


def stretch(begin_ms: int = 0, *, leader: str | None = None, silent: int = 0, threads: tuple[int, ...] = (0, 1)) -> Any:
    return Stretch(
        begin_ns=begin_ms * MS,
        connected=("n1", "n2", "n3"),
        silent=silent,
        threads=frozenset(threads),
        settle_ns=PACE.settle_ns,
        leaders={} if leader is None else {"g0": (leader, begin_ms * MS)},
    )


class Run:
    """A stretch from 0 to `end_ms`, and the requests in it."""

    def __init__(self, end_ms: int = 2_000, **arguments: Any) -> None:
        self.availability = Availability(PACE, ("g0",))
        self.stretch = stretch(**arguments)
        self.end_ms = end_ms
        self.ops: list[Op] = []
        self.availability.begin(self.stretch)

    def request(
        self, begin_ms: int, end_ms: int, *, f: str = "write", type: OpType = "ok", error: str = "", process: int = 0
    ) -> Run:
        self.ops.append(Op(index=0, time=begin_ms * MS, process=process, type="invoke", f=f))
        if end_ms >= 0:
            done = Op(index=0, time=end_ms * MS, process=process, type=type, f=f, error=error or None)
            self.ops.append(done)
        return self

    def found(self) -> list[str]:
        availability = self.availability
        availability.end(self.stretch, self.end_ms * MS, 7)
        ordered = sorted(self.ops, key=lambda op: op.time)
        closing = Op(index=0, time=10**12, process="nemesis", type="info", f="end")
        verdict = availability.verdict([*ordered, closing], thread_count=2)
        assert verdict.validity == ("invalid" if verdict.anomalies else "valid")
        return [anomaly.signature for anomaly in verdict.anomalies]


# -- a leader -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("end_ms", "found"), [(999, []), (1_001, ["liveness/unavailable/leader"])])
def test_who_can_talk_has_a_leader_in_time(end_ms: int, found: list[str]) -> None:
    assert Run(end_ms).found() == found


def test_a_leader_that_was_there_or_came_in_time_is_enough() -> None:
    elected = Run()
    elected.availability.leads(elected.stretch, 900 * MS, 1, "g0", "n1")

    assert elected.found() == []
    assert Run(leader="n2").found() == []


# -- rest -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at_ms", "found"), [(99, []), (101, ["liveness/unavailable/election"])])
def test_nobody_campaigns_while_a_leader_is_heard(at_ms: int, found: list[str]) -> None:
    risen, led = Run(leader="n1"), Run(leader="n1")
    risen.availability.rises(risen.stretch, at_ms * MS, 1, "g0", "n2", 5)
    led.availability.leads(led.stretch, at_ms * MS, 1, "g0", "n2")

    assert risen.found() == found
    assert led.found() == found


def test_a_new_leader_has_as_long_to_settle() -> None:
    run = Run(leader="n1")
    run.availability.rises(run.stretch, 90 * MS, 1, "g0", "n2", 5)
    run.availability.leads(run.stretch, 95 * MS, 1, "g0", "n2")
    run.availability.rises(run.stretch, 190 * MS, 1, "g0", "n3", 6)
    run.availability.leads(run.stretch, 191 * MS, 1, "g0", "n3")

    assert run.found() == []
    assert run.availability.judged_ns == (2_000 - 291) * MS


# -- answers --------------------------------------------------------------------------------------------------------


def steady(**arguments: Any) -> Run:
    """A run whose quorum is settled and in step from 110 ms on."""
    return Run(leader="n1", **arguments).request(100, 110, process=1)


@pytest.mark.parametrize("f", ["read", "write"])
@pytest.mark.parametrize("type", ["ok", "info", "fail"])
def test_a_request_is_answered_in_time(f: str, type: OpType) -> None:
    in_time = steady().request(200, 249, f=f, type="ok").found()
    late = steady().request(200, 251, f=f, type=type).found()

    assert in_time == []
    assert late == [f"liveness/unavailable/{f}"]


def test_what_fails_is_waited_for_together_and_only_while_it_is_under_way() -> None:
    together = steady().request(200, 230, type="info").request(500, 530, process=2, type="ok")
    in_time = steady().request(200, 220, type="info").request(500, 529, process=2, type="ok")
    other_kind = steady().request(200, 230, type="info").request(500, 530, process=2, f="read", type="ok")

    assert together.found() == ["liveness/unavailable/write"]
    assert in_time.found() == []
    assert other_kind.found() == []


def test_a_request_that_is_never_answered_is_judged_at_the_end() -> None:
    assert steady().request(1_951, -1).found() == []
    assert steady().request(1_949, -1).found() == ["liveness/unavailable/write"]


def test_failures_that_take_no_time_are_counted() -> None:
    def failing(times: int, error: str) -> Run:
        run = steady()
        for n in range(times):
            run.request(200 + 10 * n, 201 + 10 * n, type="fail", error=error)
        return run

    assert failing(FAILURES_MAX, "not-ready").found() == []
    assert failing(FAILURES_MAX + 1, "not-ready").found() == ["liveness/unavailable/write"]
    assert failing(FAILURES_MAX + 1, "precondition-failed").found() == []


def test_a_silent_node_may_cost_two_attempts() -> None:
    assert steady(silent=1).request(200, 289).found() == []
    assert steady(silent=1).request(200, 291).found() == ["liveness/unavailable/write"]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(Run(leader="n1").request(200, 400), id="no write yet that shows a majority in step"),
        pytest.param(Run(leader="n1").request(100, 110, process=1, f="read").request(200, 400), id="a read shows less"),
        pytest.param(Run(leader="n1").request(50, 60, process=1).request(80, 400), id="begun before it had settled"),
        pytest.param(steady(threads=(1,)).request(200, 400), id="a client that cannot reach them"),
        pytest.param(Run(begin_ms=500, leader="n1").request(490, 900, process=1), id="begun before the stretch"),
        pytest.param(Run().request(100, 110, process=1).request(200, 400), id="nobody leads"),
    ],
)
def test_what_is_not_promised_is_not_judged(run: Run) -> None:
    assert [name for name in run.found() if not name.endswith("/leader")] == []


def test_each_stretch_is_judged_by_itself() -> None:
    run = steady(end_ms=400).request(390, 520)
    later = stretch(500, leader="n1")
    run.availability.end(run.stretch, 400 * MS, 7)
    run.availability.begin(later)
    run.stretch, run.end_ms = later, 2_000
    run.request(610, 620, process=1).request(700, 751)

    assert run.found() == ["liveness/unavailable/write"]
