"""What clocks showed: how far each actor's monotonic clock had run ahead of true time, and its wall clock's offset.

Computed from the plan and the trace: rates and steps are rows there, and a pause that stops the clock is a fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from checkers.trace import Row
from harness.faults.pauses import Pause
from harness.plans.plan import Plan

from .texts import plain
from .timeline import micro

_PERFECT_PPM: Final = 1_000_000
_POINTS_MAX: Final = 5_000
"""A strobe steps every millisecond; more points of one clock than these say nothing more."""


class ClockTrack(msgspec.Struct, kw_only=True):
    """One actor's clocks: flat pairs of time and microseconds, between which lie straight lines.

    `drift` is monotonic minus true time since the start; `wall` the wall clock minus true time, with two pairs at the
    time of a step.
    """

    actor: str
    drift: list[int] = []
    wall: list[int] = []


class _Clock:
    def __init__(self, rate_ppm: int, offset_ns: int) -> None:
        self.rate_ppm = rate_ppm
        self.stops: set[str] = set()
        self.at_ns = 0
        self.drift_ns = 0.0
        self.steps_ns = offset_ns
        self.track = ClockTrack(actor="")

    def until(self, time_ns: int) -> None:
        """Run to a time, and note where the clock is then."""
        rate = 0 if self.stops else self.rate_ppm
        self.drift_ns += (time_ns - self.at_ns) * (rate - _PERFECT_PPM) / _PERFECT_PPM
        self.at_ns = time_ns
        self.note()

    def note(self) -> None:
        if len(self.track.drift) < 2 * _POINTS_MAX:
            drift = micro(round(self.drift_ns))
            self.track.drift += [micro(self.at_ns), drift]
            self.track.wall += [micro(self.at_ns), drift + micro(self.steps_ns)]


def clock_tracks(plan: Plan, rows: Sequence[Row], end_ns: int) -> list[ClockTrack]:
    """The clocks that were ever wrong, in the order of the plan's actors."""
    clocks: dict[str, _Clock] = {}

    def clock(actor: str) -> _Clock:
        if actor not in clocks:
            spec = plan.clocks.actors.get(actor)
            clocks[actor] = _Clock(spec.rate_ppm if spec else _PERFECT_PPM, spec.wall_offset_ns if spec else 0)
            clocks[actor].note()
        return clocks[actor]

    for actor in plan.clocks.actors:
        clock(actor)
    stopping = {fault.id for fault in plan.faults if isinstance(fault, Pause) and fault.clock == "stops"}
    stopped: dict[str, Sequence[str]] = {}
    for row in rows:
        time_ns, kind, actor = row[:3]
        if kind == "clock":
            one = clock(actor)
            one.until(time_ns)
            if row[3] == "rate":
                one.rate_ppm = row[4]
            else:
                one.steps_ns += row[4]
                one.note()
        elif kind == "fault-begin" and row[3] in stopping:
            stopped[row[3]] = row[5]
            for name in row[5]:
                clock(name).until(time_ns)
                clock(name).stops.add(row[3])
        elif kind == "fault-end" and row[3] in stopped:
            for name in stopped.pop(row[3]):
                clock(name).until(time_ns)
                clock(name).stops.discard(row[3])
    tracks = []
    for name in plan.actors:
        if name in clocks:
            clocks[name].until(end_ns)
            track = clocks[name].track
            track.actor = plain(name)
            tracks.append(track)
    return tracks
