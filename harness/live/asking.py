"""What an administrator asks of a real node, which takes time to answer, for faults, which want an answer at once.

A fault that asks is told that the node did not take the command, and asks again, as it does of a node that is busy.
Meanwhile a task waits for the node; once it has answered, the next one to ask for the same is told so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio

from .timetable import Timetable

_NEWS_NS: Final = 250_000_000
"""How long an answer is news to who asks: a fault asks again after 20 ms, or 200."""

Administer = Callable[[str, str, Mapping[str, Any]], Awaitable[bool]]
"""(node, command, arguments) -> whether the node took it."""


class Asking:
    """The commands of one run."""

    def __init__(self, administer: Administer, timetable: Timetable, nursery: trio.Nursery) -> None:
        self._administer = administer
        self._timetable = timetable
        self._nursery = nursery
        self._under_way: dict[tuple[str, str], list[Callable[[], None]]] = {}  # -> whom to call when it is answered
        self._taken: dict[tuple[str, str], int] = {}  # and when

    def ask(self, node: str, command: str, arguments: Mapping[str, Any]) -> bool:
        """Whether a node has taken a command since it was asked for; begin to ask, if nobody does."""
        what = node, f"{command} {sorted(arguments.items())}"
        if self._timetable.now - self._taken.pop(what, -_NEWS_NS) < _NEWS_NS:
            return True
        if what not in self._under_way:
            self._under_way[what] = []
            self._nursery.start_soon(self._wait, what, command, arguments)
        return False

    def when_answered(self, node: str, call: Callable[[], None]) -> None:
        """Call when a node has answered what it was asked last."""
        calls = [calls for (asked, _), calls in self._under_way.items() if asked == node]
        if calls:
            calls[-1].append(call)

    async def _wait(self, what: tuple[str, str], command: str, arguments: Mapping[str, Any]) -> None:
        if await self._administer(what[0], command, arguments):
            self._taken[what] = self._timetable.now
        for call in self._under_way.pop(what):
            call()
