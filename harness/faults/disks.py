"""Faults of disks: what such kinds have in common.

A disk fault is one of the machine, and not of the process on it: it begins whether or not a process runs there, and a
process that starts meanwhile meets it.
"""

from __future__ import annotations

from typing import ClassVar, Final

from .fault import FaultState
from .nodes import NodeFault
from .world import FaultWorld

FORGOTTEN_STATE: Final = (
    "atomic-commit/",
    "linearizability/",
    "list-append/",
    "raft/committed-on-quorum",
    "raft/durable-ack",
    "raft/elected-on-quorum",
    "raft/election-safety",
    "raft/leader-completeness",
    "raft/log-matching",
    "raft/payload-reuse",
    "raft/state-machine-safety",
    "raft/state-digest",
    "raft/vote-once",
    "raft/wire-",
    "reads/",
    "node/exception/SafetyError",
)
"""What a node may show that has forgotten a vote or an entry that it answered for, and what others make of it."""


class DiskFault(NodeFault, frozen=True, kw_only=True):
    """A fault of the disks of nodes. Subclasses say what happens to a single disk."""

    capability: ClassVar[str] = "disk"

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Bring it about at the disk of each target that is a node."""
        nodes = [name for name in state.targets if name in world.nodes]
        for name in nodes:
            self.begin_at(world, state, name)
        return bool(nodes)

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Let the disk work again."""
        if name in world.nodes:
            world.hosts[name].disk.end(self.id)
