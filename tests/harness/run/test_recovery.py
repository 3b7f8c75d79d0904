"""After the heal: steps in their order, each until it is over or overdue."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.faults.crashes import Crash
from harness.faults.fault import FOREVER
from harness.plans.draw import draw
from harness.plans.plan import Plan
from harness.run.drawing import abilities_of
from harness.run.recovery import LOOK_EVERY_NS
from harness.run.runner import RunOptions, Simulation
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from tests.harness.run import scripted
from tests.harness.run.scripted import ScriptedSystem

SECOND = 1_000_000_000
SYSTEMS = load_systems(bind("raft_impl", Checkouts()))


def calm(nodes: int = 3, workload: str = "register", **changes: Any) -> Plan:
    options = abilities_of(SYSTEMS.values()).options
    drawn = draw(
        seed=1, profile="calm", workload=workload, options=options, nodes=nodes, concurrency=2, duration_ns=SECOND
    )
    return msgspec.structs.replace(drawn, **changes)


def ran(plan: Plan) -> Simulation:
    simulation = Simulation(plan, SYSTEMS, RunOptions(keep_rows=True, gates=False))
    simulation.run()
    return simulation


def asked(simulation: Simulation) -> list[str]:
    """What was asked for after the heal, in the order in which it was first asked for."""
    return [request.kind for request in simulation.recovery.requests()]


def test_after_the_heal_each_kind_of_request_is_asked_for_and_served() -> None:
    simulation = ran(calm())

    requests = simulation.recovery.requests()
    assert list(dict.fromkeys(asked(simulation))) == ["write", "transfer", "change", "read"]
    assert asked(simulation).count("change") == 2  # and the way back
    assert all(request.done_ns is not None for request in requests)
    assert simulation.world.kernel.why == "done"
    assert simulation.judge().verdict.validity == "valid"


def test_nobody_asks_for_anything_in_the_quiet_time() -> None:
    plan = calm()
    simulation = ran(plan)

    quiet = simulation.recovery.quiet
    assert quiet is not None
    assert quiet.end_ns - quiet.begin_ns >= plan.phases.quiet_ns
    assert not [op for op in simulation.world.recorder.history if quiet.begin_ns < op.time < quiet.end_ns]
    rows = simulation.world.log.kept
    messages = [row for row in rows if row[1] == "send" and quiet.begin_ns < row[0] <= quiet.end_ns]
    assert {row[5] for row in messages} == {"heartbeat", "heartbeat-reply"}
    assert quiet.heartbeats is not None
    assert len(messages) <= quiet.heartbeats
    later = [request.kind for request in simulation.recovery.requests() if request.began_ns >= quiet.end_ns]
    assert sorted(set(later)) == ["read", "write"]


@pytest.mark.parametrize(("workload", "transfers"), [("register", 1), ("orders", 2)])
def test_every_group_is_asked_for_another_leader(workload: str, transfers: int) -> None:
    assert asked(ran(calm(workload=workload))).count("transfer") == transfers


def test_a_single_node_has_nobody_to_hand_over_to() -> None:
    simulation = ran(calm(nodes=1))

    assert {"transfer", "change"}.isdisjoint(asked(simulation))
    assert simulation.judge().verdict.validity == "valid"


def test_a_plan_without_quiet_time_goes_from_the_recovery_to_the_final_reads() -> None:
    plan = calm()
    simulation = ran(msgspec.structs.replace(plan, phases=msgspec.structs.replace(plan.phases, quiet_ns=0)))

    assert set(asked(simulation)) == {"write", "read"}
    assert simulation.recovery.quiet is None


def partly_healed(*faults: Any) -> Plan:
    plan = calm(nodes=5)
    phases = msgspec.structs.replace(plan.phases, heal="partial", healed=("n1", "n2", "n3", *plan.clients))
    return msgspec.structs.replace(plan, phases=phases, faults=faults)


def test_after_a_partial_heal_the_way_back_of_an_outsider_is_not_waited_for() -> None:
    begin_ns = calm().phases.warmup_ns
    simulation = ran(
        partly_healed(*(Crash(id=n, begin_ns=begin_ns, end_ns=FOREVER, targets=(n,)) for n in ("n4", "n5")))
    )

    assert asked(simulation).count("change") == 1
    assert simulation.world.kernel.why == "done"


def test_a_run_whose_client_is_never_served_is_overdue_and_invalid() -> None:
    drawn = scripted.plan(recovery=scripted.op(0, "write", 1))
    phases = msgspec.structs.replace(drawn.phases, recovery_ns=60 * SECOND)
    judged = msgspec.structs.replace(drawn.check, liveness=True)
    simulation = scripted.run(
        msgspec.structs.replace(drawn, phases=phases, check=judged), ScriptedSystem([scripted.HANG])
    )

    outcome = simulation.judge()

    bound = 2 * judged.bound_timeouts * 300_000_000
    assert (outcome.stopped, outcome.simulated_ns) == ("overdue", phases.heal_ns + bound + LOOK_EVERY_NS)
    assert "liveness/stalled/write" in [anomaly.signature for anomaly in outcome.anomalies]
