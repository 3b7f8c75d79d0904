"""Recording a history from tests of one's own: wrap each call of a client, then ask for the history.

    recorder = Recorder()

    def client(name):
        with recorder.call(name, "write", 7):
            store.put(7)
        with recorder.call(name, "read") as call:
            call.result = store.get()

    # run clients in threads or tasks, then
    assert check(recorder.history(), "register").validity == "valid"

A call that raises is of unknown outcome, and the exception goes on: a timeout or a lost connection never proves that
nothing happened. Where it does prove that, `call.fail()` says so; `call.fail("absent")` and the other words of
`history.NEGATIVE_ANSWERS` say what the object answered. After an unknown outcome the client goes on as a new process.

The order in which calls begin and end is the real-time order. It is taken under a lock, so threads may share a
recorder; the invoke is recorded before the call begins, and its completion after it ended, as intervals must be.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from .history import History
from .op import Op, OpType
from .values import freeze


class Call:
    """A call of a client that is under way: what it was told goes here."""

    def __init__(self, value: Any) -> None:
        self.result = value
        self.outcome: OpType = "ok"
        self.error: Any = None

    def fail(self, error: Any = None) -> None:
        """Say that it did not happen, or with a negative answer that the object said no."""
        self.outcome, self.error = "fail", error

    def unknown(self, error: Any = None) -> None:
        """Say that it may have happened, or not."""
        self.outcome, self.error = "info", error


class Recorder:
    """Collects what clients ask and are told. `clock` gives times in nanoseconds, for people; without it all are 0."""

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ops: list[Op] = []
        self._process: dict[Hashable, int] = {}  # client -> its process now
        self._fresh = 0

    @contextmanager
    def call(self, client: Hashable, f: str, value: Any = None, *, key: Any = None) -> Iterator[Call]:
        """Record one call of a client. Its `result` is what it asked with, unless something else is put there."""
        call = Call(value)
        with self._lock:
            if client not in self._process:
                self._process[client], self._fresh = self._fresh, self._fresh + 1
            process = self._process[client]
            self._add(process, "invoke", f, key, value, None)
        try:
            yield call
        except BaseException as error:
            call.unknown(type(error).__name__)
            raise
        finally:
            with self._lock:
                told = call.result if call.outcome == "ok" else value
                self._add(process, call.outcome, f, key, told, call.error)
                if call.outcome == "info":
                    del self._process[client]

    def history(self) -> History:
        """Return what was recorded so far; calls under way are of unknown outcome."""
        with self._lock:
            return History(self._ops, source="recorder")

    def _add(self, process: int, kind: OpType, f: str, key: Any, value: Any, error: Any) -> None:
        time = 0 if self._clock is None else self._clock()
        if self._ops:
            time = max(time, self._ops[-1].time)
        index = len(self._ops)
        op = Op(
            index=index, time=time, process=process, type=kind, f=f, key=freeze(key), value=freeze(value), error=error
        )
        self._ops.append(op)
