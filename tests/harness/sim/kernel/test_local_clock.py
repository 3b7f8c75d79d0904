"""Local clocks: piecewise-linear, never backwards, and no timer fires early."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sim.kernel.local_clock import LocalClock

RATES = st.integers(300_000, 3_000_000)
DURATIONS = st.integers(0, 10**10)


class Virtual:
    """Virtual time, set by hand."""

    now = 0


def clock(**arguments: Any) -> tuple[Virtual, LocalClock]:
    virtual = Virtual()
    return virtual, LocalClock(virtual, **({"monotonic_start_ns": 5_000, "wall_start_ns": 9_000_000} | arguments))


@given(RATES, DURATIONS, st.integers(1, 10**10))
def test_when_is_the_first_instant_at_which_the_clock_shows_a_time(rate_ppm: int, now: int, ahead: int) -> None:
    virtual, drifting = clock()
    virtual.now = now
    drifting.set_rate(rate_ppm)
    local_ns = drifting.monotonic_ns() + ahead

    instant = drifting.when(local_ns)

    virtual.now = instant
    assert drifting.monotonic_ns() >= local_ns
    virtual.now = instant - 1
    assert drifting.monotonic_ns() < local_ns


@given(st.lists(st.tuples(st.sampled_from(["rate", "stop", "resume", "step"]), RATES, DURATIONS), max_size=12))
def test_the_monotonic_clock_never_goes_back_and_never_leaps(changes: list[tuple[str, int, int]]) -> None:
    (virtual, changing), shown = clock(), 5_000
    for what, rate_ppm, duration in changes:
        before = changing.monotonic_ns()
        if what == "rate":
            changing.set_rate(rate_ppm)
        elif what == "stop":
            changing.stop()
        elif what == "resume":
            changing.resume()
        else:
            changing.step_wall(rate_ppm)
        assert changing.monotonic_ns() == before  # a change takes effect from now on

        virtual.now += duration
        gone = changing.monotonic_ns() - shown

        expected = 0 if changing.stopped else duration * changing.rate_ppm // 10**6
        assert expected <= gone <= expected + 1  # what is shown is rounded down
        shown += gone


@pytest.mark.parametrize(("rate_ppm", "gone"), [(1_000_000, 1_000), (2_000_000, 2_000), (500_000, 500), (3, 0)])
def test_a_rate_is_in_millionths_of_true_time(rate_ppm: int, gone: int) -> None:
    virtual, drifting = clock(rate_ppm=rate_ppm)

    virtual.now = 1_000

    assert drifting.monotonic_ns() == 5_000 + gone


def test_a_stopped_clock_stands_and_goes_on_from_where_it_stood() -> None:
    virtual, stopping = clock()
    shown = []

    for now, change in ((100, stopping.stop), (900, None), (1_000, stopping.resume), (1_001, None)):
        virtual.now = now
        if change is not None:
            change()
        shown.append(stopping.monotonic_ns())

    assert shown == [5_100, 5_100, 5_100, 5_101]
    assert stopping.when(5_200) == 1_100


def test_a_rate_set_while_the_clock_stands_holds_when_it_goes_on() -> None:
    virtual, stopping = clock()
    virtual.now = 100
    stopping.stop()

    virtual.now = 500
    stopping.set_rate(2_000_000)
    virtual.now = 900
    stood = stopping.monotonic_ns()
    virtual.now = 1_000
    stopping.resume()
    virtual.now = 1_010

    assert (stood, stopping.monotonic_ns()) == (5_100, 5_120)


def test_a_step_moves_the_wall_clock_only() -> None:
    virtual, stepping = clock()
    virtual.now = 50

    stepping.step_wall(-1_000_000)

    assert stepping.monotonic_ns() == 5_050
    assert stepping.wall_ns() == 8_000_050
