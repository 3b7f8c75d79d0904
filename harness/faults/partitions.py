"""Partitions: some actors do not hear others. The shapes are in `topologies`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from .fault import ROLES, Fault, FaultState
from .links import mend
from .topologies import edges
from .world import FaultWorld


class Partition(Fault, frozen=True, kw_only=True, tag="partition"):
    """Some actors refuse to hear others. `shape` with `order` and `clients` gives the directed edges that are cut.

    `order` is a drawn permutation of the nodes (a role may stand first); shapes read it from the left, e.g. `one`
    cuts `order[0]` from all others. `clients` are the client actors that sit with the first side; the others sit with
    the rest. None leaves every link of a client alone.
    """

    shape: Literal[
        "one", "halves", "majority-minority", "minority-third", "majorities-ring", "bridge", "one-way-in", "one-way-out"
    ]
    order: tuple[str, ...]
    clients: tuple[str, ...] | None = ()

    effective_when: ClassVar[str] = "it dropped a message"

    @property
    def aimed_at(self) -> tuple[str, ...]:
        """Who stands first in the order: all shapes but the symmetric ones are about that node."""
        return self.order[:1]

    def with_named_target(self, nodes: Sequence[str]) -> Fault:
        """The same shape, in this order."""
        return msgspec.structs.replace(self, order=tuple(nodes))

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Cut the edges of the shape, in the order of those who hold the roles now."""
        if self.aimed_at and not state.targets:
            return False
        order = world.resolve(self.order)
        state.targets = order[:1]
        cut = edges(self.shape, order, self.clients, world.nodes, world.clients)
        world.network.cut(self.id, cut)
        return bool(cut)

    def undo(self, world: FaultWorld, state: FaultState, within: Collection[str] | None) -> None:
        """Mend the links, or those that have both ends within."""
        mend(world, self.id, within)

    def is_undone(self, state: FaultState, within: Collection[str]) -> bool:
        """Never: some of its edges lead out of any part of the actors."""
        return False

    def cut_off(self, actors: Sequence[str]) -> Sequence[str]:
        """Who stands first, where the shape cuts off a single node; else any actor."""
        alone = self.shape in ("one", "one-way-in", "one-way-out")
        return self.order[:1] if alone and self.order and self.order[0] not in ROLES else actors

    def in_words(self, name: str, value: Any, default: Any) -> str:
        """Where the clients are is always said."""
        if name != "clients":
            return super().in_words(name, value, default)
        if value is None:
            return "(client links untouched)"
        return f"(beside: {','.join(value)})" if value else "(all clients with the rest)"
