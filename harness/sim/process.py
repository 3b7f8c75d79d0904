"""An actor's environment in the simulated world: how one incarnation lives behind the door of `Environment`.

An environment belongs to one incarnation of an actor. A crash first makes it dead: from then on every call does
nothing or parks for ever, so that no clean-up code of the dead task, in whatever order Trio runs it, leaves a mark.
Only then are the tasks cancelled.

Two lanes run an actor. In the *task lane* each delivery, timer and disk completion wakes the actor's Trio task. In the
*fast lane* the heap callback itself does what the task would: it runs a server's synchronous step and drives the
coroutine of its `sync`, which may await nothing but the disk; and it drives a client's life, which may await nothing
but `recv` and `until`. The task is only there to be cancelled. Both lanes see the same events in the same order, so
both give the same fingerprint (tested): the task lane is the oracle of the fast one, which saves the Trio passes.

A server whose `storage` is "async" goes on stepping while its disk is awaited; `post` then comes between two steps.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, Protocol

import outcome
import trio

from harness.systems.system import SystemServer

from .disk import SimDisk
from .kernel.events import FAR, Kernel
from .kernel.local_clock import LocalClock
from .network import Network
from .ports import SimClock, SimDiskPort, SimNetworkPort, SimRandomness

_Abort: Final = trio.lowlevel.Abort.SUCCEEDED


_WAITS: Final = object()
"""What a driven coroutine hands up when it waits for its environment."""


@types.coroutine
def _environment() -> Generator[object, None, None]:
    """Wait, in a coroutine that callbacks drive."""
    yield _WAITS


def _drive(coroutine: Coroutine[object, None, None], what: str) -> bool:
    """Let a coroutine run to its next wait. False when it has ended instead."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return False
    if waits_for is not _WAITS:
        raise TypeError(f"{what} awaited something other than its environment; run it in the task lane")
    return True


class Host(Protocol):
    """What an environment needs of the place its actor occupies in the world."""

    name: str
    ordinal: int
    incarnation: int
    clock: LocalClock
    paused: bool
    record_notes: Callable[[str, list[tuple[Any, ...]]], None]
    """Record what this actor's server says of itself, and empty the list."""

    def hold(self, callback: Callable[[Any], None], argument: Any) -> None:
        """Call it when the pause is over."""
        ...

    def begin_sync(self, name: str | None, done: Callable[[OSError | None], None]) -> None:
        """Start an fsync of a file (or of the directory) and call `done` when it completes or fails."""
        ...


