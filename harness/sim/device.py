"""The disk device of a host: how long an fsync takes, when its completion is noticed, and what a power loss leaves.

`SimDisk` (disk.py) says what is written and what is durable, without time. This file adds the time, and tells the
system's durable reader what became durable: the recorded `fsync` rows come from the disk model and not from what a
server says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from harness.plans.plan import DiskSpec
from harness.systems.system import DurableReader

from .conditions import Pauses, Slowness
from .disk import Keeps, NameChange, SimDisk, SimFile
from .disk_damage import DiskDamage, Regions
from .disk_faults import DiskFaults
from .kernel.draws import Counter
from .kernel.events import Kernel
from .lifetime import Lifetime
from .recorder import Recorder

Done = Callable[[], None]
_Sync = tuple[Lifetime, str | None, Callable[..., Any], Done]


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
        regions: Regions,
        armed: dict[str, Callable[[], None]],
        armed_later: dict[str, tuple[str, Callable[[], None]]],
        pauses: Pauses,
        slowness: Slowness,
        hits: dict[str, int],
    ) -> None:
        self.disk = SimDisk(sector_bytes=spec.sector_bytes)
        self.faults = DiskFaults(Counter(kernel.chance, "disk-faults", name), hits)
        self.damage = DiskDamage(
            self.disk,
            Counter(kernel.chance, "disk-damage", name),
            hits,
            regions=regions,
            sector_bytes=spec.sector_bytes,
        )
        self.spec = spec
        self._name, self._ordinal = name, ordinal
        self._kernel, self._recorder = kernel, recorder
        self._processing_ns = processing_ns  # bounds of the time from completion to notice
        self._reader = reader
        self._armed = armed  # crashes that wait for a write in flight, by fault
        self._armed_later = armed_later  # those that wait for the end of one, with the moment of it
        self._pauses, self._slowness = pauses, slowness
        self._fsync_draws = Counter(kernel.chance, "fsync", name)
        self._moment_draws = Counter(kernel.chance, "aim", name)
        self._processing_draws = Counter(kernel.chance, "disk-handling", name)
        self._loss_draws = Counter(kernel.chance, "power-loss", name)
        self.fsyncs = 0  # how many ever began
        self._held: list[_Sync] | None = None  # completions that a script holds back

    # -- fsync ----------------------------------------------------------------------------------------------------

    def begin_sync(self, lifetime: Lifetime, name: str | None, done: Done) -> None:
        """Start an fsync of a file, or of the directory; `done` is called when the process notices its completion."""
        complete = self.disk.begin_fsync(name) if name is not None else self.disk.begin_fsync_directory()
        kernel = self._kernel
        latency_ns = self._latency_ns()
        kernel.at(kernel.now + latency_ns, self._ordinal, self._complete, (lifetime, name, complete, done))
        self._fire_inside(latency_ns)

    def _latency_ns(self) -> int:
        """How long the fsync takes that begins now."""
        self.fsyncs += 1
        latency_ns = self._fsync_draws.between(self.spec.fsync_min_ns, self.spec.fsync_max_ns)
        if self._slowness.in_force:
            latency_ns += self._slowness.delay_ns()
        if self.faults.any_in_force:
            latency_ns += self.faults.late_ns()
        return latency_ns

    def _fire_inside(self, latency_ns: int) -> None:
        """Let a crash that waits for a write happen somewhere inside this one."""
        if self._armed:
            fault = next(iter(self._armed))
            moment_ns = self._moment_draws.below(latency_ns + 1)
            self._kernel.exactly(self._kernel.now + moment_ns, _fire, self._armed.pop(fault))

    def sync_now(self, lifetime: Lifetime, name: str | None, blocks: Callable[[int], None]) -> None:
        """An fsync for code that blocks: what it covers is durable at once.

        It is of the file `name`; of the folder whose tag comes before "/" at the end; or of the directory, if None.
        `blocks` is told for how many ns it keeps that code from running. Raises OSError where a fault lets it fail.
        """
        is_file = name is not None and not name.endswith("/")
        complete: Callable[..., Any]
        if name is not None and is_file:
            complete = self.disk.begin_fsync(name)
        else:
            complete = self.disk.begin_fsync_directory((name or "").removesuffix("/"))
        latency_ns = self._latency_ns()
        blocks(latency_ns)
        self._fire_inside(latency_ns)
        if self.faults.any_in_force:
            end, error = self.faults.end_of_fsync()
            result = complete(end)
            if error is not None:
                lifetime.met_disk_error = True
                raise error
        else:
            result = complete()
        self._recorder.row("fsync", self._name, (name or ".",), self._read(name if is_file else None, result))

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
        if self.faults.any_in_force:
            end, lifetime.disk_error = self.faults.end_of_fsync()
            lifetime.met_disk_error = lifetime.met_disk_error or lifetime.disk_error is not None
            result = complete(end)
        else:
            result = complete()
        if lifetime.disk_error is None:
            self._recorder.row("fsync", self._name, (name or ".",), self._read(name, result))
        if self._armed_later and self._fire_at("between", lifetime):
            return
        processing_ns = self._processing_draws.between(*self._processing_ns)
        if processing_ns:
            self._kernel.at(self._kernel.now + processing_ns, self._ordinal, self._notify, (lifetime, done))
        else:
            if self._armed_later:
                self._kernel.exactly(self._kernel.now, self._fire_answered, (lifetime, self.fsyncs))
            done()

    def _notify(self, argument: tuple[Lifetime, Done]) -> None:
        lifetime, done = argument
        if lifetime.dead:
            return
        if self._pauses.in_force:
            self._pauses.hold(self._notify, argument)
        else:
            if self._armed_later:
                self._kernel.exactly(self._kernel.now, self._fire_answered, (lifetime, self.fsyncs))
            done()

    def _fire_answered(self, argument: tuple[Lifetime, int]) -> None:
        """In an event of its own, when the process has done what waited for its fsync and has begun no other."""
        lifetime, begun = argument
        if not lifetime.dead and self.fsyncs == begun:
            self._fire_at("answered", lifetime)

    def _fire_at(self, moment: str, lifetime: Lifetime) -> bool:
        """Let a crash happen that waits for this moment of an fsync. Whether the process is dead now."""
        for fault, (awaited, crash) in self._armed_later.items():
            if awaited == moment:
                del self._armed_later[fault]
                crash()
                break
        return lifetime.dead

    # -- power ----------------------------------------------------------------------------------------------------

    def lose_power(self, keeps: Keeps = "prefix") -> bool:
        """Lose what was not durable, in part. Returns whether anything was lost."""
        broken = self.disk.broken_claims
        lost = self.disk.lose_power(self._loss_draws, keeps)
        self.faults.lost_power(self.disk.broken_claims - broken)
        return lost

    def wipe(self) -> bool:
        """Lose everything. Returns whether there was anything."""
        names = [name for name, _ in self.disk.durable_files()]
        held_something = self.disk.wipe()
        if self._reader is not None:
            for name in names:
                self._reader.removed(name)
        return held_something

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

    def _read(self, name: str | None, result: Any) -> tuple[tuple[Any, ...], ...]:
        """What became durable by the completion of an fsync of a file, or of the directory."""
        return self._read_file(result) if name is not None else self._read_names(result)

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
        durable: dict[str, tuple[tuple[Any, ...], ...]] = {}  # by group: the latest of its files says the most
        for what, name, target, file in changes:
            if what == "rename":
                self._reader.renamed(name, target)
            elif what == "unlink":
                self._reader.removed(name)
            if file is not None and file.durable_name == (target or name):  # else a later change renames it
                said = self._read_file(file)
                if said:
                    durable[said[0][0]] = said
        return tuple(row for rows in durable.values() for row in rows)

    def be_instant(self) -> None:
        """From now on fsyncs take no time, nor does noticing them."""
        self.spec = msgspec.structs.replace(self.spec, fsync_min_ns=0, fsync_max_ns=0)
        self._processing_ns = (0, 0)

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
