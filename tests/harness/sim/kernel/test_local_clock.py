"""Local clocks: piecewise-linear, never backwards, and no timer fires early."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sim.kernel.local_clock import LocalClock

RATES = st.integers(300_000, 3_000_000)
DURATIONS = st.integers(0, 10**10)


def clock(**arguments: Any) -> LocalClock:
    return LocalClock(**({"monotonic_start_ns": 5_000, "wall_start_ns": 9_000_000} | arguments))


@given(RATES, DURATIONS, st.integers(1, 10**10))
def test_when_is_the_first_instant_at_which_the_clock_shows_a_time(rate_ppm: int, now: int, ahead: int) -> None:
    drifting = clock()
    drifting.set_rate(now, rate_ppm)
    local = drifting.monotonic(now) + ahead

    instant = drifting.when(local)

    assert drifting.monotonic(instant) >= local
    assert drifting.monotonic(instant - 1) < local


@given(st.lists(st.tuples(st.sampled_from(["rate", "stop", "resume", "step"]), RATES, DURATIONS), max_size=12))
def test_the_monotonic_clock_never_goes_back_and_never_leaps(changes: list[tuple[str, int, int]]) -> None:
    changing, now, shown = clock(), 0, 5_000
    for what, rate_ppm, duration in changes:
        before = changing.monotonic(now)
        if what == "rate":
            changing.set_rate(now, rate_ppm)
        elif what == "stop":
            changing.stop(now)
        elif what == "resume" and changing.stopped:
            changing.resume(now)
        else:
            changing.step_wall(rate_ppm)
        assert changing.monotonic(now) == before  # a change takes effect from now on

        now += duration
        gone = changing.monotonic(now) - shown

        expected = 0 if changing.stopped else duration * changing.rate_ppm // 10**6
        assert expected <= gone <= expected + 1  # what is shown is rounded down
        shown += gone


@pytest.mark.parametrize(("rate_ppm", "gone"), [(1_000_000, 1_000), (2_000_000, 2_000), (500_000, 500), (3, 0)])
def test_a_rate_is_in_millionths_of_true_time(rate_ppm: int, gone: int) -> None:
    drifting = clock(rate_ppm=rate_ppm)

    assert drifting.monotonic(1_000) == 5_000 + gone


def test_a_stopped_clock_stands_and_goes_on_from_where_it_stood() -> None:
    stopping = clock()

    stopping.stop(100)
    assert stopping.monotonic(100) == stopping.monotonic(900) == 5_100

    stopping.resume(1_000)
    assert stopping.monotonic(1_001) == 5_101
    assert stopping.when(5_200) == 1_100


def test_a_rate_set_while_the_clock_stands_holds_when_it_goes_on() -> None:
    stopping = clock()
    stopping.stop(100)

    stopping.set_rate(500, 2_000_000)

    assert stopping.monotonic(900) == 5_100
    stopping.resume(1_000)
    assert stopping.monotonic(1_010) == 5_120


def test_a_step_moves_the_wall_clock_only() -> None:
    stepping = clock()

    stepping.step_wall(-1_000_000)

    assert stepping.monotonic(50) == 5_050
    assert stepping.wall(50) == 8_000_050


@pytest.mark.parametrize("change", ["rate", "stop"])
def test_the_short_cut_is_offered_only_while_it_holds(change: str) -> None:
    changing = clock()
    offered = [changing.ahead_ns]

    if change == "rate":
        changing.set_rate(100, 1_000_001)
        offered.append(changing.ahead_ns)
        changing.set_rate(2_000_100, 1_000_000)
    else:
        changing.stop(100)
        offered.append(changing.ahead_ns)
        changing.resume(200)

    assert offered == [5_000, None]
    assert changing.ahead_ns == changing.monotonic(3_000_000) - 3_000_000
