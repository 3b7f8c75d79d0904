"""Who leads, of systems whose nodes do not say so by themselves: each is asked, now and then.

What a node answers may be older than its answer, and role and term need not be of one moment. So this is for faults to
aim by, and nothing is judged by it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from .system import Site, Tell

_ASK_SECONDS: Final = 0.2

Status = Callable[[Site, str], Awaitable[tuple[str, int] | None]]
"""(site, node) -> role and term, or None when the node does not answer."""


class Polling:
    """Asks all nodes, and tells what has changed."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._told: dict[str, tuple[str, int]] = {}  # role and term by node, as it was told last

    async def has_leader(self, site: Site) -> bool:
        """Whether a node leads."""
        answers = [await self._status(site, node) for node in site.addresses.nodes]
        return any(answer is not None and answer[0] == "leader" for answer in answers)

    async def run(self, site: Site, tell: Tell) -> None:
        """Ask until cancelled."""

        async def ask(node: str) -> None:
            found = await self._status(site, node)
            if found is not None and found != self._told.get(node):
                self._told[node] = found
                tell(node, [("role", next(iter(site.plan.groups)), *found)])

        while True:
            async with trio.open_nursery() as nursery:
                for node in site.addresses.nodes:
                    nursery.start_soon(ask, node)
            await trio.sleep(_ASK_SECONDS)

    def forget(self, node: str) -> None:
        """A node was killed: once it is back, it is told of anew."""
        self._told.pop(node, None)
