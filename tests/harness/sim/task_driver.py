"""The task lane, the oracle of the product's drivers: every event wakes a Trio task, which runs the actor's code.

    with task_lane():
        simulate(plan)

The product runs actors' code in the callbacks of events, to save passes of Trio's scheduler (`harness/sim/drivers.py`).
Here that code is an ordinary Trio task, as its author wrote it. Both see the same events in the same order, so both
must leave the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import outcome
import trio

from harness.sim.drivers import Contained, Create, Entrypoint, Start
from harness.sim.process import Driver, SimProcess
from harness.sim.world import SimWorld
from harness.systems.system import SystemServer


@contextmanager
def task_lane() -> Iterator[None]:
    """Let every world in this block run its actors in Trio tasks."""

    def client_driver(world: SimWorld, process: SimProcess, entrypoint: Entrypoint) -> Driver:
        return TaskClientDriver(world, process, entrypoint)

    def server_driver(world: SimWorld, process: SimProcess, create: Create, start: Start) -> Driver:
        return TaskServerDriver(world, process, create, start)

    with patch.object(SimWorld, "client_driver", client_driver), patch.object(SimWorld, "server_driver", server_driver):
        yield


class TaskDriver(Contained):
    """Waits of an actor's code as waits of Trio tasks."""

    def __init__(self, world: SimWorld, process: SimProcess) -> None:
        self._kernel, self._process = world.kernel, process
        self._waiting: trio.lowlevel.Task | None = None  # for input
        self._syncing: trio.lowlevel.Task | None = None  # for the disk

    def on_input(self) -> None:
        """Wake the task that waits for input."""
        task, self._waiting = self._waiting, None
        if task is not None:
            self._kernel.wake(task)

    async def wait(self) -> None:
        """Let the current task wait for input."""
        self._waiting = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._forget_waiting)
        await self._rest_if_dead()

    async def sync(self, name: str | None) -> None:
        """Let the current task wait for an fsync."""
        self._process.begin_sync(name, self._on_synced)
        self._syncing = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._forget_syncing)
        await self._rest_if_dead()
        lifetime = self._process.lifetime
        if lifetime.disk_error is not None:
            error, lifetime.disk_error = lifetime.disk_error, None
            raise error

    def kill(self) -> None:
        """Nothing to do: the task is cancelled."""

    def _on_synced(self) -> None:
        task, self._syncing = self._syncing, None
        if task is not None and not self._process.lifetime.dead:
            self._kernel.wake(task)

    async def _rest_if_dead(self) -> None:
        """Wait to be cancelled, if the process was killed, whatever woke the task."""
        if self._process.lifetime.dead:
            await trio.sleep_forever()

    def _forget_waiting(self, _: Any) -> trio.lowlevel.Abort:
        self._waiting = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _forget_syncing(self, _: Any) -> trio.lowlevel.Abort:
        self._syncing = None
        return trio.lowlevel.Abort.SUCCEEDED


class TaskClientDriver(TaskDriver):
    """A client's coroutine as a task. Unlike the product's driver this one lets an entrypoint await anything."""

    def __init__(self, world: SimWorld, process: SimProcess, entrypoint: Entrypoint) -> None:
        super().__init__(world, process)
        self._entrypoint = entrypoint

    async def run(self) -> None:
        """Run the coroutine to its end."""
        await self._entrypoint(self._process)

    def command(self, command: Callable[[SystemServer], bool]) -> bool:
        """A client takes no commands."""
        return False

    def when_idle(self, call: Callable[[], None]) -> None:
        """Drop the call."""


class TaskServerDriver(TaskDriver):
    """A server as a task, and with asynchronous storage as two: one steps, the other syncs."""

    _server: SystemServer

    def __init__(self, world: SimWorld, process: SimProcess, create: Create, start: Start) -> None:
        super().__init__(world, process)
        self._create, self._start = create, start
        self._record_notes = world.recorder.notes
        self._overlaps = False
        self._serves = False
        self._idle = False  # it waits for input
        self._is_between_steps = False  # an fsync is over, and the next step has not begun
        self._calls_when_idle: list[Callable[[], None]] = []
        self._flusher: trio.lowlevel.Task | None = None  # waits for something to sync
        self._flusher_starts = False

    async def run(self) -> None:
        """Recover, and serve until the process is killed."""
        self._server = server = self._create(self._process)
        await self._start(server)
        self._serves = True
        self._overlaps = getattr(server, "storage", "sync") == "async"
        self._record_notes(self._process.actor, server.notes)
        self._process.timer.arm(server.deadline_ns)
        if self._overlaps:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._flush, server)
                await self._step(server)
        else:
            await self._step(server)

    def kill(self) -> None:
        """Take no more commands."""
        self._serves = False

    async def _step(self, server: SystemServer) -> None:
        process = self._process
        while True:
            if not process.inbox and process.clock.monotonic_ns() < server.deadline_ns:
                self._idle = True
                await self.wait()
                self._idle = False
            messages, process.inbox = process.inbox, []
            must_sync = server.process(messages)
            self._record_notes(process.actor, server.notes)
            if not must_sync or self._overlaps:
                process.timer.arm(server.deadline_ns)
            if must_sync and not self._overlaps:
                await server.sync()
                server.post()
                self._record_notes(process.actor, server.notes)
                self._call_when_idle()
                process.timer.arm(server.deadline_ns)
            elif must_sync and self._flusher is not None:
                flusher, self._flusher = self._flusher, None
                trio.lowlevel.reschedule(flusher)
                self._flusher_starts = True
                while self._flusher_starts:  # its fsync comes before our next step, as in the product's driver
                    await trio.lowlevel.cancel_shielded_checkpoint()

    async def _flush(self, server: SystemServer) -> None:
        process = self._process
        while True:
            if not server.must_sync:
                self._flusher = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._forget_flusher)
            self._flusher_starts = False
            await server.sync()
            server.post()
            self._record_notes(process.actor, server.notes)
            process.timer.arm(server.deadline_ns)
            if process.inbox or process.clock.monotonic_ns() >= server.deadline_ns:
                self.on_input()

    def _forget_flusher(self, _: Any) -> trio.lowlevel.Abort:
        self._flusher = None
        return trio.lowlevel.Abort.SUCCEEDED

    def command(self, command: Callable[[SystemServer], bool]) -> bool:
        """Run an administrator's command on the server, and then let the server act on it. True when it was taken."""
        server, kernel = self._server, self._kernel
        if not self._serves or not (self._idle or self._is_between_steps):
            return False
        try:
            taken = command(server)
        except Exception as error:
            if self._is_between_steps:
                raise
            task, self._waiting = self._waiting, None
            assert task is not None, "a server that is idle waits for input"
            self._idle = False
            kernel.wake(task, outcome.Error(error))
            return False
        self._record_notes(self._process.actor, server.notes)
        self._process.timer.arm(server.deadline_ns)
        kernel.exactly(kernel.now, self._on_commanded)
        return taken

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call once the fsync that the server waits for is over, before its next step."""
        if self._serves and not self._overlaps:
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
        process, server = self._process, self._server
        if not self._serves or self._waiting is None:
            return
        if process.pauses.in_force:
            process.pauses.hold(self._on_commanded, None)
            return
        process.timer.arm(server.deadline_ns)
        if process.clock.monotonic_ns() >= server.deadline_ns or (self._overlaps and server.must_sync):
            self.on_input()
