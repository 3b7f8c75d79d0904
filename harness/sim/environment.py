"""An actor's environment in the simulated world: clocks, network, disk and randomness behind the door of `Environment`.

An environment belongs to one incarnation of an actor. A crash first makes it dead: from then on every call does nothing or
parks for ever, so that no clean-up code of the dead task, in whatever order Trio runs it, leaves a mark. Only then are the
tasks cancelled.

Two lanes run a server. In the *task lane* each delivery or timer wakes the server's Trio task. In the *fast lane* the heap
callback itself runs the server's synchronous step, and the task is woken only to await its disk. Both see the same events
in the same order, so both give the same fingerprint (tested); the fast lane saves the Trio passes, which are what bounds
the speed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import outcome
import trio

from harness.systems.system import SystemServer
from .disk import SimDisk
from .kernel.draws import Counter
from .kernel.events import FAR, Kernel
from .kernel.local_clock import LocalClock
from .network import Network

_Abort: Final = trio.lowlevel.Abort.SUCCEEDED


class Host(Protocol):
    """What an environment needs of the place its actor occupies in the world."""

    name: str
    ordinal: int
    incarnation: int
    clock: LocalClock
    paused: bool

    def hold(self, callback: Callable[[Any], None], argument: Any) -> None:
        """Call it when the pause is over."""
        ...

    def observe(self, server: SystemServer) -> None:
        """Record and empty the server's notes."""
        ...

    def begin_sync(self, name: str | None, done: Callable[[OSError | None], None]) -> None:
        """Start an fsync of a file (or of the directory) and call `done` when it completes or fails."""
        ...


class SimClock:
    """The actor's clocks."""

    __slots__ = ("_clock", "_kernel")

    def __init__(self, kernel: Kernel, clock: LocalClock) -> None:
        self._kernel, self._clock = kernel, clock

    def monotonic_ns(self) -> int:
        """The monotonic clock."""
        clock = self._clock
        if clock.ahead_ns is not None:  # the common case, without a further call
            return self._kernel.now + clock.ahead_ns
        return clock.monotonic(self._kernel.now)

    def wall_ns(self) -> int:
        """The wall clock."""
        return self._clock.wall(self._kernel.now)


class SimRandomness:
    """Draws keyed by (actor, incarnation, purpose)."""

    __slots__ = ("_key", "_seed", "_streams")

    def __init__(self, seed: int, actor: str, incarnation: int) -> None:
        self._seed, self._key = seed, (actor, str(incarnation))
        self._streams: dict[str, Counter] = {}

    def below(self, bound: int, purpose: str) -> int:
        """A uniform integer in [0, bound)."""
        stream = self._streams.get(purpose)
        if stream is None:
            stream = self._streams[purpose] = Counter(self._seed, "actor", *self._key, purpose)
        return stream.below(bound)


class SimNetworkPort:
    """Where the actor hands datagrams to the network; `send` is the network's own function for this incarnation."""

    __slots__ = ("send",)

    def __init__(self, send: Callable[[str, bytes], None]) -> None:
        self.send = send


class SimDiskPort:
    """The actor's view of its disk: immediate calls go to the model, syncs take drawn time."""

    __slots__ = ("_disk", "_environment")

    def __init__(self, environment: SimEnvironment, disk: SimDisk) -> None:
        self._environment, self._disk = environment, disk

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        return self._disk.names()

    def read(self, name: str) -> bytes:
        """The whole content."""
        return self._disk.read(name)

    def append(self, name: str, data: bytes) -> None:
        """Add at the end."""
        if not self._environment.dead:
            self._disk.append(name, data)

    def write(self, name: str, data: bytes) -> None:
        """Replace the content."""
        if not self._environment.dead:
            self._disk.write(name, data)

    def truncate(self, name: str, size: int) -> None:
        """Cut the file."""
        if not self._environment.dead:
            self._disk.truncate(name, size)

    def rename(self, source: str, target: str) -> None:
        """Replace `target` by `source`."""
        if not self._environment.dead:
            self._disk.rename(source, target)

    def unlink(self, name: str) -> None:
        """Remove a file."""
        if not self._environment.dead:
            self._disk.unlink(name)

    async def fsync(self, name: str) -> None:
        """Wait until the content is durable."""
        await self._environment.sync(name)

    async def fsync_directory(self) -> None:
        """Wait until the names are durable."""
        await self._environment.sync(None)


