"""The fsyncs of the log, one after the other: in a thread, or on the spot.

Trio's own threads would do, but a log is synced for every batch of operations, and what Trio does around each call (a
place in a limit, a name, a context, a call back through a queue) costs as much processor time as the fsync. Here two
counters of the kernel carry the orders to the thread and the answers back.

That is still two hand-overs between threads, each of which waits for the processor. Who has nothing else to do until
its disk is done, and is not missed meanwhile, syncs on the spot: with one client that is a quarter of an operation.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import trio

QUICK_S: Final = 0.05
"""Half a heartbeat interval, by default: who is silent for so long has missed nothing."""


class Syncer:
    """Makes files durable that are open; `close` ends its thread."""

    def __init__(self) -> None:
        self.was_quick = True
        """Whether the latest fsync took less than `QUICK_S`."""
        self._ordered = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self._answered = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._orders: deque[tuple[int, Sequence[bytes]]] = deque()
        self._answers: deque[OSError | None] = deque()
        self._is_busy = False
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def sync(self, descriptor: int, parts: Sequence[bytes] = (), *, on_the_spot: bool = False) -> None:
        """Write `parts` at the end of an open file, and return when its content is durable. Raises OSError.

        One at a time. After a cancellation nothing more can be synced. On the spot nothing else runs meanwhile.
        """
        assert not self._is_busy, "one log is synced by one task"
        if on_the_spot:
            self._make_durable(descriptor, parts)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fsync", daemon=True)
            self._thread.start()
        self._is_busy = True
        self._orders.append((descriptor, parts))
        os.eventfd_write(self._ordered, 1)
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
                self._make_durable(*self._orders.popleft())
            except OSError as error:
                self._answers.append(error)
            else:
                self._answers.append(None)
            os.eventfd_write(self._answered, 1)

    def _make_durable(self, descriptor: int, parts: Sequence[bytes]) -> None:
        began_s = time.perf_counter()
        for part in parts:
            write_all(descriptor, part)
        os.fdatasync(descriptor)
        self.was_quick = time.perf_counter() - began_s < QUICK_S


def write_all(descriptor: int, data: bytes) -> None:
    """A regular file takes all in one call but when the disk is nearly full or a signal arrives."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
