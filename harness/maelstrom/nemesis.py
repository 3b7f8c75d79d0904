"""The nemesis of a live run: it begins and ends the plan's faults by the clock, and sees whether they bit.

A partition was effective if it kept a message back, a kill if a process was there to be killed, a pause if the
operating system says that the process stood still.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from harness.faults.crashes import Crash
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.faults.topologies import edges
from harness.plans.plan import Plan

from .network import Network
from .os_processes import NodeProcesses


class Nemesis:
    """Performs the faults of a plan; `outcomes` says what became of each."""

    def __init__(
        self,
        plan: Plan,
        network: Network,
        processes: NodeProcesses,
        restart: Callable[[str], Awaitable[None]],
        elapsed_ns: Callable[[], int],
    ) -> None:
        self._plan = plan
        self._network = network
        self._processes = processes
        self._restart = restart
        self._elapsed_ns = elapsed_ns
        self.outcomes: dict[str, str] = {fault.id: "no-target" for fault in plan.faults}

    async def run(self) -> None:
        """Begin and end all faults; they do not overlap, since each has an interval of its own."""
        for fault in self._plan.faults:
            await self._until(fault.begin_ns)
            match fault:
                case Partition():
                    await self._partition(fault)
                case Crash():
                    await self._kill(fault)
                case Pause():
                    await self._pause(fault)

    async def _partition(self, fault: Partition) -> None:
        plan = self._plan
        self._network.cut(fault.id, edges(fault.shape, fault.order, fault.clients, plan.nodes, plan.clients))
        await self._until(fault.end_ns)
        self._network.mend(fault.id)
        hits = self._network.counts[f"cut by {fault.id}"]
        self.outcomes[fault.id] = "effective" if hits else "no-effect"

    async def _kill(self, fault: Crash) -> None:
        killed = [name for name in fault.targets if name in self._processes.running]
        for name in killed:
            self._processes.kill(name)
            self.outcomes[fault.id] = "effective"
        await self._until(fault.end_ns)
        for name in killed:
            await self._restart(name)

    async def _pause(self, fault: Pause) -> None:
        stopped = [name for name in fault.targets if name in self._processes.running]
        for name in stopped:
            stands_still = self._processes.stop(name)
            self.outcomes[fault.id] = "effective" if stands_still else "no-effect"
        await self._until(fault.end_ns)
        for name in stopped:
            self._processes.go_on(name)

    async def _until(self, time_ns: int) -> None:
        await trio.sleep(max(0, time_ns - self._elapsed_ns()) / 1e9)
