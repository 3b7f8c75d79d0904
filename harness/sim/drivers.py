"""The two drivers: how the code of a process runs without a pass of Trio's scheduler for each event.

The callback of an event runs the actor's code itself. A server is synchronous between two waits for its disk, so the
callback runs its steps and resumes the coroutine of its `start` or `sync`; a client is one coroutine, which the
callback resumes until its next wait. The Trio task of a process only waits to be cancelled, and raises what the code
raised.

For this the code may await nothing but what its environment offers: a server its disk, a client `recv` and `until`.
The tests run the same plans with drivers that wake a Trio task for every event, and compare the rows
(`tests/harness/sim/task_driver.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from harness.systems.system import SystemServer

from .kernel.events import Kernel
from .kernel.livelock import STEPS_AT_ONE_INSTANT_MAX, AtOneInstant, woken_in_the_past
from .process import SimProcess
from .recorder import Recorder

_SUSPENDED: Final = object()
"""What a coroutine yields to the callback that runs it when it waits for its environment."""

Entrypoint = Callable[[SimProcess], Coroutine[Any, Any, None]]
"""The code of an actor that is not a server."""

Create = Callable[[SimProcess], SystemServer]
"""Makes the server of a process."""

Start = Callable[[SystemServer], Coroutine[Any, Any, None]]
"""Lets a new server recover from its disk."""


class _Suspension:
    """Awaited, it suspends a coroutine once."""

    def __await__(self) -> Generator[object, None, None]:
        yield _SUSPENDED


_SUSPENSION: Final = _Suspension()


def _resume(coroutine: Coroutine[object, None, None], allowed: str) -> bool:
    """Run a coroutine to its next wait. False when it has ended instead."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return False
    if waits_for is not _SUSPENDED:
        raise TypeError(f"{coroutine!r} awaited something other than {allowed}")
    return True


def _close(coroutine: Coroutine[object, None, None]) -> None:
    """End a suspended coroutine. Clean-up code that awaits gets no further than that."""
    with contextlib.suppress(RuntimeError):
        coroutine.close()


class Contained:
    """What drivers have in common whose code is one coroutine: nothing of it outlives a kill."""

    def on_raised(self, error: Exception) -> None:
        """Raise it: only servers have work in the background."""
        raise error

    def before_kill(self) -> None:
        """Nothing to do: an actor without connections."""

    def tear_down(self) -> bool:
        """Refuse: nothing outlives a kill."""
        return False


class ClientDriver(Contained):
    """Runs a client's coroutine from wait to wait."""

    def __init__(self, process: SimProcess, entrypoint: Entrypoint) -> None:
        self._process, self._entrypoint = process, entrypoint
        self._coroutine: Coroutine[object, None, None] | None = None

    async def run(self) -> None:
        """Run the coroutine to its end."""
        self._coroutine = coroutine = self._entrypoint(self._process)
        try:
            if self._resume():
                await self._process.park()
        finally:
            _close(coroutine)

    def on_input(self) -> None:
        """Resume the coroutine."""
        if self._coroutine is None:
            return
        try:
            if not self._resume():
                self._process.wake()
        except Exception as error:
            self._coroutine = None
            self._process.wake(error)

    async def wait(self) -> None:
        """Suspend the coroutine until the next `on_input`."""
        await _SUSPENSION

    async def sync(self, name: str | None) -> None:
        """Refuse: a client has no disk."""
        raise TypeError(f"the client {self._process.actor} awaited an fsync")

    def command(self, command: Callable[[SystemServer], bool]) -> bool:
        """A client takes no commands."""
        return False

    def when_idle(self, call: Callable[[], None]) -> None:
        """Drop the call: a client takes no commands."""

    def kill(self) -> None:
        """Resume the coroutine no more; the end of the task closes it."""
        self._coroutine = None

    def _resume(self) -> bool:
        assert self._coroutine is not None
        goes_on = _resume(self._coroutine, "its environment's `recv` and `until`")
        if not goes_on:
            self._coroutine = None
        return goes_on


