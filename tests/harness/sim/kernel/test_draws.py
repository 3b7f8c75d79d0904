"""Draws: chance is a pure function of (seed, key, ordinal), made of integers only."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sim.kernel.draws import EXPONENTIAL_MILLIONTHS, Chance, Counter, Draws

ORDINALS = st.integers(0, 5_000)


@given(st.lists(ORDINALS, min_size=1, max_size=30))
def test_a_draw_depends_on_its_ordinal_and_on_nothing_asked_before(ordinals: list[int]) -> None:
    shared = Draws(Chance(7), "link", "n1", "n2")

    asked = [shared.at(ordinal) for ordinal in ordinals]

    assert asked == [Draws(Chance(7), "link", "n1", "n2").at(ordinal) for ordinal in ordinals]


def test_blocks_are_the_same_stream_as_single_draws() -> None:
    draws = Draws(Chance(7), "delay")

    blocks = [value for number in range(12) for value in draws.block(number)]

    assert blocks == [draws.at(ordinal) for ordinal in range(192)]
    assert len(set(blocks)) == 192


def test_a_counter_reads_the_stream_of_its_key_in_order() -> None:
    counter, draws = Counter(Chance(3), "fsync", "n1"), Draws(Chance(3), "fsync", "n1")

    assert [counter.take() for _ in range(130)] == [draws.at(ordinal) for ordinal in range(130)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, "a"), (2, "a")),
        ((1, "a"), (1, "b")),
        ((1, "a", "b"), (1, "ab")),
        ((1, "a", "b"), (1, "b", "a")),
        ((1, "2"), (12, "")),
    ],
)
def test_other_seeds_and_other_keys_are_other_streams(one: tuple[int, str], other: tuple[int, str]) -> None:
    first, second = Draws(Chance(one[0]), *one[1:]), Draws(Chance(other[0]), *other[1:])

    assert not {first.at(i) for i in range(64)} & {second.at(i) for i in range(64)}


def test_draws_are_the_same_on_every_machine() -> None:
    """Pinned: a change of these values changes what every stored plan means, and must change the world's version."""
    draws = Draws(Chance(1), "delay", "n1", "n2", "append")

    assert [draws.at(ordinal) for ordinal in (0, 63, 64, 1_000)] == [
        1_550_040_224_389_003_443,
        12_731_784_485_486_078_983,
        13_699_738_524_476_739_742,
        3_581_970_055_441_245_988,
    ]


@given(st.integers(1, 2**40), st.integers(0, 2**20))
def test_bounds_are_kept(span: int, low: int) -> None:
    counter = Counter(Chance(span), "bounds")

    for _ in range(20):
        assert 0 <= counter.below(span) < span
        assert low <= counter.between(low, low + span) <= low + span


def test_draws_below_a_bound_are_even() -> None:
    counter = Counter(Chance(5), "even")

    counts = [0] * 8
    for _ in range(8_000):
        counts[counter.below(8)] += 1

    assert all(880 < count < 1_120 for count in counts)  # 1,000 each; four standard deviations are 118


def test_the_exponential_table_holds_the_quantiles_of_mean_one() -> None:
    quantiles = [-math.log((2 * i + 1) / 2048) for i in range(1024)]

    assert sorted(EXPONENTIAL_MILLIONTHS) == list(EXPONENTIAL_MILLIONTHS)
    assert len(EXPONENTIAL_MILLIONTHS) == 1024
    for entry, quantile in zip(EXPONENTIAL_MILLIONTHS, sorted(quantiles), strict=True):
        assert abs(entry - quantile * 1e6) <= 1
    assert 990_000 < statistics.mean(EXPONENTIAL_MILLIONTHS) < 1_000_001


def test_a_redraw_changes_what_is_still_to_come_and_nothing_else() -> None:
    chance, usual = Chance(3, will_redraw=True), Counter(Chance(3), "fsync", "n1")
    counter, draws = Counter(chance, "fsync", "n1"), Draws(chance, "delay")
    taken = [usual.take() for _ in range(5)]
    first = draws.at(0)

    before = [counter.take() for _ in range(5)]
    chance.redraw("a salt")

    assert before == taken
    assert counter.take() != usual.take()
    assert draws.at(0) != first
    assert draws.at(0) == draws.at(0)


def test_whoever_draws_the_seed_of_a_sequence_is_called_when_all_have_forgotten() -> None:
    chance = Chance(3, will_redraw=True)
    seen: list[int] = []
    chance.after.append(lambda: seen.append(counter.take()))
    counter, salted = Counter(chance, "random"), Counter(Chance(3), "random")

    before = counter.take(), salted.take()
    chance.redraw("a salt")

    assert before[0] == before[1]
    assert len(seen) == 1
    assert seen[0] != salted.take()
