"""Disks that are empty when their machine comes back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Literal

from .disk_damage import REGIONS
from .disks import FORGOTTEN_STATE, DiskFault
from .fault import Assumptions, FaultState
from .world import FaultWorld


class WipedDisk(DiskFault, frozen=True, kw_only=True, tag="wiped-disk"):
    """Kill the targets and empty their disks.

    With `identity` = "new" a machine comes back under another name, if at all: the node that lost its disk never does.
    That takes it from the budget, so that it has no target but what the atlas has for every region. A node without
    data that stands in the plan can take its place by a change of membership, as a learner first. With "same" it starts
    again under its own name, having forgotten what it voted and what it acknowledged, which breaks an assumption.
    """

    identity: Literal["new", "same"] = "new"

    effective_when: ClassVar[str] = "it emptied a disk that held something"
    counts_with: ClassVar[str] = "damage"
    allowed: ClassVar[tuple[str, ...]] = FORGOTTEN_STATE

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Empty the disk of each target that the budget allows."""
        allowed = _everywhere({region: world.damageable(region) for region in REGIONS})
        nodes = [
            name
            for name in state.targets
            if name in world.nodes and not world.hosts[name].refused and (self.identity == "same" or name in allowed)
        ]
        for name in nodes:
            state.hits += world.wipe(name, comes_back=self.identity == "same")
        return bool(nodes)

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Start what may start again."""
        host = world.hosts[name]
        if name in world.nodes and not host.is_up and not host.refused:
            world.start(name)

    def broken_assumptions(self, assumptions: Assumptions) -> Iterable[str]:
        """A node must remember what it answered for, as long as it has its name."""
        if self.identity == "same" and self.meets_any(assumptions.nodes):
            yield "disks: a node comes back under its name without its disk"

    def lost_nodes(self, atlas: Mapping[str, Collection[str]]) -> Collection[str]:
        """Its targets, as far as the budget allows them; a role may be any of those."""
        if self.identity == "same":
            return ()
        allowed = _everywhere(atlas)
        return allowed if self.targets_role else [name for name in self.targets if name in allowed]


def _everywhere(atlas: Mapping[str, Collection[str]]) -> list[str]:
    """The nodes that may be damaged in every region."""
    return [name for name in atlas.get(REGIONS[0], ()) if all(name in atlas.get(region, ()) for region in REGIONS)]
