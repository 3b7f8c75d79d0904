"""Who leads, of systems whose nodes do not say so by themselves: each is asked, now and then.

What a node answers may be older than its answer, and role and term need not be of one moment. So this is for faults to
aim by, and nothing is judged by it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import trio

from harness import options as option_values
from harness.options import OptionSpec, OptionValues
from harness.plans.plan import Plan

from .system import Inside, Site, Tell

_ASK_SECONDS: Final = 0.2


class Polled(ABC):
    """What systems have in common whose nodes are asked: a subclass says how one is."""

    options: tuple[OptionSpec, ...]
    has_leader: bool = True

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, int]] = {}  # role and term by node, as it was told last

    def resolve(self, options: Mapping[str, Any]) -> OptionValues:
        """Fill defaults and validate. Raises ValueError."""
        return option_values.resolve(options, self.options)

    def inside(self, plan: Plan, folder: Path) -> Inside | None:
        """Nothing reaches into these processes."""
        return None

    def ended_rightly(self, site: Site, node: str) -> str:
        """No: their disks are never made to fail."""
        return ""

    def is_out(self, site: Site, node: str) -> bool:
        """Every node is a member."""
        return False

    async def administer(self, site: Site, node: str, command: str, arguments: Mapping[str, Any]) -> bool:
        """Nothing is administered."""
        return False

    @abstractmethod
    async def status(self, site: Site, node: str) -> tuple[str, int] | None:
        """Role and term of a node, or None when it does not answer."""

    async def is_ready(self, site: Site) -> bool:
        """Whether a node leads."""
        answers = [await self.status(site, node) for node in site.addresses.nodes]
        return any(answer is not None and answer[0] == "leader" for answer in answers)

    async def watch(self, site: Site, tell: Tell) -> None:
        """Ask all nodes who leads, now and then, and tell what has changed."""

        async def ask(node: str) -> None:
            found = await self.status(site, node)
            if found is not None and found != self._told.get(node):
                self._told[node] = found
                tell(node, [("role", next(iter(site.plan.groups)), *found)])

        while True:
            async with trio.open_nursery() as nursery:
                for node in site.addresses.nodes:
                    nursery.start_soon(ask, node)
            await trio.sleep(_ASK_SECONDS)

    def last_words(self, site: Site, node: str, tell: Tell) -> None:
        """Nothing: nodes are asked. Once one that was killed is back, it is told of anew."""
        self._told.pop(node, None)
