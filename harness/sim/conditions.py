"""What faults do to one host for a while: pauses and slowness.

Both are known by the id of the fault, may overlap, and count in `hits` the events that each fault touched here. A node
is slow in all that it does, or in its work in the background only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .kernel.events import Kernel


class Pauses:
    """The pauses in force on a host, and the events that wait for their end."""

    def __init__(self, kernel: Kernel, hits: dict[str, int]) -> None:
        self._kernel, self._hits = kernel, hits
        self.in_force: dict[str, bool] = {}  # fault id -> whether the clocks stand still meanwhile
        self._held: list[tuple[Callable[[Any], None], Any]] = []

    def hold(self, callback: Callable[[Any], None], argument: Any) -> None:
        """Keep an event until the last pause is over."""
        for fault in self.in_force:
            self._hits[fault] = self._hits.get(fault, 0) + 1
        self._held.append((callback, argument))

    def release(self) -> None:
        """Let the held events happen now, in their old order, whatever the schedule policy."""
        for callback, argument in self.take():
            self._kernel.exactly(self._kernel.now, callback, argument)

    def take(self) -> list[tuple[Callable[[Any], None], Any]]:
        """Give up the held events, in their old order."""
        held, self._held = self._held, []
        return held


class Slowness:
    """The faults in force on a host that make it slow, or its work in the background."""

    def __init__(self, hits: dict[str, int]) -> None:
        self._hits = hits
        self.in_force: dict[str, int] = {}  # fault id -> by how much it delays each event

    def delay_ns(self) -> int:
        """By how much one event is late."""
        for fault in self.in_force:
            self._hits[fault] = self._hits.get(fault, 0) + 1
        return sum(self.in_force.values())
