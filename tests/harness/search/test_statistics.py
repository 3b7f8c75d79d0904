"""Exact tests agree with what can be counted by hand."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product
from math import inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.search.statistics import (
    binomial_p,
    censored_quantile,
    holm,
    mean_interval,
    median,
    median_interval,
    resampled,
)


@pytest.mark.parametrize(
    ("fewer", "more", "p"),
    [
        (0, 0, Fraction(1)),
        (0, 1, Fraction(1)),
        (0, 5, Fraction(1, 16)),
        (0, 6, Fraction(1, 32)),
        (1, 7, Fraction(9, 128)),
    ],
)
def test_the_binomial_p_value_is_exact(fewer: int, more: int, p: Fraction) -> None:
    assert binomial_p(fewer, more) == p


@given(st.integers(0, 9), st.integers(0, 4))
def test_the_p_value_counts_coin_sequences_at_least_as_lopsided(fewer: int, more: int) -> None:
    """By definition: of all sequences of fair coins, the share that is at least as far from the middle."""
    count = fewer + more
    far = abs(fewer - more)
    lopsided = sum(1 for coins in product((0, 1), repeat=count) if abs(count - 2 * sum(coins)) >= far)

    assert binomial_p(fewer, more) == Fraction(lopsided, 2**count)


@given(st.lists(st.integers(-50, 50), min_size=1))
def test_of_values_seen_whole_a_quantile_is_the_smallest_that_enough_do_not_exceed(values: list[int]) -> None:
    for share_ppm in (1, 250_000, 500_000, 990_000, 1_000_000):
        found = censored_quantile([(value, True) for value in values], share_ppm)

        assert found is not None
        assert sum(value <= found for value in values) * 1_000_000 >= share_ppm * len(values)
        below = [value for value in values if value < found]
        assert len(below) * 1_000_000 < share_ppm * len(values)


def test_of_nothing_there_is_no_median() -> None:
    assert median([]) is None
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5


def test_holm_corrects_for_the_number_of_tests_and_keeps_their_order() -> None:
    """Worked by hand: 0.01 * 4, then 0.013 * 3 which may not fall below it, then 0.03 * 2, then 0.8."""
    assert holm([0.03, 0.01, 0.8, 0.013]) == pytest.approx([0.06, 0.04, 0.8, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("count", [*range(1, 24), 100])
def test_the_interval_of_a_median_is_the_sign_test_turned_round(count: int) -> None:
    """A median outside of it is one that the sign test rejects, and no other is."""
    values = [float(value) for value in range(count)]

    found = median_interval(values)

    kept = [
        middle
        for middle in (place - 0.5 for place in range(count + 1))
        if binomial_p(sum(value < middle for value in values), sum(value > middle for value in values)) > 0.05
    ]
    assert (found is None) == (count < 6)
    if found is not None:
        assert found == (min(kept) - 0.5, max(kept) + 0.5)


def test_the_interval_of_a_mean_is_the_usual_one() -> None:
    low, high = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]) or (0.0, 0.0)

    assert (round(low, 4), round(high, 4)) == (1.6141, 4.3859)
    assert mean_interval([1.0]) is None


def test_resampled_intervals_cover_what_they_should_and_say_the_same_twice() -> None:
    """Of 60 samples of 40 from a skewed distribution, 95 % intervals cover its median and its mean in most."""
    chance = random.Random(3)
    covered = {"median": 0, "mean": 0}
    for _ in range(60):
        values = [chance.expovariate(1.0) for _ in range(40)]
        low, high, how = resampled(values, 0.95)
        covered["median"] += (low or 0) <= log(2) <= (high or 0)
        assert how == "bootstrap"
        low, high, how = resampled(values, 0.95, is_mean=True)
        covered["mean"] += (low or 0) <= 1.0 <= (high or 0)
        assert how == "BCa"

    assert min(covered.values()) >= 53
    assert resampled(values, 0.95) == resampled(values, 0.95)


def test_a_higher_level_makes_a_wider_interval() -> None:
    chance = random.Random(4)
    values = [chance.gauss(0.0, 1.0) for _ in range(60)]

    (low, high, _), (lower, higher, _) = resampled(values, 0.95), resampled(values, 0.99)

    assert (lower or 0) < (low or 0) < (high or 0) < (higher or 0)


def test_values_that_cannot_be_resampled_have_the_exact_interval_or_none() -> None:
    assert resampled([2.0] * 40, 0.95) == (2.0, 2.0, "exact")
    assert resampled([1.0, inf] * 20, 0.95) == (1.0, inf, "exact")
    assert resampled([1.0] * 5, 0.95) == (None, None, "")
    assert resampled([0.5] * 9, 0.95, is_mean=True) == (0.5, 0.5, "normal")


def test_a_censored_value_spreads_over_what_is_larger() -> None:
    """Worked by hand: after 1 of 4, 3/4 are left; 2 is censored; after 3 of two, 3/8; after 4, nothing."""
    values = [(1.0, True), (2.0, False), (3.0, True), (4.0, True)]

    found = [censored_quantile(values, share) for share in (250_000, 260_000, 625_000, 630_000, 1_000_000)]

    assert found == [1.0, 3.0, 3.0, 4.0, 4.0]
    assert censored_quantile([(1.0, True), (9.0, False), (9.0, False)], 500_000) is None
    assert censored_quantile([(1.0, False), (1.0, True)], 500_000) == 1.0
    assert censored_quantile([], 500_000) is None
