"""What a leader has begun and not ended yet: records, in a module of their own so that the leader can be compiled."""

from __future__ import annotations

from typing import Any

import msgspec

from .state import Index, Membership, NodeId


class Transfer(msgspec.Struct, gc=False):
    """Leadership on its way to a successor."""

    tag: Any
    target: NodeId
    deadline_ns: int
    is_ordered: bool = False


class Staging(msgspec.Struct, gc=False):
    """A change whose newcomers are still catching up. `goal_index` ends the current round, None before the first."""

    tag: Any
    goal: Membership
    newcomers: tuple[NodeId, ...]
    round: int = 0
    round_end: Index | None = None
    round_began_ns: int = 0
