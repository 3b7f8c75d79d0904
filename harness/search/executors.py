"""Executors: a function mapped over items by worker processes that may die, hang or raise.

A suite of thousands of seeds must survive its worst seed. So each worker has a pipe of its own and answers item by
item, and the parent always knows which item a worker was busy with. When a worker dies (out of memory, `kill -9`) or
gives no answer within the limit (a loop without awaits, which no limit inside the process could stop), exactly that
item is the suspect: a fresh worker takes the others over, the suspect gets one more try, and if that fails too, it is
reported with the reason. An exception in the function is treated alike. A SIGKILL may have met it by chance, so it
takes several of them. An item that gave no answer in time is not tried again: it would only cost as much once more.
Nothing else is lost, nothing is done twice.

Where memory is bounded, the largest worker is ended while this process and all workers take more than that together
(`memory`). Its item is the suspect and gets one more try, since the others may have been the large ones before.

Workers are spawned, not forked: each begins with its own hash seed and without this process's history, so that a
second run of a seed elsewhere is a real test of determinism. They cannot reach the network, and what they print goes to
stderr.

Workers of live runs start processes and open connections, so they may (`starts_processes`), and they are not ended by
SIGKILL at once: SIGTERM lets a run end what it has started. They do so by themselves when the parent is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from harness.errors import BadInput, InternalError
from harness.quantities import size_text

from . import memory

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES_MAX: Final = 2
"""A first failure may be the machine's; the same item failing twice is ours to explain."""
KILLS_MAX: Final = 5
"""A SIGKILL comes from outside: a person, or the kernel that is out of memory. That one item is met by five of them in
turn is no chance any more, while two happen when a machine is killed about."""
SECONDS_MAX: Final = 300.0
"""A simulated run with its check takes seconds; one that takes minutes is stuck."""
_START_SECONDS_MAX: Final = 120.0
"""A loaded machine imports slowly; one that takes longer will not get anything done."""
_FALSE_STARTS_MAX: Final = 3
_LOOK_SECONDS: Final = 0.5
"""How often workers are looked at that may be overdue."""
_WEIGH_SECONDS: Final = 0.25
"""How often memory is looked at. A worker that asks for gigabytes in less time is over its bound for that long."""
_PREFETCH: Final = 1
"""Items waiting at a worker, so that it needs not wait for the parent between tiny items."""
_GRACE_SECONDS: Final = 15.0
"""What a worker has to end the processes that it started, before it is killed; its run's guardian ends them then."""
_NETWORK: Final = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
"""What a worker may not do. Looking up a name is not among it: Trio asks first whether a name is a number, and a
simulated Trio program finds its peers in this way."""


class Done(msgspec.Struct, Generic[Item, Result], frozen=True, kw_only=True):
    """An item with its result, or with the reason why there is none. `hung`: the reason is that no answer came."""

    item: Item
    result: Result | None
    error: str = ""
    hung: bool = False


class Mapper(Protocol[Item, Result]):
    """Whatever maps items in other processes: a `Pool` here, or `machines.Machines`; a context manager."""

    def __enter__(self) -> Mapper[Item, Result]: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def map(self, items: Iterable[Item], /) -> Iterator[Done[Item, Result]]:
        """Give each item's result as soon as it is there, in no fixed order."""
        ...


class _Task:
    """An item on its way."""

    __slots__ = ("failures", "item", "kills")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.failures: list[str] = []
        self.kills = 0  # of the workers that were busy with it


class _Worker:
    """One process, its pipe, and the tasks it holds; the first of them is the one it is busy with."""

    def __init__(self, context: Any, function: Callable[[Any], Any], starts_processes: bool) -> None:
        self.connection, self._theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(self._theirs, function, starts_processes), daemon=True)
        self._starts_processes = starts_processes
        self.tasks: deque[_Task] = deque()
        self.ready = False
        self.since = time.monotonic()  # when it began its first task, or was started

    def start(self) -> None:
        """Start the process. Ctrl-C that came meanwhile is raised at the end; the process runs by then."""
        with _sigint_blocked():
            self.process.start()
        self._theirs.close()

    def give(self, task: _Task) -> None:
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks.append(task)
        self.connection.send(task.item)

    def overdue(self, seconds_max: float) -> bool:
        if not self.ready:
            return time.monotonic() - self.since > _START_SECONDS_MAX
        return bool(self.tasks) and time.monotonic() - self.since > seconds_max

    def resident_bytes(self) -> int:
        """The memory of the process and of what it has started."""
        return 0 if self.process.pid is None else memory.resident_bytes_with_children(self.process.pid)

    def end(self) -> str:
        """Kill the process and say how it ended. One that starts processes is asked first to end them."""
        if self._starts_processes and self.process.is_alive():
            self.process.terminate()
            self.process.join(_GRACE_SECONDS)
        if self.process.is_alive():
            self.process.kill()
        if self.process.pid is not None:
            self.process.join()
        self.connection.close()
        self._theirs.close()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"the worker ended with exit code {code}"
        try:
            return f"the worker was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"the worker was killed by signal {-code}"


