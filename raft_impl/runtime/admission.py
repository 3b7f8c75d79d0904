"""Who is heard in a group: its members, and others only where a replica that is behind may have to hear them.

A replica knows the membership by its log, and its log may be behind. It may not yet know a node that was added since,
and that node may have become the leader; so it must hear leaders and candidates which it does not know, as section 6 of
the paper says. Otherwise it could stay behind for ever. Everything else has no meaning when it comes from a node that
is no member: answers count for nothing, reads are for members, and in a term whose leader is known there is no other
leader. A removed node that does not know of its removal is thereby heard only as a candidate, and pre-votes keep it
from disturbing anybody. Whether a node is who it says it is, is no question of this file: the transport knows.
"""

from __future__ import annotations

from typing import Any, Final

from ..protocol.core import Raft
from ..protocol.messages import Append, Heartbeat, PreVote, SnapshotChunk, Vote

_OF_LEADERS: Final = frozenset({Append, Heartbeat, SnapshotChunk})
_OF_CANDIDATES: Final = frozenset({PreVote, Vote})


def is_heard(core: Raft, source: str, message: Any) -> bool:
    """Whether a message of a node that is no member of the configuration in force goes to the core."""
    leader = core.leader
    if source == leader:
        return True  # it was taken for the leader: one who is removing itself, or was added since
    kind = type(message)
    if kind in _OF_CANDIDATES:
        return True
    return kind in _OF_LEADERS and (leader is None or message.term != core.term)
