"""What a system declares of itself decides which faults are drawn for it, and the declaration is true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.run.drawing import Abilities, Drawing, abilities_of
from harness.run.runner import Simulation
from harness.systems.binding import Binding
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

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
