"""Disks that fail calls, have no room, are slow, or lie.

What is safe to do after such an error is a question to the system; a correct one acknowledges nothing that the disk has
not confirmed, so that all but the lie are tolerable on any number of nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from .disks import FORGOTTEN_STATE, DiskFault
from .fault import Assumptions, FaultState
from .world import FaultWorld


class DiskError(DiskFault, frozen=True, kw_only=True):
    """Calls that fail at a disk. It goes on until one has failed, if the heal allows it."""

    counts_with: ClassVar[str] = "disk-errors"

    def must_go_on(self, state: FaultState) -> bool:
        """As long as no call has met it."""
        return not state.hits


class WriteError(DiskError, frozen=True, kw_only=True, tag="write-error"):
    """Let all that changes a file or a name fail with EIO. Of the bytes of a failed write a part may be there."""

    effective_when: ClassVar[str] = "a write failed"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Let writes fail."""
        world.hosts[name].disk.fail(self.id, "write")


class ReadError(DiskError, frozen=True, kw_only=True, tag="read-error"):
    """Let reads of files fail with EIO, which a node meets when it starts."""

    effective_when: ClassVar[str] = "a read failed"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Let reads fail."""
        world.hosts[name].disk.fail(self.id, "read")


class FsyncError(DiskError, frozen=True, kw_only=True, tag="fsync-error"):
    """Let fsyncs fail with EIO, and drop the pages that they should have written, as Linux does.

    What was dropped will never be durable, and a later fsync reports success all the same. Until the power goes it
    reads as written (`pages` = "clean"), or at once as it is on the platter ("gone"). Changes of names are not dropped:
    a journal keeps them.
    """

    pages: Literal["clean", "gone"] = "clean"

    effective_when: ClassVar[str] = "an fsync failed"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Let fsyncs fail."""
        world.hosts[name].disk.fail(self.id, "fsync", self.pages)


class DiskFull(DiskError, frozen=True, kw_only=True, tag="disk-full"):
    """Let the disk take `room_bytes` more, and then fail writes with ENOSPC. Of a write what fits is written."""

    room_bytes: int = 0

    effective_when: ClassVar[str] = "a write found no room"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Limit the room."""
        world.hosts[name].disk.fill(self.id, self.room_bytes)


class SlowDisk(DiskFault, frozen=True, kw_only=True, tag="slow-disk"):
    """Let each fsync take `late_ns` longer, so that the disk is much slower than the network."""

    late_ns: int

    effective_when: ClassVar[str] = "an fsync took longer"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Slow it down."""
        world.hosts[name].disk.delay(self.id, self.late_ns)


class LyingFsync(DiskFault, frozen=True, kw_only=True, tag="lying-fsync"):
    """Let fsyncs report success and make nothing durable, like a drive whose cache has no battery.

    A later honest fsync of the same file makes up for it; a power loss before that takes what was acknowledged.
    """

    effective_when: ClassVar[str] = "a power loss took what it had called durable"
    allowed: ClassVar[tuple[str, ...]] = FORGOTTEN_STATE

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Let fsyncs lie."""
        world.hosts[name].disk.lie(self.id)

    def broken_assumptions(self, assumptions: Assumptions) -> Iterable[str]:
        """Raft rests on what an fsync promises."""
        if self.meets_any(assumptions.nodes):
            yield "disks: an fsync lies"
