"""The timer of one process: wakes it when its host's monotonic clock shows a given time.

A process sets its timer far more often than the timer fires, nearly always to a later time. So one heap entry is kept
while it is early enough: when it comes up before the deadline, the timer is armed again. A change of the clock's rate
makes the entry meaningless, and `rearm` replaces it.
"""

from __future__ import annotations

from collections.abc import Callable

from .conditions import Pauses
from .kernel.events import FAR, Kernel
from .kernel.local_clock import LocalClock
from .lifetime import Lifetime


class Timer:
    """One deadline on a local monotonic clock, and the heap entry that watches it."""

    def __init__(
        self,
        kernel: Kernel,
        ordinal: int,
        *,
        clock: LocalClock,
        pauses: Pauses,
        lifetime: Lifetime,
        fire: Callable[[], None],
    ) -> None:
        self._kernel, self._ordinal = kernel, ordinal
        self._clock, self._pauses, self._lifetime = clock, pauses, lifetime
        self._fire = fire
        self.deadline_ns = FAR  # on the local monotonic clock; FAR when the process waits for no time
        self.armed_ns = FAR  # virtual time of the heap entry that counts
        self._armed_for_ns = FAR  # the deadline for which that entry was made, while the clock's rate is unchanged
        self._generation = 0  # older heap entries are ignored

    def arm(self, local_ns: int) -> None:
        """Fire when the monotonic clock shows this time."""
        self.deadline_ns = local_ns
        if local_ns >= self._armed_for_ns or self._clock.stopped:  # a clock that resumes arms the timer again
            return
        when = self._clock.when(local_ns)
        if when < self.armed_ns:
            self._generation += 1
            self.armed_ns, self._armed_for_ns = when, local_ns
            self._kernel.at(when, self._ordinal, self._on_time, self._generation)

    def disarm(self) -> None:
        """Wait for no time."""
        self.deadline_ns = FAR

    def rearm(self) -> None:
        """The clock's rate changed: compute anew when the deadline is reached."""
        self._armed_for_ns = FAR
        if self.deadline_ns < FAR:
            self._generation += 1
            self.armed_ns = FAR
            self.arm(self.deadline_ns)

    def clock_moved(self) -> None:
        """A script moved the clock: fire if the deadline has been reached."""
        if self._clock.monotonic_ns() >= self.deadline_ns:
            self.disarm()
            self._fire()

    def _on_time(self, generation: int) -> None:
        if generation != self._generation or self._lifetime.dead:
            return
        if self._pauses.in_force:
            self._pauses.hold(self._on_time, generation)
            return
        self.armed_ns = self._armed_for_ns = FAR
        if self.deadline_ns >= FAR:
            return
        if self._clock.monotonic_ns() < self.deadline_ns:
            self.arm(self.deadline_ns)
            return
        self.disarm()
        self._fire()
