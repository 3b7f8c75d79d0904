"""What a replicated state machine is: a pure function from (state, command) to (state, answer).

A machine never sees time, randomness, its index or its replica: equal commands in equal order give equal states, byte
for byte, on every replica and every version. Keys and values are what JSON can hold. Inside a machine they are kept as
their canonical msgpack bytes, so that 1, 1.0 and true are three keys and not one, and so that digests need no second
encoding.

An answer is `(word, value)`: the word is `OK`, or the machine's way to say no (`NEGATIVE`), or `MALFORMED` for a
command that makes no sense to it. Anything but `OK` leaves the state as it was.

A machine names its commands with the feature level since which they exist (see `features`); it is never asked for
others.

The digest of a state is the sum modulo 2^64 of the 8-byte BLAKE2b digests of its records, so that one changed record
costs two additions, and the order in which records were made leaves no mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

OK: Final = "ok"
MALFORMED: Final = "malformed"
UNSUPPORTED: Final = "unsupported"
NEGATIVE: Final = frozenset({"precondition-failed", "absent", "exists", "empty", "held"})
"""Words with which a machine answers no. They are observations of the state, not failures."""

READS: Final = frozenset({"read", "size"})
"""Commands that change nothing in any machine, and so need not go through the log."""

MASK: Final = (1 << 64) - 1

Answer = tuple[str, Any]

Image = Callable[[], bytes]
"""Makes the bytes of a state, as it was when this was taken, whatever happens to the machine since: a copy of its
containers, whose elements never change. So a large state can be encoded in another thread."""

_BATCH: Final = 1024
"""Records that are encoded by one call, during which no other thread runs."""

pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.Decoder().decode


def since_first_level(*names: str) -> Mapping[str, int]:
    """Commands that exist since the first feature level."""
    return MappingProxyType(dict.fromkeys(names, 1))


class Machine(Protocol):
    """What the session layer asks of a machine."""

    @property
    def commands(self) -> Mapping[str, int]:
        """The commands, and since which feature level each exists."""
        ...

    @property
    def digest(self) -> int:
        """Sum of the digests of the records, modulo 2^64."""
        ...

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command."""
        ...

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """Answer one of `READS` without changing anything."""
        ...

    def image(self) -> Image:
        """The whole state as it is now; the bytes are equal for equal states."""
        ...

    def restore(self, data: bytes) -> None:
        """Replace the whole state by what an image gave."""
        ...


def record_digest(*parts: bytes) -> int:
    """The digest of one record. Msgpack values delimit themselves, so joining them is unambiguous."""
    return int.from_bytes(blake2b(b"".join(parts), digest_size=8).digest())


class Table:
    """Records by key with an incremental digest: the state of every machine whose records are independent.

    Keys and values are msgpack bytes. Iteration is in order of creation and never leaves the table; snapshots are
    sorted.
    """

    def __init__(self) -> None:
        self.digest = 0
        self._records: dict[bytes, tuple[bytes, int]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        record = self._records.get(key)
        return None if record is None else record[0]

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of `key`."""
        old = self._records.get(key)
        new = record_digest(key, value)
        self._records[key] = (value, new)
        self.digest = (self.digest + new - (old[1] if old else 0)) & MASK

    def pop(self, key: bytes) -> bytes | None:
        """Remove `key` and return its last value, or None."""
        old = self._records.pop(key, None)
        if old is None:
            return None
        self.digest = (self.digest - old[1]) & MASK
        return old[0]

    def keys(self) -> list[bytes]:
        """The keys, sorted."""
        return sorted(self._records)

    def image(self) -> Image:
        """All records, sorted by key."""
        records = self._records.copy()
        if len(records) <= _BATCH:
            return lambda: pack([[key, records[key][0]] for key in sorted(records)])
        return lambda: pack_list([[key, records[key][0]] for key in sorted(records)])

    def restore(self, data: bytes) -> None:
        """Replace all records."""
        self.digest = 0
        self._records = {}
        for key, value in unpack(data):
            self.put(key, value)


def pack_list(items: list[Any]) -> bytes:
    """What `pack` gives for a list, made in pieces."""
    if len(items) <= _BATCH:
        return pack(items)
    parts = [b"\xdc" + len(items).to_bytes(2) if len(items) < 1 << 16 else b"\xdd" + len(items).to_bytes(4)]
    parts += [b"".join(map(pack, items[begin : begin + _BATCH])) for begin in range(0, len(items), _BATCH)]
    return b"".join(parts)


def pair(value: Any) -> tuple[Any, Any] | None:
    """`[old, new]` of a cas, or None when the value is no pair."""
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    return None


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer that is no truth value and fits 64 bits, as msgpack holds it."""
    return type(value) is int and -(1 << 63) <= value < (1 << 63)
