"""SIGTERM answered as Ctrl-C, so that what a run started is ended on the way out.

A handler that raises may do so in the midst of Trio's own work, which it cannot bear: the run would be abandoned, with
a page of tracebacks, or hang. So while Trio runs, a task waits for the signal and raises; before and after, a handler
does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

import trio

from harness.errors import BadInput

_Error = TypeVar("_Error", bound=BaseException)


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


def run_in_trio(main: Callable[[], Awaitable[None]]) -> None:
    """Run to the end, or until SIGTERM; within `terminated_as_interrupted`.

    Raises KeyboardInterrupt and BadInput as such, without the groups that nurseries made of them.
    """

    async def terminable() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(_interrupt_when_terminated)
            await main()
            nursery.cancel_scope.cancel()

    try:
        trio.run(terminable)
    except BaseExceptionGroup as group:
        if (interrupt := _first(KeyboardInterrupt, group)) is not None:
            raise KeyboardInterrupt(*interrupt.args) from None
        if (refused := _first(BadInput, group)) is not None:
            raise refused from None
        raise


async def _interrupt_when_terminated(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Wait for SIGTERM, and raise KeyboardInterrupt. Outside of the main thread, wait for nothing."""
    if not _answers_signals():
        task_status.started()
        return
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            raise KeyboardInterrupt("terminated")


def _first(kind: type[_Error], error: BaseException) -> _Error | None:
    """The first one of this kind, which nurseries have wrapped."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := _first(kind, one)) is not None), None)
    return error if isinstance(error, kind) else None


def _answers_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