class Pool(Generic[Item, Result]):
    """Worker processes that map `function` over items; use as a context manager.

    `function` must be importable by its name (workers are spawned), items and results must pickle.
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        *,
        jobs: int | None = None,
        seconds_max: float = SECONDS_MAX,
        memory_bytes_max: int | None = None,
        starts_processes: bool = False,
    ) -> None:
        """`memory_bytes_max` is for this process and its workers together; raises BadInput where that is not known.

        `starts_processes`: the function may, and may use the network; it ends them when KeyboardInterrupt is raised
        in it, which SIGTERM must do."""
        self._function = function
        self._starts_processes = starts_processes
        self._jobs = jobs or default_jobs()
        self._seconds_max = seconds_max
        self._memory_bytes_max = memory_bytes_max
        self._weighed = time.monotonic()
        if memory_bytes_max is not None and not memory.is_known():
            raise BadInput("a memory budget", "Linux, where /proc says what processes take", "--memory-budget")
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._false_starts = 0  # workers in a row that ended before they were ready

    def __enter__(self) -> Pool[Item, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def map(self, items: Iterable[Item]) -> Iterator[Done[Item, Result]]:
        """Give each item's result as soon as it is there, in no fixed order.

        Items are taken from the iterable only when a worker has room, so that it may decide late what comes next, or
        end early. Raises BadInput as the function raised it, and InternalError when no worker can be started.
        """
        source, waiting, exhausted = iter(items), deque[_Task](), False
        while True:
            exhausted = self._hand_out(source, waiting, exhausted)
            busy = [worker for worker in self._workers if worker.tasks]
            if not busy and not waiting and exhausted:
                return
            yield from self._collect(waiting)

    def _hand_out(self, source: Iterator[Item], waiting: deque[_Task], exhausted: bool) -> bool:
        """Fill the workers with tasks; start workers that are missing. Returns whether the source has ended."""
        for room in range(1, 2 + _PREFETCH):
            for position in range(self._jobs):
                held = len(self._workers[position].tasks) if position < len(self._workers) else 0
                if held >= room:
                    continue
                if not waiting:
                    if exhausted:
                        return True
                    try:
                        waiting.append(_Task(next(source)))
                    except StopIteration:
                        exhausted = True
                        return True
                if position >= len(self._workers):
                    worker = _Worker(self._context, self._function, self._starts_processes)
                    self._workers.append(worker)  # first: then it is ended with the rest
                    self._workers[position].start()
                self._give(self._workers[position], waiting)
        return exhausted

    def _give(self, worker: _Worker, waiting: deque[_Task]) -> None:
        task = waiting.popleft()
        with contextlib.suppress(OSError):  # it died: `_collect` will see that and take its tasks back
            worker.give(task)

    def _collect(self, waiting: deque[_Task]) -> Iterator[Done[Item, Result]]:
        """Wait for one answer, death or timeout, and deal with all there are."""
        timeout = _LOOK_SECONDS if self._memory_bytes_max is None else _WEIGH_SECONDS
        ready = wait([worker.connection for worker in self._workers], timeout=timeout)
        for worker in list(self._workers):
            if worker.connection in ready:
                done = self._receive(worker, waiting)
            elif worker.overdue(self._seconds_max) and not worker.connection.poll():  # an answer may have come since
                worker.end()
                reason = f"no answer within {self._seconds_max:g} s"
                done = self._lose(worker, reason, waiting, hung=True, ended=True)
            else:
                continue
            if done is not None:
                yield done
        done = self._relieve(waiting)
        if done is not None:
            yield done

    def _relieve(self, waiting: deque[_Task]) -> Done[Item, Result] | None:
        """End the largest of the busy workers while all together take more memory than they may."""
        if self._memory_bytes_max is None or time.monotonic() - self._weighed < _WEIGH_SECONDS:
            return None
        self._weighed = time.monotonic()
        sizes = {worker: worker.resident_bytes() for worker in self._workers}
        total = memory.resident_bytes(os.getpid()) + sum(sizes.values())
        busy = [worker for worker in self._workers if worker.ready and worker.tasks]
        if total <= self._memory_bytes_max or not busy:
            return None
        largest = max(busy, key=sizes.__getitem__)
        if largest.connection.poll():  # its answer is there: what it is busy with is known only after that
            return None
        largest.end()
        reason = (
            f"its worker took {size_text(sizes[largest])}, the most of all, when the suite took {size_text(total)}; "
            f"the memory budget is {size_text(self._memory_bytes_max)}"
        )
        return self._lose(largest, reason, waiting, ended=True)

    def _require_room(self, worker: _Worker) -> None:
        """Raise BadInput when workers that have not begun anything take more memory than they may."""
        if self._memory_bytes_max is None:
            return
        needed = memory.resident_bytes(os.getpid()) + self._jobs * worker.resident_bytes()
        if needed > self._memory_bytes_max:
            raise BadInput(
                f"a memory budget of {size_text(self._memory_bytes_max)}",
                f"more than {size_text(needed)}, which the suite and {self._jobs} workers take before the first run",
                "--memory-budget; see --jobs",
            )

    def _receive(self, worker: _Worker, waiting: deque[_Task]) -> Done[Item, Result] | None:
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):
            return self._lose(worker, worker.end(), waiting)
        if kind == "ready":
            self._require_room(worker)
            worker.ready, worker.since = True, time.monotonic()
            self._false_starts = 0
            return None
        task = worker.tasks.popleft()
        worker.since = time.monotonic()
        if kind == "refused":
            raise BadInput(*content)
        if kind == "failed":
            return self._fail(task, content, waiting)
        return Done(item=task.item, result=content)

    def _lose(
        self, worker: _Worker, reason: str, waiting: deque[_Task], *, hung: bool = False, ended: bool = False
    ) -> Done[Item, Result] | None:
        """Take back the tasks of a dead worker; the first one is the suspect. `ended`: it did not die by itself."""
        self._workers.remove(worker)
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts > _FALSE_STARTS_MAX:
                raise InternalError(f"no worker process could be started: {reason}")
            waiting.extendleft(reversed(worker.tasks))
            return None
        suspect = worker.tasks.popleft() if worker.tasks else None
        waiting.extendleft(reversed(worker.tasks))
        if suspect is None:
            return None
        if not ended and worker.process.exitcode == -signal.SIGKILL:
            suspect.kills += 1
            if suspect.kills < KILLS_MAX:
                waiting.append(suspect)
                return None
            return Done(item=suspect.item, result=None, error=f"{reason}, {KILLS_MAX} workers in turn")
        return self._fail(suspect, reason, waiting, hung=hung)

    def _fail(
        self, task: _Task, reason: str, waiting: deque[_Task], *, hung: bool = False
    ) -> Done[Item, Result] | None:
        task.failures.append(reason)
        if len(task.failures) < TRIES_MAX and not hung:
            waiting.append(task)
            return None
        return Done(item=task.item, result=None, error="\n".join(dict.fromkeys(task.failures)), hung=hung)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Let a child begin with SIGINT blocked: Ctrl-C goes to the whole group, and the parent decides."""
    resource_tracker.ensure_running()  # starting it later would unblock the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def default_jobs() -> int:
    """One worker a processor that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(connection: Connection, function: Callable[[Any], Any], starts_processes: bool) -> None:
    """Answer items until the parent hangs up: the life of a worker."""
    os.dup2(2, 1)  # stdout is the parent's, and may be promised to one JSON document
    if starts_processes:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    else:
        sys.addaudithook(_refuse_network)
    with contextlib.suppress(KeyboardInterrupt):  # SIGTERM, in the midst of a run that has ended what it had started
        _answer(connection, function)


def _end_with_parent() -> None:
    """Terminate this process when its parent is gone: nobody waits for an answer any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _answer(connection: Connection, function: Callable[[Any], Any]) -> None:
    connection.send(("ready", None))
    while True:
        try:
            item = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[str, Any] = ("done", function(item))
        except Exception as error:
            answer = _explain(error)
        try:
            connection.send(answer)
        except BrokenPipeError:
            return
        except Exception as error:  # a result that does not pickle
            connection.send(_explain(error))


def _explain(error: Exception) -> tuple[str, Any]:
    if isinstance(error, BadInput):
        return "refused", (error.found, error.expected, error.where)
    return "failed", "".join(traceback.format_exception(error))


def _refuse_network(event: str, _: tuple[Any, ...]) -> None:
    if event in _NETWORK:
        raise PermissionError(f"a worker has no network ({event})")
