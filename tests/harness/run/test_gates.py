"""Gates: a run in which nothing happened says nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from checkers.op import Op
from harness.faults.clocks import ClockStep
from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.plans.plan import Gates, Phases, Plan
from harness.run.gates import judge
from tests.harness.sim import toy
from tests.harness.sim.toy import MS

ALL = ("leader", "membership", "snapshots", "wall-clock")
PHASES = Phases(warmup_ns=100 * MS, faults_ns=900 * MS, recovery_ns=500 * MS, final_ns=500 * MS)


def planned(*faults: Fault, **gates: Any) -> Plan:
    return msgspec.structs.replace(toy.plan(faults=faults), phases=PHASES, gates=Gates(**gates))


def completions(*times_ms: float, kind: Any = "ok") -> list[Op]:
    return [
        Op(index=index, time=round(time_ms * MS), process=0, type=kind, f="read")
        for index, time_ms in enumerate(times_ms)
    ]


def crashes(count: int) -> tuple[Fault, ...]:
    return tuple(Crash(id=f"f{n}", begin_ns=0, end_ns=1, targets=("n1",)) for n in range(count))


@pytest.mark.parametrize(
    ("gates", "times_ms", "reason"),
    [
        ({}, (), ""),
        ({"ok_before": 1}, (99,), ""),
        ({"ok_before": 1}, (100,), "vacuous: 0 ok ops before the faults, the plan asks for 1"),
        ({"ok_during": 2}, (100, 999), ""),
        ({"ok_during": 2}, (100, 1_000), "vacuous: 1 ok ops during the faults, the plan asks for 2"),
        ({"ok_after": 1}, (1_000,), ""),
        ({"ok_after": 1}, (999,), "vacuous: 0 ok ops after the heal, the plan asks for 1"),
        (
            {"ok_before": 1, "ok_after": 1},
            (500,),
            "vacuous: 0 ok ops before the faults, the plan asks for 1; 0 ok ops after the heal, the plan asks for 1",
        ),
    ],
)
def test_too_few_ok_ops_in_a_phase_make_a_run_vacuous(
    gates: dict[str, int], times_ms: tuple[float, ...], reason: str
) -> None:
    verdict = judge(planned(**gates), completions(*times_ms), {}, ALL)

    assert verdict.reason == reason
    assert verdict.validity == ("unknown" if reason else "valid")


@pytest.mark.parametrize("kind", ["invoke", "fail", "info"])
def test_only_ok_ops_count(kind: str) -> None:
    assert judge(planned(ok_before=1), completions(50, kind=kind), {}, ALL).validity == "unknown"


@pytest.mark.parametrize(
    ("count", "outcomes", "vacuous"),
    [
        (1, ["no-target"], False),
        (2, ["no-target", "no-effect"], True),
        (2, ["no-target", "effective"], False),
        (3, ["no-effect", "no-effect"], True),  # the third never began
    ],
)
def test_a_kind_used_twice_must_have_bitten_once(count: int, outcomes: list[str], vacuous: bool) -> None:
    plan = planned(*crashes(count))

    verdict = judge(plan, (), {f"f{n}": outcome for n, outcome in enumerate(outcomes)}, ALL)

    assert verdict.reason == (f"vacuous: {count} faults of kind crash, none effective" if vacuous else "")


def test_the_gate_of_fault_kinds_can_be_taken_away() -> None:
    plan = planned(*crashes(2), fault_kinds=False)

    assert judge(plan, (), {"f0": "no-target", "f1": "no-target"}, ALL).validity == "valid"


def test_a_kind_that_can_do_nothing_to_the_system_makes_no_run_vacuous() -> None:
    """A wall clock that no process reads may show anything."""
    steps = tuple(ClockStep(id=f"f{n}", begin_ns=0, end_ns=1, targets=("n1",), step_ns=1) for n in range(2))
    outcomes = {"f0": "no-effect", "f1": "no-effect"}

    reading, blind = (judge(planned(*steps), (), outcomes, able) for able in (ALL, ("leader",)))

    assert reading.reason == "vacuous: 2 faults of kind clock-step, none effective"
    assert blind.validity == "valid"
