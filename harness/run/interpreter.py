"""The interpreter: runs each thread's drawn program through its client, and keeps the history's rules.

A thread starts an op at max(due, end of the previous one). The invoke is recorded before the request leaves and the
completion after the answer arrived. After `info` the process never acts again: the thread goes on as process + number
of threads, with a new session. A killed client's op is `info` at the instant of the kill.

At the heal a thread drops its backlog, the ops that were due before and that it had not begun. It performs its recovery
op, a fresh one, until one is answered; every second thread does so with a new session. When it may close, it performs
each of its final reads until it is answered, and one more write where there was quiet time. Threads whose client lies
outside the healed set of a partial heal end with their program.

Values may be symbolic: `{"last-read": key}` is what this thread's latest ok read of the key returned; `{"fresh": n}` is
n plus the number of attempts so far, so that a repeated recovery op never writes one value twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from checkers.operation import NEGATIVE_ANSWERS
from checkers.raft.liveness import Request, RequestKind
from harness.errors import BadInput
from harness.plans.plan import Phases, PlannedOp, Program
from harness.sim.recorder import Recorder
from harness.sim.replies import Hearing, Replies
from harness.systems.requirements import is_async
from harness.systems.system import Completion, SystemClient, require_members

from .sessions import NO_SESSION, SessionUse

_PAUSE_AFTER_FAILURE_NS: Final = 50_000_000
"""A recovery op or final read that did not succeed is repeated after this time."""

_READS: Final = ("read", "size")
"""Functions that use no session."""


class Clock(Protocol):
    """The time of the world in which programs run."""

    @property
    def now(self) -> int:
        """Nanoseconds since the run began."""
        ...


class Waiting(Hearing, Protocol):
    """What a client's program needs of its process: to wait, and to know whether it heard anything."""

    async def until(self, time_ns: int, /) -> None:
        """Wait for a time of the world's clock."""
        ...


NewClient = Callable[[Any], SystemClient]
"""Makes a client in its environment, which is of the world."""


