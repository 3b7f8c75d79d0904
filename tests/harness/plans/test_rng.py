"""Streams: named, independent, and the same on every machine."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plans.rng import Stream, streams


def test_a_stream_never_changes_within_a_stream_version() -> None:
    """A seed means a plan only as long as the words of its streams stay the same."""
    stream, other = Stream(1, "nodes", version=1), Stream(1, "x", version=1)

    assert [stream.word() for _ in range(3)] == [0x1D70C3431E0E540, 0x46C7C84E527A9348, 0xDD0EFF4B391442C9]
    assert (other.exponential(10**9), other.log_uniform(10, 10**6), other.below(1000)) == (724_118_888, 538, 792)
    assert other.shuffled(range(5)) == (3, 1, 2, 4, 0)


def test_streams_of_other_names_seeds_and_versions_differ() -> None:
    first_words = [Stream(seed, name, version).word() for seed in (1, 11) for name in ("a", "b") for version in (1, 2)]

    assert len(set(first_words)) == 8


def test_drawing_from_one_stream_shifts_no_other() -> None:
    open_stream = streams(3)
    undisturbed = [open_stream("a").word() for _ in range(1)]

    other = open_stream("b")
    for _ in range(100):
        other.word()

    assert undisturbed == [open_stream("a").word()]


@given(st.integers(0, 2**64), st.integers(1, 2**64))
def test_below_stays_below(seed: int, bound: int) -> None:
    assert 0 <= Stream(seed, "below").below(bound) < bound


@pytest.mark.parametrize("bound", [0, -1, 2**64 + 1])
def test_below_refuses_what_a_word_cannot_hold(bound: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to"):
        Stream(1, "below").below(bound)


def test_below_is_uniform() -> None:
    """Chi-squared over 10 cells; 27.9 is the 99.9 % point of 9 degrees of freedom."""
    stream, draws = Stream(7, "uniform"), 20_000

    counts = Counter(stream.below(10) for _ in range(draws))

    assert sum((counts[cell] - draws / 10) ** 2 / (draws / 10) for cell in range(10)) < 27.9


def test_exponential_has_its_distribution_function() -> None:
    """Kolmogorov-Smirnov against 1 - e^-x; 1.95 / sqrt(n) is its 99.9 % point."""
    stream, draws, mean = Stream(7, "exponential"), 10_000, 10**9

    values = sorted(stream.exponential(mean) for _ in range(draws))

    distance = max(abs(1 - math.exp(-value / mean) - place / draws) for place, value in enumerate(values))
    assert 1.95 / math.sqrt(draws) > distance


def test_log_uniform_gives_each_order_of_magnitude_its_share() -> None:
    stream, draws = Stream(7, "log"), 9_000

    counts = Counter(len(str(stream.log_uniform(10, 9_999_999))) for _ in range(draws))

    assert {2, 3, 4, 5, 6, 7} == set(counts)
    assert all(abs(count - draws / 6) < 5 * math.sqrt(draws / 6) for count in counts.values())


@given(st.integers(0, 1000), st.integers(1, 2**62), st.integers(0, 2**62))
def test_log_uniform_stays_within_its_range(seed: int, low: int, more: int) -> None:
    assert low <= Stream(seed, "log").log_uniform(low, low + more) <= low + more


@given(st.integers(0, 1000), st.lists(st.integers(), max_size=20))
def test_shuffled_loses_and_invents_nothing(seed: int, items: list[int]) -> None:
    assert sorted(items) == sorted(Stream(seed, "shuffle").shuffled(items))


def test_weights_are_kept() -> None:
    stream, draws = Stream(7, "weights"), 10_000

    counts = Counter(stream.weighted((("never", 0), ("one", 1), ("three", 3))) for _ in range(draws))

    assert {"one", "three"} == set(counts)
    assert abs(counts["three"] - draws * 3 // 4) < 5 * math.sqrt(draws * 3 / 16)
