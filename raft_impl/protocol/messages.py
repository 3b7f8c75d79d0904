"""What nodes say to each other: one frozen struct a message, and the union `Message` of them all.

Every message carries the sender's `term` first (but `PreVote`, whose term is the one its sender *would* campaign in,
and the grant of it, which echoes that). Messages are datagrams: lost, duplicated, delayed and reordered at will, so
each reply names what it answers, and every handler is idempotent.

| kind | from, to | paper |
| --- | --- | --- |
| pre-vote, pre-vote-reply | pre-candidate, all voters | dissertation 9.6 |
| vote, vote-reply | candidate, all voters | section 5.2, 5.4.1; dissertation 4.2.3 (transfer flag) |
| append, append-reply, append-reject | leader, each member | section 5.3 |
| heartbeat, heartbeat-reply | leader, each member | section 5.2; dissertation 6.4 (rounds confirm reads and leases) |
| snapshot, snapshot-reply | leader, a member that is too far behind | section 7 (figure 13) |
| read, read-reply | any member, leader | dissertation 6.4 (reads of followers) |
| timeout-now | leader, its successor | dissertation 3.10 |

The tag of a struct is its kind word: traces show it, and fault rules select by it. A struct is encoded by field
order, so a field is only ever added at the end.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .state import BoundedCount, BoundedIndex, BoundedTerm, Entry, SnapshotMeta


class PreVote(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="pre-vote"):
    """Would you vote for me in `term`? Asked before the term is raised; changes nothing at the receiver."""

    term: BoundedTerm
    last_index: BoundedIndex
    last_term: BoundedTerm


class PreVoteReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="pre-vote-reply"):
    """A grant echoes the asked term; a refusal carries the refuser's own, which the asker adopts if it is higher."""

    term: BoundedTerm
    granted: bool


class Vote(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="vote"):
    """RequestVote. `transfer` says that the leader itself asked for this election, so that it is not disruptive."""

    term: BoundedTerm
    last_index: BoundedIndex
    last_term: BoundedTerm
    transfer: bool = False


class VoteReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="vote-reply"):
    """The answer to RequestVote, in the voter's term."""

    term: BoundedTerm
    granted: bool


class Append(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="append"):
    """AppendEntries: `entries` follow directly on (`prev_index`, `prev_term`).

    `round` is that of the heartbeat that it replaces, 0 when it replaces none.
    """

    term: BoundedTerm
    prev_index: BoundedIndex
    prev_term: BoundedTerm
    commit: BoundedIndex
    entries: tuple[Entry, ...] = ()
    round: BoundedCount = 0


class AppendHead(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="append"):
    """The beginning of an `Append`, for who need not read its entries."""

    term: BoundedTerm
    prev_index: BoundedIndex


class AppendReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="append-reply"):
    """The sender's durable log equals the leader's up to `match`: what one message verified, never "my last index".

    `round` is the message's.
    """

    term: BoundedTerm
    match: BoundedIndex
    round: BoundedCount = 0


class AppendReject(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="append-reject"):
    """The entry at `prev_index` (which names the refused message) is absent or of another term.

    `conflict_term` is the term found there, or 0 if the log is shorter. `conflict_index` is the first index of that
    term, or the first index that is absent.
    """

    term: BoundedTerm
    prev_index: BoundedIndex
    conflict_term: BoundedTerm
    conflict_index: BoundedIndex


class Heartbeat(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="heartbeat"):
    """The leader is alive. `round` is unique in the term; `commit` is capped by what the receiver is known to hold."""

    term: BoundedTerm
    round: BoundedCount
    commit: BoundedIndex


class HeartbeatReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="heartbeat-reply"):
    """I took you for the leader of `term` after you began `round`."""

    term: BoundedTerm
    round: BoundedCount


class SnapshotChunk(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="snapshot"):
    """InstallSnapshot: bytes of the snapshot `meta` from `offset`; `done` marks the last chunk."""

    term: BoundedTerm
    meta: SnapshotMeta
    offset: BoundedCount
    data: bytes
    done: bool


class SnapshotReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="snapshot-reply"):
    """The chunk at `offset` of the snapshot at `index` arrived; `next_offset` is wanted now (0: start again)."""

    term: BoundedTerm
    index: BoundedIndex
    offset: BoundedCount
    next_offset: BoundedCount


class Read(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="read"):
    """A batch of reads of a follower wants a read index. `context` is unique over all incarnations of the sender."""

    term: BoundedTerm
    context: BoundedCount


class ReadReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="read-reply"):
    """The read index for `context`, or None: not from me."""

    term: BoundedTerm
    context: BoundedCount
    index: BoundedIndex | None


class TimeoutNow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="timeout-now"):
    """Campaign at once. Void as soon as the receiver has left `term`: it may arrive long after an aborted transfer."""

    term: BoundedTerm


Message = (
    PreVote
    | PreVoteReply
    | Vote
    | VoteReply
    | Append
    | AppendReply
    | AppendReject
    | Heartbeat
    | HeartbeatReply
    | SnapshotChunk
    | SnapshotReply
    | Read
    | ReadReply
    | TimeoutNow
)

MESSAGE_TYPES: Final[tuple[type[Message], ...]] = (
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
    Append,
    AppendReply,
    AppendReject,
    Heartbeat,
    HeartbeatReply,
    SnapshotChunk,
    SnapshotReply,
    Read,
    ReadReply,
    TimeoutNow,
)
"""All kinds in a fixed order: a wire may use the position as a code. New kinds are added at the end."""


def kind(message: Message | type[Message]) -> str:
    """The kind word of a message or of its type."""
    tag = message.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
