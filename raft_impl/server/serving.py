"""How a server runs in a real process: when it is stepped, by whom, and how its disk is waited for.

**Steps.** Whoever reads frames from sockets steps the server itself, once all that could be read was delivered: to wake
a task for that costs more than the step. The task of `Serving.run` steps when nobody else does, above all for timers,
and raises what went wrong anywhere.

**Fsyncs.** They run in a thread beside the steps: a server must be heard whatever its disk does. Who leads goes on
stepping at once, since its fsync is under way while those of its followers are. A follower has little to do but to
write and to answer, and the leader waits for that: as long as its disk is quick, it waits on the spot, for a fraction
of a heartbeat interval at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import trio

from ..runtime.env import Served
from .syncer import PATIENCE_MS
from .transport import is_client

FAR_NS: Final = 1 << 62
INBOX_BYTES_MAX: Final = 64 * 1024 * 1024
"""What may wait for one actor, while its disk is slow, say, before frames to it are dropped."""

CLIENT_INBOX_BYTES_MAX: Final = INBOX_BYTES_MAX // 2
"""How full that may be for a client's frame to be taken, so that clients cannot keep the nodes from being heard."""


class Inbox:
    """Frames that arrived and wait, bounded in bytes."""

    def __init__(self) -> None:
        self.frames: deque[tuple[str, bytes]] = deque()
        """With the name of who sent each."""
        self.dropped_count = 0
        """Frames that there was no room for."""
        self._size = 0

    def put(self, source: str, frame: bytes) -> None:
        """Add a frame, or drop it."""
        if self._size + len(frame) > (CLIENT_INBOX_BYTES_MAX if is_client(source) else INBOX_BYTES_MAX):
            self.dropped_count += 1
            return
        self.frames.append((source, frame))
        self._size += len(frame)

    def take(self) -> tuple[str, bytes] | None:
        """The oldest one, if there is any."""
        if not self.frames:
            return None
        source, frame = self.frames.popleft()
        self._size -= len(frame)
        return source, frame

    def take_all(self) -> list[tuple[str, bytes]]:
        """All of them, oldest first."""
        taken = list(self.frames)
        self.frames.clear()
        self._size = 0
        return taken


class SyncedDisk(Protocol):
    """What is asked of a disk about its fsyncs."""

    patience_ms: int
    """How long an fsync of what was appended may keep everything else in this process from running."""

    @property
    def is_quick(self) -> bool:
        """Whether an fsync need not take long."""
        ...


class WaitedClock(Protocol):
    """What is asked of a clock by who waits for a time of it."""

    def monotonic_ns(self) -> int: ...

    def trio_time(self, at_ns: int) -> float:
        """That time on Trio's clock."""
        ...


class Serving:
    """One server while it is served."""

    def __init__(
        self,
        server: Served,
        disk: SyncedDisk,
        clock: WaitedClock,
        inbox: Inbox,
        on_notes: Callable[[list[Any]], None],
    ) -> None:
        self._server: Any = server
        self._disk = disk
        self._clock = clock
        self._inbox = inbox
        self._on_notes = on_notes
        self._steps_during_fsyncs = getattr(server, "storage", "sync") == "async"
        self._alarm = _Alarm(clock, self.stir)
        self._flush_wanted = trio.Event()
        self._is_flushing = False  # or about to
        self._waiting: trio.lowlevel.Task | None = None
        self._error: BaseException | None = None  # that a step raised in the task of a reader

    async def run(self) -> None:
        """Step until cancelled. What a step or the disk raises comes through."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._alarm.run)
            nursery.start_soon(self._flush)
            while True:
                await self._turn()
                if self._error is not None:
                    raise self._error
                if self._is_due():  # unless a reader stepped meanwhile
                    self._step()

    def after_reading(self) -> None:
        """Step if something was delivered. For the task that delivers: never raises."""
        if not (self._inbox.frames and self._may_step and self._error is None):
            return
        try:
            self._step()
        except BaseException as error:  # noqa: BLE001: raised in the task that serves
            self._error = error
        self.stir()

    def stir(self) -> None:
        """Have the task look again whether there is something to do."""
        if self._error is None and not self._is_due():
            self._set_alarm()
        elif self._waiting is not None:
            task, self._waiting = self._waiting, None
            trio.lowlevel.reschedule(task)

    def clock_changed(self) -> None:
        """The clock runs at another rate."""
        self._alarm.ring()

    @property
    def _may_step(self) -> bool:
        return self._steps_during_fsyncs or not self._is_flushing

    def _is_due(self) -> bool:
        """Whether the server has something to do and may do it."""
        is_wanted = bool(self._inbox.frames) or self._server.deadline_ns <= self._clock.monotonic_ns()
        return is_wanted and self._may_step

    def _set_alarm(self) -> None:
        if self._may_step:  # else whoever ends the fsync looks again
            self._alarm.set(self._server.deadline_ns)

    async def _turn(self) -> None:
        """Wait until there is something to do. Others get their turn in any case."""
        has_waited = False
        while self._error is None and not self._is_due():
            self._set_alarm()
            self._waiting = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_waiting)
            has_waited = True
        if not has_waited:
            await trio.lowlevel.checkpoint()
        if not self._inbox.frames:
            await trio.lowlevel.checkpoint()  # a timer is due: first hear what came in time and was not read yet

    def _stop_waiting(self, _: object) -> trio.lowlevel.Abort:
        self._waiting = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _step(self) -> None:
        server = self._server
        if server.process(self._inbox.take_all()):
            self._is_flushing = True
            self._flush_wanted.set()
        self._show_notes()

    def _show_notes(self) -> None:
        notes = self._server.notes
        if notes:
            self._on_notes(list(notes))
            notes.clear()

    async def _flush(self) -> None:
        """Sync beside the steps whenever that was asked for, as long as something waits."""
        server, disk = self._server, self._disk
        while True:
            await self._flush_wanted.wait()
            must_sync = True
            while must_sync:
                disk.patience_ms = 0 if server.leads or not disk.is_quick else PATIENCE_MS
                await server.sync()
                server.post()
                self._show_notes()
                must_sync = server.must_sync
                if self._steps_during_fsyncs:
                    self.stir()
            self._flush_wanted = trio.Event()
            self._is_flushing = False
            self.stir()


class _Alarm:
    """Stirs a server when its deadline has come.

    Deadlines move with nearly every step, mostly into the future. So the alarm is left as it is until it rings, and
    set again then.
    """

    def __init__(self, clock: WaitedClock, stir: Callable[[], None]) -> None:
        self._clock = clock
        self._stir = stir
        self._at_ns = FAR_NS
        self._scope = trio.CancelScope()

    def set(self, at_ns: int) -> None:
        """Ring at this time at the latest."""
        if at_ns < self._at_ns:
            self._at_ns = at_ns
            self._scope.deadline = self._clock.trio_time(at_ns)

    def ring(self) -> None:
        """Ring now, so that it is set anew."""
        self._scope.cancel()

    async def run(self) -> None:
        """Ring until cancelled."""
        while True:
            self._scope = trio.CancelScope(deadline=self._clock.trio_time(self._at_ns))
            with self._scope:
                await trio.sleep_forever()
            self._at_ns = FAR_NS  # `stir` sets it, unless the server steps first, and waits again then
            self._stir()
