"""The interpreter: runs each thread's drawn program through its client, and keeps the history's rules.

A thread starts an op at max(due, end of the previous one). The invoke is recorded before the request leaves and the
completion after the answer arrived. After `info` the process never acts again: the thread goes on as process + number
of threads, with a new session. A killed client's op is `info` at the instant of the kill.

After its program a thread waits for the heal, performs its recovery op, a fresh one, until one is ok, and then each of
its final reads until ok. Threads whose client lies outside the healed set of a partial heal end with their program.

Values may be symbolic: `{"last-read": key}` is what this thread's latest ok read of the key returned; `{"fresh": n}` is
n plus the number of attempts so far, so that a repeated recovery op never writes one value twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from harness.errors import BadInput
from harness.plans.plan import PlannedOp, Program
from harness.sim.kernel.events import Kernel
from harness.sim.process import SimProcess
from harness.sim.recorder import Recorder
from harness.systems.system import Completion, SystemClient, require_members

_PAUSE_AFTER_FAILURE_NS: Final = 50_000_000
"""A recovery op or final read that did not succeed is repeated after this time."""

NewClient = Callable[[SimProcess], SystemClient]


class Thread:
    """One logical single-threaded client: a program, a position in it, and the process it currently is."""

    def __init__(
        self,
        program: Program,
        *,
        thread_count: int,
        kernel: Kernel,
        recorder: Recorder,
        new_client: NewClient,
        heal_ns: int,
        horizon_ns: int,
        reaches_healed: bool,
    ) -> None:
        self.program = program
        self.process = program.thread
        self.done = False
        self.first_ok_after_heal_ns: int | None = None  # when it completed
        self.recovered = program.recovery is None
        self._thread_count = thread_count
        self._kernel, self._recorder = kernel, recorder
        self._new_client = new_client
        self._heal_ns, self._horizon_ns = heal_ns, horizon_ns
        self.reaches_healed = reaches_healed
        self._position = 0
        self._final = 0
        self._attempts = 0
        self._client: SystemClient | None = None
        self._open: tuple[str, str | None, Any] | None = None  # the op in flight: f, key, value
        self._last_reads: dict[str | None, Any] = {}

    async def entrypoint(self, environment: SimProcess) -> None:
        """What the client's task does, from the beginning or, after a kill, from where it was."""
        self._client = None
        program = self.program
        while self._position < len(program.ops):
            op = program.ops[self._position]
            await environment.until(op.due_ns)
            await self._perform(environment, op)
            self._position += 1
        await environment.until(self._heal_ns)
        if self.reaches_healed:
            if program.recovery is not None:
                while not self.recovered:
                    self.recovered = await self._repeat(environment, program.recovery)
            while self._final < len(program.final):
                if await self._repeat(environment, program.final[self._final]):
                    self._final += 1
        self.done = True
        await environment.until(2 * self._horizon_ns)

    def on_crash(self) -> None:
        """The client is killed now: its op in flight is of unknown outcome."""
        if self._open is not None:
            f, key, value = self._open
            self._open = None
            self._recorder.op(self.process, "info", f, key, value, "client-killed")
            self.process += self._thread_count
            if self._position < len(self.program.ops):
                self._position += 1

    async def _repeat(self, environment: SimProcess, op: PlannedOp) -> bool:
        if await self._perform(environment, op):
            return True
        await environment.until(self._kernel.now + _PAUSE_AFTER_FAILURE_NS)
        return False

    async def _perform(self, environment: SimProcess, op: PlannedOp) -> bool:
        """Perform one op and record it. True when it was ok."""
        client, refusal = self._client, None
        if client is None:
            client = self._new_client(environment)
            if self.process == self.program.thread:  # its first session
                _require_session(client)
            refusal = await client.open()
        value = self._resolve(op.value)
        record = self._recorder.op
        began_ns = self._kernel.now
        record(self.process, "invoke", op.f, op.key, value)
        self._open = (op.f, op.key, value)
        if refusal is not None:
            completion = Completion("fail", error=refusal)
        else:
            completion = await client.invoke(op.f, op.key, value)
            if not isinstance(completion, Completion):
                raise BadInput(f"{completion!r}", "a Completion", f"{type(client).__name__}.invoke({op.f!r}, ...)")
        self._open = None
        ok = completion.type == "ok"
        record(self.process, completion.type, op.f, op.key, completion.value if ok else value, completion.error)  # type: ignore[arg-type]
        if ok and op.f == "read":
            self._last_reads[op.key] = completion.value
        if ok and began_ns >= self._heal_ns and self.first_ok_after_heal_ns is None:
            self.first_ok_after_heal_ns = self._kernel.now
        if completion.type == "info":
            self.process += self._thread_count
        lost = completion.type == "info" or completion.error in ("no-client", "no-session")
        self._client = None if lost else client
        return ok

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, dict):
            if "last-read" in value:
                return self._last_reads.get(value["last-read"])
            if "fresh" in value:
                self._attempts += 1
                return value["fresh"] + self._attempts - 1
        if isinstance(value, (list, tuple)):
            return [self._resolve(item) for item in value]
        return value


def _require_session(client: SystemClient) -> None:
    require_members(client, SystemClient, "client()")
    for method in (client.open, client.invoke):
        if not inspect.iscoroutinefunction(method):
            raise BadInput(f"{method.__qualname__}, which is not async", "async def", "client()")
