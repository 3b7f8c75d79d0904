"""The write-ahead log of one group: hard state, entries and the snapshot, in the files that `logfiles` describes.

**One fsync a batch.** `write` only collects and appends; `sync` makes all of it durable with one fsync of the segment
(group commit). Hard state precedes the entries of its batch, so a batch that tears leaves no entry of a term that
the hard state does not know.

**Truncation is a record, not a truncation of the file.** When a leader's entries replace a conflicting suffix, the old
ones stay in the file, followed by "truncated from i" and the new ones. Appending can only tear at the end; shortening
or rewriting a file in place could lose what was durable before its replacement is.

**Segments.** A segment begins with a record of the hard state, the last index and the chain of the segment before it,
so that earlier segments can be removed and a lost one between two others is noticed. A new segment begins only when
all of the old one is durable; therefore only the last may be torn. A snapshot makes segments removable whose entries
it covers (but for the trailing entries that slow followers may still want).

**Snapshots** are written to a temporary file, fsynced, renamed, and the directory fsynced, before any record relies on
them and before any segment is removed. Whether the log continues behind an installed snapshot is decided by one rule,
here and at recovery: it does if it holds the snapshot's last entry (same index, same term); else all of it is void.

**Recovery** reads everything, leaves a torn tail out, refuses what is corrupt (`Corrupt`), and makes durable what it
found before anyone relies on it: after a kill without a power loss, what was read may have come from the page cache
only. For that the open segment is copied to a new file, which takes its place once it is durable. An fsync of the file
itself would not do: if one failed in the process before, the kernel counts the pages that it dropped as clean, so the
next one reports success for bytes that can be read and are nowhere else (fsyncgate; Rebello et al., USENIX ATC 2020).
What is not in the open segment was durable before anything was written behind it.

The first error of any write or fsync is latched: `sync` raises `DiskFailed` from then on, and never tries again.
"""

from __future__ import annotations

import errno
from functools import partial
from typing import Final

import msgspec

from ..errors import DiskFailed
from ..protocol.ready import Persist
from ..protocol.state import FORMAT_VERSION, HardState, Snapshot, SnapshotMeta, Term
from .env import Disk
from .logfiles import TEMPORARY_SUFFIX, encode_snapshot, read_log, segment_name, snapshot_name, unfinished_copies
from .logshape import LogShape
from .marks import (
    LEFT_OVER_SEGMENTS,
    LOG_BEFORE_SNAPSHOT,
    LOG_VOID,
    SEVERAL_SEGMENTS,
    TORN_TAIL,
    UNFINISHED_SEGMENT,
    UNFINISHED_SNAPSHOT,
)
from .records import RecordType, RecordWriter
from .recovered import Recovered, SegmentHead

_DISK_WORDS: Final = {
    errno.EIO: "io-error",
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "disk-full",
    errno.EROFS: "read-only",
    errno.EACCES: "not-permitted",
    errno.EMFILE: "too-many-open-files",
    errno.ENFILE: "too-many-open-files",
}

_encode: Final = msgspec.msgpack.Encoder().encode


