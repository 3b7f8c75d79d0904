"""A session is kept as long as it is used often enough: what a loss says, and what it does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.faults.clocks import ClockRate
from harness.plans.plan import Clocks, ClockSpec, Plan
from harness.run.sessions import Loss, judge, promise_ns
from harness.systems.system import Completion
from tests.harness.run.scripted import ScriptedSystem, op, plan, run
from tests.harness.sim.toy import MS

OPTIONS: dict[str, Any] = {"sessions": "on", "session_ttl_ms": 1_000}


def loss(idle_ms: float) -> Loss:
    return Loss(client="c1", process=0, since_ns=500 * MS, lost_ns=round((500 + idle_ms) * MS), index=7)


@pytest.mark.parametrize(
    ("idle_ms", "options", "expected"),
    [
        (999, {}, "invalid"),
        (1_000, {}, "valid"),
        (10**9, {"session_ttl_ms": 0}, "invalid"),  # never expires
        (1, {"sessions": "off"}, "valid"),
    ],
)
def test_a_session_is_kept_for_the_stated_time_since_its_last_use(
    idle_ms: float, options: dict[str, Any], expected: str
) -> None:
    verdict = judge(plan(), {**OPTIONS, **options}, [loss(idle_ms)])

    assert verdict.validity == expected
    assert [anomaly.signature for anomaly in verdict.anomalies] == ["session/forgotten"] * (expected == "invalid")


def test_a_system_that_states_no_time_promises_nothing() -> None:
    assert judge(plan(), {}, [loss(0)]).validity == "valid"


def test_log_time_runs_as_fast_as_the_fastest_clock_of_a_node() -> None:
    drawn = plan()
    fast = Clocks(actors={"n1": ClockSpec(rate_ppm=2_000_000), "c1": ClockSpec(rate_ppm=5_000_000)})
    faster = ClockRate(id="f", begin_ns=0, end_ns=MS, targets=("n1",), rate_ppm=4_000_000)

    def promise(changed: Plan) -> int | None:
        return promise_ns(changed, OPTIONS)

    assert promise(drawn) == 1_000 * MS
    assert promise(msgspec.structs.replace(drawn, clocks=fast)) == 500 * MS
    assert promise(msgspec.structs.replace(drawn, clocks=fast, faults=(faster,))) == 250 * MS


@pytest.mark.parametrize(
    ("f", "answer", "since_ms"),
    [
        ("write", Completion("ok", 1), 110),
        ("cas", Completion("fail", error="precondition-failed"), 110),  # a no of the machine came through the log
        ("write", Completion("fail", error="not-leader"), 100),
        ("read", Completion("ok", 1), 100),  # a read uses no session
    ],
)
def test_a_session_was_in_use_when_the_last_write_that_was_answered_began(
    f: str, answer: Completion, since_ms: float
) -> None:
    """Else it is only known that it was not yet opened when its client was made, at 100 ms."""
    system = ScriptedSystem([answer, Completion("fail", error="no-session")])

    simulation = run(plan(op(100, f, 1), op(200, "write", 2)), system)

    (lost,) = simulation.threads[0].sessions.losses
    assert (lost.since_ns, lost.lost_ns, lost.process) == (since_ms * MS, 210 * MS, 0)
    assert simulation.world.recorder.history[3].index == lost.index


@pytest.mark.parametrize(
    ("between", "since_ms"),
    [
        ([], 300),
        ([("read", Completion("ok", 1))], 400),
        ([("write", Completion("fail", error="no-client"))], 300),  # it may have been opened, or not
    ],
)
def test_who_was_told_that_its_session_is_gone_opens_another_before_its_next_write(
    between: list[tuple[str, Completion]], since_ms: float
) -> None:
    gone = Completion("fail", error="no-session")
    asked = [("write", gone), *between, ("write", gone)]
    system = ScriptedSystem([answer for _, answer in asked])

    simulation = run(plan(*(op(200 + 100 * i, f, 1) for i, (f, _) in enumerate(asked))), system)

    assert [lost.since_ns for lost in simulation.threads[0].sessions.losses] == [200 * MS, since_ms * MS]
