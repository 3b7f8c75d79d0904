"""A lying node: what it refuses arrives as granted, and the harness notices."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.assumptions import ASSUMPTIONS, measure, only
from harness.faults.disk_errors import LyingFsync
from harness.faults.lies import LyingNode
from harness.faults.power import PowerCut
from harness.plans.classify import classify
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import RunOptions, run
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from raft_impl.protocol.messages import AppendReject, AppendReply, Heartbeat, VoteReply
from raft_impl.runtime.scenario_support import lie_of
from raft_impl.runtime.wire import decode, encode

MS = 1_000_000


def test_a_lie_turns_a_refusal_round_and_leaves_the_rest() -> None:
    refused, rejected = VoteReply(3, False), AppendReject(3, 7, 2, 5)

    vote, append = lie_of(encode("g0", refused)), lie_of(encode("g0", rejected))

    assert vote is not None
    assert append is not None
    assert decode(vote) == ("g0", VoteReply(3, True))
    assert decode(append) == ("g0", AppendReply(3, 7))
    assert lie_of(encode("g0", VoteReply(3, True))) is None
    assert lie_of(encode("g0", Heartbeat(3, 1, 0))) is None
    assert lie_of(b"damaged") is None


def test_a_liar_breaks_an_assumption_and_is_noticed_and_the_plan_without_it_is_right() -> None:
    with Checkouts() as checkouts:
        binding = bind("raft_impl", checkouts)
        plan = Drawing(workload="counter").plan(1, abilities_of(load_systems(binding).values()))
        liar = LyingNode(id="liar", begin_ns=plan.phases.warmup_ns, end_ns=plan.phases.heal_ns, targets=plan.nodes[:1])
        with_liar = msgspec.structs.replace(plan, faults=(*plan.faults, liar))

        lied = run(with_liar, binding, RunOptions(explain=False))
        honest = run(plan, binding, RunOptions(explain=False))

    assert (classify(plan).plan_class, classify(with_liar).plan_class) == ("tolerable", "breaking")
    assert "nodes: one lies" in classify(with_liar).reasons
    assert lied.fault_outcomes["liar"] == "effective"
    assert lied.primary is not None
    assert lied.primary.startswith("raft/wire-")
    assert all(anomaly.allowed for anomaly in lied.anomalies)
    assert honest.anomalies == ()


def test_of_a_plan_only_the_faults_that_break_the_one_assumption_stay() -> None:
    with Checkouts() as checkouts:
        able = abilities_of(load_systems(bind("raft_impl", checkouts)).values())
    plan = Drawing(workload="register").plan(1, able)
    liar = LyingNode(id="liar", begin_ns=MS, end_ns=2 * MS, targets=plan.nodes[:1])
    disk = LyingFsync(id="disk", begin_ns=MS, end_ns=2 * MS, targets=plan.nodes[:1])
    power = PowerCut(id="power", begin_ns=MS, end_ns=2 * MS, targets=plan.nodes[:1])

    kept, breaking = only(msgspec.structs.replace(plan, faults=(liar, disk, power)), ("lying-node",))

    assert [fault.id for fault in kept.faults] == ["liar", "power"]
    assert breaking == ("liar",)


@pytest.mark.slow
@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda assumption: assumption.name)
def test_each_broken_assumption_is_noticed_now_and_then(assumption: object) -> None:
    found = measure(assumption, 16)  # type: ignore[arg-type]

    assert found["broken"] >= 8
    assert found["noticed"] >= 2
