"""Frames: values as datagrams, with a checksum, for adapters that have no wire format of their own.

The simulated network flips bits, as real ones do now and then. A receiver that takes a damaged message for a good one
has a bug that is real but rarely the one that is looked for.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec

_CHECKSUM_BYTES = 4


def seal(value: Any) -> bytes:
    """A value that JSON can hold, as a datagram."""
    body = msgspec.msgpack.encode(value)
    return crc32(body).to_bytes(_CHECKSUM_BYTES) + body


def unseal(frame: bytes) -> Any | None:
    """The value of a datagram, or None when it was damaged on its way."""
    body = frame[_CHECKSUM_BYTES:]
    if len(frame) <= _CHECKSUM_BYTES or int.from_bytes(frame[:_CHECKSUM_BYTES]) != crc32(body):
        return None
    return msgspec.msgpack.decode(body)