class SimEnvironment:
    """Everything one incarnation of an actor can see, and the two ways to live behind it."""

    def __init__(
        self, seat: Host, *, kernel: Kernel, network: Network, disk: SimDisk, fast: bool
    ) -> None:
        self.actor = seat.name
        self.clock = SimClock(kernel, seat.clock)
        self.network = SimNetworkPort(network.sender(seat.name, self))
        self.disk = SimDiskPort(self, disk)
        self.randomness = SimRandomness(kernel.seed, seat.name, seat.incarnation)
        self.dead = False
        self.gone = False  # its task has ended
        self.scope = trio.CancelScope()
        self._seat = seat
        self._kernel = kernel
        self._fast = fast
        self._inbox: list[tuple[str, bytes]] = []
        self._task: trio.lowlevel.Task | None = None  # waits for inbox or timer
        self._sync_task: trio.lowlevel.Task | None = None  # waits for the disk
        self._server: SystemServer | None = None
        self._idle = False  # the server waits, and the fast lane may step it from a callback
        self._deadline = FAR  # what the timer is for, on the local monotonic clock
        self._armed = FAR  # virtual time of the one live heap entry of the timer
        self._generation = 0

    # -- living behind the door -----------------------------------------------------------------------------------

    async def recv(self, deadline_ns: int | None) -> tuple[str, bytes] | None:
        """The next datagram, or None when the deadline passed first."""
        if self.dead:
            await trio.sleep_forever()
        if not self._inbox:
            if deadline_ns is not None:
                if self.clock.monotonic_ns() >= deadline_ns:
                    return None
                self._arm(deadline_ns)
            await self._park()
            self._deadline = FAR
        return self._inbox.pop(0) if self._inbox else None

    async def until(self, virtual_ns: int) -> None:
        """Wait for a virtual time, leaving datagrams in the inbox. For clients' programs, which live on true time."""
        while self._kernel.now < virtual_ns and not self.dead:
            self._kernel.at(virtual_ns, self._seat.ordinal, self._on_alarm)
            await self._park()
        if self.dead:
            await trio.sleep_forever()

    async def serve(self, server: SystemServer) -> None:
        """Run a server until it is cancelled."""
        self._server = server
        self._seat.observe(server)
        must_sync = self._step_if_due()
        while True:
            if not must_sync:
                self._idle = True
                await self._park()
                self._idle = False
                if not self._fast:
                    must_sync = self._step()
                    if not must_sync:
                        continue
            await server.sync()
            if self.dead:
                await trio.sleep_forever()
            server.post()
            self._seat.observe(server)
            must_sync = self._step_if_due()

    def _step(self) -> bool:
        """One synchronous step of the server. True when its disk must be awaited."""
        server = self._server
        assert server is not None
        messages, self._inbox = self._inbox, []
        must_sync = server.process(messages)
        if server.notes:
            self._seat.observe(server)
        if must_sync:
            return True
        self._arm(server.deadline_ns)
        return False

    def _step_if_due(self) -> bool:
        server = self._server
        assert server is not None
        if self._inbox or self.clock.monotonic_ns() >= server.deadline_ns:
            return self._step()
        self._arm(server.deadline_ns)
        return False

    def _stir(self) -> None:
        """Something arrived for a waiting actor: step its server here, or wake its task."""
        task = self._task
        if task is None:
            return
        if self._idle and self._fast:
            try:
                if not self._step():
                    return
            except Exception as error:
                self._task = None
                self._kernel.wake(task, outcome.Error(error))
                return
        if self._task is not None:
            self._task = None
            self._kernel.wake(task)

    async def _park(self) -> None:
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)
        if self.dead:
            await trio.sleep_forever()

    def _abort(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None
        return _Abort

    # -- what the world does to it --------------------------------------------------------------------------------

    def deliver(self, source: str, data: bytes) -> None:
        """Put a datagram into the inbox. The world has checked that the actor is up and not paused."""
        self._inbox.append((source, data))
        if self._task is not None:
            self._stir()

    def command(self, command: Callable[[SystemServer], bool]) -> bool:
        """Run an administrator's command on the server, and then let the server act on it. True when it was taken."""
        server = self._server
        if server is None or not self._idle:
            return False
        taken = command(server)
        self._seat.observe(server)
        self._stir()
        return taken

    def reaim(self) -> None:
        """The clock's rate changed: aim the timer anew."""
        if self._deadline < FAR:
            self._generation += 1
            self._armed = FAR
            self._arm(self._deadline)

    def kill(self) -> None:
        """Die: first silently, then by cancellation."""
        self.dead = True
        self._server = None
        self._inbox.clear()
        self._kernel.cancel(self.scope)

    # -- timer ----------------------------------------------------------------------------------------------------

    def _arm(self, local_ns: int) -> None:
        self._deadline = local_ns
        if local_ns >= FAR:
            return
        when = self._seat.clock.when(local_ns)
        if when < self._armed:
            self._generation += 1
            self._armed = when
            self._kernel.at(when, self._seat.ordinal, self._on_timer, self._generation)

    def _on_timer(self, generation: int) -> None:
        if generation != self._generation or self.dead:
            return
        if self._seat.paused:
            self._seat.hold(self._on_timer, generation)
            return
        self._armed = FAR
        if self._deadline >= FAR:
            return
        if self.clock.monotonic_ns() < self._deadline:
            self._arm(self._deadline)
            return
        self._deadline = FAR
        self._stir()

    def _on_alarm(self, _: None) -> None:
        if self.dead:
            return
        if self._seat.paused:
            self._seat.hold(self._on_alarm, None)
        else:
            self._stir()

    # -- disk -----------------------------------------------------------------------------------------------------

    async def sync(self, name: str | None) -> None:
        """Await an fsync of a file, or of the directory."""
        if self.dead:
            await trio.sleep_forever()
        self._seat.begin_sync(name, self._on_synced)
        self._sync_task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort_sync)
        if self.dead:
            await trio.sleep_forever()

    def _on_synced(self, error: OSError | None) -> None:
        task, self._sync_task = self._sync_task, None
        if task is not None and not self.dead:
            self._kernel.wake(task, outcome.Error(error) if error is not None else None)

    def _abort_sync(self, _: Any) -> trio.lowlevel.Abort:
        self._sync_task = None
        return _Abort
