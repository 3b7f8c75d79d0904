"""A walk through a recorded run: one event at a time, to a breakpoint, to a time, and back.

The run was made once, with its trace; walking makes nothing happen. Back means from the beginning again, which costs
some tenths of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from checkers.trace import Row
from harness.plans.plan import Plan

from .breakpoints import Breakpoint
from .divergence import Told, tell_causes
from .standing import Standing
from .telling import tell


class Walk:
    """A place in a run. Nothing has happened at its beginning."""

    def __init__(self, plan: Plan, rows: Sequence[Row]) -> None:
        self._plan = plan
        self.rows = rows
        self.standing = Standing(plan)
        self.breakpoints: list[Breakpoint] = []

    @property
    def index(self) -> int:
        """The index of the event that happened last; -1 before the first."""
        return self.standing.index

    @property
    def is_over(self) -> bool:
        """Whether the last event has happened."""
        return self.index + 1 >= len(self.rows)

    def step(self) -> Told | None:
        """Let the next event happen, and say it; None at the end."""
        if self.is_over:
            return None
        row = self.rows[self.index + 1]
        self.standing.read(row)
        return self._told(row)

    def run(self, is_wanted: Callable[[Row], bool]) -> Told | None:
        """Go on until an event is wanted; None when there is none, and then at the end."""
        while not self.is_over:
            row = self.rows[self.index + 1]
            self.standing.read(row)
            if is_wanted(row):
                return self._told(row)
        return None

    def to_breakpoint(self) -> tuple[Told, Breakpoint] | None:
        """Go on to the first event at which a breakpoint holds."""
        found: list[Breakpoint] = []

        def holds(row: Row) -> bool:
            found[:] = [one for one in self.breakpoints if one.holds(row, self.standing)][:1]
            return bool(found)

        told = self.run(holds)
        return None if told is None else (told, found[0])

    def to_index(self, index: int) -> Told | None:
        """Go to an event, forwards or back; None when it lies behind the end, which is where one is then."""
        if index <= self.index:
            self.standing = Standing(self._plan)
        if index < 0:
            return None
        return self.run(lambda _: self.index >= index)

    def to_time(self, time_ns: int) -> Told | None:
        """Go to the last event that is not after a time, forwards or back; None before the first event."""
        last = -1
        for at, row in enumerate(self.rows):
            if row[0] > time_ns:
                break
            last = at
        return self.to_index(last)

    def causes(self) -> tuple[Told, ...]:
        """What led to the event that happened last, the nearest cause first."""
        return tell_causes(self.rows, self.index, self._plan) if self.index >= 0 else ()

    def before(self, count: int) -> list[Told]:
        """The last events, the one that happened last at the end."""
        standing, told = Standing(self._plan), []
        for at, row in enumerate(self.rows[: self.index + 1]):
            standing.read(row)
            if at > self.index - count:
                told.append(Told(index=at, time_ns=row[0], text=tell(row, standing)))
        return told

    def _told(self, row: Row) -> Told:
        return Told(index=self.index, time_ns=row[0], text=tell(row, self.standing))
