"""Figure 2's nouns: entries, hard state, snapshots, membership, roles.

Everything here is a frozen value. What is stored or sent is encoded by field order (`array_like`), so a field is only
ever added at the end, with a default: older code passes over it, and newer code reads what was stored without it. What
older code must not pass over needs a new `FORMAT_VERSION` of the storage and the wire.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final, NewType

import msgspec

NodeId = NewType("NodeId", str)
Term = NewType("Term", int)
Index = NewType("Index", int)

NUMBER_MAX: Final = 1 << 62
"""No term, index or count that comes from the disk or a peer is larger: so the next one, and any sum of two, fits the
64 bits in which it is stored and sent. Decoding checks that; what was made here is not checked again."""

_IN_RANGE: Final = msgspec.Meta(ge=0, le=NUMBER_MAX)
BoundedTerm = Annotated[Term, _IN_RANGE]
BoundedIndex = Annotated[Index, _IN_RANGE]
BoundedCount = Annotated[int, _IN_RANGE]

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

    index: BoundedIndex
    term: BoundedTerm
    kind: EntryKind
    data: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What must be durable before any message that depends on it leaves: one record, written as one."""

    term: BoundedTerm
    vote: NodeId | None = None


class Membership(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who votes and who only listens. `outgoing` is non-empty exactly in the joint configuration (C_old,new)."""

    voters: tuple[NodeId, ...]
    outgoing: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()
    addresses: tuple[tuple[NodeId, str], ...] = ()
    """Where members are reached, by name. Opaque to the core; absent in what releases without addresses stored."""

    @property
    def is_joint(self) -> bool:
        """Whether both majorities are needed."""
        return bool(self.outgoing)


class Change(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A requested change: these nodes become voters, become learners, or leave. A node may be named once.

    Adding a node that is not yet a member makes it a learner first, and a voter when it has caught up. `addresses` says
    where members, new or old, are reached from now on.
    """

    vote: tuple[NodeId, ...] = ()
    listen: tuple[NodeId, ...] = ()
    leave: tuple[NodeId, ...] = ()
    addresses: tuple[tuple[NodeId, str], ...] = ()


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The position of a snapshot: the last entry it covers and the membership committed there."""

    index: BoundedIndex
    term: BoundedTerm
    membership: Membership


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The image of machine and sessions after applying `meta.index`; `data` is opaque to the core."""

    meta: SnapshotMeta
    data: bytes
