"""An actor's clocks as piecewise-linear maps of virtual time.

Both clocks run at `rate_ppm` millionths of true time. Steps move the wall clock only; a pause may stop both. Rounding
is chosen so that when virtual time has reached `when(local)`, the clock shows at least `local`: a timer never fires
early.
"""

from __future__ import annotations

from typing import Final, Protocol

PERFECT_PPM: Final = 1_000_000


class VirtualClock(Protocol):
    """What shows virtual time: the kernel."""

    now: int


class LocalClock:
    """Monotonic and wall clock of one actor."""

    __slots__ = (
        "_running_ppm",
        "_since_local_ns",
        "_since_virtual_ns",
        "_virtual",
        "rate_ppm",
        "stopped",
        "wall_offset_ns",
        "wall_reads",
    )

    def __init__(
        self, virtual: VirtualClock, *, monotonic_start_ns: int, wall_start_ns: int, rate_ppm: int = PERFECT_PPM
    ) -> None:
        self._virtual = virtual
        self._since_virtual_ns = virtual.now  # the rate is what it is since then,
        self._since_local_ns = monotonic_start_ns  # when the monotonic clock showed this
        self._running_ppm = rate_ppm  # the rate; zero while the clock stands still
        self.rate_ppm = rate_ppm
        self.stopped = False
        self.wall_offset_ns = wall_start_ns - monotonic_start_ns
        self.wall_reads = 0  # how often the wall clock was read

    def monotonic_ns(self) -> int:
        """What the monotonic clock shows."""
        gone_ns = self._virtual.now - self._since_virtual_ns
        return self._since_local_ns + gone_ns * self._running_ppm // PERFECT_PPM

    def wall_ns(self) -> int:
        """What the wall clock shows."""
        self.wall_reads += 1
        return self.monotonic_ns() + self.wall_offset_ns

    def when(self, local_ns: int) -> int:
        """The first virtual time at which the monotonic clock shows `local_ns` or more, at the present rate."""
        ahead_ns = local_ns - self._since_local_ns
        return self._since_virtual_ns - (-ahead_ns * PERFECT_PPM // self.rate_ppm)

    def set_rate(self, rate_ppm: int) -> None:
        """Run at another rate from now on; armed timers must be re-aimed."""
        self.rate_ppm = rate_ppm
        if not self.stopped:
            self._run_at(rate_ppm)

    def stop(self) -> None:
        """Stand still, as the clocks of a suspended machine do."""
        self.stopped = True
        self._run_at(0)

    def resume(self) -> None:
        """Run again, from where it stood."""
        self.stopped = False
        self._run_at(self.rate_ppm)

    def advance(self, span_ns: int) -> None:
        """Move a stopped clock by hand."""
        if not self.stopped:
            raise ValueError("only a stopped clock is moved by hand")
        self._since_local_ns += span_ns

    def step_wall(self, step_ns: int) -> None:
        """Move the wall clock."""
        self.wall_offset_ns += step_ns

    def _run_at(self, ppm: int) -> None:
        self._since_local_ns, self._since_virtual_ns = self.monotonic_ns(), self._virtual.now
        self._running_ppm = ppm
