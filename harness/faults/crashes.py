"""Crashes: processes that are killed and started again."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

from .fault import FaultState
from .nodes import NodeFault
from .world import FaultWorld


class Crash(NodeFault, frozen=True, kw_only=True, tag="crash"):
    """Kill the targets (nodes or clients) and restart them at the end with what their disks kept.

    `aim` = "write" arms the crash at `begin_ns` and fires it within the target's next write in flight, or after a
    quarter of the fault's time when none came. `power` also loses what was written and not synced as a drawn,
    dependency-closed subset with a torn tail; without it the operating system survives and everything written is
    kept. `code` restarts the target with another code label.
    """

    aim: Literal["", "write"] = ""
    power: bool = True
    code: str | None = None

    halts_targets: ClassVar[bool] = True
    effective_when: ClassVar[str] = "it killed a process"

    @property
    def codes(self) -> tuple[str, ...]:
        """The code that it starts them again with, where that is named."""
        return () if self.code is None else (self.code,)

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Kill it now, or arm the crash for its next write."""
        if self.aim == "write" and name in world.nodes:
            world.hosts[name].armed[self.id] = partial(self._crash, world, state, name)
            patience_ns = (min(self.end_ns, world.heal_ns) - self.begin_ns) // 4
            world.call_at(self.begin_ns + patience_ns, self._crash_without_write, (world, state, name))
        else:
            self._crash(world, state, name)

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Start it again, if this fault killed it."""
        host = world.hosts[name]
        host.armed.pop(self.id, None)
        if name in state.crashed and not host.is_up and not host.refused:
            world.start(name, self.code)

    def _crash(self, world: FaultWorld, state: FaultState, name: str) -> None:
        if state.ended or not world.hosts[name].is_up:
            return
        state.hits += 1
        state.crashed.append(name)
        world.crash(name, power=self.power)

    def _crash_without_write(self, argument: tuple[FaultWorld, FaultState, str]) -> None:
        """No write came in time: an armed crash fires all the same."""
        world, state, name = argument
        if world.hosts[name].armed.pop(self.id, None) is not None:
            self._crash(world, state, name)