class SimProcess:
    """Everything one incarnation of an actor can see, and the two ways to live behind it."""

    # More than thirty attributes are slow without slots.
    __slots__ = (
        "_alarm",
        "_armed",
        "_armed_for",
        "_calls_when_idle",
        "_deadline",
        "_driving",
        "_fast",
        "_flusher",
        "_flusher_starts",
        "_generation",
        "_host",
        "_idle",
        "_inbox",
        "_is_between_steps",
        "_kernel",
        "_life",
        "_living",
        "_local_clock",
        "_overlaps",
        "_record_notes",
        "_server",
        "_sync",
        "_sync_error",
        "_sync_task",
        "_task",
        "actor",
        "clock",
        "dead",
        "disk",
        "gone",
        "network",
        "randomness",
        "scope",
    )

    def __init__(self, host: Host, *, kernel: Kernel, network: Network, disk: SimDisk, fast: bool) -> None:
        self.actor = host.name
        self.clock = SimClock(kernel, host.clock)
        self.network = SimNetworkPort(network.sender(host.name, self))
        self.disk = SimDiskPort(self, disk)
        self.randomness = SimRandomness(kernel.seed, host.name, host.incarnation)
        self.dead = False
        self.gone = False  # its task has ended
        self.scope = trio.CancelScope()
        self._host = host
        self._record_notes = host.record_notes
        self._kernel = kernel
        self._fast = fast
        self._inbox: list[tuple[str, bytes]] = []
        self._task: trio.lowlevel.Task | None = None  # waits for inbox or timer
        self._sync_task: trio.lowlevel.Task | None = None  # waits for the disk
        self._flusher: trio.lowlevel.Task | None = None  # waits for something to sync (task lane, overlapping)
        self._flusher_starts = False
        self._calls_when_idle: list[Callable[[], None]] = []
        self._is_between_steps = False  # an fsync is over, and the next step has not begun
        self._server: SystemServer | None = None
        self._overlaps = False  # the server goes on stepping while its disk is awaited
        self._sync: Coroutine[object, None, None] | None = None  # the server's `sync`, driven by callbacks (fast lane)
        self._sync_error: OSError | None = None
        self._driving = False  # the code that runs now is that coroutine
        self._life: Coroutine[object, None, None] | None = None  # a client's life, driven by callbacks (fast lane)
        self._living = False  # the code that runs now is that coroutine
        self._idle = False  # the server waits, and the fast lane may step it from a callback
        self._local_clock = host.clock
        self._deadline = FAR  # what the timer is for, on the local monotonic clock
        self._armed = FAR  # virtual time of the one live heap entry of the timer
        self._armed_for = FAR  # the deadline that it was made for, while the clock's rate is what it was then
        self._generation = 0
        self._alarm = 0  # which wait for a virtual time is in force

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
        if self._kernel.now < virtual_ns and not self.dead:
            self._alarm += 1
            self._kernel.at(virtual_ns, self._host.ordinal, self._on_alarm, self._alarm)
            while self._kernel.now < virtual_ns and not self.dead:
                await self._park()
            self._alarm += 1  # an alarm still to come must not end a later wait
        if self.dead:
            await trio.sleep_forever()

    async def serve(self, server: SystemServer) -> None:
        """Run a server until it is cancelled, in the lane that this world was given."""
        self._server = server
        self._overlaps = getattr(server, "storage", "sync") == "async"
        self._record_notes(self.actor, server.notes)
        self._arm(server.deadline_ns)
        if self._fast:
            self._idle = True
            self._step_if_due()
            await self._park()  # the task is there to be cancelled, and to raise what a step raised
        elif self._overlaps:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._flush_for_ever, server)
                await self._serve_in_task(server)
        else:
            await self._serve_in_task(server)

    async def live(self, life: Callable[[SimProcess], Coroutine[Any, Any, None]]) -> None:
        """Live a client's life to its end, in the lane that this world was given."""
        if not self._fast:
            await life(self)
            return
        self._life = coroutine = life(self)
        try:
            if self._go_on_living():
                await self._park()  # until it has ended, or raised, or is cancelled
        finally:
            with contextlib.suppress(RuntimeError):  # clean-up code that awaits gets no further
                coroutine.close()

    def _go_on_living(self) -> bool:
        """Let the client's life run to its next wait. False when it has ended instead."""
        assert self._life is not None
        self._living = True
        try:
            goes_on = _drive(self._life, "a client's life")
        finally:
            self._living = False
        if not goes_on:
            self._life = None
        return goes_on

    # The task lane: every delivery and every disk completion is a wake of a Trio task.

    async def _serve_in_task(self, server: SystemServer) -> None:
        while True:
            if not self._inbox and self.clock.monotonic_ns() < server.deadline_ns:
                self._idle = True
                await self._park()
                self._idle = False
            messages, self._inbox = self._inbox, []
            must_sync = server.process(messages)
            self._record_notes(self.actor, server.notes)
            if not must_sync or self._overlaps:
                self._arm(server.deadline_ns)
            if must_sync and not self._overlaps:
                await server.sync()
                server.post()
                self._record_notes(self.actor, server.notes)
                self._call_when_idle()
                self._arm(server.deadline_ns)
            elif must_sync and self._flusher is not None:
                flusher, self._flusher = self._flusher, None
                trio.lowlevel.reschedule(flusher)
                self._flusher_starts = True
                while self._flusher_starts:  # its fsync comes before our next step, as in the fast lane
                    await trio.lowlevel.cancel_shielded_checkpoint()

    async def _flush_for_ever(self, server: SystemServer) -> None:
        while True:
            if not server.must_sync:
                self._flusher = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._abort_flusher)
            self._flusher_starts = False
            await server.sync()
            server.post()
            self._record_notes(self.actor, server.notes)
            self._arm(server.deadline_ns)
            if self._inbox or self.clock.monotonic_ns() >= server.deadline_ns:
                self._stir()

    def _abort_flusher(self, _: Any) -> trio.lowlevel.Abort:
        self._flusher = None
        return _Abort

    # The fast lane: callbacks run the steps, and drive the coroutine of `sync` themselves.

    def _step_if_due(self) -> None:
        server = self._server
        assert server is not None
        if self._inbox or self.clock.monotonic_ns() >= server.deadline_ns:
            if self._sync is None or self._overlaps:
                messages, self._inbox = self._inbox, []
                self._step(server, messages)
        elif self._overlaps and self._sync is None and server.must_sync:
            self._begin_sync(server)

    def _step(self, server: SystemServer, messages: list[tuple[str, bytes]]) -> None:
        """Let the server process what came, and whatever its timers make of it at this same instant."""
        while True:
            must_sync = server.process(messages)
            if server.notes:
                self._record_notes(self.actor, server.notes)
            deadline_ns = server.deadline_ns
            if not (must_sync or deadline_ns < self._armed_for or self._kernel.now >= self._armed or self._overlaps):
                self._deadline = deadline_ns  # the common case: nothing to sync, and the armed timer comes in time
                return
            if not self._must_step_again(server, must_sync):
                return
            messages, self._inbox = self._inbox, []

    def _must_step_again(self, server: SystemServer, must_sync: bool) -> bool:
        """Begin the fsync or arm the timer that a step made necessary. Returns whether another step is due at once."""
        overlaps = self._overlaps
        if not must_sync or overlaps:
            self._arm(server.deadline_ns)
        if must_sync and self._sync is None:
            self._begin_sync(server)
        if self._sync is not None and not overlaps:
            return False
        if self._inbox or self._is_due(server):
            return True
        if overlaps and self._sync is None and server.must_sync:
            self._begin_sync(server)
        return False

    def _is_due(self, server: SystemServer) -> bool:
        """Whether the server's time has come. The timer is armed for that time or earlier."""
        return self._kernel.now >= self._armed and self.clock.monotonic_ns() >= server.deadline_ns

    def _begin_sync(self, server: SystemServer) -> None:
        self._sync = server.sync()
        self._drive_sync(server)

    def _drive_sync(self, server: SystemServer) -> bool:
        """Let `sync` run to its next wait for the disk; when it has ended, do what waited for it. True if it has."""
        has_ended = False
        while self._sync is not None:
            self._driving = True
            try:
                if _drive(self._sync, "a server's sync"):
                    return has_ended
            finally:
                self._driving = False
            self._sync = None
            server.post()
            if server.notes:
                self._record_notes(self.actor, server.notes)
            if self._calls_when_idle:
                self._call_when_idle()
            self._arm(server.deadline_ns)
            has_ended = True
            if self._overlaps and server.must_sync:
                self._sync = server.sync()
        return has_ended

    def _resume_sync(self) -> None:
        """The disk is done: go on with the coroutine, and then with what arrived meanwhile."""
        assert self._server is not None
        try:
            # A sync that goes on to its next file has made nothing due: a step now would come before its own event.
            if self._drive_sync(self._server):
                self._step_if_due()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """What a step raised in a callback is raised in the server's task."""
        task, self._task = self._task, None
        self._idle = False
        if task is None:
            raise error
        self._kernel.wake(task, outcome.Error(error))

    # Both lanes.

    def _stir(self) -> None:
        """Something arrived for a waiting actor: step its server here, or wake its task."""
        if self._idle and self._fast:
            if self._sync is None or self._overlaps:
                try:
                    self._step_if_due()
                except Exception as error:
                    self._fail(error)
            return
        if self._life is not None:
            try:
                if self._go_on_living():
                    return
            except Exception as error:
                self._life = None
                self._fail(error)
                return
        task, self._task = self._task, None
        if task is not None:
            self._kernel.wake(task)

    async def _park(self) -> None:
        if self._living:
            await _environment()
            return
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)
        if self.dead:
            await trio.sleep_forever()

    def _abort(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None
        return _Abort

    # -- what the world does to it --------------------------------------------------------------------------------

    def deliver(self, source: str, data: bytes) -> None:
        """Give the actor a datagram. The world has checked that it is up and not paused."""
        if self._idle and self._fast and (self._sync is None or self._overlaps):
            assert self._server is not None
            try:
                self._step(self._server, [(source, data)])  # it waits, so its inbox is empty
            except Exception as error:
                self._fail(error)
        else:
            self._inbox.append((source, data))
            self._stir()

    def command(self, command: Callable[[SystemServer], bool]) -> bool:
        """Run an administrator's command on the server, and then let the server act on it. True when it was taken."""
        server = self._server
        is_busy = not self._idle or (self._sync is not None and not self._overlaps)
        if server is None or (is_busy and not self._is_between_steps):
            return False
        taken = False
        try:
            taken = command(server)
        except Exception as error:  # the server's own fault, which its task shall answer for
            if self._is_between_steps:
                raise
            task, self._task = self._task, None
            assert task is not None, "a server that waits has a task"
            self._idle = False
            self._kernel.wake(task, outcome.Error(error))
            return False
        self._record_notes(self.actor, server.notes)
        self._arm(server.deadline_ns)
        # Not from here: whoever commands has more to record, which a step would come before and a wake after.
        self._kernel.exactly(self._kernel.now, self._on_commanded)
        return taken

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call once the fsync that the server waits for is over, before its next step: then it takes commands.

        A server that goes on stepping meanwhile is never too busy, and one that has not started does not know yet which
        kind it is, so there the call is dropped.
        """
        if self._server is not None and not self._overlaps:
            self._calls_when_idle.append(call)

    def _call_when_idle(self) -> None:
        calls, self._calls_when_idle = self._calls_when_idle, []
        self._is_between_steps = True
        try:
            for call in calls:
                call()
        finally:
            self._is_between_steps = False

    def _on_commanded(self, _: None) -> None:
        server = self._server
        is_syncing = self._task is None or (self._sync is not None and not self._overlaps)
        if server is None or is_syncing:  # the step after the fsync will see to it
            return
        if self._host.paused:
            self._host.hold(self._on_commanded, None)
            return
        self._arm(server.deadline_ns)
        if self.clock.monotonic_ns() >= server.deadline_ns or (self._overlaps and server.must_sync):
            self._stir()

    @property
    def deadline_ns(self) -> int:
        """What the actor's timer is for, on its monotonic clock; far away when it waits for no time."""
        return self._deadline

    def ring(self) -> None:
        """The clock was moved by hand: let the actor see whether its time has come."""
        if self.clock.monotonic_ns() >= self._deadline:
            self._deadline = FAR
            self._stir()

    def reaim(self) -> None:
        """The clock's rate changed: aim the timer anew."""
        self._armed_for = FAR
        if self._deadline < FAR:
            self._generation += 1
            self._armed = FAR
            self._arm(self._deadline)

    def kill(self) -> None:
        """Die: first silently, then by cancellation."""
        self.dead = True
        self._server = None
        self._inbox.clear()
        sync, self._sync = self._sync, None
        self._life = None  # its task closes it
        if sync is not None:
            with contextlib.suppress(RuntimeError):  # clean-up code that awaits gets no further
                sync.close()
        self._kernel.cancel(self.scope)

    # -- timer ----------------------------------------------------------------------------------------------------

    def _arm(self, local_ns: int) -> None:
        self._deadline = local_ns
        if local_ns >= self._armed_for or self._local_clock.stopped:  # a clock that resumes aims the timer anew
            return
        when = self._local_clock.when(local_ns)
        if when < self._armed:
            self._generation += 1
            self._armed, self._armed_for = when, local_ns
            self._kernel.at(when, self._host.ordinal, self._on_timer, self._generation)

    def _on_timer(self, generation: int) -> None:
        if generation != self._generation or self.dead:
            return
        if self._host.paused:
            self._host.hold(self._on_timer, generation)
            return
        self._armed = self._armed_for = FAR
        if self._deadline >= FAR:
            return
        if self.clock.monotonic_ns() < self._deadline:
            self._arm(self._deadline)
            return
        self._deadline = FAR
        self._stir()

    def _on_alarm(self, alarm: int) -> None:
        if alarm != self._alarm or self.dead:
            return
        if self._host.paused:
            self._host.hold(self._on_alarm, alarm)
        else:
            self._stir()

    # -- disk -----------------------------------------------------------------------------------------------------

    async def sync(self, name: str | None) -> None:
        """Await an fsync of a file, or of the directory."""
        if self.dead:
            await trio.sleep_forever()
        if self._driving:
            self._host.begin_sync(name, self._on_synced_in_callback)
            await _environment()
            error, self._sync_error = self._sync_error, None
            if error is not None:
                raise error
        else:
            self._host.begin_sync(name, self._on_synced)
            self._sync_task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_sync)
            await self._rest_if_dead()

    async def _rest_if_dead(self) -> None:
        """The dead do not go on, whatever woke them: they wait to be cancelled."""
        if self.dead:
            await trio.sleep_forever()

    def _on_synced_in_callback(self, error: OSError | None) -> None:
        if not self.dead:
            self._sync_error = error
            self._resume_sync()

    def _on_synced(self, error: OSError | None) -> None:
        task, self._sync_task = self._sync_task, None
        if task is not None and not self.dead:
            self._kernel.wake(task, outcome.Error(error) if error is not None else None)

    def _abort_sync(self, _: Any) -> trio.lowlevel.Abort:
        self._sync_task = None
        return _Abort
