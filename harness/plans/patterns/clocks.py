"""Clocks that are wrong: rates, steps, strobes, resets."""

from __future__ import annotations

from typing import Final

from harness.faults.clocks import ClockRate, ClockStep, ClockStrobe
from harness.faults.fault import Fault
from harness.plans.rng import Stream

from .context import FaultContext, boundary_biased, some_nodes

_MILLISECOND: Final = 1_000_000
_HOUR_MS: Final = 3_600_000


def clock_rate(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let clocks run slow or fast, often exactly at the bound of what is allowed."""
    rate_ppm = boundary_biased(stream, context.slowest_ppm, context.fastest_ppm)
    end_ns = context.until(at_ns, context.span(stream, 20, 400))
    return (ClockRate(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_nodes(stream, context), rate_ppm=rate_ppm),)


def clock_step(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Move wall clocks by milliseconds or by an hour."""
    fault = ClockStep(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 5, 200)),
        targets=some_nodes(stream, context),
        step_ns=_step(stream),
        back=stream.chance_ppm(500_000),
    )
    return (fault,)


def _step(stream: Stream) -> int:
    """Milliseconds to an hour, either way."""
    step_ns = stream.log_uniform(1, _HOUR_MS) * _MILLISECOND
    return -step_ns if stream.chance_ppm(500_000) else step_ns


def clock_reset(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Correct a wall clock that was wrong from the start, as a time daemon does when it starts."""
    wrong = [name for name, offset in context.wall_offsets.items() if offset]
    if not wrong:
        return ()
    name = stream.choice(wrong)
    step_ns = -context.wall_offsets[name]
    return (
        ClockStep(
            id="", begin_ns=at_ns, end_ns=context.until(at_ns, context.timeout_ns), targets=(name,), step_ns=step_ns
        ),
    )


def clock_strobe(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Step wall clocks back and forth, periodically."""
    fault = ClockStrobe(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 5, 60)),
        targets=some_nodes(stream, context),
        step_ns=_step(stream),
        period_ns=stream.log_uniform(5, 200) * _MILLISECOND,
    )
    return (fault,)
