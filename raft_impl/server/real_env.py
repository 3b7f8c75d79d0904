"""The environment of a real process: real time, files with real fsyncs, TCP, randomness of the operating system.

It runs the same servers and clients as a simulation. This and its neighbours `serving`, `syncer` and `transport` are
the modules of the package that touch time, files and sockets; nothing that a simulation loads imports them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import trio

from ..errors import DiskFailed
from ..runtime.env import Served
from .arguments import Address
from .serving import FAR_NS, Inbox, Serving
from .syncer import Syncer, write_all
from .transport import Transport

_NANOSECONDS: Final = 1_000_000_000
_LOCK_NAME: Final = ".lock"
_LARGE_BYTES: Final = 256 * 1024
"""What is longer is written in a thread: the kernel may make a writer wait until older pages are on the disk."""
_OPEN_FILES_MAX: Final = 8
"""Files that stay open for appending; a group appends to one at a time."""

Notes = list[tuple[Any, ...]]


class RealClock:
    """The machine's clocks."""

    def monotonic_ns(self) -> int:
        """Runs on at its own rate, also while the process is stopped."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """The date, as the machine knows it."""
        return time.time_ns()

    def trio_time(self, at_ns: int) -> float:
        """A time of the monotonic clock on Trio's."""
        return trio.current_time() + (at_ns - time.monotonic_ns()) / _NANOSECONDS


class RealRandomness:
    """The operating system's randomness."""

    def below(self, bound: int, purpose: str) -> int:
        """A uniform integer in [0, bound)."""
        return secrets.randbelow(bound)


