"""Garbage is collected after fixed numbers of rows, and never else."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

import pytest

from harness.sim.kernel.events import Kernel
from harness.sim.kernel.fingerprint import Log
from harness.sim.kernel.garbage import ROWS_BETWEEN
from harness.sim.kernel.trio_seam import run

ROWS_A_TICK = 2
ROWS_A_CYCLE = 512


class Cycle:
    """Something that only a collection ends."""

    def __init__(self) -> None:
        self.itself = self


def lives(*, collects: bool, rows: int) -> list[int]:
    """How many of the cycles that were made live, each time after one was made."""
    log = Log(keep=False)
    kernel = Kernel(seed=1, log=log)
    cycles: list[weakref.ref[Cycle]] = []
    living: list[int] = []

    def tick(_: None) -> None:
        if log.index % ROWS_A_CYCLE == 0:
            cycles.append(weakref.ref(Cycle()))
            living.append(sum(cycle() is not None for cycle in cycles))
        for _row in range(ROWS_A_TICK):
            log.append((kernel.now, "mark", "n1", "rare"))
        if log.index < rows:
            kernel.exactly(kernel.now + 1_000, tick)
        else:
            kernel.stop("done")

    async def main() -> None:
        kernel.exactly(0, tick)
        await kernel.supervise()

    gc.collect()
    run(main, kernel, collects=collects)
    return living


def test_cycles_live_until_a_fixed_number_of_rows() -> None:
    living = lives(collects=True, rows=3 * ROWS_BETWEEN - 4_096)

    drops = [made for made, (before, after) in enumerate(pairwise(living), 1) if after < before]
    assert [made * ROWS_A_CYCLE // ROWS_BETWEEN for made in drops] == [1, 2]
    assert [living[made] < 10 for made in drops] == [True, True]
    assert lives(collects=True, rows=3 * ROWS_BETWEEN - 4_096) == living


def test_nothing_is_collected_where_code_may_leave_something_to_finalizers() -> None:
    living = lives(collects=False, rows=2 * ROWS_BETWEEN)

    assert living == list(range(1, len(living) + 1))


@pytest.mark.parametrize("collects", [True, False])
def test_a_run_leaves_the_collector_as_it_was(collects: bool) -> None:
    cycle = Cycle()
    watched = weakref.ref(cycle)

    lives(collects=collects, rows=2 * ROWS_BETWEEN)

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    del cycle
    gc.collect()
    assert watched() is None
