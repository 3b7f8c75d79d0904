"""Signatures over nights: since when, how often, and what the latest night says of it."""

from __future__ import annotations

import pytest

from harness.search.signatures import Cell, Night, Sighting, Trend, histories, trend
from harness.search.statistics import wilson

REGISTER, COUNTER = ("register", "swarm"), ("counter", "swarm")


def night(day: int, **runs: int) -> Night:
    cells: dict[Cell, int] = {(workload, "swarm"): number for workload, number in runs.items()}
    return Night(campaign=f"c{day}", started=f"2026-11-{day:02}T01:00:00", ref=f"ref{day}", runs=cells)


def sighting(day: int, seed: int, *, cell: Cell = REGISTER, signature: str = "s", ops: int = 50) -> Sighting:
    return Sighting(
        campaign=f"c{day}",
        cell=cell,
        signature=signature,
        seed=seed,
        ops=ops,
        simulated_seconds=1.0,
        reproduce=f"foreshock run --seed {seed}",
    )


def test_a_signature_has_its_first_and_last_night_its_rate_and_its_shortest_seed() -> None:
    nights = [night(3, register=100, counter=100), night(1, register=100), night(2, counter=500)]
    seen = [sighting(1, 7), sighting(3, 8, ops=20), sighting(3, 9)]

    (found,) = histories(nights, seen)

    assert (found.first, found.first_ref) == ("2026-11-01T01:00:00", "ref1")
    assert (found.last, found.last_ref) == ("2026-11-03T01:00:00", "ref3")
    assert (found.runs, found.of, found.rate) == (3, 200, 0.015)
    assert (found.rate_low, found.rate_high) == tuple(round(bound, 6) for bound in wilson(3, 200))
    assert (found.seed, found.ops, found.reproduce) == (8, 20, "foreshock run --seed 8")
    assert found.nights == (0.01, None, 0.02)
    assert found.bars == "▄ █"


def test_a_rate_is_over_the_cells_in_which_the_signature_was_ever_seen() -> None:
    nights = [night(1, register=10, counter=90)]

    rates = {one.signature: one.of for one in histories(nights, [sighting(1, 1), sighting(1, 2, cell=COUNTER)])}
    other = {one.signature: one.of for one in histories(nights, [sighting(1, 1), sighting(1, 2, signature="t")])}

    assert (rates, other) == ({"s": 100}, {"s": 10, "t": 10})


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ([(3, 100)], "new"),
        ([(0, 100), (3, 100)], "new"),
        ([(3, 100), (4, 100)], "steady"),
        ([(3, 100), (40, 100)], "rising"),
        ([(40, 100), (3, 100)], "falling"),
        ([(10, 100), (0, 100)], "gone"),
        ([(1, 100), (0, 100)], "not seen"),
        ([(100, 100), (0, 1)], "gone"),
    ],
)
def test_the_trend_says_only_what_the_latest_night_can_show(hits: list[tuple[int, int]], expected: Trend) -> None:
    assert trend(hits) == expected
