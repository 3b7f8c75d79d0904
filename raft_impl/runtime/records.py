"""Log records: how they are framed, and how damage is distinguished from a torn write.

A log file is a sequence of records, only ever appended to:

    | magic 1 | type 1 | length 4 | offset 4 | durable 4 | chain 4 | header crc 4 | body | end 1 |

* `chain` is the CRC-32 of the body, continued from the record before, so an old or foreign record that is whole in
  itself does not fit (a misdirected write, a block that went back in time).
* `offset` and the header's CRC, which starts from the file's name, pin a record to its place. A whole header can thus
  be recognised without its predecessors, and its length be trusted.
* `durable` is how much of the file was known to be durable when the record was written.
* Neither the first byte nor the last one is zero.

A bad record is **torn** if a crash explains it: it was not yet durable, and something of it is *missing*. Missing means
that the file ends too early, that a whole 512-byte sector reads as zeros, which is what an unwritten block of a file
gives, or that nothing but zeros lie up to the next whole record, which is what a failed fsync leaves whose pages were
dropped before more was appended. It must be missing where the record is: within its length if the header is whole, else
within the header, for a hole further on is that of another record. Any other bad record was whole once and is
**corrupt**, wherever it is, even as the last one: a flipped bit leaves no hole, and a write that landed here instead of
further on leaves one there only. A hole is corrupt too when a later record says that the place was durable before. Torn
records are cut off; corrupt ones are never repaired by forgetting them, because a node may have answered for them
(Alagappan et al., Protocol-Aware Recovery, FAST 2018). One thing cannot be told from a tear: that the disk lost the
very last write after confirming it.

Sectors may reach the disk in any order, so whole records of the same un-synced batch may follow a hole; they are
removed with it, since none of them was acknowledged.
"""

from __future__ import annotations

import enum
import struct
from typing import Final
from zlib import crc32

from .recovered import Record, Scan

SECTOR_BYTES: Final = 512
"""What a disk writes whole or not at all."""

_MAGIC: Final = 0xA5
_END: Final = b"\x5a"
_END_BYTE: Final = _END[0]
_HEADER: Final = struct.Struct(">BBIIII")
_CRC: Final = struct.Struct(">I")
_WHOLE_HEADER: Final = struct.Struct(">BBIIIII")
_CHECKED_BYTES: Final = _HEADER.size
HEADER_BYTES: Final = _WHOLE_HEADER.size
OVERHEAD_BYTES: Final = HEADER_BYTES + len(_END)
_unpack_header: Final = _WHOLE_HEADER.unpack_from

_Header = tuple[int, int, int, int, int, int, int]
"""(magic, type, length, offset, durable, chain, CRC)"""


class RecordType(enum.IntEnum):
    """What a record says."""

    SEGMENT = 1
    ENTRY = 2
    HARD_STATE = 3
    TRUNCATE = 4
    RESET = 5


class RecordWriter:
    """Frames records for one file. `durable` is to be raised by the owner after each fsync."""

    def __init__(self, name: str, *, size: int = 0, chain: int = 0) -> None:
        self.size = size
        self.chain = chain
        self.durable = size
        self._seed = crc32(name.encode())

    def frame(self, kind: int, body: bytes) -> bytes:
        """The bytes of the next record; the writer counts them as part of the file from now on."""
        self.chain = crc32(body, self.chain)
        header = _HEADER.pack(_MAGIC, kind, len(body), self.size, self.durable, self.chain)
        record = b"".join((header, _CRC.pack(crc32(header, self._seed)), body, _END))
        self.size += len(record)
        return record


class RecordReader:
    """Reads the records of one file, and goes on where it stopped when the file has grown."""

    __slots__ = ("_seed", "chain", "size")

    def __init__(self, name: str) -> None:
        self.size = 0
        """Where the last good record ends."""
        self.chain = 0
        self._seed = crc32(name.encode())

    def read_on(self, content: bytes | bytearray) -> list[Record]:
        """The records behind those already read, until the end of the file or the first bad one."""
        records: list[Record] = []
        seed, chain, offset = self._seed, self.chain, self.size
        end = len(content)
        while offset < end:
            header = _header(content, offset, seed)
            if header is None:
                break
            _, kind, length, _, _, expected, _ = header
            after = offset + length + OVERHEAD_BYTES
            body = bytes(content[offset + HEADER_BYTES : after - 1])
            chain = crc32(body, chain)
            if after > end or chain != expected or content[after - 1] != _END_BYTE:
                break
            records.append((kind, body))
            self.chain = chain
            self.size = offset = after
        return records

    def damage(self, content: bytes | bytearray) -> str:
        """What stopped `read_on`: `""` if the file ends with a good record, else `"torn"` or `"corrupt"`."""
        return "" if self.size >= len(content) else _judge(content, self.size, self._seed)


def scan(name: str, content: bytes | bytearray) -> Scan:
    """Read all records of a file until the end or the first bad one, and judge that one."""
    reader = RecordReader(name)
    records = reader.read_on(content)
    return Scan(records, reader.size, reader.chain, reader.damage(content))


def _header(content: bytes | bytearray, offset: int, seed: int) -> _Header | None:
    """A whole header that belongs at `offset`, or None."""
    if content[offset] != _MAGIC or offset + HEADER_BYTES > len(content):
        return None
    header: _Header = _unpack_header(content, offset)
    if header[3] != offset or crc32(content[offset : offset + _CHECKED_BYTES], seed) != header[6]:
        return None
    return header


def _judge(content: bytes | bytearray, bad: int, seed: int) -> str:
    """Whether the bad record at `bad` is torn or corrupt.

    A whole header tells how far the record reaches, and something is to be missing there. Without one, something of the
    header itself is to be missing: damage to it would otherwise pass for a tear wherever a torn record follows.
    """
    if _was_durable(content, bad, seed):
        return "corrupt"
    header = _header(content, bad, seed)
    end = bad + (HEADER_BYTES if header is None else header[2] + OVERHEAD_BYTES)
    if end > len(content):
        return "torn"
    lacks_its_end = header is not None and content[end - 1] == 0
    is_missing = lacks_its_end or _has_hole(content, bad, end) or _is_blank(content, bad, seed)
    return "torn" if is_missing else "corrupt"


def _was_durable(content: bytes | bytearray, bad: int, seed: int) -> bool:
    """Whether a later record was written when `bad` was durable already."""
    offset = content.find(_MAGIC, bad + 1)
    while offset >= 0:
        header = _header(content, offset, seed)
        if header is not None and header[4] > bad:
            return True
        offset = content.find(_MAGIC, offset + 1)
    return False


def _is_blank(content: bytes | bytearray, bad: int, seed: int) -> bool:
    """Whether nothing but zeros lie between `bad` and the next whole header."""
    offset = content.find(_MAGIC, bad)
    return offset > bad and content.count(0, bad, offset) == offset - bad and _header(content, offset, seed) is not None


def _has_hole(content: bytes | bytearray, begin: int, end: int) -> bool:
    """Whether a sector of the file within [begin, end) reads as zeros, as far as it lies behind `begin`."""
    sector = begin - begin % SECTOR_BYTES
    while sector < end:
        part = content[max(sector, begin) : sector + SECTOR_BYTES]
        if part.count(0) == len(part):
            return True
        sector += SECTOR_BYTES
    return False
