"""The plan's clients as tasks: each performs its program, and can be killed and started again like a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from harness.run.interpreter import Thread
from harness.sim.lifetime import Lifetime
from harness.systems.system import Completion, SystemClient

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
        self._environment: _Environment | None = None

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
        if self._environment is not None:
            self._environment.lifetime.dead = True
        self.thread.on_crash()
        return True

    def opening(self, new_client: Callable[[trio.Nursery], LiveClient]) -> Callable[[Any], SystemClient]:
        """Give what opens sessions for the thread, each in the place of the one before."""

        def open_one(environment: Any) -> SystemClient:
            environment.hang_up()
            session = _Session(environment, new_client(environment.nursery))
            environment.session = session
            return session

        return open_one

    async def _run(self, scope: trio.CancelScope) -> None:
        assert self.thread is not None, "set before the client is started"
        calling_from(self._host)
        with scope:
            async with trio.open_nursery() as nursery:
                self._environment = environment = _Environment(self._timetable, nursery, self._heard)
                try:
                    await self.thread.entrypoint(environment)
                finally:
                    environment.hang_up()
                nursery.cancel_scope.cancel()


class _Environment:
    """What one incarnation of a client has of the world: it can wait, and its session has tasks.

    The session is its own: a client that was killed may still be on its way out when the next incarnation begins.
    """

    def __init__(self, timetable: Timetable, nursery: trio.Nursery, heard: Callable[[], int]) -> None:
        self._timetable = timetable
        self.nursery = nursery
        self.lifetime = Lifetime()
        self.session: _Session | None = None
        self._heard = heard

    async def until(self, time_ns: int) -> None:
        """Wait for a time."""
        await self._timetable.until(time_ns)
        await self.still_there()

    async def still_there(self) -> None:
        """Go on only if nobody has killed this incarnation: what it waited for may have come in the same instant."""
        if self.lifetime.dead:
            await trio.sleep_forever()

    def hang_up(self) -> None:
        """Let go of the session, if there is one."""
        if self.session is not None:
            self.session.close()
            self.session = None

    @property
    def heard(self) -> int:
        """How many pieces were sent to it."""
        return self._heard()


class _Session:
    """A session, of which a dead incarnation hears nothing any more: what it was doing is `info` already."""

    def __init__(self, environment: _Environment, client: LiveClient) -> None:
        self._environment = environment
        self._client = client
        self.close = client.close

    async def open(self) -> str | None:
        """Open it."""
        refusal = await self._client.open()
        await self._environment.still_there()
        return refusal

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op."""
        completion = await self._client.invoke(f, key, value)
        await self._environment.still_there()
        return completion
