"""What a system declares of itself decides which faults are drawn for it, and the declaration is true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.run.declarations import undeclared
from harness.run.drawing import Abilities, Drawing, abilities_of
from harness.run.runner import Simulation
from harness.systems.binding import Binding
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

MUTANTS = Path(__file__).parents[2] / "mutants"
WALL_CLOCK = {"clock-step", "clock-strobe"}


@pytest.fixture(scope="module")
def raft() -> Iterator[Binding]:
    with Checkouts() as checkouts:
        yield bind("raft_impl", checkouts)


@pytest.fixture(scope="module")
def able(raft: Binding) -> Abilities:
    return abilities_of(load_systems(raft).values())


def test_no_wall_clock_fault_is_drawn_for_a_system_that_reads_no_wall_clock(able: Abilities) -> None:
    drawn = {fault.kind for seed in range(20) for fault in Drawing(profile="clocks").plan(seed, able).faults}

    assert not drawn & WALL_CLOCK
    assert "clock-rate" in drawn


def test_raft_impl_reads_no_wall_clock_as_it_declares(raft: Binding, able: Abilities) -> None:
    simulation = Simulation(Drawing(profile="swarm", duration_ns=2 * 10**9).plan(1, able), load_systems(raft))

    simulation.run()

    assert "wall-clock" not in load_systems(raft)["default"].capabilities
    assert {host.clock.wall_reads for host in simulation.world.hosts.values()} == {0}
    assert simulation.world.network.delivered > 100
    assert undeclared(simulation.world, simulation.capabilities) == []


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        (("disk", "leader"), ["node/undeclared/wall-clock"]),
        (("disk", "wall-clock"), []),
        ((), []),
    ],
)
def test_a_node_that_reads_its_wall_clock_must_be_of_a_system_that_declares_it(
    declared: tuple[str, ...], found: list[str], raft: Binding, able: Abilities
) -> None:
    simulation = Simulation(Drawing(profile="calm", duration_ns=10**9).plan(1, able), load_systems(raft))
    simulation.run()

    simulation.world.hosts["n2"].clock.wall_ns()

    assert [anomaly.signature for anomaly in undeclared(simulation.world, declared)] == found


def test_a_lease_that_is_counted_on_the_wall_clock_is_seen_though_no_plan_moves_it(able: Abilities) -> None:
    with Checkouts() as checkouts:
        planted = bind(f"patch:{MUTANTS / 'lease-by-wall-clock'}.patch", checkouts)
        plan = Drawing(profile="swarm", duration_ns=2 * 10**9, explicit={"reads": "lease"}).plan(1, able)
        simulation = Simulation(plan, load_systems(planted))
        simulation.run()

        assert {anomaly.signature for anomaly in simulation.judge().anomalies} == {"node/undeclared/wall-clock"}
