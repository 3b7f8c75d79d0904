"""Faults of actors that are up: what such kinds have in common."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import msgspec

from .fault import ROLES, Fault, FaultState
from .world import FaultWorld


class NodeFault(Fault, frozen=True, kw_only=True):
    """A fault of actors (nodes or clients) that are up. Subclasses say what happens to a single one."""

    targets: tuple[str, ...]

    waits_for_node: ClassVar[bool] = False
    """Whether it waits until the heal for a named target that is down, and keeps half of its time."""

    halts_targets: ClassVar[bool] = False
    """Whether its targets do nothing while it lasts, so that meanwhile a second such fault would find nothing to do."""

    @property
    def aimed_at(self) -> tuple[str, ...]:
        """Its targets."""
        return self.targets

    def with_named_target(self, nodes: Sequence[str]) -> Fault:
        """The same fault of the first of these nodes."""
        return msgspec.structs.replace(self, targets=tuple(nodes[:1]))

    @property
    def waits_until_heal(self) -> bool:
        """Whether it waits for its node to come up; a role has other holders meanwhile."""
        return self.waits_for_node and not any(target in ROLES for target in self.targets)

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Bring it about at each target that is up."""
        up = world.up(state.targets)
        for name in up:
            self.begin_at(world, state, name)
        return bool(up)

    def must_go_on(self, state: FaultState) -> bool:
        """As long as nothing met it, if it waits for its node: an actor without anything to do notices no pause."""
        return self.waits_for_node and not state.hits

    def undo(self, world: FaultWorld, state: FaultState, within: Collection[str] | None) -> None:
        """End it at its targets."""
        for name in state.targets:
            if within is None or name in within:
                self.undo_at(world, state, name)

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Bring it about at one actor."""
        raise NotImplementedError(self.kind)

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """End it at one actor."""

    def meets_any(self, nodes: Sequence[str]) -> bool:
        """Whether it may concern one of these nodes."""
        return any(target in ROLES or target in nodes for target in self.targets)
