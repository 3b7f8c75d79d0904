"""A host: the place of one actor in the simulated world. It outlives the actor's incarnations.

It holds what survives a crash (disk, clocks, address) and what the world does to whoever sits there: pauses, disk
timing, and the reading of what became durable.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from harness.plans.plan import DiskSpec
from harness.systems.system import DurableReader, SystemServer

from .disk import NameChange, SimDisk, SimFile
from .kernel.draws import Counter
from .kernel.events import Kernel
from .kernel.local_clock import LocalClock
from .process import SimProcess
from .recorder import Recorder


class SimHost:
    """One actor's place: its name, clocks, disk, and the environment of its present incarnation, if it is up."""

    def __init__(
        self,
        name: str,
        ordinal: int,
        *,
        kernel: Kernel,
        recorder: Recorder,
        clock: LocalClock,
        disk: DiskSpec,
        processing_ns: tuple[int, int],
        reader: DurableReader | None,
    ) -> None:
        self.name, self.ordinal = name, ordinal
        self.clock = clock
        self.incarnation = 0
        self.environment: SimProcess | None = None
        self.is_up = False  # whether an incarnation is alive here (it may be paused)
        self.server: SystemServer | None = None
        self.disk = SimDisk(sector_bytes=disk.sector_bytes)
        self.paused = False
        self.refused = ""  # why it will not start again
        self.receive: Callable[[str, bytes], None] = self._receive_nothing
        """What takes a message that arrives at an actor that is up and not paused."""
        self.hits: dict[str, int] = {}  # fault id -> events that it touched here
        self.armed: dict[str, Callable[[], None]] = {}  # crashes that wait for a write in flight, by fault
        self.writes_in_flight = 0
        self._slow_ns: dict[str, int] = {}  # slow-node faults in force, by id
        self.record_notes: Callable[[str, list[tuple[Any, ...]]], None] = recorder.notes
        self._kernel, self._recorder = kernel, recorder
        self._disk_spec = disk
        self._processing_ns = processing_ns
        self._held: list[tuple[Callable[[Any], None], Any]] = []
        self._pauses: dict[str, bool] = {}  # pause faults in force: id -> whether the clock stops
        self._fsync_draws = Counter(kernel.seed, "fsync", name)
        self._aim_draws = Counter(kernel.seed, "aim", name)
        self._processing_draws = Counter(kernel.seed, "disk-handling", name)
        self._loss_draws = Counter(kernel.seed, "power-loss", name)
        self._reader = reader
        self._held_syncs: list[Any] | None = None  # fsyncs that a script keeps from completing

    # -- lives ----------------------------------------------------------------------------------------------------

    def enter(self, environment: SimProcess) -> None:
        """A new incarnation begins to live here."""
        self.environment, self.is_up = environment, True
        self._aim()

    def leave(self) -> SimProcess | None:
        """The incarnation that lives here, if any, lives no more."""
        environment, self.environment, self.is_up = self.environment, None, False
        self._aim()
        self.server = None
        self.writes_in_flight = 0
        return environment

    # -- receiving ------------------------------------------------------------------------------------------------

    def _aim(self) -> None:
        """Let messages go straight to the environment, unless a fault slows them down."""
        if self.environment is None:
            self.receive = self._receive_nothing
        else:
            self.receive = self._receive_slowly if self._slow_ns else self.environment.deliver

    def _receive_nothing(self, source: str, data: bytes) -> None:
        raise RuntimeError(f"{self.name} is down and was given a message of {source}")

    def _receive_slowly(self, source: str, data: bytes) -> None:
        delay_ns = self._slowness_ns()
        self._kernel.at(self._kernel.now + delay_ns, self.ordinal, self._receive_late, (self.environment, source, data))

    def slow_down(self, fault: str, processing_ns: int) -> None:
        """Let everything here take longer until `speed_up` of the same fault."""
        self._slow_ns[fault] = processing_ns
        self._aim()

    def speed_up(self, fault: str) -> None:
        """End one slowness, if it is there."""
        self._slow_ns.pop(fault, None)
        self._aim()

    @property
    def is_slow(self) -> bool:
        """Whether any slowness is in force."""
        return bool(self._slow_ns)

    def _slowness_ns(self) -> int:
        for fault in self._slow_ns:
            self.hits[fault] = self.hits.get(fault, 0) + 1
        return sum(self._slow_ns.values())

    def _receive_late(self, argument: tuple[SimProcess, str, bytes]) -> None:
        environment, source, data = argument
        if environment is not self.environment:
            return
        if self.paused:
            self.hold(self._receive_late, argument)
        else:
            environment.deliver(source, data)

    # -- pause ----------------------------------------------------------------------------------------------------

    def pause(self, fault: str, *, stop_clock: bool) -> None:
        """Hold deliveries, timers and disk completions until `unpause` of the same fault."""
        self._pauses[fault] = stop_clock
        self.paused = True
        if stop_clock and not self.clock.stopped:
            self.clock.stop(self._kernel.now)

    def unpause(self, fault: str) -> None:
        """End one pause; with the last one, what was held comes in its old order."""
        self._pauses.pop(fault, None)
        if self.clock.stopped and not any(self._pauses.values()):
            self.clock.resume(self._kernel.now)
            if self.environment is not None:
                self.environment.reaim()
        if self.paused and not self._pauses:
            self.paused = False
            held, self._held = self._held, []
            for callback, argument in held:
                self._kernel.exactly(self._kernel.now, callback, argument)  # in this order, whatever the policy

    def hold(self, callback: Callable[[Any], None], argument: Any) -> None:
        """Keep an event until the pause is over."""
        for fault in self._pauses:
            self.hits[fault] = self.hits.get(fault, 0) + 1
        self._held.append((callback, argument))

    # -- clocks ---------------------------------------------------------------------------------------------------

    def set_rate(self, rate_ppm: int) -> None:
        """Let both clocks run at another rate."""
        self.clock.set_rate(self._kernel.now, rate_ppm)
        if self.environment is not None:
            self.environment.reaim()

    # -- disk -----------------------------------------------------------------------------------------------------

    def begin_sync(self, name: str | None, done: Callable[[OSError | None], None]) -> None:
        """Start an fsync; it completes after a drawn time, and its notice comes after a drawn processing delay."""
        environment = self.environment
        complete = self.disk.begin_fsync(name) if name is not None else self.disk.begin_fsync_directory()
        spec = self._disk_spec
        latency_ns = self._fsync_draws.between(spec.fsync_min_ns, spec.fsync_max_ns)
        if self._slow_ns:
            latency_ns += self._slowness_ns()
        self.writes_in_flight += 1
        self._kernel.at(self._kernel.now + latency_ns, self.ordinal, self._synced, (environment, name, complete, done))
        if self.armed:
            fault = next(iter(self.armed))
            moment_ns = self._aim_draws.below(latency_ns + 1)  # somewhere inside this write
            self._kernel.exactly(self._kernel.now + moment_ns, _fire, self.armed.pop(fault))

    def _synced(self, argument: tuple[SimProcess, str | None, Callable[[], Any], Callable[[Any], None]]) -> None:
        environment, name, complete, done = argument
        if environment is not self.environment:
            return
        if self.paused:
            self.hold(self._synced, argument)
            return
        if self._held_syncs is not None:
            self._held_syncs.append(argument)
            return
        result = complete()
        durable = self._read_file(result) if name is not None else self._read_names(result)
        self._recorder.row("fsync", self.name, (name or ".",), durable)
        self.writes_in_flight -= 1
        processing_ns = self._processing_draws.between(*self._processing_ns)
        if processing_ns:
            self._kernel.at(self._kernel.now + processing_ns, self.ordinal, self._notify, (environment, done))
        else:
            done(None)

    def _notify(self, argument: tuple[SimProcess, Callable[[Any], None]]) -> None:
        environment, done = argument
        if environment is not self.environment:
            return
        if self.paused:
            self.hold(self._notify, argument)
        else:
            done(None)

    def _read_file(self, file: SimFile) -> tuple[tuple[Any, ...], ...]:
        """What this file now says durably. Nothing while its name is not durable: a power loss would take it whole."""
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

    def hold_disk(self) -> None:
        """Keep fsyncs from completing until `free_disk`. For scripts."""
        self._held_syncs = [] if self._held_syncs is None else self._held_syncs

    def free_disk(self, *, once: bool = False) -> None:
        """Let the held fsyncs complete, in their order; with `once`, go on holding those that begin from now on."""
        held, self._held_syncs = self._held_syncs or [], None
        for argument in held:
            self._synced(argument)
        if once:
            self._held_syncs = []

    def write_now(self, write: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        """Let `write(disk)` prepare the disk before anybody starts here; everything it writes is durable at once."""
        work = write(_InstantDisk(self.disk))
        try:
            work.send(None)
        except StopIteration:
            return
        raise RuntimeError("preparing a disk awaited something other than the disk")

    def lose_power(self) -> bool:
        """What was not durable is lost, in part. Returns whether anything was."""
        return self.disk.lose_power(self._loss_draws)

    def reread(self) -> None:
        """After a crash: tell the durable reader what the disk holds now."""
        if self._reader is None:
            return
        durable: tuple[tuple[Any, ...], ...] = ()
        for name, file in self.disk.durable_files():
            unchanged, file.unchanged = file.unchanged, len(file.durable)
            durable = self._reader.synced(name, file.durable, unchanged) or durable
        self._recorder.row("fsync", self.name, ("recovered",), durable)


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
