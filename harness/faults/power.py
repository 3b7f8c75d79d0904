"""Power cuts at chosen moments, which leave chosen parts of what was not durable."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

from .fault import FaultState
from .nodes import NodeFault
from .world import FaultWorld


class PowerCut(NodeFault, frozen=True, kw_only=True, tag="power-cut"):
    """Cut the power of the targets at a moment of their next write, and let them start again after `down_ns`.

    `moment` says when: within an fsync ("in-flight"); when its bytes are durable and the node does not know it yet, so
    that whatever it would write next is missing and whatever was to be sent is not ("between"); or when the node has
    just been told and has sent what waited for it ("answered"). A node without a write until a quarter of the fault's
    time is over loses its power then; one whose process is down loses it at once.

    `keeps` says what is left of what was not durable: of each file the changes up to a drawn one, the next one torn
    ("prefix"); any of the sectors that were appended, where the others read as zeros ("sectors"); or nothing, not even
    names that no fsync of the directory covered ("nothing").
    """

    moment: Literal["in-flight", "between", "answered"] = "in-flight"
    keeps: Literal["prefix", "sectors", "nothing"] = "prefix"
    down_ns: int = 5_000_000

    halts_targets: ClassVar[bool] = True
    capability: ClassVar[str] = "disk"
    effective_when: ClassVar[str] = "it cut the power of a machine"

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Arm the cut at nodes that are up; cut at once the power of those that are down by themselves."""
        nodes = [name for name in state.targets if name in world.nodes]
        for name in nodes:
            if world.hosts[name].is_up:
                world.hosts[name].arm(self.id, self.moment, partial(self._cut, world, state, name))
                patience_ns = (min(self.end_ns, world.heal_ns) - self.begin_ns) // 4
                world.call_at(world.now_ns() + patience_ns, self._cut_without_write, (world, state, name))
            else:
                world.cut_power(name, keeps=self.keeps)
                state.hits += 1
        return bool(nodes)

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Start it again, if this fault stopped it and it has not come back."""
        if name in world.nodes:
            world.hosts[name].disarm(self.id)
            self._start((world, state, name))

    def _cut(self, world: FaultWorld, state: FaultState, name: str) -> None:
        if state.ended or not world.hosts[name].is_up:
            return
        state.hits += 1
        state.crashed.append(name)
        world.cut_power(name, keeps=self.keeps)
        if world.now_ns() + self.down_ns < min(self.end_ns, world.heal_ns):
            world.call_at(world.now_ns() + self.down_ns, self._start, (world, state, name))

    def _cut_without_write(self, argument: tuple[FaultWorld, FaultState, str]) -> None:
        world, state, name = argument
        if world.hosts[name].disarm(self.id):
            self._cut(world, state, name)

    def _start(self, argument: tuple[FaultWorld, FaultState, str]) -> None:
        world, state, name = argument
        host = world.hosts[name]
        if name in state.crashed and not host.is_up and not host.refused:
            state.crashed.remove(name)
            world.start(name)
