"""Membership: voters and learners that come and go."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Final

from .fault import RETRY_NS, Fault, FaultState
from .world import FaultWorld

_CONFIRM_NS: Final = 200_000_000
"""How long a change that was taken may take to come into force, before it is asked for again."""


class Membership(Fault, frozen=True, kw_only=True, tag="membership"):
    """Ask the leader, until it takes, for other voters and learners; at the end ask for the initial ones again."""

    group: str = "g0"
    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()

    capability: ClassVar[str] = "membership"
    effective_when: ClassVar[str] = "a leader took the change"

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Begin to ask. Where no node leads yet, it asks on."""
        self._ask((world, state))
        return True

    def undo(self, world: FaultWorld, state: FaultState, within: Collection[str] | None) -> None:
        """Ask for the initial members. A heal of a part leaves the members as they are: it holds a majority of them."""
        if within is None:
            self._ask_back((world, state))

    def must_go_on(self, state: FaultState) -> bool:
        """As long as no leader has taken the change."""
        return not state.hits

    @property
    def configurations(self) -> tuple[tuple[str, ...], ...]:
        """Its voters."""
        return (self.voters,)

    def _ask(self, argument: tuple[FaultWorld, FaultState]) -> None:
        world, state = argument
        if not state.ended and not self._change(world, state, world.leader(self.group), self.voters, self.learners):
            world.call_at(world.now_ns() + RETRY_NS, self._ask, argument)

    def _ask_back(self, argument: tuple[FaultWorld, FaultState]) -> None:
        """Ask until it is in force: a change that was taken may still be lost with its leader.

        A leader that was cut off may not know yet that there is anything to take back. So where not all members have
        noted it, it is looked at once more after the heal. A partial heal ends that: members that are not healed may be
        out of reach for good. So does an administrator after the heal, who begins with the initial members himself.
        """
        world, state = argument
        if world.administered or (world.healed and not world.heals_all):
            return
        voters, learners = world.members(self.group)
        leader = world.leader(self.group)
        taken = self._change(world, state, leader, voters, learners)
        if not taken or leader is None or not world.is_in_force(self.group, leader, voters, learners):
            world.call_at(world.now_ns() + (_CONFIRM_NS if taken else RETRY_NS), self._ask_back, argument)
            return
        members = [name for name in (*voters, *learners) if not world.hosts[name].refused]
        if not all(world.is_in_force(self.group, name, voters, learners) for name in members):
            world.call_at(max(world.now_ns(), world.heal_ns) + _CONFIRM_NS, self._ask_back, argument)

    def _change(
        self,
        world: FaultWorld,
        state: FaultState,
        leader: str | None,
        voters: tuple[str, ...],
        learners: tuple[str, ...],
    ) -> bool:
        wanted = {"voters": voters, "learners": learners}
        taken = leader is not None and world.command(leader, self.group, "change", wanted)
        state.hits += taken
        return taken
