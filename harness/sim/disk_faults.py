"""What faults do to one disk for a while: calls that fail, a file system without room, fsyncs that are late or lie.

Each is known by the id of its fault, may overlap with others, and counts in `hits` what it touched. The actor's port
(ports.py) asks before each call, the device (device.py) at the end of each fsync. Damage to what is stored is in the
disk model (disk.py); `damage` chooses its place.
"""

from __future__ import annotations

import errno
import os
from typing import Literal

from .disk import SyncEnd
from .kernel.draws import Counter

Operation = Literal["read", "write", "fsync"]


class DiskFaults:
    """The faults in force on one disk."""

    def __init__(self, draws: Counter, hits: dict[str, int]) -> None:
        self.any_in_force = False
        """Whether any is; asked at each call, so that a healthy disk costs no more than that."""
        self._draws, self._hits = draws, hits
        self._failing: dict[str, Operation] = {}
        self._dropped: dict[str, SyncEnd] = {}  # what a failing fsync does to its pages, by fault
        self._room: dict[str, int] = {}  # bytes that a full disk still takes, by fault
        self._late: dict[str, int] = {}  # by how much a fault delays each fsync
        self._lying: dict[str, bool] = {}  # faults whose fsyncs lie
        self._liars: dict[str, bool] = {}  # those of them that lied since the power went last

    # -- begin and end --------------------------------------------------------------------------------------------

    def fail(self, fault: str, operation: Operation, dropped: SyncEnd = "clean") -> None:
        """Let calls of a sort fail with EIO."""
        self._failing[fault] = operation
        self._dropped[fault] = dropped
        self.any_in_force = True

    def fill(self, fault: str, room_bytes: int) -> None:
        """Let the disk take `room_bytes` more, and then none (ENOSPC)."""
        self._room[fault] = room_bytes
        self.any_in_force = True

    def delay(self, fault: str, late_ns: int) -> None:
        """Let each fsync that begins take longer."""
        self._late[fault] = late_ns
        self.any_in_force = True

    def lie(self, fault: str) -> None:
        """Let fsyncs report success and make nothing durable."""
        self._lying[fault] = True
        self.any_in_force = True

    def end(self, fault: str) -> None:
        """End what a fault does, if it does anything here."""
        for table in (self._failing, self._dropped, self._room, self._late, self._lying):
            table.pop(fault, None)
        self.any_in_force = bool(self._failing or self._room or self._late or self._lying)

    def end_all(self) -> None:
        """End what all of them do."""
        for table in (self._failing, self._dropped, self._room, self._late, self._lying):
            table.clear()
        self.any_in_force = False

    # -- what a call meets ----------------------------------------------------------------------------------------

    def error_of(self, operation: Operation) -> OSError | None:
        """The error of a call that moves no data, or none."""
        for fault, failing in self._failing.items():
            if failing == operation:
                self._hit(fault)
                return _error(errno.EIO)
        return None

    def error_of_write(self, size: int) -> tuple[int, OSError | None]:
        """How many bytes of a write get through, and the error, if those are not all."""
        for fault, failing in self._failing.items():
            if failing == "write":
                self._hit(fault)
                return self._draws.below(max(1, size)), _error(errno.EIO)
        for fault, room in self._room.items():
            if size > room:
                self._hit(fault)
                self._room[fault] = 0
                return room, _error(errno.ENOSPC)
            self._room[fault] = room - size
        return size, None

    def late_ns(self) -> int:
        """By how much an fsync that begins now is late."""
        for fault in self._late:
            self._hit(fault)
        return sum(self._late.values())

    def end_of_fsync(self) -> tuple[SyncEnd, OSError | None]:
        """How an fsync that completes now ends, and what its caller is told."""
        for fault, failing in self._failing.items():
            if failing == "fsync":
                self._hit(fault)
                return self._dropped[fault], _error(errno.EIO)
        for fault in self._lying:
            self._liars[fault] = True
            return "nothing", None
        return "durable", None

    def lost_power(self, broken_claims: int) -> None:
        """The power went, and took so much of what fsyncs had called durable: the liars among them are found out."""
        liars, self._liars = self._liars, {}
        if broken_claims:
            for fault in liars:
                self._hit(fault)

    def _hit(self, fault: str) -> None:
        self._hits[fault] = self._hits.get(fault, 0) + 1


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