class RealDisk:
    """A directory. One process at a time may use it; fsyncs run in worker threads."""

    def __init__(self, directory: Path) -> None:
        self.patience_ms = 0
        """How long an fsync of what was appended may keep everything else in this process from running."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._appending: dict[str, int] = {}  # open descriptors of files that were appended to, latest last
        self._syncing: dict[str, int] = {}  # how many fsyncs of a file are under way
        self._syncer = Syncer()
        # What is large is written by the thread of the fsync that comes next:
        self._composed: dict[str, Callable[[], bytes]] = {}  # files whose content is still to be made
        self._unwritten: dict[str, list[bytes]] = {}  # and what is to be appended
        self._lock_fd = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise DiskFailed("open", "in-use") from None

    def close(self) -> None:
        """Give the directory back."""
        self._syncer.close()
        for descriptor in (*self._appending.values(), self._lock_fd, self._directory_fd):
            os.close(descriptor)
        self._appending.clear()

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        for name in (*self._composed, *self._unwritten):
            self._settle(name)
        return sorted(name for name in os.listdir(self._directory) if name != _LOCK_NAME)

    def read(self, name: str) -> bytes:
        """The whole content."""
        self._settle(name)
        return (self._directory / name).read_bytes()

    def append(self, name: str, data: bytes) -> None:
        """Add at the end."""
        if name in self._composed:
            self._settle(name)
        descriptor = self._appending.get(name)
        if descriptor is None:
            self._close_oldest()
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            descriptor = self._appending[name] = os.open(self._directory / name, flags, 0o644)
        if name in self._unwritten:
            self._unwritten[name].append(data)
        elif len(data) > _LARGE_BYTES:
            self._unwritten[name] = [data]
        else:
            write_all(descriptor, data)

    def write(self, name: str, data: bytes) -> None:
        """Replace the whole content."""
        self._composed.pop(name, None)
        self._unwritten.pop(name, None)
        self._forget(name)
        _write_file(self._directory / name, data)

    def compose(self, name: str, make: Callable[[], bytes]) -> None:
        """Replace the whole content by what `make` gives, in a thread of the `fsync` that comes next."""
        self._unwritten.pop(name, None)
        self._forget(name)
        self._composed[name] = make

    def truncate(self, name: str, size: int) -> None:
        """Cut the file."""
        self._settle(name)
        os.truncate(self._directory / name, size)

    def rename(self, source: str, target: str) -> None:
        """Replace `target` atomically."""
        self._settle(source)
        self._composed.pop(target, None)
        self._unwritten.pop(target, None)
        self._forget(source)
        self._forget(target)
        os.replace(self._directory / source, self._directory / target)

    def unlink(self, name: str) -> None:
        """Remove."""
        self._settle(name)
        self._forget(name)
        os.unlink(self._directory / name)

    @property
    def is_quick(self) -> bool:
        """Whether an fsync need not take long: nothing large is to be written, and the latest one was quick."""
        return self._syncer.was_quick and not self._unwritten and not self._composed

    async def fsync(self, name: str) -> None:
        """Return when the content, and the size that it implies, is durable."""
        make = self._composed.pop(name, None)
        if make is not None:
            await trio.to_thread.run_sync(_compose_file, self._directory / name, make)
            return
        descriptor = self._appending.get(name)
        if descriptor is None:
            await trio.to_thread.run_sync(_fsync_path, self._directory / name)
            return
        self._syncing[name] = self._syncing.get(name, 0) + 1
        parts = self._unwritten.get(name, ())
        if parts:
            self._unwritten[name] = []  # what is appended meanwhile belongs behind it
        try:
            await self._syncer.sync(descriptor, parts, patience_ms=self.patience_ms)
            if name in self._unwritten and not self._unwritten[name]:
                del self._unwritten[name]
        finally:
            self._syncing[name] -= 1
            if not self._syncing[name]:
                del self._syncing[name]

    async def fsync_directory(self) -> None:
        """Return when names are durable."""
        await trio.to_thread.run_sync(os.fsync, self._directory_fd)

    def _settle(self, name: str) -> None:
        """Write what was composed or appended and not awaited yet."""
        for data in self._unwritten.pop(name, ()):
            write_all(self._appending[name], data)
        make = self._composed.pop(name, None)
        if make is not None:
            _write_file(self._directory / name, make())

    def _close_oldest(self) -> None:
        """Segments are appended to one after the other, each for ever behind the next: keep few of them open.

        A file that comes to be appended to again is opened again. One whose fsync is under way stays open.
        """
        if len(self._appending) >= _OPEN_FILES_MAX:
            for name in list(self._appending):
                if name not in self._syncing and name not in self._unwritten:
                    self._forget(name)
                    return

    def _forget(self, name: str) -> None:
        descriptor = self._appending.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)


class RealEnvironment:
    """One actor of this process. `run` must be running for messages to come and go."""

    def __init__(
        self,
        actor: str,
        addresses: Mapping[str, Address],
        disk: RealDisk | None = None,
        on_notes: Callable[[Notes], None] | None = None,
        *,
        clock: RealClock | None = None,
        **of_transport: Any,
    ) -> None:
        """`of_transport` goes to the `Transport`: who may speak with this actor, and within what limits."""
        self.actor = actor
        self.clock = clock or RealClock()
        self.randomness = RealRandomness()
        self.inbox = Inbox()
        self.network = Transport(actor, addresses, self._deliver, after_reading=self._after_reading, **of_transport)
        self._disk = disk
        self._on_notes = on_notes
        self._waiting: trio.lowlevel.Task | None = None  # in `recv`
        self._serving: Serving | None = None
        self._nursery: trio.Nursery | None = None  # while a server is served

    @property
    def disk(self) -> RealDisk:
        """The actor's directory; clients have none."""
        if self._disk is None:
            raise DiskFailed("open", "no-disk")
        return self._disk

    async def recv(self, deadline_ns: int | None) -> tuple[str, bytes] | None:
        """The next datagram, or None when the deadline passed first."""
        if not self.inbox.frames:
            at_s = self.clock.trio_time(FAR_NS if deadline_ns is None else deadline_ns)
            with trio.CancelScope(deadline=max(at_s, trio.current_time())):
                self._waiting = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)
        return self.inbox.take()

    async def serve(self, server: Served) -> None:
        """Run a server until cancelled. DiskFailed comes through."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._serving = serving = Serving(server, self.disk, self.clock, self.inbox, self._on_notes or _ignore)
            try:
                await serving.run()
            finally:
                self._serving = None  # what is read from now on is for nobody

    def clock_changed(self) -> None:
        """The clock runs at another rate: whoever waits for a time of it waits anew."""
        if self._serving is not None:
            self._serving.clock_changed()

    def background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do long work in a thread, and call `done` with its result between two steps of the server."""
        assert self._nursery is not None, "a server has work only while it is served"
        self._nursery.start_soon(self._do, work, done)

    async def _do(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        result = await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        done(result)
        if self._serving is not None:
            self._serving.stir()

    def _deliver(self, source: str, frame: bytes) -> None:
        self.inbox.put(source, frame)
        task = self._waiting
        if task is not None:
            self._waiting = None
            trio.lowlevel.reschedule(task)

    def _after_reading(self) -> None:
        if self._serving is not None:
            self._serving.after_reading()

    def _stop_waiting(self, _: object) -> trio.lowlevel.Abort:
        self._waiting = None
        return trio.lowlevel.Abort.SUCCEEDED


def _ignore(_: Notes) -> None:
    pass


def _write_file(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _compose_file(path: Path, make: Callable[[], bytes]) -> None:
    _write_file(path, make())
    _fsync_path(path)


def _fsync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
