"""Pauses: processes that stand still for a while, or are slow in all or in a part of what they do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from .fault import Assumptions, FaultState
from .nodes import NodeFault
from .world import FaultWorld


class Pause(NodeFault, frozen=True, kw_only=True, tag="pause"):
    """Stop the targets (nodes or clients): deliveries, timers and disk completions are held until the end.

    The monotonic clock runs on, or stops with the actor as when a virtual machine is suspended.
    """

    clock: Literal["runs", "stops"] = "runs"

    halts_targets: ClassVar[bool] = True
    waits_for_node: ClassVar[bool] = True
    effective_when: ClassVar[str] = "it held a delivery, a timer or a disk completion"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Stop it."""
        world.hosts[name].pause(self.id, stop_clock=self.clock == "stops")

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Let it go on."""
        world.hosts[name].unpause(self.id)

    def broken_assumptions(self, assumptions: Assumptions) -> Iterable[str]:
        """A clock that stands still runs at a rate of zero."""
        if self.clock == "stops" and assumptions.clock_bound is not None and self.meets_any(assumptions.nodes):
            yield "reads=lease: a clock stops in a pause"


class SlowNode(NodeFault, frozen=True, kw_only=True, tag="slow-node"):
    """Add `processing_ns` between the arrival of a message and its processing, and to each disk completion."""

    processing_ns: int

    waits_for_node: ClassVar[bool] = True
    effective_when: ClassVar[str] = "it delayed a message or a disk completion"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Slow it down."""
        world.hosts[name].slow_down(self.id, self.processing_ns)

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """End the slowness."""
        world.hosts[name].speed_up(self.id)


class SlowBackground(NodeFault, frozen=True, kw_only=True, tag="slow-background"):
    """Let work in the background (a snapshot is encoded, or loaded) take `late_ns`, while the node goes on.

    So it does on a busy machine with a large state: commands are applied, leaders change, and another snapshot may come
    before the work is over that was begun in another situation.
    """

    late_ns: int

    capability: ClassVar[str] = "background"
    waits_for_node: ClassVar[bool] = True
    effective_when: ClassVar[str] = "work in the background took longer"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Let what begins from now on take longer."""
        world.hosts[name].slow_background(self.id, self.late_ns)

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Let what begins from now on take no longer."""
        world.hosts[name].hurry_background(self.id)
