"""Faults of links: what such kinds have in common."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from .fault import Fault, FaultState
from .world import Edge, FaultWorld


class LinkFault(Fault, frozen=True, kw_only=True):
    """A fault of the links to and from some actors; of all links when there are none."""

    targets: tuple[str, ...] = ()

    @property
    def aimed_at(self) -> tuple[str, ...]:
        """Its targets."""
        return self.targets

    def with_named_target(self, nodes: Sequence[str]) -> Fault:
        """The same fault of the first of these nodes."""
        return msgspec.structs.replace(self, targets=tuple(nodes[:1]))

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Bring it about on the links of its targets."""
        if self.targets and not state.targets:
            return False
        self.begin_on(world, state, world.edges_of(state.targets))
        return True

    def begin_on(self, world: FaultWorld, state: FaultState, edges: tuple[Edge, ...]) -> None:
        """Bring it about on these links."""
        raise NotImplementedError(self.kind)

    def undo(self, world: FaultWorld, state: FaultState, within: Collection[str] | None) -> None:
        """Mend the links, or those that have both ends within."""
        mend(world, self.id, within)

    def must_go_on(self, state: FaultState) -> bool:
        """As long as no message met it: its actors may be down or cut off."""
        return not state.hits


def mend(world: FaultWorld, fault: str, within: Collection[str] | None) -> None:
    """Undo a fault on all links, or on those that have both ends within."""
    if within is None:
        world.network.mend(fault)
    else:
        world.network.mend(fault, keep=lambda source, target: source not in within or target not in within)
