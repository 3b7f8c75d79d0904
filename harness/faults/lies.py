"""Nodes that lie: what no protocol of crashes survives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from .disks import FORGOTTEN_STATE
from .fault import Assumptions, FaultState
from .nodes import NodeFault
from .world import FaultWorld


class LyingNode(NodeFault, frozen=True, kw_only=True, tag="lying-node"):
    """Let the targets say yes where they mean no, to every other node.

    A vote that a node refuses arrives as granted, and an append that does not fit its log as acknowledged. The node
    itself follows the protocol and knows nothing of it. Raft counts on 2f+1 nodes of which f may stop, and on the word
    of all others; one that lies in this way lets two leaders be elected in one term, and entries be committed that one
    node has.
    """

    capability: ClassVar[str] = "lies"
    effective_when: ClassVar[str] = "it turned an answer round"
    allowed: ClassVar[tuple[str, ...]] = (*FORGOTTEN_STATE, "raft/", "liveness/", "session/", "node/exception/")

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Turn round what it answers from now on."""
        world.network.lie(self.id, tuple((name, other) for other in world.nodes if other != name))

    def undo(self, world: FaultWorld, state: FaultState, within: object) -> None:
        """Let it be honest again, towards all."""
        world.network.mend(self.id)

    def broken_assumptions(self, assumptions: Assumptions) -> Iterable[str]:
        """Nodes may stop; what they say is true."""
        if self.meets_any(assumptions.nodes):
            yield "nodes: one lies"
