"""Upgrades and roll-backs: a node is stopped, and started with other code on the data that it has.

Upgrades of one node after another are a rolling upgrade. What a record names is a label of the plan; which code that is
says the binding. Installing code is no repair: a node that is down for another reason stays down, and a node whose disk
is damaged refuses to start as before.
"""

from __future__ import annotations

from typing import ClassVar, Final

from .fault import FaultState
from .nodes import NodeFault
from .world import FaultWorld

_RESTART_NS: Final = 10_000_000
"""How long it takes to put older code in place of the newer: what is held ready."""


class Upgrade(NodeFault, frozen=True, kw_only=True, tag="upgrade"):
    """Stop the targets and start them at the end with other code (`code`, a label) on the data that they have.

    The node keeps that code: what ends is its absence. One that refused to run because its code was too old for the
    group comes back with this. `power` also loses what was not yet synced.
    """

    code: str
    power: bool = False

    waits_for_node: ClassVar[bool] = True
    halts_targets: ClassVar[bool] = True
    effective_when: ClassVar[str] = "it replaced the code of a node"
    counts_with: ClassVar[str] = "upgrade"

    @property
    def codes(self) -> tuple[str, ...]:
        """What it installs."""
        return (self.code,)

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Stop each target that runs, or that its code keeps from running, and install the code."""
        there = [name for name in state.targets if world.hosts[name].is_up or world.is_outdated(name)]
        for name in there:
            if world.code_of(name) != self.code:
                if world.hosts[name].is_up:
                    world.crash(name, power=self.power)
                world.install(name, self.code)
                state.hits += 1
                state.crashed.append(name)
        return bool(there)

    def must_go_on(self, state: FaultState) -> bool:
        """It is over in time: whoever has the code already needs nothing."""
        return False

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Start it with its new code."""
        host = world.hosts[name]
        if name in state.crashed and not host.is_up and not host.refused:
            world.start(name)


class RollBack(NodeFault, frozen=True, kw_only=True, tag="roll-back"):
    """Put older code (`code`, a label) in place of newer (`then`) on the data that the newer has written; at the end
    put the newer back.

    Before the group has raised its feature level the older code must serve with that data; after that it must refuse
    to, and not misread it. `power` loses what the newer code had not yet synced.
    """

    code: str
    then: str
    power: bool = False

    waits_for_node: ClassVar[bool] = True
    effective_when: ClassVar[str] = "it put older code in place of newer"
    counts_with: ClassVar[str] = "upgrade"

    @property
    def codes(self) -> tuple[str, ...]:
        """What it installs for a while, and what was there."""
        return (self.code, self.then)

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Stop it, and start it a moment later with the older code."""
        if world.code_of(name) != self.then:
            return
        world.crash(name, power=self.power)
        world.install(name, self.code)
        state.hits += 1
        state.crashed.append(name)
        world.call_at(world.now_ns() + _RESTART_NS, self._start, (world, state, name))

    def must_go_on(self, state: FaultState) -> bool:
        """It is over in time: where there was no newer code, there is nothing to put back."""
        return False

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Put the newer code back."""
        host = world.hosts[name]
        if name not in state.crashed or world.code_of(name) != self.code:
            return
        if host.is_up:
            world.crash(name, power=False)
        world.install(name, self.then)
        if not host.refused:
            world.start(name)

    def _start(self, argument: tuple[FaultWorld, FaultState, str]) -> None:
        world, state, name = argument
        host = world.hosts[name]
        if not state.ended and not host.is_up and not host.refused:
            world.start(name)
