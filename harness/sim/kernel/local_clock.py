"""An actor's clocks as piecewise-linear maps of virtual time.

Both clocks run at `rate_ppm` millionths of true time. Steps move the wall clock only; a pause may stop both. Rounding
is chosen so that when virtual time has reached `when(local)`, the clock shows at least `local`: a timer never fires
early.
"""

from __future__ import annotations

from typing import Final

PERFECT_PPM: Final = 1_000_000


class LocalClock:
    """Monotonic and wall clock of one actor. Every method takes the current virtual time."""

    __slots__ = ("_global0", "_local0", "ahead_ns", "rate_ppm", "stopped", "wall_offset_ns", "wall_reads")

    def __init__(self, *, monotonic_start_ns: int, wall_start_ns: int, rate_ppm: int = PERFECT_PPM) -> None:
        self._global0 = 0
        self._local0 = monotonic_start_ns
        self.rate_ppm = rate_ppm
        self.wall_offset_ns = wall_start_ns - monotonic_start_ns
        self.wall_reads = 0  # how often the wall clock was read
        self.stopped = False
        self.ahead_ns: int | None = None
        """Monotonic minus virtual time, while it is constant; `SimClock` reads it at every step."""
        self._recompute_ahead()

    def monotonic(self, now: int) -> int:
        """What the monotonic clock shows at virtual time `now`."""
        if self.stopped:
            return self._local0
        if self.rate_ppm == PERFECT_PPM:
            return self._local0 + now - self._global0
        return self._local0 + (now - self._global0) * self.rate_ppm // PERFECT_PPM

    def wall(self, now: int) -> int:
        """What the wall clock shows at virtual time `now`."""
        self.wall_reads += 1
        return self.monotonic(now) + self.wall_offset_ns

    def when(self, local: int) -> int:
        """The first virtual time at which the monotonic clock shows `local` or more, at the present rate."""
        ahead = local - self._local0
        if self.rate_ppm == PERFECT_PPM:
            return self._global0 + ahead
        return self._global0 - (-ahead * PERFECT_PPM // self.rate_ppm)

    def set_rate(self, now: int, rate_ppm: int) -> None:
        """Run at another rate from now on; armed timers must be re-aimed."""
        self._anchor(now)
        self.rate_ppm = rate_ppm
        self._recompute_ahead()

    def stop(self, now: int) -> None:
        """Stand still, as the clocks of a suspended machine do."""
        self._anchor(now)
        self.stopped = True
        self._recompute_ahead()

    def resume(self, now: int) -> None:
        """Run again, from where it stood."""
        self._global0 = now
        self.stopped = False
        self._recompute_ahead()

    def advance(self, span_ns: int) -> None:
        """Move a stopped clock by hand."""
        if not self.stopped:
            raise ValueError("only a stopped clock is moved by hand")
        self._local0 += span_ns

    def step_wall(self, step_ns: int) -> None:
        """Move the wall clock."""
        self.wall_offset_ns += step_ns

    def _anchor(self, now: int) -> None:
        self._local0 = self.monotonic(now)
        self._global0 = now

    def _recompute_ahead(self) -> None:
        steady = self.rate_ppm == PERFECT_PPM and not self.stopped
        self.ahead_ns = self._local0 - self._global0 if steady else None
