"""The environment of a real process: real time, files with real fsyncs, TCP, randomness of the operating system.

It runs the same servers and clients as a simulation. This is the only module of the package, with
`transport`, that touches time, files and sockets; nothing that a simulation loads imports it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import trio

from ..errors import DiskFailed
from ..runtime.env import Served
from .arguments import Address
from .syncer import Syncer, write_all
from .transport import Transport, is_client

_LOCK_NAME: Final = ".lock"
_NANOSECONDS: Final = 1_000_000_000
_FAR_NS: Final = 1 << 62
INBOX_BYTES_MAX: Final = 64 * 1024 * 1024
"""What may wait for one actor, while its disk is slow, say, before frames to it are dropped."""

CLIENT_INBOX_BYTES_MAX: Final = INBOX_BYTES_MAX // 2
"""How full that may be for a client's frame to be taken, so that clients cannot keep the nodes from being heard."""
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


class RealRandomness:
    """The operating system's randomness."""

    def below(self, bound: int, purpose: str) -> int:
        """A uniform integer in [0, bound)."""
        return secrets.randbelow(bound)


class RealDisk:
    """A directory. One process at a time may use it; fsyncs run in worker threads."""

    def __init__(self, directory: Path) -> None:
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
            await self._syncer.sync(descriptor, parts)
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
        **of_transport: Any,
    ) -> None:
        """`of_transport` goes to the `Transport`: who may speak with this actor, and within what limits."""
        self.actor = actor
        self.clock = RealClock()
        self.randomness = RealRandomness()
        self.network = Transport(actor, addresses, self._deliver, **of_transport)
        self._disk = disk
        self._on_notes = on_notes
        self.dropped_count = 0
        """Frames that arrived and were dropped: too many were waiting."""
        self._inbox: deque[tuple[str, bytes]] = deque()
        self._inbox_bytes = 0
        self._waiting: trio.lowlevel.Task | None = None
        self._nursery: trio.Nursery | None = None  # while a server is served

    @property
    def disk(self) -> RealDisk:
        """The actor's directory; clients have none."""
        if self._disk is None:
            raise DiskFailed("open", "no-disk")
        return self._disk

    async def recv(self, deadline_ns: int | None) -> tuple[str, bytes] | None:
        """The next datagram, or None when the deadline passed first."""
        if not self._inbox:
            await self._wait(_FAR_NS if deadline_ns is None else deadline_ns)
        if not self._inbox:
            return None
        source, frame = self._inbox.popleft()
        self._inbox_bytes -= len(frame)
        return source, frame

    async def serve(self, server: Served) -> None:
        """Run a server until cancelled. DiskFailed comes through."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            alarm = _Alarm(server, self._stir)
            nursery.start_soon(alarm.run)
            if getattr(server, "storage", "sync") != "async":
                await self._keep_stepping(server, server.sync, alarm)
                return
            flusher = _Flusher(self, server)
            nursery.start_soon(flusher.run)
            await self._keep_stepping(server, flusher.request, alarm)

    def background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do long work in a thread, and call `done` with its result between two steps of the server."""
        assert self._nursery is not None, "a server has work only while it is served"
        self._nursery.start_soon(self._do, work, done)

    async def _do(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        result = await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        done(result)
        self._stir()

    async def _keep_stepping(self, server: Served, sync: Callable[[], Awaitable[bool | None]], alarm: _Alarm) -> None:
        """Step until cancelled. After a step that wrote, `sync` waits for the disk, or (True) leaves that to others."""
        while True:
            if not self._inbox and server.deadline_ns > time.monotonic_ns():
                alarm.set(server.deadline_ns)
                self._waiting = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)
            else:
                await trio.lowlevel.checkpoint()  # others get their turn
            messages = list(self._inbox)
            self._inbox.clear()
            self._inbox_bytes = 0
            if server.process(messages) and not await sync():
                server.post()
            self._show_notes(server)

    def _show_notes(self, server: Served) -> None:
        if server.notes:
            if self._on_notes is not None:
                self._on_notes(list(server.notes))
            server.notes.clear()

    def _stir(self) -> None:
        """End the current wait: there is something to look at."""
        task = self._waiting
        if task is not None:
            self._waiting = None
            trio.lowlevel.reschedule(task)

    def _deliver(self, source: str, frame: bytes) -> None:
        if self._inbox_bytes + len(frame) > (CLIENT_INBOX_BYTES_MAX if is_client(source) else INBOX_BYTES_MAX):
            self.dropped_count += 1
            return
        self._inbox.append((source, frame))
        self._inbox_bytes += len(frame)
        if self._waiting is not None:
            self._stir()

    async def _wait(self, deadline_ns: int) -> None:
        """Until something arrives or the time has come."""
        seconds = (deadline_ns - time.monotonic_ns()) / _NANOSECONDS
        with trio.move_on_after(max(0.0, seconds)):
            self._waiting = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)

    def _stop_waiting(self, _: object) -> trio.lowlevel.Abort:
        self._waiting = None
        return trio.lowlevel.Abort.SUCCEEDED


class _Alarm:
    """Stirs a server when its deadline has come.

    Deadlines move with nearly every step, mostly into the future. So the alarm is left as it is until it rings, and
    set again then.
    """

    def __init__(self, server: Served, stir: Callable[[], None]) -> None:
        self._server = server
        self._stir = stir
        self._at_ns = _FAR_NS
        self._scope = trio.CancelScope()

    def set(self, at_ns: int) -> None:
        """Ring at this time at the latest."""
        if at_ns < self._at_ns:
            self._at_ns = at_ns
            self._scope.deadline = _trio_time(at_ns)

    async def run(self) -> None:
        """Ring until cancelled."""
        while True:
            self._scope = trio.CancelScope(deadline=_trio_time(self._at_ns))
            with self._scope:
                await trio.sleep_forever()
            deadline_ns = self._server.deadline_ns
            if deadline_ns <= time.monotonic_ns():
                deadline_ns = _FAR_NS  # it is set when the server waits again
                self._stir()
            self._at_ns = deadline_ns


class _Flusher:
    """Asynchronous storage: fsyncs one after the other, beside the steps of the server, as long as something waits."""

    def __init__(self, env: RealEnvironment, server: Served) -> None:
        self._env = env
        self._server: Any = server
        self._requested = trio.Event()

    async def request(self) -> bool:
        """Let the disk be synced soon, and do not wait for it."""
        self._requested.set()
        return True

    async def run(self) -> None:
        """Sync whenever that was asked for."""
        server = self._server
        while True:
            await self._requested.wait()
            self._requested = trio.Event()
            while server.must_sync:
                await server.sync()
                server.post()
                self._env._show_notes(server)
                self._env._stir()  # the deadline may have moved


def _trio_time(at_ns: int) -> float:
    """A time of the monotonic clock on Trio's."""
    return trio.current_time() + (at_ns - time.monotonic_ns()) / _NANOSECONDS


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
