"""Faults for tests of a real node: what a test may do to its disk and its clocks. Off unless `control` is asked for.

They happen in this process, between the node and the operating system, so that no privilege is needed and nothing else
on the machine notices. What they cannot do: take back what the kernel has, for the machine does not lose its power.

| fault | what happens |
| --- | --- |
| `fail` | changes, reads or fsyncs raise EIO; of what a failed append should have written a part is there |
| `fill` | once it has taken a number of bytes, writes raise ENOSPC; of an append what fits is written |
| `delay` | each fsync takes longer |
| rate | the monotonic clock, and with it every timer of the node, runs at a number of millionths of true time |
| step | the wall clock shows another time |

Each counts what it touched, by its id, so that one that nothing met is known.
"""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
import trio

from .real_env import RealClock, RealDisk

_MILLION: Final = 1_000_000
_NANOSECONDS: Final = 1_000_000_000

Operation = Literal["read", "write", "fsync"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a disk. `operation` is of `fail`, `room_bytes` of `fill`, `late_ns` of `delay`."""

    id: str
    do: Literal["fail", "fill", "delay"]
    operation: Operation = "write"
    room_bytes: int = 0
    late_ns: int = 0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All faults that are in force at one node."""

    disk: tuple[Fault, ...] = ()
    rate_ppm: int = _MILLION
    step_ns: int = 0
    """By how much the wall clock is wrong."""
    steps: tuple[str, ...] = ()
    """The faults of the wall clock: each time that it is read is a hit of all of them."""


class Faults:
    """What is in force, and what it has touched."""

    def __init__(self) -> None:
        self.state = State()
        self.hits: Counter[str] = Counter()
        """What each fault has touched in this process."""
        self.on_rate: Callable[[], None] = lambda: None
        """Called when the rate of the clock has changed: timers are to be set anew."""
        self._room: dict[str, int] = {}  # what is left of it, by fault
        self._anchor = (time.monotonic_ns(), time.monotonic_ns())  # a true time, and what the clock showed then

    def set(self, state: State) -> None:
        """Have these faults in force, and no other ones."""
        now_ns = time.monotonic_ns()
        self._anchor = (now_ns, self.shown_ns(now_ns))
        before, self.state = self.state, state
        self._room = {
            fault.id: self._room.get(fault.id, fault.room_bytes) for fault in state.disk if fault.do == "fill"
        }
        if before.rate_ppm != state.rate_ppm:
            self.on_rate()

    def shown_ns(self, now_ns: int) -> int:
        """What the node's monotonic clock shows at a true time."""
        true_ns, shown_ns = self._anchor
        return shown_ns + (now_ns - true_ns) * self.state.rate_ppm // _MILLION

    @property
    def off_ns(self) -> int:
        """How far the node's monotonic clock has run ahead of true time, or behind."""
        now_ns = time.monotonic_ns()
        return self.shown_ns(now_ns) - now_ns

    def meet(self, operation: Operation) -> bool:
        """Whether a call of this sort fails."""
        failing = [fault.id for fault in self.state.disk if fault.do == "fail" and fault.operation == operation]
        self.hits.update(failing)
        return bool(failing)

    def room_for(self, size: int) -> int:
        """How many of `size` bytes may be written; they count as written."""
        fits = min([size, *self._room.values()])
        for fault, room in self._room.items():
            if room < size:
                self.hits[fault] += 1
            self._room[fault] = room - fits
        return fits

    async def delay(self) -> None:
        """Wait as long as fsyncs are late."""
        late = [fault for fault in self.state.disk if fault.do == "delay"]
        if late:
            self.hits.update(fault.id for fault in late)
            await trio.sleep(sum(fault.late_ns for fault in late) / _NANOSECONDS)

    def wall_was_read(self) -> int:
        """Note that; returns by how much it is wrong."""
        self.hits.update(self.state.steps)
        return self.state.step_ns


class FaultyClock(RealClock):
    """The machine's clocks, as a test wants them to be seen."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def monotonic_ns(self) -> int:
        """Runs at the rate in force. It never goes back."""
        return self._faults.shown_ns(time.monotonic_ns())

    def wall_ns(self) -> int:
        """The date, as the machine knows it, and what it is wrong by."""
        return time.time_ns() + self._faults.wall_was_read()

    def trio_time(self, at_ns: int) -> float:
        """When this clock will show a time, on Trio's, if its rate stays."""
        left_ns = (at_ns - self.monotonic_ns()) * _MILLION / self._faults.state.rate_ppm
        return trio.current_time() + left_ns / _NANOSECONDS


class FaultyDisk(RealDisk):
    """A directory whose calls fail when a test wants it."""

    def __init__(self, directory: Path, faults: Faults) -> None:
        self._faults = faults
        super().__init__(directory)

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        self._refuse("read")
        return super().names()

    def read(self, name: str) -> bytes:
        """The whole content."""
        self._refuse("read")
        return super().read(name)

    def append(self, name: str, data: bytes) -> None:
        """Add at the end, or a part of it."""
        if self._faults.meet("write"):
            super().append(name, data[: len(data) // 2])
            raise _error(errno.EIO)
        fits = self._faults.room_for(len(data))
        super().append(name, data[:fits])
        if fits < len(data):
            raise _error(errno.ENOSPC)

    def write(self, name: str, data: bytes) -> None:
        """Replace the whole content."""
        self._refuse("write")
        fits = self._faults.room_for(len(data))
        super().write(name, data[:fits])
        if fits < len(data):
            raise _error(errno.ENOSPC)

    def compose(self, name: str, make: Callable[[], bytes]) -> None:
        """Replace the whole content by what `make` gives; that there is no room for it shows at the fsync."""
        self._refuse("write")

        def made() -> bytes:
            data = make()
            if self._faults.room_for(len(data)) < len(data):
                raise _error(errno.ENOSPC)
            return data

        super().compose(name, made)

    def truncate(self, name: str, size: int) -> None:
        """Cut the file."""
        self._refuse("write")
        super().truncate(name, size)

    def rename(self, source: str, target: str) -> None:
        """Replace `target` atomically."""
        self._refuse("write")
        super().rename(source, target)

    def unlink(self, name: str) -> None:
        """Remove."""
        self._refuse("write")
        super().unlink(name)

    @property
    def is_quick(self) -> bool:
        """Whether an fsync need not take long."""
        return super().is_quick and not self._faults.state.disk

    async def fsync(self, name: str) -> None:
        """Return when the content is durable."""
        await self._before_fsync()
        await super().fsync(name)

    async def fsync_directory(self) -> None:
        """Return when names are durable."""
        await self._before_fsync()
        await super().fsync_directory()

    async def _before_fsync(self) -> None:
        await self._faults.delay()
        self._refuse("fsync")

    def _refuse(self, operation: Operation) -> None:
        if self._faults.meet(operation):
            raise _error(errno.EIO)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
