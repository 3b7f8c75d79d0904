"""SIGTERM answered as Ctrl-C, so that what a run started is ended on the way out.

A handler that raises may do so in the midst of Trio's own work, which it cannot bear: the run would be abandoned, with
a page of tracebacks. So while Trio runs, a task waits for the signal and raises; before and after, a handler does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import trio


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Answer SIGTERM as Ctrl-C meanwhile. Outside of the main thread, where no signal is answered, do nothing."""

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt("terminated")

    if not _answers_signals():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def interrupt_when_terminated(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Wait for SIGTERM, and raise KeyboardInterrupt. Outside of the main thread, wait for nothing."""
    if not _answers_signals():
        task_status.started()
        return
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            raise KeyboardInterrupt("terminated")


def _answers_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
