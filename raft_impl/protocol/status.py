"""The state of a core for metrics, administrators and tests, as frozen copies."""

from __future__ import annotations

import msgspec

from .progress import Progress
from .state import Index, Membership, NodeId, Role, Term


class PeerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A follower as its leader sees it."""

    pace: str
    match: Index
    next: Index
    inflight: int
    heard_ns: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A node at one instant. `peers` is empty but for a leader.

    Elections are counted since the start of the node: how many it began, each in a term of its own (pre-votes begin
    none), and how many of them it won.
    """

    node: NodeId
    role: Role
    term: Term
    vote: NodeId | None
    leader: NodeId | None
    commit: Index
    applied: Index
    first: Index
    last: Index
    last_term: Term
    durable: Index
    snapshot: Index
    membership: Membership
    membership_index: Index
    election_count: int
    victory_count: int
    peers: dict[NodeId, PeerStatus]


def peer_status(progress: Progress) -> PeerStatus:
    """Copy what is worth showing."""
    return PeerStatus(
        pace=progress.pace.value,
        match=progress.match,
        next=progress.next,
        inflight=len(progress.inflight),
        heard_ns=progress.heard_ns,
    )
