"""Tests that may be looked at after every pair: exact where they have a closed form, and never wrong too often."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product

import pytest

from harness.search.measures import LOWER_IS_BETTER, MAX_REGRESSION, Measures
from harness.search.sequential import VERDICTS, Coin, Mean, Sequential


def thrown(throws: str) -> float:
    coin = Coin()
    for throw in throws:
        coin.add(throw == "h")
    return coin.capital


def test_the_capital_of_a_coin_is_the_mixture_over_all_coins_that_favour_heads() -> None:
    """By hand, twice the integral from 1/2 to 1: of 2p it is 3/2, of 4p(1-p) 2/3, of 4(1-p)^2 1/3."""
    assert thrown("") == 1.0
    assert thrown("h") == 1.5
    assert thrown("ht") == thrown("th") == pytest.approx(2 / 3)
    assert thrown("tt") == pytest.approx(1 / 3)


@pytest.mark.parametrize("count", range(1, 11))
def test_a_fair_coin_makes_nobody_rich(count: int) -> None:
    """Over all sequences the capital is 1 on average, exactly: what Ville's inequality rests on."""
    total = sum(Fraction(thrown("".join(throws))) for throws in product("ht", repeat=count))

    assert float(total / 2**count) == pytest.approx(1.0)


def test_a_fair_coin_that_is_looked_at_always_is_accused_no_oftener_than_the_level_allows() -> None:
    """Of 1,000 fair coins, each looked at after each of 100 throws, 5 % at most ever reach a capital of 20."""
    chance, accused = random.Random(1), 0
    for _ in range(1000):
        coin, most = Coin(), 0.0
        for _ in range(100):
            coin.add(chance.random() < 0.5)
            most = max(most, coin.capital)
        accused += most >= 20

    assert 0 < accused <= 50


def test_a_mean_at_its_limit_is_accused_no_oftener_than_the_level_allows() -> None:
    """Mostly nothing, and now and then a large difference: the shape that fools a test by normal approximation."""
    chance, accused = random.Random(2), 0
    for _ in range(500):
        mean, most = Mean(0.01), 0.0
        for _ in range(150):
            mean.add(1.0 if chance.random() < 0.01 else 0.0)  # its mean is the limit
            most = max(most, mean.capital)
        accused += most >= 20

    assert accused <= 25


def test_a_mean_above_its_limit_is_found() -> None:
    mean = Mean(0.01)
    for _ in range(40):
        mean.add(0.2)

    assert mean.capital > 100


def usual(**values: float) -> Measures:
    return {**dict.fromkeys(LOWER_IS_BETTER, 1.0), **values}


def test_a_comparison_is_accused_by_the_test_that_saw_it_and_no_sooner_than_it_may() -> None:
    """With 9 tests at 5 % a capital of 180 is needed: 10 pairs of one direction have 1024 * 2 / 11, nine have not."""
    tests = Sequential(MAX_REGRESSION, 0.05)
    assert tests.needed == pytest.approx(180)

    for _ in range(9):
        tests.add((False, False), usual(), usual(latency_p50_ms=1.5))
    before = tests.accuses
    tests.add((False, False), usual(), usual(latency_p50_ms=1.5))

    assert (before, tests.accuses) == ((), ("latency_p50_ms",))
    looked = tests.looked(50)
    assert (looked.pairs, looked.of, looked.test) == (10, 50, "mixture SPRT")
    assert looked.capital["elections"] < 1 < 180 < looked.capital["latency_p50_ms"]


def test_what_is_worse_by_less_than_is_allowed_is_no_evidence() -> None:
    tests = Sequential(MAX_REGRESSION, 0.05)
    for _ in range(200):
        tests.add((False, False), usual(), usual(latency_p50_ms=1.09))

    assert tests.accuses == ()
    assert tests.looked(200).capital["latency_p50_ms"] < 0.01


def test_failures_are_a_test_of_their_own_and_pairs_without_a_value_are_none() -> None:
    tests = Sequential(MAX_REGRESSION, 0.05)
    for _ in range(12):
        tests.add((False, True), {}, {})
        tests.add((True, True), {}, {})

    assert tests.accuses == (VERDICTS,)
    assert {capital for name, capital in tests.looked(24).capital.items() if name != VERDICTS} == {1.0}
