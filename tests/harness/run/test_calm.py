"""Stretches of a run: when a quorum can talk is read from the world, and what it owes then is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.faults.crashes import Crash
from harness.faults.disk_errors import SlowDisk
from harness.faults.fault import Fault
from harness.faults.leadership import ForcedElection
from harness.faults.packets import Delay, Loss
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.plan import Plan
from harness.run.calm import pace_of
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import RunOptions, Simulation
from harness.systems.binding import Binding
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

MS = 1_000_000
MUTANTS = Path(__file__).parents[2] / "mutants"


@pytest.fixture(scope="module")
def checkouts() -> Iterator[Checkouts]:
    with Checkouts() as found:
        yield found


@pytest.fixture(scope="module")
def correct(checkouts: Checkouts) -> Binding:
    return bind("raft_impl", checkouts)


def drawn(binding: Binding, seed: int, **arguments: Any) -> Plan:
    return Drawing(**arguments).plan(seed, abilities_of(load_systems(binding).values()))


def calm_plan(binding: Binding, *faults: Fault, nodes: int = 3, options: dict[str, Any] | None = None) -> Plan:
    """Two seconds without anything but these faults."""
    plan = drawn(binding, 1, profile="calm", nodes=nodes, concurrency=2)
    phases = msgspec.structs.replace(plan.phases, warmup_ns=500 * MS, faults_ns=1_500 * MS)
    return msgspec.structs.replace(plan, faults=faults, phases=phases, options=plan.options | (options or {}))


def simulate(plan: Plan, binding: Binding) -> Simulation:
    simulation = Simulation(plan, load_systems(binding), RunOptions(explain=False))
    simulation.run()
    return simulation


def stretches(plan: Plan, binding: Binding) -> list[tuple[float, float, str]]:
    """(begin, end, names of the connected nodes) in ms; those that follow each other at once are one."""
    watch = simulate(plan, binding).calm
    assert watch is not None
    found: list[tuple[float, float, str]] = []
    for stretch in watch.availability.stretches:
        begin, end, who = round(stretch.begin_ns / MS), round(stretch.end_ns / MS), " ".join(stretch.connected)
        if found and found[-1][1:] == (begin, who):  # something changed that changed nothing
            begin = found.pop()[0]
        found.append((begin, end, who))
    return found


def fault(kind: Any, **arguments: Any) -> Any:
    return kind(id="f1", begin_ns=1_000 * MS, end_ns=1_500 * MS, **arguments)


ALL = "n1 n2 n3"


@pytest.mark.parametrize(
    ("what", "meanwhile"),
    [
        (fault(Crash, targets=("n3",)), "n1 n2"),
        (fault(Pause, targets=("n3",)), "n1 n2"),
        (fault(Partition, shape="one", order=("n3",)), "n1 n2"),
        (fault(Partition, shape="one-way-out", order=("n3",)), "n1 n2"),
        (fault(Partition, shape="one-way-in", order=("n3",)), "n1 n2"),  # it is deaf; pre-votes keep it harmless
        (fault(Partition, shape="bridge", order=("n3", "n1", "n2")), None),
        (fault(Crash, targets=("n2", "n3")), None),
        (fault(Delay, targets=("n3",), extra_ns=MS, jitter_ns=0), None),
        (fault(Loss, targets=(), loss_ppm=900_000), None),
        (fault(SlowDisk, targets=("n3",), late_ns=MS), None),
    ],
)
def test_who_can_talk_is_read_from_the_world(what: Fault, meanwhile: str | None, correct: Binding) -> None:
    found = stretches(calm_plan(correct, what), correct)

    expected = [(0, 1_000, ALL), *([(1_000, 1_500, meanwhile)] if meanwhile else []), (1_500, 2_000, ALL)]
    assert [(begin, min(end, 2_000), who) for begin, end, who in found] == expected


def test_a_deaf_node_is_harmless_only_with_pre_votes_and_check_quorum(correct: Binding) -> None:
    deaf = fault(Partition, shape="one-way-in", order=("n3",))

    found = stretches(calm_plan(correct, deaf, options={"pre_vote": False}), correct)

    assert [begin for begin, _, _ in found] == [0, 1_500]


def test_an_administrators_command_is_waited_for_as_long_as_it_may_be_taken(correct: Binding) -> None:
    simulation = simulate(calm_plan(correct, fault(ForcedElection, targets=("n2",))), correct)

    assert simulation.calm is not None
    found = [(s.begin_ns, s.end_ns) for s in simulation.calm.availability.stretches if s.end_ns > s.begin_ns]
    assert found[0] == (0, 1_000 * MS)
    assert found[1][0] == 1_500 * MS
    assert simulation.judge().anomalies == ()


def test_most_of_a_run_without_faults_is_judged(correct: Binding) -> None:
    simulation = simulate(calm_plan(correct), correct)

    assert simulation.calm is not None
    assert simulation.calm.availability.judged_ns > 1_000 * MS
    assert simulation.judge().anomalies == ()


def test_nothing_is_said_where_messages_are_lost_or_heartbeats_may_be_late(correct: Binding) -> None:
    plan = calm_plan(correct)
    options = {"election_timeout_ms": 150, "heartbeat_ms": 50, "client_attempt_timeout_ms": 300}
    lossy = msgspec.structs.replace(plan.links, node=msgspec.structs.replace(plan.links.node, loss_ppm=1))
    slow = msgspec.structs.replace(
        plan.disks, default=msgspec.structs.replace(plan.disks.default, fsync_max_ns=60 * MS)
    )

    assert pace_of(plan, options) is not None
    assert pace_of(plan, {"election_timeout_ms": 150}) is None
    assert pace_of(msgspec.structs.replace(plan, links=lossy), options) is None
    assert pace_of(msgspec.structs.replace(plan, disks=slow), options) is None


@pytest.mark.parametrize(
    ("on_its_way", "expected"),
    [
        ("nothing", ["leads-alone"]),
        ("a queue on a limited link", []),
        ("what a clogged link holds", []),
        ("a queue that is cut", ["leads-alone"]),
    ],
)
def test_a_leader_hears_what_nodes_sent_before_they_crashed(
    on_its_way: str, expected: list[str], correct: Binding
) -> None:
    simulation = simulate(calm_plan(correct), correct)
    assert simulation.calm is not None
    watched = simulation.calm.cut_off
    assert watched is not None
    world, now = simulation.world, simulation.world.kernel.now
    watched.role(now, 0, "g0", "n1", "leader", 9)
    for name in ("n2", "n3"):
        world.hosts[name].end()
        link = world.network.links[name]["n1"]
        if "queue" in on_its_way:
            link.free_ns = now + 1_000 * MS
        if "clogged" in on_its_way:
            link.clogs.add("f1")
        if "cut" in on_its_way:
            link.cuts.add("f2")

    watched.look(now, 1)
    watched.close(now + 60_000 * MS, 2)

    assert [anomaly.kind for anomaly in watched.anomalies] == expected


@pytest.mark.parametrize(
    ("mutant", "seed", "workload", "profile", "signature"),
    [
        ("heartbeat-reply-is-no-contact", 10, "counter", "partitions", "liveness/unavailable/election"),
        ("read-waits-for-the-next-write", 23, "list", "crashes", "liveness/unavailable/read"),
    ],
)
def test_a_planted_bug_is_seen_while_faults_are_in_force(
    mutant: str, seed: int, workload: str, profile: str, signature: str, checkouts: Checkouts, correct: Binding
) -> None:
    planted = bind(f"patch:{MUTANTS / mutant}.patch", checkouts)

    wrong = simulate(drawn(planted, seed, workload=workload, profile=profile), planted).judge()
    right = simulate(drawn(correct, seed, workload=workload, profile=profile), correct).judge()

    assert signature in {anomaly.signature for anomaly in wrong.anomalies}
    assert right.anomalies == ()