class ServerDriver(Contained):
    """Runs a server: its recovery, then a step for every input, and a sync after each step that wrote something.

    A server whose `storage` is "async" goes on stepping while its disk is awaited; `post` then comes between two steps.
    """

    _server: SystemServer
    """Created when the process runs."""

    def __init__(
        self, process: SimProcess, create: Create, start: Start, *, kernel: Kernel, recorder: Recorder
    ) -> None:
        self._process, self._kernel = process, kernel
        self._create, self._start = create, start
        self._record_notes = recorder.notes
        self._overlaps = False  # the server goes on stepping while its disk is awaited
        self._recovers = True
        self._serves = False  # it has recovered, and its code has not raised since
        self._disk_work: Coroutine[object, None, None] | None = None  # the `start` or `sync` in progress
        self._calls_when_idle: list[Callable[[], None]] = []
        self._steps_again = AtOneInstant(STEPS_AT_ONE_INSTANT_MAX)

    async def run(self) -> None:
        """Recover, and serve until the process is killed."""
        self._server = self._create(self._process)
        self._overlaps = getattr(self._server, "storage", "sync") == "async"
        self._disk_work = self._start(self._server)
        self._continue_recovery()
        await self._process.park()

    def on_input(self) -> None:
        """Step the server, unless it has to wait for its disk."""
        if self._may_step():
            try:
                self._step_if_due()
            except Exception as error:
                self.on_raised(error)

    async def wait(self) -> None:
        """Refuse: a server is called when something arrives."""
        raise TypeError(f"the server {self._process.actor} awaited something other than its disk")

    async def sync(self, name: str | None) -> None:
        """Begin an fsync, and suspend the coroutine until it is done."""
        self._process.begin_sync(name, self._on_synced)
        await _SUSPENSION
        lifetime = self._process.lifetime
        if lifetime.disk_error is not None:
            error, lifetime.disk_error = lifetime.disk_error, None
            raise error

    def kill(self) -> None:
        """Run no more of the server."""
        self._serves = False
        work, self._disk_work = self._disk_work, None
        if work is not None:
            _close(work)

    # -- administrators' commands ---------------------------------------------------------------------------------

    def command(self, command: Callable[[SystemServer], bool]) -> bool:
        """Run an administrator's command on the server, and then let the server act on it. True when it was taken."""
        server, kernel = self._server, self._kernel
        if not self._may_step():
            return False
        try:
            taken = command(server)
        except Exception as error:
            self.on_raised(error)
            return False
        self._record_notes(self._process.actor, server.notes)
        self._process.timer.arm(server.deadline_ns)
        # In an event of its own: the caller has more to record, and a step now would come before that.
        kernel.exactly(kernel.now, self._on_commanded)
        return taken

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call once the fsync that the server waits for is over, before its next step: then it takes commands.

        A server that goes on stepping meanwhile is never too busy. For one that has not recovered yet the call is
        dropped.
        """
        if self._serves and not self._overlaps:
            self._calls_when_idle.append(call)

    def _on_commanded(self, _: None) -> None:
        process, server = self._process, self._server
        if not self._may_step():
            return  # the step after the fsync will act on the command
        if process.pauses.in_force:
            process.pauses.hold(self._on_commanded, None)
            return
        process.timer.arm(server.deadline_ns)
        self.on_input()

    # -- steps ----------------------------------------------------------------------------------------------------

    def _continue_recovery(self) -> None:
        assert self._disk_work is not None
        if _resume(self._disk_work, "its disk"):
            return
        self._disk_work = None
        self._recovers, self._serves = False, True
        self._record_notes(self._process.actor, self._server.notes)
        self._process.timer.arm(self._server.deadline_ns)
        self._step_if_due()

    def _may_step(self) -> bool:
        """Whether the server is able to step: it serves, and has not to wait for its disk."""
        return self._serves and (self._disk_work is None or self._overlaps)

    def _step_if_due(self) -> None:
        """Let the server process what came, and what its timers make of it at this same instant."""
        process, server = self._process, self._server
        timer, clock = process.timer, process.clock
        is_due = process.inbox or clock.monotonic_ns() >= server.deadline_ns
        while is_due:
            messages, process.inbox = process.inbox, []
            must_sync = server.process(messages)
            if server.notes:
                self._record_notes(process.actor, server.notes)
            if not must_sync or self._overlaps:
                timer.arm(server.deadline_ns)
            if must_sync and self._disk_work is None:
                self._begin_sync(server)
                if not self._may_step():
                    return
            is_due = self._kernel.now >= timer.armed_ns and clock.monotonic_ns() >= server.deadline_ns
            if is_due and self._steps_again.is_too_often(self._kernel.now):
                self._kernel.stop(
                    "livelock", woken_in_the_past(process.actor, server.deadline_ns, clock.monotonic_ns())
                )
                return
        if self._overlaps and self._disk_work is None and server.must_sync:
            self._begin_sync(server)

    # -- waits for the disk ---------------------------------------------------------------------------------------

    def _begin_sync(self, server: SystemServer) -> None:
        self._disk_work = server.sync()
        self._continue_sync()

    def _on_synced(self) -> None:
        """The disk is done: resume the coroutine, and then process what arrived meanwhile."""
        try:
            if self._recovers:
                self._continue_recovery()
            # A sync that goes on to its next file has made nothing due: a step now would come before its own event.
            elif self._continue_sync() and self._serves:
                self._step_if_due()
        except Exception as error:
            self.on_raised(error)

    def _continue_sync(self) -> bool:
        """Run `sync` to its next wait for the disk; when it has ended, do what waited for it. True if it has."""
        server, has_ended = self._server, False
        while self._disk_work is not None and not _resume(self._disk_work, "its disk"):
            self._disk_work = None
            server.post()
            if server.notes:
                self._record_notes(self._process.actor, server.notes)
            calls, self._calls_when_idle = self._calls_when_idle, []
            for call in calls:
                call()
            self._process.timer.arm(server.deadline_ns)
            has_ended = True
            if self._overlaps and server.must_sync:
                self._disk_work = server.sync()
        return has_ended

    def on_raised(self, error: Exception) -> None:
        """What the server's code raised in a callback is raised in the task of the process.

        What the step had noted by then is recorded: its messages have left.
        """
        if self._serves:
            self._record_notes(self._process.actor, self._server.notes)
        self._serves = False
        self._process.wake(error)
