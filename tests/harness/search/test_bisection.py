"""Which commit is tried next, and when a bisection may say which is the first bad one."""

from __future__ import annotations

import random
from math import exp, lgamma

import pytest

from harness.search.bisection import Certain, Noisy


@pytest.mark.parametrize("count", [1, 2, 3, 8, 33])
def test_one_run_a_commit_finds_every_first_bad_commit_in_logarithmic_time(count: int) -> None:
    for first_bad in range(count):
        search, runs = Certain(count), 0

        while (at := search.next()) is not None:
            search.observe(at, is_bad=at >= first_bad)
            runs += 1

        assert search.candidates == [first_bad]
        assert runs <= count.bit_length()


def test_skipped_commits_beside_the_first_bad_one_stay_possible() -> None:
    search = Certain(9)

    while (at := search.next()) is not None:
        if at in (4, 5):
            search.skip(at)
        else:
            search.observe(at, is_bad=at >= 5)

    assert search.candidates == [6, 5, 4]


def test_the_posterior_is_that_of_two_unknown_rates() -> None:
    """Against the beta functions written out: the first bad commit separates the counts."""
    search = Noisy(3, confidence=0.99, runs_max=10)
    seen = {-1: (0, 4), 0: (0, 3), 1: (2, 3), 2: (3, 4)}
    for at, (bad, runs) in seen.items():
        for number in range(runs):
            search.observe(at, is_bad=number < bad)

    def beta(bad: int, runs: int) -> float:
        return exp(lgamma(bad + 0.5) + lgamma(runs - bad + 0.5) - lgamma(runs + 1.0))

    weights = [
        beta(*map(sum, zip(*(seen[at] for at in range(-1, first)), strict=True)))
        * beta(*map(sum, zip(*(seen[at] for at in range(first, 3)), strict=True)))
        for first in range(3)
    ]
    assert search.posterior() == pytest.approx([weight / sum(weights) for weight in weights])
    assert search.candidates[0] == 1


@pytest.mark.parametrize(("bad_rate", "good_rate"), [(1.0, 0.0), (0.4, 0.0), (0.7, 0.1)])
def test_the_stated_confidence_is_how_often_it_is_right(bad_rate: float, good_rate: float) -> None:
    """Of searches that stopped at 90 %, nine in ten named the right commit, but for chance: 60 are tried."""
    chance, right, stated = random.Random(7), 0, 0.0
    for _ in range(60):
        first_bad, said = chance.randrange(12), _noisy_search(12, bad_rate, good_rate, chance)
        search = said(first_bad)
        right += search.candidates[0] == first_bad
        stated += search.confidence

    assert right >= 49  # 54 are expected at 90 %: fewer than 49 come once in seventy times
    assert 0.85 <= stated / 60 <= 1


def _noisy_search(count: int, bad_rate: float, good_rate: float, chance: random.Random):  # type: ignore[no-untyped-def]
    def search(first_bad: int) -> Noisy:
        noisy, failed, runs = Noisy(count, confidence=0.9, runs_max=60), 0, 0
        while failed < 3:
            is_bad = chance.random() < bad_rate
            noisy.observe(count - 1, is_bad=is_bad)
            failed, runs = failed + is_bad, runs + 1
        for _ in range(runs):
            noisy.observe(-1, is_bad=chance.random() < good_rate)
        while (at := noisy.next()) is not None:
            noisy.observe(at, is_bad=chance.random() < (bad_rate if at >= first_bad else good_rate))
        return noisy

    return search


def test_commits_that_are_all_skipped_cannot_be_told_apart() -> None:
    search = Noisy(4, confidence=0.9, runs_max=20)
    for _ in range(6):
        search.observe(-1, is_bad=False)
        search.observe(3, is_bad=True)

    while (at := search.next()) is not None:
        if at in (1, 2):
            search.skip(at)
        else:
            search.observe(at, is_bad=False)

    assert sorted(search.candidates) == [1, 2, 3]
    assert search.confidence < 0.5
