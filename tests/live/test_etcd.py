"""etcd in the live world: linearizable where it says so, stale where it does not, and its leases are no locks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import pytest

from harness.faults.catalog import AnyFault
from harness.faults.crashes import Crash
from harness.faults.membership import Membership
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.live.live_run import run
from harness.live.systems.catalog import live_system
from harness.outcome import Outcome
from harness.plans.plan import load
from harness.systems.checkouts import Checkouts
from tests.live.live_plans import SECOND_NS, at, routed, small_plan

pytest.importorskip("h11")
LOCK_PLAN = Path(__file__).parents[2] / "docs" / "examples" / "live" / "etcd_lock_granted_twice.json"
pytestmark = pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")


def ran(
    workload: str, *faults: AnyFault, routing: Literal["leader", "home", "any"] = "home", **explicit: str
) -> Outcome:
    """One run of three members with these faults in four seconds; each client keeps to the member beside it."""
    with Checkouts() as checkouts:
        system = live_system("etcd", checkouts)
        options = {"election_timeout_ms": "500", "client_timeout_ms": "1000", **explicit}
        plan = small_plan(system, workload, faults, faults_ns=4 * SECOND_NS, **options)
        return run(routed(plan, routing), system).outcome


def cut_off(node: str, client: str, begin_ms: int, length_ms: int) -> Partition:
    """A node with the client beside it, from all others."""
    others = tuple(name for name in ("n1", "n2", "n3") if name != node)
    return Partition(id=f"cut-{node}", shape="one", order=(node, *others), clients=(client,), **at(begin_ms, length_ms))


def test_linearizable_reads_are_valid_under_kills_pauses_and_partitions() -> None:
    outcome = ran(
        "register",
        Crash(id="kill", targets=("n1",), power=False, **at(0, 600)),
        cut_off("n2", "c2", 1200, 1000),
        Pause(id="pause", targets=("n3",), **at(2600, 800)),
        routing="leader",
    )

    assert outcome.fault_outcomes == dict.fromkeys(("kill", "cut-n2", "pause"), "effective")
    assert outcome.verdict.validity == "valid", outcome.verdict
    assert outcome.rows is not None
    assert any(row[1] == "role" and row[4] == "leader" for row in outcome.rows)


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["counter", "set", "list-append"])
def test_counters_sets_and_transactions_are_valid_under_kills_pauses_and_partitions(workload: str) -> None:
    outcome = ran(
        workload,
        Crash(id="kill", targets=("n1",), power=False, **at(0, 600)),
        cut_off("n2", "c2", 1200, 1000),
        Pause(id="pause", targets=("n3",), **at(2600, 800)),
        routing="leader",
    )

    assert outcome.fault_outcomes == dict.fromkeys(("kill", "cut-n2", "pause"), "effective")
    assert outcome.verdict.validity == "valid", outcome.verdict


@pytest.mark.slow
def test_a_member_that_was_removed_comes_back_as_a_new_one_and_the_history_is_valid() -> None:
    """First without the member, then as a learner; the leader may be the one that leaves."""
    with Checkouts() as checkouts:
        system = live_system("etcd", checkouts)
        faults = (
            Membership(id="fewer", voters=("n1", "n2"), **at(0, 3000)),
            Membership(id="learner", voters=("n2", "n3"), learners=("n1",), **at(5000, 6000)),
        )
        options = {"election_timeout_ms": "1000", "client_timeout_ms": "3000"}
        plan = small_plan(system, "register", faults, faults_ns=12 * SECOND_NS, **options)
        outcome = run(plan, system).outcome

    assert outcome.fault_outcomes == dict.fromkeys(("fewer", "learner"), "effective")
    assert outcome.verdict.validity == "valid", outcome.verdict
    rows = outcome.rows or ()
    told = [tuple(map(set, row[5:])) for row in rows if row[1] == "config"]
    assert ({"n1", "n2"}, set(), set()) in told
    assert ({"n2", "n3"}, set(), {"n1"}) in told
    again = [row for row in rows if row[1] == "start" and row[3] == 2]
    assert [row[2] for row in again] == ["n3", "n1"], "each with no data"
    assert all(row[0] < plan.phases.heal_ns for row in again), "as soon as it is a member again"
    for row in again:
        assert any(one[1:5] == ("crash", row[2], 1, "out") and one[0] < row[0] for one in rows), "it ended before"


def test_serializable_reads_are_found_stale_and_the_plan_says_that_they_may_be() -> None:
    outcome = ran("register", cut_off("n1", "c1", 0, 3500), reads="serializable")

    assert outcome.verdict.validity == "invalid", outcome.verdict
    assert outcome.primary is not None
    assert outcome.primary.startswith("linearizability/")
    assert outcome.plan_class == "breaking"
    assert all(anomaly.allowed for anomaly in outcome.anomalies)


@pytest.mark.slow
def test_a_lock_under_a_lease_is_granted_twice_while_its_holder_is_cut_off() -> None:
    """The holder asks the member beside it, which cannot renew the lease; another client gets the lock meanwhile.

    On a machine that is busy an acquisition may take longer than the cut, so the plan has three tries.
    """
    for _ in range(3):
        with Checkouts() as checkouts:
            outcome = run(load(LOCK_PLAN), live_system("etcd", checkouts)).outcome
        if outcome.verdict.validity == "invalid":
            break

    assert outcome.verdict.validity == "invalid", [op for op in outcome.history if op.key == "the-lock"]
    assert outcome.primary == "linearizability/nonlinearizable/mutex/acquire"
