"""The one file that touches Trio's private names, and so makes Trio deterministic.

Trio shuffles each batch of runnable tasks with a generator of its own (`_r`), and orders a batch by creation only when
`_ALLOW_DETERMINISTIC_SCHEDULING` is set. Both names are private, exist for Hypothesis, and have been stable since 2019.
A third one starts Trio's threads; what else is private here belongs to the epoll of a loop that was forked. The version
of Trio is bounded in pyproject.toml and widened only after the two-process test has passed.

Importing Hypothesis sets the flag for the whole process and re-seeds `_r` for every example, so nothing that a run
imports may import it. All are set before each run and restored after it. Runs cannot nest; parallelism is
processes.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio
from trio import _threads
from trio._core import _run

from .draws import Counter
from .events import Kernel
from .forced_teardown import only_forced_teardown
from .garbage import collection_by_rows

for _module, _name in ((_run, "_ALLOW_DETERMINISTIC_SCHEDULING"), (_run, "_r"), (_threads, "start_thread_soon")):
    if not hasattr(_module, _name):
        raise ImportError(
            f"Trio {trio.__version__} has no {_module.__name__}.{_name}; Foreshock knows Trio 0.30 to 0.35: "
            "install one of these (pyproject.toml bounds the version)"
        )


class _Scheduler:
    """Stands in for Trio's `_r`: keeps batches in their order, and counts passes.

    Trio sorts a batch by creation before it asks for a shuffle. It is left so: a batch has one task nearly always, the
    schedule is explored in the heap, and an order that took draws would make a run depend on the number of batches,
    which the task lane of the tests needs more of for the same events.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._draws = Counter(kernel.chance, "trio")
        self._held: list[Any] = []  # tasks that could run and may not

    def shuffle(self, batch: list[Any]) -> None:
        """Put the oldest task last, where Trio takes the next one from."""
        self._kernel.note_pass()
        if self._kernel.admits is not None:
            self._hold_back(batch, self._kernel.admits)
        if len(batch) > 1:
            batch.reverse()

    def _hold_back(self, batch: list[Any], admits: Callable[[Any], bool]) -> None:
        """Take from the batch, and from those held back before, the tasks that may not run."""
        candidates = self._held + batch
        self._held = [task for task in candidates if not admits(task)]
        batch[:] = [task for task in candidates if task not in self._held] if self._held else candidates

    def random(self) -> float:
        """Give what Trio asks of a generator elsewhere (the jitter of its test clock)."""
        return (self._draws.take() >> 11) / 2**53

    def uniform(self, low: float, high: float) -> float:
        """Give a number in [low, high)."""
        return low + (high - low) * self.random()


def run(main: Callable[[], Awaitable[None]], kernel: Kernel, *, collects: bool = True) -> None:
    """Run `main` under Trio with this kernel as its clock, deterministically.

    Garbage is collected as `garbage` says; without `collects` never, for code that may leave something to finalizers.
    """
    private: Any = _run
    before = private._ALLOW_DETERMINISTIC_SCHEDULING, private._r
    private._ALLOW_DETERMINISTIC_SCHEDULING = True
    private._r = _Scheduler(kernel)
    threads: Any = _threads
    start_thread_soon = threads.start_thread_soon

    def start_watched_thread(call: Callable[[], Any], tell: Callable[[Any], Any], *rest: Any) -> None:
        if kernel.on_thread is None or not kernel.on_thread(call, tell):
            start_thread_soon(call, tell, *rest)

    threads.start_thread_soon = start_watched_thread
    try:
        with collection_by_rows(kernel.log if collects else None):
            trio.run(main, clock=kernel)
    except BaseException as error:
        if not only_forced_teardown(error):
            # Tasks that even a forced teardown cannot end are given up by raising inside Trio; the run had its reason.
            if isinstance(error, trio.TrioInternalError) and kernel.error is not None:
                raise kernel.error from None
            raise
    finally:
        private._ALLOW_DETERMINISTIC_SCHEDULING, private._r = before
        threads.start_thread_soon = start_thread_soon


CAN_FORK: Final = sys.platform == "linux" and hasattr(os, "fork")
"""Whether a process in the middle of a run can be forked: there must be os.fork, and Trio must wait with epoll."""


def after_fork() -> None:
    """In the forked process: give Trio's loop an epoll and wake-up sockets of its own, in the state of the old ones.

    A fork shares them, and so the loop of one process would wake, and take from, that of the other. File numbers stay.
    """
    private: Any = _run
    runner = private.GLOBAL_RUN_CONTEXT.runner
    manager = runner.io_manager
    for pair in (manager._force_wakeup, runner.entry_queue.wakeup):
        _renew(pair.wakeup_sock, pair.write_sock)
    fresh = select.epoll()
    os.dup2(fresh.fileno(), manager._epoll.fileno(), inheritable=False)
    fresh.close()
    manager._epoll.register(manager._force_wakeup_fd, select.EPOLLIN)
    for number, waiters in manager._registered.items():
        if waiters.current_flags:
            manager._epoll.register(number, waiters.current_flags | select.EPOLLONESHOT)


def _renew(reader: socket.socket, writer: socket.socket) -> None:
    """Put a new pair of sockets under the numbers of an old one; what was written and not read is so again."""
    waiting = select.poll()
    waiting.register(reader, select.POLLIN)
    has_data = bool(waiting.poll(0))
    new_reader, new_writer = socket.socketpair()
    for new, old in ((new_reader, reader), (new_writer, writer)):
        new.setblocking(False)
        os.dup2(new.fileno(), old.fileno(), inheritable=False)
        new.close()
    if has_data:
        writer.send(b"\0")
