"""What an administrator may ask of a server, and what comes back: the vocabulary of `administration`.

Everything is encoded by field name, so that a newer administrator and an older server understand what both know.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from ..machines.base import pack
from ..machines.features import FIRST_LEVEL
from ..protocol.wellformed import ADDRESS_LENGTH_MAX

DUMPED_COUNT_MAX: Final = 500
"""Entries in one answer; an administrator that wants more asks again."""

Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
AddressText = Annotated[str, msgspec.Meta(min_length=1, max_length=ADDRESS_LENGTH_MAX)]


class StatusNow(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """What are you, and how far is your log?"""


class Transfer(msgspec.Struct, frozen=True, kw_only=True, tag="transfer"):
    """Hand leadership to `target`, or to the most up-to-date voter."""

    target: Name | None = None


class ChangeMembers(msgspec.Struct, frozen=True, kw_only=True, tag="change"):
    """These shall vote, listen, leave. A newcomer listens until it has caught up.

    `addresses` are those of newcomers, and new ones of members.
    """

    vote: tuple[Name, ...] = ()
    listen: tuple[Name, ...] = ()
    leave: tuple[Name, ...] = ()
    addresses: dict[Name, AddressText] = {}


class SnapshotNow(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot"):
    """Take a snapshot of the machine as it is."""


class DumpLog(msgspec.Struct, frozen=True, kw_only=True, tag="dump"):
    """Show the entries from `first` on, at most `count_max` of them."""

    first: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)] = 0
    count_max: Annotated[int, msgspec.Meta(ge=1, le=1 << 62)] = DUMPED_COUNT_MAX


Question = StatusNow | Transfer | ChangeMembers | SnapshotNow | DumpLog


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """A membership by name. `outgoing` is empty but while voters change."""

    voters: tuple[str, ...]
    outgoing: tuple[str, ...]
    learners: tuple[str, ...]
    addresses: dict[str, str] = {}
    """By member; empty where a release without addresses answers."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A follower as its leader sees it."""

    pace: str
    match: int
    next: int
    inflight: int
    heard_ms_ago: int


class LogStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replica is: the entries `first` to `last` are in its log, a snapshot stands for those before."""

    first: int
    last: int
    entry_count: int
    durable: int
    commit: int
    applied: int
    snapshot: int


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A replica at one instant; `peers` is empty but for a leader."""

    node: str
    group: str
    role: str
    term: int
    leader: str | None
    log: LogStatus
    sessions: int
    waiting_clients: int
    digest: str
    feature_level: int
    election_count: int
    victory_count: int
    fsync_count: int
    fsync_ns: int
    members: Members
    members_index: int
    """Of the entry that holds the membership: it is decided once that is committed."""
    peers: dict[str, Peer]
    known_level: int = FIRST_LEVEL
    """The highest feature level that the code of this server knows."""


class Dumped(msgspec.Struct, frozen=True, kw_only=True):
    """Entries as `index (term): command`; the next ones begin at `next`, which is 0 when there are none."""

    lines: tuple[str, ...]
    next: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`refused` says why nothing was done; else the one field that belongs to the question is set."""

    refused: str = ""
    status: NodeStatus | None = None
    dumped: Dumped | None = None
    snapshot_index: int = 0
    target: str = ""


decode_question: Final = msgspec.msgpack.Decoder(Question).decode


def encode_question(question: Question) -> bytes:
    """The `call` of a request that asks it."""
    return pack(question)


def decode_outcome(value: Any) -> Outcome:
    """Read the value of a reply. Raises ValidationError when it is none."""
    return msgspec.convert(value, Outcome)
