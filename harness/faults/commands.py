"""Faults that are a command of an administrator: what such kinds have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from .fault import Fault, FaultState
from .world import FaultWorld


class Command(Fault, frozen=True, kw_only=True):
    """A fault that is one request of an administrator to a node, made until it is taken or the heal comes."""

    group: str = "g0"

    is_instant: ClassVar[bool] = True
    effective_when: ClassVar[str] = "a node took the command"

    @property
    def waits_until_heal(self) -> bool:
        """A refused command is tried again."""
        return True

    def ask(self, world: FaultWorld, state: FaultState, node: str, command: str, **arguments: Any) -> bool:
        """Give a node the command; once more when it is idle, if it is busy with its disk now. True if it took it."""
        taken = world.command(node, self.group, command, arguments)
        state.hits += taken
        if not taken and not state.waits_for_idle:
            state.waits_for_idle = True

            def ask_again() -> None:
                state.waits_for_idle = False
                if not world.healed and world.command(node, self.group, command, arguments):
                    state.taken_late = True

            world.when_idle(node, ask_again)
        return taken


class NodeCommand(Command, frozen=True, kw_only=True):
    """A command to one or several nodes."""

    targets: tuple[str, ...]

    command: ClassVar[str]

    @property
    def aimed_at(self) -> tuple[str, ...]:
        """Its targets."""
        return self.targets

    def with_named_target(self, nodes: Sequence[str]) -> Fault:
        """The same fault of the first of these nodes."""
        return msgspec.structs.replace(self, targets=tuple(nodes[:1]))

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Ask all targets that are up until one takes it now, the others each in an event of its own at this instant.

        Servers that are told in one callback would act in the order in which Trio happens to run them.
        """
        taken = False
        for name in world.up(state.targets):
            if taken:
                world.call_at(world.now_ns(), self._ask_late, (world, state, name))
            else:
                taken = self.ask(world, state, name, self.command)
        return taken

    def _ask_late(self, argument: tuple[FaultWorld, FaultState, str]) -> None:
        self.ask(*argument, self.command)
