"""One incarnation of an actor: its view of the world, its inbox, its timer and its end.

A process begins when its host starts and ends with a crash. The code of the actor sees it through ports (clock,
network, disk, randomness; see ports.py) and awaits `recv`, `until` and `disk.fsync`. A `Driver` (drivers.py) runs that
code: it is called when something arrived, and says how the code waits.

A crash first marks the lifetime as dead: from then on every call does nothing or waits without end. Only then is the
task cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import outcome
import trio

from harness.systems.system import SystemServer

from .conditions import Pauses, Slowness
from .device import DiskDevice
from .kernel.events import Kernel
from .kernel.livelock import STEPS_AT_ONE_INSTANT_MAX, AtOneInstant, woken_in_the_past
from .kernel.local_clock import LocalClock
from .lifetime import Lifetime
from .ports import SimClock, SimDiskPort, SimNetworkPort, SimRandomness
from .timer import Timer


async def _never() -> None:
    """Wait without end: what an ended incarnation asked for does not happen."""
    await trio.sleep_forever()


class Driver(Protocol):
    """Runs the code of one process. The world calls `run` in the task of the process."""

    async def run(self) -> None:
        """Run the actor's code until it ends. Raises what that code raises."""

    def on_input(self) -> None:
        """A datagram arrived, or a time that the process waits for has come."""

    def on_raised(self, error: Exception) -> None:
        """Work of the actor's code in the background has raised."""

    async def wait(self) -> None:
        """Suspend the actor's code until the next `on_input`."""

    def sync(self, name: str | None) -> Awaitable[None]:
        """Begin an fsync of a file (or of the directory), and suspend the actor's code until it is done."""
        ...

    def command(self, command: Callable[[SystemServer], bool]) -> bool:
        """Run an administrator's command on the server, and then let the server act on it. True when it was taken."""
        ...

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call when a server that waits for its disk takes commands again."""

    def kill(self) -> None:
        """Run no more of the actor's code."""

    def before_kill(self) -> None:
        """The process is about to be killed, and the machine that it runs on goes on."""

    def tear_down(self) -> bool:
        """End by force the tasks that outlived a kill. False where there is no such means."""
        ...


