"""Budgets that end a run which makes no progress: counted in events, passes and steps, never in seconds.

A limit in wall time would make a verdict depend on the machine. What is counted is *how much happens in how much
virtual time*, so that a run is ended soon after it began to run in circles, and not after a fixed number of events:

* at one instant: passes of the scheduler, and steps or answers of one actor that asks to be woken in the past;
* in one virtual second and in ten: events. With the rate R they may be R and 5R/2, so that a burst (what a partition
  held back is worked off at once) may be four times denser than what goes on for long.

R grows with the number of actors and with what clients ask (`events_per_second_max`). `python -m benchmarks.bounds`
prints how near ordinary runs come to it.
"""

from __future__ import annotations

from typing import Final

_PASSES_AT_ONE_INSTANT_MAX: Final = 5_000
"""More Trio passes than this without time moving: a task spins (about 20 ms of wall time)."""

STEPS_AT_ONE_INSTANT_MAX: Final = 1_000
"""More steps of one server, or timeouts of one client, than this without time moving: no code has a thousand timers."""

_WINDOW_EVENTS: Final = 4_096
"""How often, in events, the rates are checked at most."""

_SECOND_NS: Final = 1_000_000_000

_WINDOWS: Final = (
    (_SECOND_NS, 1, 1, "one virtual second"),
    (10 * _SECOND_NS, 5, 2, "ten virtual seconds"),
)
"""(virtual time, how many times the rate per second as a fraction of two numbers, name)"""

_EVENTS_PER_ACTOR: Final = 10_000
"""Events a second that each actor may cause: ten times what was ever seen."""

_EVENTS_PER_OP: Final = 1_000
"""Events that an op may cause: ten times what one costs."""


def events_per_second_max(*, actors: int, ops_per_second: float) -> int:
    """How many events a second a run may have that makes progress."""
    return _EVENTS_PER_ACTOR * actors + round(_EVENTS_PER_OP * ops_per_second)


class Livelock(Exception):
    """Events without end while time stands still, or nearly so. `detail` names a cause that is known."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def woken_in_the_past(actor: str, deadline_ns: int, clock_ns: int) -> Livelock:
    """Say that an actor asks again and again to be woken at a time that has passed on its clock."""
    return Livelock(
        f"{actor} asked {STEPS_AT_ONE_INSTANT_MAX} times at one instant to be woken at {deadline_ns} ns, when its "
        f"monotonic clock shows {clock_ns} ns; expected a later time",
        "woken-in-the-past",
    )


class AtOneInstant:
    """Counts something that may happen only so often without time moving."""

    __slots__ = ("_instant_ns", "_most", "_times")

    def __init__(self, most: int) -> None:
        self._most = most
        self._instant_ns, self._times = -1, 0

    def is_too_often(self, now: int) -> bool:
        """Count it. True when it was too often; then as much is allowed again."""
        if now != self._instant_ns:
            self._instant_ns, self._times = now, 0
            return False
        self._times += 1
        if self._times <= self._most:
            return False
        self._times = 0
        return True


class LivelockGuard:
    """Counts events and passes, and says when there are too many."""

    def __init__(self, *, events_per_second_max: int, events_max: int) -> None:
        self._events_max = events_max
        self.passes = 0
        self._at_one_instant = AtOneInstant(_PASSES_AT_ONE_INSTANT_MAX)
        self._checked = 0  # events at the last check
        self._windows = [
            _Window(span_ns, events_per_second_max * times // parts, name) for span_ns, times, parts, name in _WINDOWS
        ]

    def count_pass(self, now: int) -> Livelock | None:
        """Count a pass of Trio's scheduler. After a livelock as many passes are allowed again, for the cancellation."""
        self.passes += 1
        if not self._at_one_instant.is_too_often(now):
            return None
        return Livelock(f"{_PASSES_AT_ONE_INSTANT_MAX} scheduler passes without time moving")

    def check_events(self, now: int, events: int) -> Livelock | None:
        """Check the number of events so far against the budgets of the run and of every window."""
        if events - self._checked < _WINDOW_EVENTS:
            return None
        self._checked = events
        if events > self._events_max:
            return Livelock(f"more than {self._events_max} events in one run")
        for window in self._windows:
            if window.is_over_full(now, events):
                return Livelock(f"more than {window.most} events in {window.name}")
        return None


class _Window:
    """A stretch of virtual time, one after another, with a number of events that may not be passed."""

    __slots__ = ("_begin_events", "_begin_ns", "_span_ns", "most", "name")

    def __init__(self, span_ns: int, most: int, name: str) -> None:
        self.most, self.name = most, name
        self._span_ns = span_ns
        self._begin_ns, self._begin_events = 0, 0

    def is_over_full(self, now: int, events: int) -> bool:
        if now - self._begin_ns >= self._span_ns:
            self._begin_ns, self._begin_events = now, events
            return False
        return events - self._begin_events > self.most
