"""Frames: how messages become datagrams and come back, or do not.

    | FORMAT_VERSION 1 | kind 1 | crc 4 | msgpack of [group, message] |

The CRC-32 starts from the kind and covers the rest. A frame that is damaged, of another version or of an unknown kind
is no message: `decode` gives None and never raises, because any sender may send anything. Kinds below
`_FIRST_DRIVER_KIND` are those of the protocol, in the fixed order of `MESSAGE_TYPES`.

Clients speak over the same datagrams, which the network may lose, delay and duplicate. "Refused" must be definite
nevertheless: a copy of a refused request that arrives later, perhaps when its receiver has become the leader, must have
no effect. So a client first says `Hello` and gets a number that names this incarnation of the server, and each
request carries it. Within an incarnation a server takes the requests of a client in the order of their ids, each at
most once. A request that names an earlier incarnation is not taken, but that one may have taken a copy before it
ended: its outcome is unknown. TCP gives the same guarantee with the same handshake.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

import msgspec

from ..machines.calls import deeply
from ..protocol.messages import (
    MESSAGE_TYPES,
    Append,
    AppendHead,
    AppendReply,
    Heartbeat,
    Message,
    PreVote,
    PreVoteReply,
    SnapshotChunk,
    Vote,
    VoteReply,
)
from ..protocol.state import FORMAT_VERSION
from ..protocol.wellformed import is_well_formed_append, is_well_formed_candidacy, is_well_formed_chunk
from .driver_messages import DRIVER_TYPES, DriverMessage, LevelAsk, LevelTell

GARBAGE: Final = "garbage"

_HEADER: Final = struct.Struct(">BBI")
_HEADER_BYTES: Final = _HEADER.size
_pack_header: Final = _HEADER.pack
_unpack_header: Final = _HEADER.unpack_from
_FIRST_DRIVER_KIND: Final = 128


PROTOCOL_TYPES: Final[frozenset[type]] = frozenset(MESSAGE_TYPES)
"""What replicas say to each other."""

AnyMessage = Message | DriverMessage

_CODES: Final[dict[type[Any], int]] = {
    **{message: code for code, message in enumerate(MESSAGE_TYPES, 1)},
    **{message: code for code, message in enumerate(DRIVER_TYPES, _FIRST_DRIVER_KIND)},
}
_BETWEEN_NODES: Final = frozenset(_CODES[kind] for kind in (*MESSAGE_TYPES, LevelAsk, LevelTell))
_LOG_KINDS: Final = frozenset(_CODES[kind] for kind in (Append, SnapshotChunk))
_WORDS: Final[dict[bytes, str]] = {
    bytes((FORMAT_VERSION, code)): str(message.__struct_config__.tag) for message, code in _CODES.items()
}
"""Kind words by what frames begin with."""
_WELL_FORMED: Final[dict[type, Callable[[Any], bool]]] = {
    Append: is_well_formed_append,
    PreVote: is_well_formed_candidacy,
    SnapshotChunk: is_well_formed_chunk,
    Vote: is_well_formed_candidacy,
}


def _decoder(message: type) -> Callable[[bytes], tuple[str, Any]]:
    """Reads [group, message]; raises a ValidationError for a message that contradicts itself."""
    decode: Callable[[bytes], tuple[str, Any]] = msgspec.msgpack.Decoder(tuple[str, message]).decode  # type: ignore[valid-type]
    is_well_formed = _WELL_FORMED.get(message)
    if is_well_formed is None:
        return decode

    def checked(body: bytes) -> tuple[str, Any]:
        found = decode(body)
        if not is_well_formed(found[1]):
            raise msgspec.ValidationError("the message contradicts itself")
        return found

    return checked


_DECODE: Final = {code: _decoder(message) for message, code in _CODES.items()}
_encode: Final = msgspec.msgpack.Encoder().encode


def encode(group: str, message: AnyMessage) -> bytes:
    """The frame of a message."""
    code = _CODES[type(message)]
    try:
        body = _encode((group, message))
    except RecursionError:  # the answer to a command in an old log, see `machines.calls`
        body = deeply(_encode, (group, message))
    return _pack_header(FORMAT_VERSION, code, crc32(body, code)) + body


def decode(frame: bytes) -> tuple[str, Any] | None:
    """(group, message), or None when the frame is not exactly what some `encode` gave."""
    try:
        version, code, expected = _unpack_header(frame)
        body = frame[_HEADER_BYTES:]
        if version != FORMAT_VERSION or crc32(body, code) != expected:
            return None
        return _DECODE[code](body)
    except (struct.error, KeyError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


PROMISES: Final = {
    "vote": 1,
    "vote-reply": 1,
    "pre-vote": 2,
    "pre-vote-reply": 1,
    "append": 4,
    "append-reply": 4,
    "heartbeat": 20,
    "snapshot": 1,
}
"""Kinds of messages by which a node binds itself, and one in how many is worth reading; `promise_of` reads them."""


_READ_PROMISE: Final = {
    code: msgspec.msgpack.Decoder(tuple[str, AppendHead if kind is Append else kind]).decode  # type: ignore[misc]
    for kind, code in _CODES.items()
    if kind.__struct_config__.tag in PROMISES
}


def promise_of(frame: bytes) -> tuple[str, int, Any] | None:
    """(group, term, said) of a message of `PROMISES`; None for what is none.

    `said` is whether a vote or pre-vote is granted, the index matched, the index committed, that which entries follow
    on, of a candidate the term and index of its last entry, or of a snapshot the index with voters, outgoing voters and
    learners there. The frame is as it was sent: nothing has damaged it yet.
    """
    try:
        group, message = _READ_PROMISE[frame[1]](frame[_HEADER_BYTES:])
    except (IndexError, KeyError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    match message:
        case AppendReply():
            return group, message.term, message.match
        case Heartbeat():
            return group, message.term, message.commit
        case AppendHead():
            return group, message.term, message.prev_index
        case VoteReply() | PreVoteReply():
            return group, message.term, int(message.granted)
        case Vote():
            return group, message.term, (message.last_term, message.last_index)
        case PreVote():
            return group, message.term, 0
        case SnapshotChunk():
            at, membership = message.meta.index, message.meta.membership
            return group, message.term, (at, membership.voters, membership.outgoing, membership.learners)
    return None


def is_between_nodes(frame: bytes) -> bool:
    """Whether a frame says what only nodes say to each other, from its header alone."""
    return len(frame) > 1 and frame[1] in _BETWEEN_NODES


def carries_log(frame: bytes) -> bool:
    """Whether a frame holds entries or a part of a snapshot, from its header alone."""
    return len(frame) > 1 and frame[1] in _LOG_KINDS


def kind_of(frame: bytes) -> str:
    """The kind word of a frame, from its header alone; `garbage` for what is none."""
    try:
        return _WORDS[frame[:2]] if len(frame) >= _HEADER_BYTES else GARBAGE
    except KeyError:
        return GARBAGE
