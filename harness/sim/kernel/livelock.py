"""Budgets that end a run which makes no progress: counted in events and scheduler passes, never in seconds.

A limit in wall time would make a verdict depend on the machine.
"""

from __future__ import annotations

from typing import Final

_PASSES_AT_ONE_INSTANT_MAX: Final = 5_000
"""More Trio passes than this without time moving: a task spins (about 20 ms of wall time)."""

_WINDOW_EVENTS: Final = 4_096
"""How often, in events, the event budget is checked."""

_SECOND_NS: Final = 1_000_000_000


class Livelock(Exception):
    """Events without end while time stands still, or nearly so."""


class LivelockGuard:
    """Counts events and passes, and says when there are too many."""

    def __init__(self, *, events_per_second_max: int, events_max: int) -> None:
        self._events_per_second_max, self._events_max = events_per_second_max, events_max
        self.passes = 0
        self._pass_instant_ns = -1
        self._passes_at_instant = 0
        self._window_begin_ns, self._window_begin_events = 0, 0

    def count_pass(self, now: int) -> Livelock | None:
        """Count a pass of Trio's scheduler. After a livelock as many passes are allowed again, for the cancellation."""
        self.passes += 1
        if now != self._pass_instant_ns:
            self._pass_instant_ns, self._passes_at_instant = now, 0
            return None
        self._passes_at_instant += 1
        if self._passes_at_instant <= _PASSES_AT_ONE_INSTANT_MAX:
            return None
        self._passes_at_instant = 0
        return Livelock(f"{_PASSES_AT_ONE_INSTANT_MAX} scheduler passes without time moving")

    def check_events(self, now: int, events: int) -> Livelock | None:
        """Check the number of events so far against the budgets of the run and of one virtual second."""
        in_window = events - self._window_begin_events
        if in_window < _WINDOW_EVENTS:
            return None
        if events > self._events_max:
            return Livelock(f"more than {self._events_max} events in one run")
        if now - self._window_begin_ns >= _SECOND_NS:
            self._window_begin_ns, self._window_begin_events = now, events
        elif in_window > self._events_per_second_max:
            return Livelock(f"more than {self._events_per_second_max} events in one virtual second")
        return None
