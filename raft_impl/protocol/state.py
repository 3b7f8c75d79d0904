"""Figure 2's nouns: entries, hard state, snapshots, membership, roles.

Everything here is a frozen value. What is stored or sent is encoded by field order (`array_like`), so a field is only
ever added at the end, with a default, and with a new `FORMAT_VERSION` of the storage and the wire.
"""

from __future__ import annotations

import enum
from typing import Final, NewType

import msgspec

NodeId = NewType("NodeId", str)
Term = NewType("Term", int)
Index = NewType("Index", int)

FORMAT_VERSION: Final = 1
"""Version of what is written to disk and sent to peers; the first byte of every frame and of every log file."""


class Role(enum.Enum):
    """What a node currently is. A pre-candidate asks whether an election could be won, without raising its term."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class EntryKind(enum.IntEnum):
    """What an entry means to the node that applies it."""

    NOOP = 0
    COMMAND = 1
    CONFIG = 2
    FEATURE = 3


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One slot of the replicated log. `data` is opaque to the core but for CONFIG and FEATURE entries."""

    index: Index
    term: Term
    kind: EntryKind
    data: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What must be durable before any message that depends on it leaves: one record, written as one."""

    term: Term
    vote: NodeId | None = None


class Membership(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who votes and who only listens. `outgoing` is non-empty exactly in the joint configuration (C_old,new)."""

    voters: tuple[NodeId, ...]
    outgoing: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()

    @property
    def is_joint(self) -> bool:
        """Whether both majorities are needed."""
        return bool(self.outgoing)


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The position of a snapshot: the last entry it covers and the membership committed there."""

    index: Index
    term: Term
    membership: Membership


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The image of machine and sessions after applying `meta.index`; `data` is opaque to the core."""

    meta: SnapshotMeta
    data: bytes
