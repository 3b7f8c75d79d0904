"""The disk device of a host: how long an fsync takes, when its completion is noticed, and what a power loss leaves.

`SimDisk` (disk.py) says what is written and what is durable, without time. This file adds the time, and tells the
system's durable reader what became durable: the recorded `fsync` rows come from the disk model and not from what a
server says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from harness.plans.plan import DiskSpec
from harness.systems.system import DurableReader

from .conditions import Pauses, Slowness
from .disk import NameChange, SimDisk, SimFile
from .kernel.draws import Counter
from .kernel.events import Kernel
from .lifetime import Lifetime
from .recorder import Recorder

Done = Callable[[], None]
_Sync = tuple[Lifetime, str | None, Callable[[], Any], Done]


class DiskDevice:
    """The timing of one host's disk, and the reading of what it holds durably."""

    def __init__(
        self,
        name: str,
        ordinal: int,
        *,
        kernel: Kernel,
        recorder: Recorder,
        spec: DiskSpec,
        processing_ns: tuple[int, int],
        reader: DurableReader | None,
        armed: dict[str, Callable[[], None]],
        pauses: Pauses,
        slowness: Slowness,
    ) -> None:
        self.disk = SimDisk(sector_bytes=spec.sector_bytes)
        self.spec = spec
        self._name, self._ordinal = name, ordinal
        self._kernel, self._recorder = kernel, recorder
        self._processing_ns = processing_ns  # bounds of the time from completion to notice
        self._reader = reader
        self._armed = armed  # crashes that wait for a write in flight, by fault
        self._pauses, self._slowness = pauses, slowness
        self._fsync_draws = Counter(kernel.chance, "fsync", name)
        self._moment_draws = Counter(kernel.chance, "aim", name)
        self._processing_draws = Counter(kernel.chance, "disk-handling", name)
        self._loss_draws = Counter(kernel.chance, "power-loss", name)
        self._held: list[_Sync] | None = None  # completions that a script holds back

    # -- fsync ----------------------------------------------------------------------------------------------------

    def begin_sync(self, lifetime: Lifetime, name: str | None, done: Done) -> None:
        """Start an fsync of a file, or of the directory; `done` is called when the process notices its completion."""
        complete = self.disk.begin_fsync(name) if name is not None else self.disk.begin_fsync_directory()
        kernel, spec = self._kernel, self.spec
        latency_ns = self._fsync_draws.between(spec.fsync_min_ns, spec.fsync_max_ns)
        if self._slowness.in_force:
            latency_ns += self._slowness.delay_ns()
        kernel.at(kernel.now + latency_ns, self._ordinal, self._complete, (lifetime, name, complete, done))
        if self._armed:
            fault = next(iter(self._armed))
            moment_ns = self._moment_draws.below(latency_ns + 1)  # somewhere inside this write
            kernel.exactly(kernel.now + moment_ns, _fire, self._armed.pop(fault))

    def _complete(self, sync: _Sync) -> None:
        lifetime, name, complete, done = sync
        if lifetime.dead:
            return
        if self._pauses.in_force:
            self._pauses.hold(self._complete, sync)
            return
        if self._held is not None:
            self._held.append(sync)
            return
        result = complete()
        durable = self._read_file(result) if name is not None else self._read_names(result)
        self._recorder.row("fsync", self._name, (name or ".",), durable)
        processing_ns = self._processing_draws.between(*self._processing_ns)
        if processing_ns:
            self._kernel.at(self._kernel.now + processing_ns, self._ordinal, self._notify, (lifetime, done))
        else:
            done()

    def _notify(self, argument: tuple[Lifetime, Done]) -> None:
        lifetime, done = argument
        if lifetime.dead:
            return
        if self._pauses.in_force:
            self._pauses.hold(self._notify, argument)
        else:
            done()

    # -- power ----------------------------------------------------------------------------------------------------

    def lose_power(self) -> bool:
        """Lose what was not durable, in part. Returns whether anything was lost."""
        return self.disk.lose_power(self._loss_draws)

    def reread(self) -> None:
        """After a power loss: tell the durable reader what the disk holds now."""
        if self._reader is None:
            return
        durable: tuple[tuple[Any, ...], ...] = ()
        for name, file in self.disk.durable_files():
            unchanged, file.unchanged = file.unchanged, len(file.durable)
            durable = self._reader.synced(name, file.durable, unchanged) or durable
        self._recorder.row("fsync", self._name, ("recovered",), durable)

    # -- reading what became durable ------------------------------------------------------------------------------

    def _read_file(self, file: SimFile) -> tuple[tuple[Any, ...], ...]:
        """What this file now says durably: nothing while its name is not durable, as a power loss would remove it."""
        name = file.durable_name
        if self._reader is None or name is None:
            return ()
        unchanged, file.unchanged = file.unchanged, len(file.durable)
        return self._reader.synced(name, file.durable, unchanged)

    def _read_names(self, changes: list[NameChange]) -> tuple[tuple[Any, ...], ...]:
        if self._reader is None:
            return ()
        durable: tuple[tuple[Any, ...], ...] = ()
        for what, name, target, file in changes:
            if what == "rename":
                self._reader.renamed(name, target)
            elif what == "unlink":
                self._reader.removed(name)
            if file is not None:
                file.unchanged = 0
                durable = self._read_file(file) or durable
        return durable

    # -- scripts --------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Keep fsyncs from completing until `release`."""
        self._held = [] if self._held is None else self._held

    def release(self, *, once: bool = False) -> None:
        """Let the held fsyncs complete, in their order; with `once`, go on holding those that begin from now on."""
        held, self._held = self._held or [], None
        for sync in held:
            self._complete(sync)
        if once:
            self._held = []

    def write_now(self, write: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        """Let `write(disk)` prepare the disk before the host starts; everything it writes is durable at once."""
        work = write(_InstantDisk(self.disk))
        try:
            work.send(None)
        except StopIteration:
            return
        raise RuntimeError("preparing a disk awaited something other than the disk")


def _fire(crash: Callable[[], None]) -> None:
    crash()


class _InstantDisk:
    """The disk as a node sees it, with fsyncs that take no time."""

    def __init__(self, disk: SimDisk) -> None:
        self._disk = disk
        for name in ("names", "read", "append", "write", "truncate", "rename", "unlink"):
            setattr(self, name, getattr(disk, name))

    async def fsync(self, name: str) -> None:
        self._disk.begin_fsync(name)()

    async def fsync_directory(self) -> None:
        self._disk.begin_fsync_directory()()
