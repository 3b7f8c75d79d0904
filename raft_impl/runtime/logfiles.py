"""The files of a group's log, and how to read them: pure looking, nothing is changed.

    g0-00000001.wal, g0-00000002.wal, ...   segments of records (see `records`)
    g0.snapshot                             the latest snapshot
    g0.snapshot.tmp, g0-00000003.wal.tmp    what was being written when the node stopped; nobody reads it

Recovery, `verify` and `dump_log` all read through `read_log`, so what one of them accepts no other refuses.
"""

from __future__ import annotations

import struct
from typing import Final
from zlib import crc32

import msgspec

from ..errors import Corrupt
from ..protocol.state import FORMAT_VERSION, Entry, HardState, Snapshot, Term
from .env import Disk
from .logshape import LogShape, fold_all, segment_head, shape_at
from .records import HEADER_BYTES, OVERHEAD_BYTES, RecordType, scan

_SEGMENT_SUFFIX: Final = ".wal"
_SNAPSHOT_SUFFIX: Final = ".snapshot"
TEMPORARY_SUFFIX: Final = ".tmp"
"""Of a file that is written before it takes its place under the name without this."""
_SNAPSHOT_HEADER: Final = struct.Struct(">4sBQI")
_SNAPSHOT_MAGIC: Final = b"FSNP"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_snapshot: Final = msgspec.msgpack.Decoder(Snapshot).decode


class Segment(msgspec.Struct, frozen=True):
    """A readable segment: where its good records end, the chain there, and the last index of the log at that point."""

    name: str
    number: int
    size: int
    chain: int
    last_index: int


class LogOnDisk(msgspec.Struct, frozen=True):
    """What the files of a group amount to, and what a repair would have to do."""

    snapshot: Snapshot | None
    shape: LogShape
    entries: list[Entry]
    """Those behind the shape's base."""
    segments: tuple[Segment, ...]
    torn: Segment | None
    """The last segment, if it has more bytes than good ones."""
    unfinished: str
    """A last file without a single whole record: a segment that was just begun."""
    leftover: tuple[str, ...]
    """Segments that a snapshot covers, from a removal that was cut short."""


def segment_name(group: str, number: int) -> str:
    """The file name of a segment."""
    return f"{group}-{number:08d}{_SEGMENT_SUFFIX}"


def parse_segment_name(name: str) -> tuple[str, int] | None:
    """(group, number) of a segment's file name, or None for any other name."""
    stem, dash, digits = name.removesuffix(_SEGMENT_SUFFIX).rpartition("-")
    if not name.endswith(_SEGMENT_SUFFIX) or not dash or len(digits) != 8 or not digits.isdecimal():
        return None
    return stem, int(digits)


def snapshot_name(group: str) -> str:
    """The file name of a group's snapshot."""
    return group + _SNAPSHOT_SUFFIX


def unfinished_copies(names: list[str], group: str) -> list[str]:
    """Those of a group's files that never got the name for which they were written."""
    owners = {
        name: parse_segment_name(name.removesuffix(TEMPORARY_SUFFIX))
        for name in names
        if name.endswith(TEMPORARY_SUFFIX)
    }
    return [
        name
        for name, segment in owners.items()
        if (segment is not None and segment[0] == group) or name == snapshot_name(group) + TEMPORARY_SUFFIX
    ]


def groups_on(disk: Disk) -> tuple[str, ...]:
    """The groups that have files on a disk, sorted."""
    names = disk.names()
    found = {parsed[0] for parsed in map(parse_segment_name, names) if parsed is not None}
    found.update(name.removesuffix(_SNAPSHOT_SUFFIX) for name in names if name.endswith(_SNAPSHOT_SUFFIX))
    return tuple(sorted(found))


def has_segments(disk: Disk, group: str) -> bool:
    """Whether there is any segment of a group's log."""
    return any(owner == group for owner, _ in filter(None, map(parse_segment_name, disk.names())))


