"""Wall time since the run began, and calls at a time: what the simulator's kernel is in the other world."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Any

import trio

from harness.sim.kernel.fingerprint import Log


class Timetable:
    """The clock of one run, and what is to be called when. Times are nanoseconds since `begin`."""

    def __init__(self) -> None:
        self.log = Log(keep=True)
        self.why = ""
        """Why the run ended, once it has."""
        self._zero_ns = time.monotonic_ns()
        self._calls: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._count = 0
        self._news = trio.Event()

    @property
    def now(self) -> int:
        """Nanoseconds since the run began."""
        return time.monotonic_ns() - self._zero_ns

    @property
    def closed(self) -> bool:
        """Whether the run is over: what happens now is no part of it."""
        return bool(self.why)

    def begin(self) -> None:
        """The run begins now."""
        self._zero_ns = time.monotonic_ns()

    def stop(self, why: str) -> None:
        """The run is over."""
        self.why = self.why or why
        self._news.set()

    def call_at(self, time_ns: int, call: Callable[[Any], None], argument: Any) -> None:
        """Call at this time or as soon after it as can be; calls of one time come in the order of asking."""
        self._count += 1
        heapq.heappush(self._calls, (time_ns, self._count, call, argument))
        self._news.set()

    async def until(self, time_ns: int) -> None:
        """Wait for a time."""
        while (left_ns := time_ns - self.now) > 0:  # noqa: ASYNC110  # it may wake a moment early
            await trio.sleep(left_ns / 1e9)  # it may wake a moment early

    async def run(self) -> None:
        """Make the calls, until the run is over."""
        while not self.closed:
            self._news = trio.Event()
            if self._calls and self._calls[0][0] <= self.now:
                _, _, call, argument = heapq.heappop(self._calls)
                call(argument)
                continue
            with trio.CancelScope() as scope:
                if self._calls:
                    scope.deadline = trio.current_time() + (self._calls[0][0] - self.now) / 1e9
                await self._news.wait()