class SimProcess:
    """What one incarnation of an actor sees and owns."""

    driver: Driver
    """Set by the world before the process starts."""

    def __init__(
        self,
        actor: str,
        ordinal: int,
        incarnation: int,
        *,
        kernel: Kernel,
        clock: LocalClock,
        pauses: Pauses,
        background: Slowness,
        device: DiskDevice,
        lifetime: Lifetime,
        send: Callable[[str, bytes], None],
    ) -> None:
        self.actor, self.ordinal = actor, ordinal
        self.clock = SimClock(clock)
        self.network = SimNetworkPort(send)
        self.disk = SimDiskPort(lifetime, device.disk, device.faults, device.damage, self._sync)
        self.randomness = SimRandomness(kernel.chance, actor, incarnation)
        self.lifetime = lifetime
        self.pauses = pauses
        self.scope = trio.CancelScope()
        self.inbox: list[tuple[str, bytes]] = []
        self.heard = 0  # how many datagrams arrived
        self.timer = Timer(kernel, ordinal, clock=clock, pauses=pauses, lifetime=lifetime, fire=self._on_input)
        self._kernel, self._device, self._background = kernel, device, background
        self._waits_for_nothing = AtOneInstant(STEPS_AT_ONE_INSTANT_MAX)  # waits of `recv` that were over at once
        self.heard_from = ""  # who sent what `recv` gave last
        self._alarm = 0  # which wait of `until` is in force
        self._parked: trio.lowlevel.Task | None = None

    # -- what the actor's code awaits -----------------------------------------------------------------------------

    async def recv(self, deadline_ns: int | None) -> tuple[str, bytes] | None:
        """The next datagram, or None when the deadline (on the monotonic clock) passed first."""
        if self.lifetime.dead:
            await trio.sleep_forever()
        if not self.inbox:
            if deadline_ns is not None:
                if self.clock.monotonic_ns() >= deadline_ns:
                    if self._waits_for_nothing.is_too_often(self._kernel.now):
                        clock_ns = self.clock.monotonic_ns()
                        self._kernel.stop("livelock", woken_in_the_past(self.actor, deadline_ns, clock_ns))
                        await self.driver.wait()
                    return None
                self.timer.arm(deadline_ns)
            await self.driver.wait()
            self.timer.disarm()
        if not self.inbox:
            return None
        received = self.inbox.pop(0)
        self.heard_from = received[0]
        return received

    async def until(self, virtual_ns: int) -> None:
        """Wait for a virtual time, leaving datagrams in the inbox. For clients' programs, which follow true time."""
        lifetime, kernel = self.lifetime, self._kernel
        if kernel.now < virtual_ns and not lifetime.dead:
            self._alarm += 1
            kernel.at(virtual_ns, self.ordinal, self._on_alarm, self._alarm)
            while kernel.now < virtual_ns and not lifetime.dead:
                await self.driver.wait()
            self._alarm += 1  # an alarm still to come must not end a later wait
        if lifetime.dead:
            await trio.sleep_forever()

    def _sync(self, name: str | None) -> Awaitable[None]:
        """Wait for an fsync of a file, or of the directory; without end once this incarnation is over."""
        return _never() if self.lifetime.dead else self.driver.sync(name)

    def background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do the work, and call `done`, in an event of its own, while this incarnation runs.

        It takes no virtual time, unless a fault lets it: it is done at the end of its time, and when the step is over
        that asked for it. What it looks at must be its own: it may have changed.
        """
        if not self.lifetime.dead:
            due_ns = self._kernel.now + (self._background.delay_ns() if self._background.in_force else 0)
            self._kernel.exactly(due_ns, self._on_background, (done, work))

    def _on_background(self, order: tuple[Callable[[Any], None], Callable[[], Any]]) -> None:
        if self.lifetime.dead:
            return
        if self.pauses.in_force:
            self.pauses.hold(self._on_background, order)
            return
        done, work = order
        try:
            result = work()
        except Exception as error:
            self.driver.on_raised(error)
            return
        done(result)
        self.driver.on_input()

    # -- what drivers and the world do ----------------------------------------------------------------------------

    def begin_sync(self, name: str | None, done: Callable[[], None]) -> None:
        """Start an fsync of a file, or of the directory. `done` is called only while this incarnation runs."""
        self._device.begin_sync(self.lifetime, name, done)

    def sync_now(self, name: str | None, blocks: Callable[[int], None]) -> None:
        """Make a file, or the directory, durable for code that blocks as many ns as it is told. Raises OSError."""
        if not self.lifetime.dead:
            self._device.sync_now(self.lifetime, name, blocks)

    def deliver(self, source: str, data: bytes) -> None:
        """Give the actor a datagram. The network has checked that the host is up and not paused."""
        self.heard += 1
        self.inbox.append((source, data))
        self.driver.on_input()

    def end(self) -> None:
        """Run no more of the actor's code, and let nothing that it still does have an effect."""
        self.lifetime.dead = True
        self.inbox.clear()
        self.driver.kill()

    def kill(self) -> None:
        """End: first silently, then by cancellation."""
        self.end()
        self._kernel.cancel(self.scope)

    def _on_input(self) -> None:
        self.driver.on_input()

    def _on_alarm(self, alarm: int) -> None:
        if alarm != self._alarm or self.lifetime.dead:
            return
        if self.pauses.in_force:
            self.pauses.hold(self._on_alarm, alarm)
        else:
            self.driver.on_input()

    # -- its task -------------------------------------------------------------------------------------------------

    async def park(self) -> None:
        """Let the task of the process wait for `wake`, or to be cancelled."""

        def abort(_: Any) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._parked = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self, error: Exception | None = None) -> None:
        """End `park`, by raising `error` there if there is one: what a callback raised is raised in the task."""
        task, self._parked = self._parked, None
        if task is not None:
            self._kernel.wake(task, outcome.Error(error) if error is not None else None)
        elif error is not None:
            raise error
