"""Clocks that are wrong: rates, steps, strobes, resets."""

from __future__ import annotations

from typing import Final

from harness.faults.clocks import ClockRate, ClockStep, ClockStrobe
from harness.faults.fault import Fault
from harness.plans.rng import Stream

from .ground import Ground, either_end, some_nodes

_MILLISECOND: Final = 1_000_000
_HOUR_MS: Final = 3_600_000


def clock_rate(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Let clocks run slow or fast, often at the very end of what is allowed."""
    rate_ppm = either_end(stream, ground.slowest_ppm, ground.fastest_ppm)
    end_ns = ground.until(at_ns, ground.span(stream, 20, 400))
    return (ClockRate(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_nodes(stream, ground), rate_ppm=rate_ppm),)


def clock_step(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Move wall clocks by milliseconds or by an hour."""
    fault = ClockStep(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 5, 200)),
        targets=some_nodes(stream, ground),
        step_ns=_leap(stream),
        back=stream.chance_ppm(500_000),
    )
    return (fault,)


def _leap(stream: Stream) -> int:
    """Milliseconds to an hour, either way."""
    step_ns = stream.log_uniform(1, _HOUR_MS) * _MILLISECOND
    return -step_ns if stream.chance_ppm(500_000) else step_ns


def clock_reset(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Put a wall clock right that was wrong from the start, as a time daemon does when it comes up."""
    wrong = [name for name, offset in ground.wall_offsets.items() if offset]
    if not wrong:
        return ()
    name = stream.choice(wrong)
    step_ns = -ground.wall_offsets[name]
    return (
        ClockStep(
            id="", begin_ns=at_ns, end_ns=ground.until(at_ns, ground.timeout_ns), targets=(name,), step_ns=step_ns
        ),
    )


def clock_strobe(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Move wall clocks to and fro all the time."""
    fault = ClockStrobe(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 5, 60)),
        targets=some_nodes(stream, ground),
        step_ns=_leap(stream),
        period_ns=stream.log_uniform(5, 200) * _MILLISECOND,
    )
    return (fault,)
