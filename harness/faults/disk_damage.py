"""Damage to what disks hold: bits that rot, writes that land elsewhere or nowhere.

A correct system notices damage by its checksums and refuses to start with it. It cannot do so without limit: what is
damaged on a majority is gone. So the plan names, for each region of a disk, the nodes that may ever be damaged (its
`atlas`); a fault that is aimed elsewhere has no target. A node that refuses to start stays down, and counts as lost for
the class of the plan, whether or not it starts while the run lasts.

The regions are those that the system tells apart in its files: `log`, `hard-state` (term and vote) and `snapshot`.
What it wrote last cannot be told from what a power loss took, if the disk has lost that write although it had confirmed
it. So a lost write is tolerable only where later writes lie behind it; the latest one breaks an assumption.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Final, Literal

from .disks import FORGOTTEN_STATE, DiskFault
from .fault import Assumptions, FaultState
from .world import FaultWorld

Region = Literal["log", "hard-state", "snapshot"]
REGIONS: Final[tuple[Region, ...]] = ("log", "hard-state", "snapshot")


class Damage(DiskFault, frozen=True, kw_only=True):
    """Damage to one region of the disks of its targets, as far as the plan's atlas allows it. It is never undone."""

    region: Region = "log"

    capability: ClassVar[str] = "checksums"
    counts_with: ClassVar[str] = "damage"
    effective_when: ClassVar[str] = "a node that started found the damage in a file that it read"

    @property
    def waits_until_heal(self) -> bool:
        """There may be nothing to damage yet, or nothing left to damage alone."""
        return not self.targets_role

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Damage each target that the atlas allows and that holds something in this region."""
        allowed = world.damageable(self.region)
        done = [
            name
            for name in state.targets
            if name in allowed and name not in state.damaged and self._damage(world, name)
        ]
        state.damaged.extend(done)
        return bool(done)

    def _damage(self, world: FaultWorld, name: str) -> bool:
        """Damage one disk. False if there is nothing to damage."""
        raise NotImplementedError(self.kind)

    def lost_nodes(self, atlas: Mapping[str, Collection[str]]) -> Collection[str]:
        """Its targets, as far as the atlas has them; a role may be any of those."""
        allowed = atlas.get(self.region, ())
        return allowed if self.targets_role else [name for name in self.targets if name in allowed]


class BitRot(Damage, frozen=True, kw_only=True, tag="bit-rot"):
    """Flip one bit of what is durable, in the header or in the body of a record, or of a snapshot."""

    part: Literal["header", "body"] = "body"

    def _damage(self, world: FaultWorld, name: str) -> bool:
        return world.hosts[name].damage.rot(self.id, self.region, self.part)


class MisdirectedWrite(Damage, frozen=True, kw_only=True, tag="misdirected-write"):
    """Let the sectors of the next write to a file land on earlier sectors of it. Memory still has the right bytes.

    It shows when the power has gone: the sectors that were hit are wrong, and those that should have been written lack
    what was written.
    """

    def _damage(self, world: FaultWorld, name: str) -> bool:
        return world.hosts[name].damage.misdirect(self.id, self.region)


class LostWrite(Damage, frozen=True, kw_only=True, tag="lost-write"):
    """Let a sector that the disk confirmed read as zeros after the next power loss.

    `where` = "earlier" takes one that later writes lie behind, which were begun when it was confirmed; "last" takes the
    end of what is durable, which no checksum can miss.
    """

    where: Literal["earlier", "last"] = "earlier"

    allowed: ClassVar[tuple[str, ...]] = FORGOTTEN_STATE

    def _damage(self, world: FaultWorld, name: str) -> bool:
        return world.hosts[name].damage.lose_write(self.id, self.region, is_last=self.where == "last")

    def broken_assumptions(self, assumptions: Assumptions) -> Iterable[str]:
        """What was confirmed last must be there: nothing behind it tells that it was."""
        if self.where == "last" and self.meets_any(assumptions.nodes):
            yield "disks: the last confirmed write is lost"
