"""PySyncObj in the live world: valid where reads go through its log, stale where they do not."""

from __future__ import annotations

import pytest

from harness.faults.catalog import AnyFault
from harness.faults.partitions import Partition
from harness.live.live_run import run
from harness.live.systems.catalog import live_system
from harness.outcome import Outcome
from harness.systems.checkouts import Checkouts
from tests.live.live_plans import KILL_CUT_PAUSE, SECOND_NS, at, routed, small_plan

pytest.importorskip("h11")
pytest.importorskip("pysyncobj")


def ran(workload: str, *faults: AnyFault, **explicit: str) -> Outcome:
    """One run of three nodes with these faults in four seconds; each client keeps to the node beside it."""
    with Checkouts() as checkouts:
        system = live_system("pysyncobj", checkouts)
        options = {"election_timeout_ms": "400", "client_timeout_ms": "1000", **explicit}
        plan = small_plan(system, workload, faults, faults_ns=4 * SECOND_NS, **options)
        return run(routed(plan, "home"), system).outcome


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["register", "counter"])
def test_reads_through_the_log_are_valid_under_kills_pauses_and_partitions(workload: str) -> None:
    outcome = ran(
        workload,
        *KILL_CUT_PAUSE,
    )

    assert outcome.fault_outcomes == {fault.id: "effective" for fault in KILL_CUT_PAUSE}
    assert outcome.verdict.validity == "valid", outcome.verdict


def test_reads_of_the_node_that_is_asked_are_found_stale_and_the_plan_says_that_they_may_be() -> None:
    cut = Partition(id="cut", shape="one", order=("n1", "n2", "n3"), clients=("c1",), **at(0, 3500))

    outcome = ran("register", cut, reads="local")

    assert outcome.verdict.validity == "invalid", outcome.verdict
    assert outcome.primary is not None
    assert outcome.primary.startswith("linearizability/")
    assert outcome.plan_class == "breaking"
    assert all(anomaly.allowed for anomaly in outcome.anomalies)
