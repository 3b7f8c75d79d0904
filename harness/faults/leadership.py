"""Leadership: transfers and elections that an administrator asks for, at a bad moment."""

from __future__ import annotations

from typing import ClassVar

from .commands import Command, NodeCommand
from .fault import FaultState
from .world import FaultWorld


class Transfer(Command, frozen=True, kw_only=True, tag="transfer"):
    """Ask the leader to hand over to `target` at the begin. Instantaneous; the end is when it is judged."""

    target: str

    capability: ClassVar[str] = "leader"

    @property
    def needs_leader_of(self) -> str | None:
        """It is the leader who is asked."""
        return self.group

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Ask. When the target leads already, ask for a transfer to another voter."""
        leader = world.leader(self.group)
        if leader is None:
            return False
        targets = [name for name in world.resolve((self.target,)) if name != leader]
        if not targets:
            voters, _ = world.members(self.group)
            targets = [name for name in voters if name != leader][:1]
        state.targets = tuple(targets)
        return bool(targets) and self.ask(world, state, leader, "transfer", target=targets[0])


class ForcedElection(NodeCommand, frozen=True, kw_only=True, tag="forced-election"):
    """Make the targets campaign at the begin, whatever their timers say."""

    capability: ClassVar[str] = "leader"
    command: ClassVar[str] = "campaign"
