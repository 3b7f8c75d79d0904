"""The plan's clients as tasks: each performs its program, and can be killed and started again like a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from harness.run.interpreter import Thread
from harness.sim.lifetime import Lifetime

from .callers import calling_from
from .systems.system import LiveClient
from .timetable import Timetable


class ClientTask:
    """One client: its thread, and the task that it is at the moment."""

    def __init__(self, name: str, host: str, timetable: Timetable, heard: Callable[[], int]) -> None:
        """It calls from the address `host`; `heard` counts what was sent to it."""
        self.name = name
        self.thread: Thread | None = None
        """Set before the client is started."""
        self._host = host
        self._timetable = timetable
        self._heard = heard
        self._scope: trio.CancelScope | None = None
        self._session: LiveClient | None = None

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._scope is not None

    def start(self, nursery: trio.Nursery) -> None:
        """Begin, or go on behind the operation at which it was killed."""
        self._scope = trio.CancelScope()
        nursery.start_soon(self._run, self._scope)

    def kill(self) -> bool:
        """End it in the midst of what it does; the outcome of that is unknown. Whether it ran."""
        if self._scope is None:
            return False
        assert self.thread is not None, "set before the client is started"
        self._scope.cancel()
        self._scope = None
        self.thread.on_crash()
        return True

    def opening(self, new_client: Callable[[trio.Nursery], LiveClient]) -> Callable[[Any], LiveClient]:
        """Give what opens sessions for the thread, each in the place of the one before."""

        def open_one(environment: Any) -> LiveClient:
            if self._session is not None:
                self._session.close()
            self._session = new_client(environment.nursery)
            return self._session

        return open_one

    async def _run(self, scope: trio.CancelScope) -> None:
        assert self.thread is not None, "set before the client is started"
        calling_from(self._host)
        with scope:
            try:
                async with trio.open_nursery() as nursery:
                    await self.thread.entrypoint(_Environment(self._timetable, nursery, self._heard))
                    nursery.cancel_scope.cancel()
            finally:
                if self._session is not None:
                    self._session.close()
                    self._session = None


class _Environment:
    """What a thread has of the world: it can wait, and its sessions have tasks. When it is killed, so is its task."""

    def __init__(self, timetable: Timetable, nursery: trio.Nursery, heard: Callable[[], int]) -> None:
        self.until = timetable.until
        self.nursery = nursery
        self.lifetime = Lifetime()
        self._heard = heard

    @property
    def heard(self) -> int:
        """How many pieces were sent to it."""
        return self._heard()
