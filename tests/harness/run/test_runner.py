"""The runner: from a plan to an outcome, to the end or up to a point."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from checkers.raft.invariants import Invariants
from harness.faults.clocks import ClockStep
from harness.faults.crashes import Crash
from harness.faults.leadership import ForcedElection
from harness.faults.packets import Loss
from harness.judged import JudgedAnomaly
from harness.outcome import FaultCounts, OpCounts
from harness.plans.plan import Check, Gates, Plan
from harness.run.runner import RunOptions, primary
from harness.systems.system import Completion
from tests.harness.run.scripted import ScriptedSystem, op, plan, run
from tests.harness.sim import chaos, toy
from tests.harness.sim.toy import MS


def anomaly(checker: str, kind: str, index: int | None) -> JudgedAnomaly:
    return JudgedAnomaly(kind=kind, signature=f"{checker}/{kind}", checker=checker, index=index, allowed=False)


@pytest.mark.parametrize(
    ("anomalies", "expected"),
    [
        ((), None),
        ((anomaly("linearizable", "stale-read", 5), anomaly("raft", "election-safety", 90)), "raft/election-safety"),
        ((anomaly("raft", "log-matching", 90), anomaly("raft", "election-safety", 80)), "raft/election-safety"),
        ((anomaly("raft", "log-matching", 80), anomaly("raft", "election-safety", 80)), "raft/election-safety"),
        ((anomaly("node", "exception", 70), anomaly("raft", "election-safety", 80)), "node/exception"),
        ((anomaly("linearizable", "a", None), anomaly("liveness", "b", 7)), "liveness/b"),
        ((anomaly("run", "livelock", 9), anomaly("linearizable", "a", 1)), "run/livelock"),
    ],
)
def test_the_primary_anomaly_is_the_earliest_invariant_else_the_earliest_other(
    anomalies: tuple[JudgedAnomaly, ...], expected: str | None
) -> None:
    assert primary(anomalies) == expected
    assert primary(anomalies[::-1]) == expected


# -- outcomes -------------------------------------------------------------------------------------------------------


def test_an_outcome_says_what_happened() -> None:
    answers = [Completion("ok", 1), Completion("fail", error="not-leader"), Completion("info", error="timeout")]
    faults = (
        Crash(id="f1", begin_ns=500 * MS, end_ns=600 * MS, targets=("n1",)),
        ClockStep(id="f2", begin_ns=510 * MS, end_ns=550 * MS, targets=("n1",), step_ns=MS),
        Loss(id="f3", begin_ns=700 * MS, end_ns=710 * MS, loss_ppm=0),
    )
    planned = plan(*(op(100 * n, "write", n) for n in (1, 2, 3)), recovery=op(0, "write", 9), faults=faults)

    simulation = run(planned, ScriptedSystem(answers))
    outcome = simulation.judge()

    assert outcome.ops == OpCounts(ok=2, fail=1, info=1)
    assert outcome.faults == FaultCounts(planned=3, effective=1, no_target=1, no_effect=1)
    assert outcome.fault_outcomes == {"f1": "effective", "f2": "no-target", "f3": "no-effect"}
    assert outcome.plan_sha256 == planned.sha256
    assert outcome.fingerprint == simulation.world.log.close()
    assert outcome.recovery_ms == 20
    assert (outcome.stopped, outcome.simulated_ns) == ("done", 1_040 * MS)  # it looks every 20 ms
    assert outcome.plan_class == "tolerable"
    assert (outcome.verdict.validity, outcome.exit_code, outcome.primary) == ("valid", 0, None)
    assert len(outcome.history) == 8
    assert outcome.rows is not None
    assert outcome.metrics.rows == len(outcome.rows)


def test_rows_are_left_out_when_they_were_not_asked_for() -> None:
    systems: dict[str, Any] = {"default": toy.ToySystem()}
    simulation = toy.ToySimulation(toy.plan(), systems)
    simulation.run()
    outcome = simulation.judge()

    assert outcome.rows is None
    assert outcome.fingerprint == toy.simulate(toy.plan()).judge().fingerprint


def test_a_wrong_history_is_invalid_and_says_where() -> None:
    answers = [Completion("ok", 1), Completion("ok", 99)]
    simulation = run(plan(op(100, "write", 1), op(200, "read")), ScriptedSystem(answers))

    outcome = simulation.judge()

    assert outcome.verdict.validity == "invalid"
    assert outcome.exit_code == 1
    assert outcome.primary is not None
    assert outcome.primary.startswith("linearizability/")


def test_a_run_that_never_converges_ends_at_its_horizon() -> None:
    class Diverging(toy.ToySimulation):
        def _has_converged(self) -> bool:
            return False

    planned = toy.plan()
    systems: dict[str, Any] = {"default": toy.ToySystem()}
    simulation = Diverging(planned, systems)
    simulation.run()

    outcome = simulation.judge()

    assert (outcome.stopped, outcome.simulated_ns) == ("horizon", planned.phases.horizon_ns)
    assert outcome.metrics.converged_ms is None


# -- part of a run --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 5])
def test_a_run_until_a_time_is_the_begin_of_the_whole_run(seed: int) -> None:
    planned = chaos.plan(seed)
    whole = toy.simulate(planned).world.log.kept
    systems: dict[str, Any] = {"default": toy.ToySystem()}
    part = toy.ToySimulation(planned, systems, RunOptions(keep_rows=True, until_ns=700 * MS))

    part.run()
    outcome = part.judge()

    rows = part.world.log.kept
    assert rows == whole[: len(rows)]
    assert rows[-1][0] < 700 * MS <= whole[len(rows)][0]
    assert (outcome.stopped, outcome.simulated_ns) == ("until", 700 * MS)


@pytest.mark.parametrize("index", [0, 500, 3_000])
def test_a_run_until_an_index_ends_soon_after_it(index: int) -> None:
    whole = toy.simulate(toy.plan()).world.log.kept
    systems: dict[str, Any] = {"default": toy.ToySystem()}
    part = toy.ToySimulation(toy.plan(), systems, RunOptions(keep_rows=True, until_index=index))

    part.run()
    part.judge()

    rows = part.world.log.kept
    assert rows == whole[: len(rows)]
    assert rows[-1][0] <= whole[min(index, len(whole) - 1)][0] + 100_000
    assert len(rows) > index or len(rows) == len(whole)


def test_a_run_that_ended_before_the_heal_says_nothing_of_liveness() -> None:
    planned = msgspec.structs.replace(two_leaders(), check=Check(model="register", liveness=True))

    verdict = toy.simulate(planned, system=TwoLeaders(), stop_at_first=True).judge().verdict

    assert "liveness: the run ended before the heal" in verdict.reason


def test_invalid_outranks_vacuous() -> None:
    answers = [Completion("ok", 1), Completion("ok", 99)]
    planned = plan(op(100, "write", 1), op(200, "read"))
    vacuous = msgspec.structs.replace(planned, gates=Gates(ok_after=50))

    outcome = run(vacuous, ScriptedSystem(answers)).judge()

    assert outcome.verdict.validity == "invalid"
    assert "vacuous" in outcome.verdict.reason


# -- the first violation --------------------------------------------------------------------------------------------


class TwoLeaders(toy.ToySystem):
    """Every server calls itself leader of term 1 when it is told to campaign."""

    def command(self, server: Any, group: str, name: str, arguments: Any) -> bool:
        server.notes.append(("term", group, 1))
        server.notes.append(("role", group, "leader", 1))
        return True


def two_leaders() -> Plan:
    elections = tuple(
        ForcedElection(id=f"e{n}", begin_ns=n * 200 * MS, end_ns=n * 200 * MS + 1, targets=(f"n{n}",)) for n in (1, 2)
    )
    return toy.plan(faults=elections)


def test_a_violation_does_not_end_a_run_unless_asked_to() -> None:
    whole = toy.simulate(two_leaders(), system=TwoLeaders())
    cut = toy.simulate(two_leaders(), system=TwoLeaders(), stop_at_first=True)

    assert whole.world.kernel.why == "done"
    assert (cut.world.kernel.why, cut.world.kernel.now) == ("violation", 400 * MS)
    first, second = whole.judge(), cut.judge()
    assert first.primary == second.primary
    assert first.primary is not None
    assert first.primary.startswith("raft/election-safety")
    assert cut.world.log.kept == whole.world.log.kept[: len(cut.world.log.kept)]


def test_a_plan_may_leave_the_invariants_unchecked() -> None:
    planned = msgspec.structs.replace(two_leaders(), check=Check(model="register", liveness=False, invariants=False))

    outcome = toy.simulate(planned, system=TwoLeaders()).judge()

    assert isinstance(toy.simulate(planned).world.invariants, Invariants)
    assert outcome.verdict.validity == "valid"
