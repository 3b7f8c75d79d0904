"""What a live run needs of a system: how its nodes are started, asked and watched. One file beside this one a system.

Of the simulated world's interface (`harness.systems.system`) a client is the same: it performs one operation and says
how that ended. Only it is here a task among others, which opens connections, so that it is closed at last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import trio

from harness.faults.world import FaultDisk
from harness.live.addresses import Addresses
from harness.live.supervisor import Launch, Supervisor
from harness.options import OptionSpec, OptionValues
from harness.plans.plan import Actor, Plan
from harness.systems.binding import Code
from harness.systems.system import SystemClient

Tell = Callable[[str, Sequence[tuple[Any, ...]]], None]
"""(node, rows of the trace without time and actor): what a node told of itself."""


class Clocks(Protocol):
    """The clocks of one node. What is done under the id of a fault ends under the same id."""

    def set_rate(self, fault: str, rate_ppm: int | None) -> None:
        """Let them run at a rate, or end that; the latest rate in force wins."""
        ...

    def step_wall(self, fault: str, step_ns: int) -> None:
        """Move the wall clock."""
        ...

    def release_wall(self, fault: str) -> None:
        """Stop counting what the fault touches."""
        ...


class Inside(Protocol):
    """What reaches into the processes of one run, beyond what the operating system can do to any."""

    hits: Counter[str]
    """What each fault has touched since it was asked last."""
    off_ns_max: int
    """By how much a clock was off at most."""

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Do what it does beside the run, until cancelled."""
        ...

    def disk(self, node: str) -> FaultDisk:
        """The disk of a node."""
        ...

    def clocks(self, node: str) -> Clocks:
        """The clocks of a node."""
        ...


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where one run takes place."""

    plan: Plan
    options: OptionValues
    """Those of the plan with the defaults of the system."""
    addresses: Addresses
    data: Path
    """A folder for the data of all nodes."""
    supervisor: Supervisor
    inside: Inside | None = None
    """What reaches into the processes, if a fault of the plan does."""

    @property
    def machine(self) -> str:
        """What the group replicates."""
        return next(iter(self.plan.groups.values())).machine


class LiveClient(SystemClient, Protocol):
    """One client session. `invoke` never raises for what a system or a network can do."""

    def close(self) -> None:
        """Let go of its connections."""
        ...


class LiveSystem(Protocol):
    """A system of processes."""

    name: str
    workloads: tuple[str, ...]
    options: tuple[OptionSpec, ...]
    ports: tuple[str, ...]
    """The ports of each node, by what they are for."""
    fault_kinds: tuple[str, ...]
    """The kinds of faults that can happen to it."""
    tells_terms: bool
    """Whether nodes tell role, term and vote at the moment of a change: two leaders of one term would be seen, and a
    fault finds who voted for the leader.
    """

    has_leader: bool
    """Whether it is known who leads, so that faults may be aimed at the leader."""

    def resolve(self, options: Mapping[str, Any]) -> OptionValues:
        """Fill defaults and validate. Raises ValueError with one line."""
        ...

    @property
    def code(self) -> Code:
        """The code that runs."""
        ...

    def inside(self, plan: Plan, folder: Path) -> Inside | None:
        """What reaches into the processes of a run in this folder; None where no fault of the plan asks for it."""
        ...

    def ended_rightly(self, site: Site, node: str) -> str:
        """Whether a node that has just ended did so as it should, such as when its disk fails; why, in a word, or "".

        It is started again then.
        """
        ...

    def is_out(self, site: Site, node: str) -> bool:
        """Whether a node is no member now and its process belongs down: it may end by itself, and is not started."""
        ...

    def launch(self, site: Site, node: str) -> Launch:
        """How a node is started, for the first time or again."""
        ...

    async def is_ready(self, site: Site) -> bool:
        """Whether the nodes that were just started serve as a cluster."""
        ...

    async def watch(self, site: Site, tell: Tell) -> None:
        """Tell which roles nodes have and what else they say, until cancelled."""
        ...

    def last_words(self, site: Site, node: str, tell: Tell) -> None:
        """Tell what a node said that was killed just now."""
        ...

    async def administer(self, site: Site, node: str, command: str, arguments: Mapping[str, Any]) -> bool:
        """Ask a node for what an administrator may ask for: "change" of the members, "transfer", "compact".

        Returns whether it took that; never raises for what a system or a network can do. A node that comes back as a
        member is started by the caller, if it is down.
        """
        ...

    def client(self, site: Site, name: str, actor: Actor, nursery: trio.Nursery) -> LiveClient:
        """A client with a session of its own, not yet opened; its tasks run in `nursery`."""
        ...