def read_log(disk: Disk, group: str) -> LogOnDisk:
    """Read and judge the files of a group. Raises Corrupt for anything that no crash explains."""
    names = disk.names()
    numbers = [number for owner, number in filter(None, map(parse_segment_name, names)) if owner == group]
    run = _last_run(numbers)
    snapshot = None
    if snapshot_name(group) in names:
        snapshot = decode_snapshot(snapshot_name(group), disk.read(snapshot_name(group)))
    shape = LogShape(HardState(Term(0)))
    entries: list[Entry] = []
    segments: list[Segment] = []
    torn, unfinished = None, ""
    for number in run:
        name = segment_name(group, number)
        found = scan(name, disk.read(name))
        is_whole = not found.damage and found.records
        if found.damage == "corrupt" or not (is_whole or number == run[-1]):
            raise Corrupt("log-corrupt", f"{name} at {found.size}")
        if not found.records:
            unfinished = name
            break
        head = segment_head(found.records[0])
        if not segments:
            shape = shape_at(head)
        elif head.previous_chain != segments[-1].chain:
            raise Corrupt("log-corrupt", f"{name} does not continue the segment before it")
        fold_all(shape, entries, found.records[1:])
        segment = Segment(name, number, found.size, found.chain, shape.last_index)
        segments.append(segment)
        torn = segment if found.damage else None
    covered = snapshot.meta.index if snapshot is not None else 0
    if shape.base_index > covered:
        raise Corrupt("log-gap", f"the log begins after {shape.base_index}, the snapshot ends at {covered}")
    leftover = tuple(segment_name(group, number) for number in numbers if number not in run)
    return LogOnDisk(snapshot, shape, entries, tuple(segments), torn, unfinished, leftover)


def disk_regions(name: str, content: bytes) -> tuple[tuple[str, str, int, int], ...]:
    """What a file is made of: (`log`, `hard-state` or `snapshot`; `header` or `body`; first byte, byte behind it).

    A segment is read up to its first bad record, and the byte that ends a record belongs to its body.
    """
    if name.endswith(_SNAPSHOT_SUFFIX):
        edge = min(_SNAPSHOT_HEADER.size, len(content))
        return ("snapshot", "header", 0, edge), ("snapshot", "body", edge, len(content))
    if parse_segment_name(name) is None:
        return ()
    regions: list[tuple[str, str, int, int]] = []
    begin = 0
    for kind, body in scan(name, content).records:
        end = begin + len(body) + OVERHEAD_BYTES
        region = "hard-state" if kind == RecordType.HARD_STATE else "log"
        regions += [
            (region, "header", begin, begin + HEADER_BYTES),
            (region, "body", begin + HEADER_BYTES, end),
        ]
        begin = end
    return tuple(regions)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The content of a snapshot file."""
    body = _encode(snapshot)
    return _SNAPSHOT_HEADER.pack(_SNAPSHOT_MAGIC, FORMAT_VERSION, len(body), crc32(body)) + body


def decode_snapshot(name: str, content: bytes) -> Snapshot:
    """The snapshot in a file. Raises Corrupt: it was durable before it got its name, so no crash explains damage."""
    try:
        magic, version, length, expected = _SNAPSHOT_HEADER.unpack_from(content)
        body = content[_SNAPSHOT_HEADER.size :]
        if magic == _SNAPSHOT_MAGIC and len(body) == length and crc32(body) == expected:
            if version != FORMAT_VERSION:
                raise Corrupt("format-version", f"{name}: version {version}; this code reads {FORMAT_VERSION}")
            return _decode_snapshot(body)
    except (struct.error, msgspec.MsgspecError, UnicodeDecodeError):
        pass
    raise Corrupt("snapshot-corrupt", name)


def _last_run(numbers: list[int]) -> list[int]:
    """The last run of consecutive numbers. A gap that matters shows as a log that begins behind the snapshot's end."""
    start = max(len(numbers) - 1, 0)
    while start > 0 and numbers[start - 1] == numbers[start] - 1:
        start -= 1
    return numbers[start:]
