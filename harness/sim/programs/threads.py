"""Threads of a Trio program, as events: a call is made on the loop, one at a time, after a drawn while.

`trio.to_thread.run_sync` waits for a thread, so what a program sees of it is when the call took effect and when it was
over. Both are events here. A call that syncs a file is over when the disk is, and keeps no other task from running
meanwhile, which is why programs use threads for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import outcome

from harness.sim.kernel.forced_teardown import ForcedTeardown

from .stack import Stack

_CALL_NS: Final = (20_000, 2_000_000)
"""Bounds of the time until a call takes effect."""

Call = tuple[Callable[[], Any], Callable[[outcome.Outcome[Any]], Any]]
"""What to call in a thread, and who is told what came of it."""


class Threads:
    """The thread calls of one incarnation."""

    def __init__(self, stack: Stack) -> None:
        self.is_inside = False  # the code that runs now runs in a thread
        self._stack = stack
        self._calls: deque[Call] = deque()  # the first one is under way
        self._blocked_ns = 0

    def start(self, call: Call) -> None:
        """Make a call after those that were asked for before."""
        self._calls.append(call)
        if len(self._calls) == 1:
            self._begin()

    def block(self, span_ns: int) -> None:
        """The call under way is not over before this time has passed."""
        self._blocked_ns += span_ns

    def give_up(self) -> None:
        """End all calls without effect: the process is dead. Who waits for one is told, and Trio may count it out."""
        calls, self._calls = self._calls, deque()
        for _, tell in calls:
            tell(outcome.Error(ForcedTeardown()))

    def _begin(self) -> None:
        self._stack.call_at(
            self._stack.now_ns() + self._stack.draw(*_CALL_NS, "thread"), self._take_effect, self._calls[0]
        )

    def _take_effect(self, call: Call) -> None:
        self._blocked_ns = 0
        self.is_inside = True
        try:
            result = outcome.capture(call[0])
        finally:
            self.is_inside = False
        if self._blocked_ns:
            self._stack.call_at(self._stack.now_ns() + self._blocked_ns, self._tell, result)
        else:
            self._tell(result)

    def _tell(self, result: outcome.Outcome[Any]) -> None:
        if not self._calls:
            return
        _, tell = self._calls.popleft()
        if self._calls:
            self._begin()
        tell(result)
        self._stack.rouse()
