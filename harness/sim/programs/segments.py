"""Segments: what the TCP and UDP of two incarnations say to each other, as frames with a checksum.

`token` and `answer` are what initial sequence numbers are to TCP: each end gives a connection a number of its own,
which grows with every connection that an incarnation has part in, and with every incarnation. `token` is the caller's.
`answer` is that of who was called: the caller learns it from the `syn-ack` and repeats it from then on, so that copies
of an old call, which can only repeat an old answer, open nothing. Sequence numbers count bytes from zero, and the end
of a stream (`fin`) counts as one.
"""

from __future__ import annotations

from typing import Literal
from zlib import crc32

import msgspec

_CHECKSUM_BYTES = 4


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """One segment. `probe` asks for an `ack`, `reset` ends a connection at once, and `datagram` belongs to none."""

    kind: Literal["syn", "syn-ack", "data", "ack", "probe", "reset", "datagram"]
    source_port: int
    target_port: int
    token: int
    answer: int = 0
    sequence: int = 0
    acknowledged: int = 0
    window: int = 0
    fin: bool = False
    data: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Segment).decode


def encode(segment: Segment) -> bytes:
    """A segment as a datagram."""
    body = _encode(segment)
    return crc32(body).to_bytes(_CHECKSUM_BYTES) + body


def decode(frame: bytes) -> Segment | None:
    """The segment of a datagram, or None when it was damaged on its way."""
    body = frame[_CHECKSUM_BYTES:]
    if int.from_bytes(frame[:_CHECKSUM_BYTES]) != crc32(body):
        return None
    try:
        return _decode(body)
    except msgspec.MsgspecError:
        return None
