"""A host: the machine of one actor, which outlives the incarnations that run on it.

The host owns what survives a crash of the process: name, clocks, disk device, and the faults that lie on the machine
(pauses, slowness). It owns the present process, if it is up. Crash, restart and recovery are the world's business.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.plans.plan import DiskSpec
from harness.systems.system import DurableReader, SystemServer

from .conditions import Pauses, Slowness
from .device import DiskDevice
from .disk_damage import Regions
from .kernel.events import Kernel
from .kernel.local_clock import LocalClock
from .process import SimProcess
from .recorder import Recorder


class SimHost:
    """One actor's machine: its clocks, its disk, its faults, and its present process."""

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
        regions: Regions,
    ) -> None:
        self.name, self.ordinal = name, ordinal
        self.clock = clock
        self.hits: dict[str, int] = {}  # fault id -> events that it touched here
        self.armed: dict[str, Callable[[], None]] = {}  # crashes that wait for a write in flight, by fault
        self._armed_later: dict[str, tuple[str, Callable[[], None]]] = {}  # that wait for a moment of its end
        self.pauses = Pauses(kernel, self.hits)
        self.slowness = Slowness(self.hits)
        self.background = Slowness(self.hits)
        self.device = DiskDevice(
            name,
            ordinal,
            kernel=kernel,
            recorder=recorder,
            spec=disk,
            processing_ns=processing_ns,
            reader=reader,
            regions=regions,
            armed=self.armed,
            armed_later=self._armed_later,
            pauses=self.pauses,
            slowness=self.slowness,
            hits=self.hits,
        )
        self.disk = self.device.faults
        """What faults can do to the disk for a while."""
        self.damage = self.device.damage
        """What they can do to its bytes."""
        self.incarnation = 0
        self.process: SimProcess | None = None
        self.is_up = False  # whether a process runs here (it may be paused)
        self.server: SystemServer | None = None  # of the present process, once it was created
        self.refused = ""  # why it will not start again
        self.receive: Callable[[str, bytes], None] = self._receive_nothing
        """Takes a message that arrives while the host is up and not paused."""
        self._kernel = kernel

    # -- power ----------------------------------------------------------------------------------------------------

    def begin(self, process: SimProcess) -> None:
        """A new incarnation runs here from now on."""
        self.process, self.is_up = process, True
        self._choose_receiver()

    def end(self) -> SimProcess | None:
        """The present incarnation, if any, runs here no more."""
        process, self.process, self.is_up = self.process, None, False
        self.server = None
        self._choose_receiver()
        return process

    def arm(self, fault: str, moment: str, crash: Callable[[], None]) -> None:
        """Let a crash happen at a moment of the next write: "in-flight", "between" or "answered"."""
        if moment == "in-flight":
            self.armed[fault] = crash
        else:
            self._armed_later[fault] = (moment, crash)

    def disarm(self, fault: str) -> bool:
        """Take back a crash that has not happened. Whether there was one."""
        return self.armed.pop(fault, None) is not None or self._armed_later.pop(fault, None) is not None

    def disarm_all(self) -> None:
        """Take back all crashes that have not happened."""
        self.armed.clear()
        self._armed_later.clear()

    # -- receiving ------------------------------------------------------------------------------------------------

    def _choose_receiver(self) -> None:
        """Let messages go straight to the process, unless a fault slows them down."""
        if self.process is None:
            self.receive = self._receive_nothing
        else:
            self.receive = self._receive_slowly if self.slowness.in_force else self.process.deliver

    def _receive_nothing(self, source: str, data: bytes) -> None:
        raise RuntimeError(f"{self.name} is down and was given a message of {source}")

    def _receive_slowly(self, source: str, data: bytes) -> None:
        due_ns = self._kernel.now + self.slowness.delay_ns()
        self._kernel.at(due_ns, self.ordinal, self._receive_late, (self.process, source, data))

    def _receive_late(self, argument: tuple[SimProcess, str, bytes]) -> None:
        process, source, data = argument
        if process.lifetime.dead:
            return
        if self.pauses.in_force:
            self.pauses.hold(self._receive_late, argument)
        else:
            process.deliver(source, data)

    # -- slowness, pauses, clocks ---------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether any pause is in force."""
        return bool(self.pauses.in_force)

    def slow_down(self, fault: str, processing_ns: int) -> None:
        """Let every event here take longer until `speed_up` of the same fault."""
        self.slowness.in_force[fault] = processing_ns
        self._choose_receiver()

    def speed_up(self, fault: str) -> None:
        """End one slowness, if it is there."""
        self.slowness.in_force.pop(fault, None)
        self._choose_receiver()

    def slow_background(self, fault: str, late_ns: int) -> None:
        """Let work in the background take longer until `hurry_background` of the same fault."""
        self.background.in_force[fault] = late_ns

    def hurry_background(self, fault: str) -> None:
        """Let what begins from now on take as long as without the fault."""
        self.background.in_force.pop(fault, None)

    def pause(self, fault: str, *, stop_clock: bool) -> None:
        """Hold deliveries, timers and disk completions until `unpause` of the same fault."""
        self.pauses.in_force[fault] = stop_clock
        if stop_clock and not self.clock.stopped:
            self.clock.stop()

    def unpause(self, fault: str) -> None:
        """End one pause; with the last one, the held events happen in their old order."""
        was_paused = self.paused
        self.pauses.in_force.pop(fault, None)
        if self.clock.stopped and not any(self.pauses.in_force.values()):
            self.clock.resume()
            self._rearm_timer()
        if was_paused and not self.paused:
            self.pauses.release()

    def set_rate(self, rate_ppm: int) -> None:
        """Let both clocks run at another rate."""
        self.clock.set_rate(rate_ppm)
        self._rearm_timer()

    def _rearm_timer(self) -> None:
        if self.process is not None:
            self.process.timer.rearm()
