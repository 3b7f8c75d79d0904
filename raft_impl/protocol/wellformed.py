"""Whether a message agrees with itself, as all do that a replica sends. Checked once, where frames are decoded.

Ranges of single numbers stand with the types (`state`); here is what several fields must say together. A core that is
given less could stop on it, at every start if it had become durable, so what fails is no message.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .membership import decode
from .messages import Append, PreVote, SnapshotChunk, Vote
from .state import Entry, EntryKind, Membership

ADDRESS_LENGTH_MAX: Final = 300
"""A host name has at most 253 characters; behind it stand a colon and a port."""
_COMMAND: Final = int(EntryKind.COMMAND)


def is_well_formed_append(message: Append) -> bool:
    """Entries follow on each other and on the one before them, and their terms never fall nor pass the leader's."""
    index, term = message.prev_index, message.prev_term
    for entry in message.entries:
        if entry.index != index + 1 or entry.term < term or (entry.kind > _COMMAND and not _is_readable(entry)):
            return False
        index, term = entry.index, entry.term
    return term <= message.term


def is_well_formed_chunk(message: SnapshotChunk) -> bool:
    """A snapshot covers something, is not of a later term than its leader, and has a voter."""
    meta = message.meta
    return meta.index > 0 and 0 < meta.term <= message.term and _is_membership(meta.membership)


def is_well_formed_candidacy(message: Vote | PreVote) -> bool:
    """A candidate's log ends before the term in which it campaigns."""
    return message.last_term < message.term


def _is_readable(entry: Entry) -> bool:
    """Whether an entry that the core or its driver looks into can be read. Commands are opaque to both."""
    try:
        if entry.kind is EntryKind.CONFIG:
            return _is_membership(decode(entry.data))
        return type(msgspec.msgpack.decode(entry.data)) is int
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _is_membership(membership: Membership) -> bool:
    """Whether there is a voter, and no member has two addresses or one that is longer than any is."""
    addresses = dict(membership.addresses)
    return (
        bool(membership.voters)
        and len(addresses) == len(membership.addresses)
        and all(len(address) <= ADDRESS_LENGTH_MAX for address in addresses.values())
    )