class Thread:
    """One logical single-threaded client: a program, a position in it, and the process it currently is."""

    def __init__(
        self,
        program: Program,
        *,
        thread_count: int,
        kernel: Clock,
        recorder: Recorder,
        new_client: NewClient,
        phases: Phases,
        replies: Replies,
        reaches_healed: bool,
        closes_later: bool = False,
    ) -> None:
        """With `closes_later` it makes its final reads only when it may, and a write after them."""
        self.program = program
        self.process = program.thread
        self.done = False
        self.recovered = program.recovery is None
        self.may_close = not closes_later
        self._thread_count = thread_count
        self._kernel, self._recorder = kernel, recorder
        self._new_client = new_client
        self._phases = phases
        self._replies = replies
        self.reaches_healed = reaches_healed
        self._position = 0
        self._final = 0
        self._closing = program.recovery if closes_later else None  # the last write
        self._asked: dict[tuple[int, bool], Request] = {}  # after the heal: by op, and whether in the last step
        self._values = _Values()
        self._client: SystemClient | None = None
        self.sessions = SessionUse(program.client)
        self._open: tuple[str, str | None, Any] | None = None  # the op in flight: f, key, value

    async def entrypoint(self, environment: Waiting) -> None:
        """What the client's task does, from the beginning or, after a kill, from where it was."""
        self._client = None
        program = self.program
        while (op := self._next_op()) is not None:
            await environment.until(op.due_ns)
            if op.due_ns < self._phases.heal_ns <= self._kernel.now:
                continue
            await self._perform(environment, op)
            self._position += 1
        await environment.until(self._phases.heal_ns)
        if self.reaches_healed:
            await self._recover(environment)
            while not self.may_close:
                await environment.until(self._kernel.now + _PAUSE_AFTER_FAILURE_NS)
            while self._final < len(program.final):
                await self._require(environment, program.final[self._final], "read")
                self._final += 1
            if self._closing is not None:
                await self._require(environment, self._closing, "write")
                self._closing = None
        self.done = True
        await environment.until(2 * self._phases.horizon_ns)

    def requests(self) -> list[Request]:
        """What was asked for after the heal and had to be ok."""
        return list(self._asked.values())

    def _next_op(self) -> PlannedOp | None:
        """The next op of the program; after the heal, the next one that was not due before."""
        ops, heal_ns = self.program.ops, self._phases.heal_ns
        if self._kernel.now >= heal_ns:
            while self._position < len(ops) and ops[self._position].due_ns < heal_ns:
                self._position += 1
        return ops[self._position] if self._position < len(ops) else None

    async def _recover(self, environment: Waiting) -> None:
        recovery = self.program.recovery
        if recovery is None or self.recovered:
            return
        if self._closing is not None and self.program.thread % 2:
            self._client = None
        await self._require(environment, recovery, "write")
        self.recovered = True

    async def _require(self, environment: Waiting, op: PlannedOp, kind: RequestKind) -> None:
        """Perform an op until it is ok, and keep account of how long that takes."""
        key = op.id, self.may_close
        if key not in self._asked:
            name = f"{self.program.client} (process {self.process})"
            self._asked[key] = Request(kind=kind, asker=name, began_ns=self._kernel.now, done_ns=None)
        while not await self._repeat(environment, op):
            pass
        self._asked[key] = msgspec.structs.replace(self._asked[key], done_ns=self._kernel.now)

    def on_crash(self) -> None:
        """The client is killed now: its op in flight is of unknown outcome."""
        if self._open is not None:
            f, key, value = self._open
            self._open = None
            self._recorder.op(self.process, "info", f, key, value, "client-killed")
            self.process += self._thread_count
            if self._position < len(self.program.ops):
                self._position += 1

    async def _repeat(self, environment: Waiting, op: PlannedOp) -> bool:
        """Perform an op; true when it was answered, else after a pause."""
        if await self._perform(environment, op):
            return True
        await environment.until(self._kernel.now + _PAUSE_AFTER_FAILURE_NS)
        return False

    async def _perform(self, environment: Waiting, op: PlannedOp) -> bool:
        """Perform one op and record it. True when it was answered, if only by a no of the machine."""
        client, refusal = self._client, None
        if client is None:
            client = self._new_client(environment)
            if self.process == self.program.thread:  # its first session
                _require_session(client)
            self.sessions.used(self._kernel.now)
            refusal = await self._replies.open(environment, client, self.process, op.f)
        value = self._values.resolve(op.value)
        record = self._recorder.op
        began_ns = self._kernel.now
        if op.f not in _READS:
            self.sessions.asked(began_ns)
        record(self.process, "invoke", op.f, op.key, value)
        self._open = (op.f, op.key, value)
        if refusal is not None:
            completion = Completion("fail", error=refusal)
        else:
            completion = await self._replies.ask(environment, client, self.process, op.f, op.key, value)
        self._open = None
        ok = completion.type == "ok"
        record(self.process, completion.type, op.f, op.key, completion.value if ok else value, completion.error)  # type: ignore[arg-type]
        if ok and op.f == "read":
            self._values.note_read(op.key, completion.value)
        process = self.process
        if completion.type == "info":
            self.process += self._thread_count
        answered = ok or (completion.type == "fail" and completion.error in NEGATIVE_ANSWERS)
        if op.f not in _READS:
            if answered:
                self.sessions.used(began_ns)
        elif ok:
            self._replies.note_read(environment, began_ns)
        if completion.error == NO_SESSION:
            self.sessions.lost(process, self._kernel.now, self._recorder.history[-1].index)
        self._client = None if completion.type == "info" or refusal is not None else client
        return answered


class _Values:
    """What symbolic values stand for in one thread."""

    def __init__(self) -> None:
        self._attempts = 0
        self._last_reads: dict[str | None, Any] = {}

    def note_read(self, key: str | None, value: Any) -> None:
        """Remember what a successful read returned."""
        self._last_reads[key] = value

    def resolve(self, value: Any) -> Any:
        """The value that is sent."""
        if isinstance(value, dict):
            if "last-read" in value:
                return self._last_reads.get(value["last-read"])
            if "fresh" in value:
                self._attempts += 1
                return value["fresh"] + self._attempts - 1
        if isinstance(value, (list, tuple)):
            return [self.resolve(item) for item in value]
        return value


def _require_session(client: SystemClient) -> None:
    require_members(client, SystemClient, "client()")
    for method in (client.open, client.invoke):
        if not inspect.iscoroutinefunction(method) and not is_async(method):
            name = getattr(method, "__qualname__", repr(method))
            raise BadInput(f"{name}, which is not async", "async def", "client()")
