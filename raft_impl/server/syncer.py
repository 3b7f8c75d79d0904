"""A thread for the fsyncs of the log, one after the other.

Trio's own threads would do, but a log is synced for every batch of operations, and what Trio does around each call (a
place in a limit, a name, a context, a call back through a queue) costs as much processor time as the fsync. Here two
counters of the kernel carry the orders to the thread and the answers back.

An answer is waited for in Trio's loop, which costs two turns of it, or on the spot for a short while: most disks answer
before that is over, and who waited no longer than `PATIENCE_MS` has missed nothing.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import trio

PATIENCE_MS: Final = 20
"""A fifth of a heartbeat interval, by default."""


class Syncer:
    """Makes files durable that are open; `close` ends its thread."""

    def __init__(self) -> None:
        self.was_quick = True
        """Whether the latest fsync took less than `PATIENCE_MS`."""
        self._ordered = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self._answered = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._answer_poll = select.poll()
        self._answer_poll.register(self._answered, select.POLLIN)
        self._orders: deque[tuple[int, Sequence[bytes]]] = deque()
        self._answers: deque[OSError | None] = deque()
        self._is_busy = False
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def sync(self, descriptor: int, parts: Sequence[bytes] = (), *, patience_ms: int = 0) -> None:
        """Write `parts` at the end of an open file, and return when its content is durable. Raises OSError.

        One at a time. After a cancellation nothing more can be synced. For `patience_ms` nothing else runs.
        """
        assert not self._is_busy, "one log is synced by one task"
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fsync", daemon=True)
            self._thread.start()
        self._is_busy = True
        self._orders.append((descriptor, parts))
        os.eventfd_write(self._ordered, 1)
        if not (patience_ms and self._answer_poll.poll(patience_ms)):
            await trio.lowlevel.wait_readable(self._answered)
        os.eventfd_read(self._answered)
        error = self._answers.popleft()
        self._is_busy = False
        if error is not None:
            raise error

    def close(self) -> None:
        """End the thread, behind the fsync that is under way."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._thread is not None:
            os.eventfd_write(self._ordered, 1)
            self._thread.join()
        os.close(self._ordered)
        os.close(self._answered)

    def _run(self) -> None:
        while True:
            os.eventfd_read(self._ordered)
            if not self._orders:
                return
            try:
                descriptor, parts = self._orders.popleft()
                began_s = time.perf_counter()
                for part in parts:
                    write_all(descriptor, part)
                os.fdatasync(descriptor)
                self.was_quick = (time.perf_counter() - began_s) * 1000 < PATIENCE_MS
            except OSError as error:
                self._answers.append(error)
            else:
                self._answers.append(None)
            os.eventfd_write(self._answered, 1)


def write_all(descriptor: int, data: bytes) -> None:
    """A regular file takes all in one call but when the disk is nearly full or a signal arrives."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