class Wal:
    """The log files of one group, open for appending once `recover` was awaited."""

    def __init__(self, disk: Disk, group: str, *, segment_bytes: int, trailing_entries: int) -> None:
        self._disk = disk
        self._group = group
        self._segment_bytes = segment_bytes
        self._trailing_entries = trailing_entries
        self._snapshot_name = snapshot_name(group)
        self._temporary_name = self._snapshot_name + TEMPORARY_SUFFIX
        self._shape = LogShape(HardState(Term(0)))
        self._number = 0  # of the open segment; 0 while there is none
        self._name = ""
        self._writer = RecordWriter("")
        self._buffer: list[bytes] = []
        self._closed: list[tuple[str, int]] = []  # segments before the open one, with the last index of each
        self._snapshot_index = 0  # of the latest snapshot: durable, unless it waits
        self._covered_index = 0  # up to which the durable snapshot covers the log
        self._snapshot_waits = False  # for its fsync and rename; the buffer waits with it
        self._is_publishing = False  # the snapshot's fsync or rename is under way
        self._backlog: list[Persist] = []  # writes that came while it was
        self._directory_dirty = False
        self._failure: DiskFailed | None = None

    async def recover(self) -> Recovered:
        """Read and repair what is on the disk. Raises Corrupt if it cannot be trusted, DiskFailed on an I/O error."""
        try:
            return await self._recover()
        except OSError as error:
            raise DiskFailed("recover", disk_word(error)) from error

    def write(self, persist: Persist) -> None:
        """Append what the core wants durable. Errors show in `sync`. What comes during a `sync` is for the next one."""
        if self._failure is not None:
            return
        if self._is_publishing:
            self._backlog.append(persist)
            return
        try:
            self._write(persist)
        except OSError as error:
            self._failure = DiskFailed("write", disk_word(error))

    async def sync(self) -> None:
        """Make everything written durable. Raises DiskFailed if that, or an earlier write, failed."""
        if self._failure is None:
            try:
                # Another snapshot may have come since. Records behind it are framed but not in the file, so an fsync of
                # the file does not cover them.
                while self._snapshot_waits:
                    await self._publish_snapshot()
                writer, size = self._writer, self._writer.size
                if writer.durable < size:
                    await self._disk.fsync(self._name)
                    writer.durable = size
                if self._directory_dirty:
                    self._directory_dirty = False
                    await self._disk.fsync_directory()
                self._drop_covered_segments()
            except OSError as error:
                self._failure = DiskFailed("fsync", disk_word(error))
        if self._failure is not None:
            raise self._failure

    # Writing.

    def _write(self, persist: Persist) -> None:
        if persist.snapshot is not None:
            self._write_snapshot(persist.snapshot)
        if not self._number or self._writer.size >= self._segment_bytes:
            self._roll()
        shape = self._shape
        if persist.hard_state is not None:
            shape.hard_state = persist.hard_state
            self._record(RecordType.HARD_STATE, persist.hard_state)
        # An installed snapshot may have voided the log already, and with it what was to be truncated.
        if persist.truncate_from is not None and shape.base_index < persist.truncate_from <= shape.last_index:
            shape.truncate(persist.truncate_from)
            self._record(RecordType.TRUNCATE, persist.truncate_from)
        for entry in persist.entries:
            shape.append(entry.index, entry.term)
            self._record(RecordType.ENTRY, entry)
        if self._buffer and not self._snapshot_waits:
            self._disk.append(self._name, b"".join(self._buffer))
            self._buffer.clear()

    def _write_snapshot(self, snapshot: Snapshot) -> None:
        self._disk.compose(self._temporary_name, partial(encode_snapshot, snapshot))
        self._snapshot_index = snapshot.meta.index
        self._snapshot_waits = True
        self._fit(snapshot.meta)

    def _fit(self, meta: SnapshotMeta) -> None:
        """The log continues behind a snapshot if it holds the snapshot's last entry; else it is void."""
        if self._shape.term(meta.index) != meta.term:
            self._roll()
            self._shape.reset(meta.index, meta.term)
            self._record(RecordType.RESET, (meta.index, meta.term))

    def _roll(self) -> None:
        """Begin a segment if there is none, or the open one is full and durable to its last byte."""
        writer = self._writer
        if self._number:
            if writer.size < self._segment_bytes or writer.durable < writer.size:
                return
            self._closed.append((self._name, self._shape.last_index))
        shape = self._shape
        self._number += 1
        self._name = segment_name(self._group, self._number)
        self._writer = RecordWriter(self._name)
        self._directory_dirty = True
        head = SegmentHead(
            FORMAT_VERSION,
            self._group,
            self._number,
            writer.chain,
            shape.hard_state,
            shape.last_index,
            shape.last_term,
        )
        self._record(RecordType.SEGMENT, head)

    def _record(self, kind: RecordType, value: object) -> None:
        self._buffer.append(self._writer.frame(kind, _encode(value)))

    def _flush(self) -> None:
        if self._buffer and not self._snapshot_waits:
            self._disk.append(self._name, b"".join(self._buffer))
            self._buffer.clear()

    async def _publish_snapshot(self) -> None:
        """Give the snapshot its name once it is durable. Writes that come before that are kept back."""
        self._is_publishing = True
        await self._disk.fsync(self._temporary_name)
        self._disk.rename(self._temporary_name, self._snapshot_name)
        await self._disk.fsync_directory()
        self._is_publishing = self._snapshot_waits = False
        self._covered_index = self._snapshot_index
        self._flush()
        backlog, self._backlog = self._backlog, []
        for persist in backlog:
            self._write(persist)

    def _drop_covered_segments(self) -> None:
        """Remove segments that the durable snapshot covers. If a crash brings one back, recovery removes it again.

        A later snapshot may have come during the fsync of the segment: it covers nothing before it has its name.
        """
        floor = self._covered_index - self._trailing_entries
        while self._closed and self._closed[0][1] <= floor:
            self._disk.unlink(self._closed.pop(0)[0])
            self._directory_dirty = True

    # Recovery.

    async def _recover(self) -> Recovered:
        found = read_log(self._disk, self._group)
        repaired: list[str] = []
        marks: list[str] = [LEFT_OVER_SEGMENTS] if found.leftover else []
        for name in found.leftover:
            self._disk.unlink(name)
        for name in unfinished_copies(self._disk.names(), self._group):
            self._disk.unlink(name)
            if name == self._temporary_name:
                repaired.append(UNFINISHED_SNAPSHOT)
        if found.unfinished:
            self._disk.unlink(found.unfinished)
            repaired.append(UNFINISHED_SEGMENT)
        if found.torn is not None:
            repaired.append(TORN_TAIL)
        self._shape = shape = found.shape
        if found.segments:
            *closed, last = found.segments
            if closed:
                marks.append(SEVERAL_SEGMENTS)
            self._closed = [(segment.name, segment.last_index) for segment in closed]
            self._number, self._name = last.number, last.name
            await self._copy_open_segment(last.size)
            self._writer = RecordWriter(last.name, size=last.size, chain=last.chain)
        snapshot_index = snapshot_term = 0
        if found.snapshot is not None:
            meta = found.snapshot.meta
            snapshot_index, snapshot_term = meta.index, meta.term
            if found.segments and shape.term(snapshot_index) != snapshot_term:
                marks.append(LOG_VOID)
            elif shape.base_index < snapshot_index:
                marks.append(LOG_BEFORE_SNAPSHOT)
            self._fit(meta)
            await self._disk.fsync(self._snapshot_name)
            self._snapshot_index = self._covered_index = snapshot_index
        await self._sync_what_was_found()
        entries = found.entries[: shape.last_index - shape.base_index]
        del entries[: max(0, snapshot_index - self._trailing_entries - shape.base_index)]
        last_term = max(shape.last_term, snapshot_term)
        hard_state = shape.hard_state if shape.hard_state.term >= last_term else HardState(Term(last_term))
        return Recovered(hard_state, found.snapshot, tuple(entries), tuple(repaired), tuple(marks))

    async def _copy_open_segment(self, size: int) -> None:
        """Write the good part of the open segment to pages of its own, and let that take its place."""
        copy = self._name + TEMPORARY_SUFFIX
        self._disk.write(copy, self._disk.read(self._name)[:size])
        await self._disk.fsync(copy)
        self._disk.rename(copy, self._name)

    async def _sync_what_was_found(self) -> None:
        """Make durable what was found: that it could be read does not say that it is."""
        self._flush()
        if self._number:
            await self._disk.fsync(self._name)
            self._writer.durable = self._writer.size
        if self._disk.names():
            await self._disk.fsync_directory()
        self._directory_dirty = False


def disk_word(error: OSError) -> str:
    """A word for an error of the disk, fit for a trace."""
    return _DISK_WORDS.get(error.errno or 0, "disk-error")
