"""Runs a Trio program: its code is a tree of ordinary tasks below the task of the process.

What a driver of a stepped server does not need, this one does:

* datagrams go to the stack of the incarnation, which wakes the tasks that wait for its sockets;
* the tasks of a paused actor do not run: Trio's scheduler leaves them out (`Kernel.admits`), as with SIGSTOP;
* a killed program runs no clean-up that waits: a task that shields itself from cancellation is torn down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import outcome
import trio

from harness.errors import BadInput, exit_in
from harness.plans.plan import Plan
from harness.sim.drivers import Entrypoint
from harness.sim.kernel.events import Kernel
from harness.sim.kernel.forced_teardown import ForcedTeardown, tear_down
from harness.sim.process import SimProcess
from harness.systems.programs.files import Files
from harness.systems.programs.incarnation import CURRENT, Incarnation
from harness.systems.programs.program import TrioProgram
from harness.systems.system import SystemServer

from .factory import Resolver, Sockets
from .stack import Names, Stack
from .threads import Threads

_TEARDOWNS_MAX: Final = 10


class NodeEnded(Exception):
    """`node` returned, or ended the program: a server runs until it is stopped."""


def driver_of(
    program: TrioProgram, plan: Plan, process: SimProcess, number: int, entrypoint: Entrypoint | None, kernel: Kernel
) -> ProgramDriver:
    """The driver of incarnation `number` of an actor: of a client if there is an entrypoint, else of a node."""
    names = Names(sorted(plan.actors))
    if entrypoint is not None:
        return ClientDriver(program, process, names, number, kernel, entrypoint)
    group = plan.groups[plan.actors[process.actor].groups[0]]
    peers = tuple(name for name in group.voters if name != process.actor)
    return NodeDriver(program, process, names, number, kernel, peers)


class ProgramDriver:
    """What nodes and clients of a program have in common."""

    def __init__(self, program: TrioProgram, process: SimProcess, names: Names, number: int, kernel: Kernel) -> None:
        self.stack = Stack(process, kernel, names, number)
        self.threads = Threads(self.stack)
        self.files = Files(process.disk, f"/data/{process.actor}", self._fsync, lambda: process.lifetime.dead)
        self._program, self._process, self._kernel = program, process, kernel
        self._label = f"{process.actor}_{number}"
        self._task: trio.lowlevel.Task | None = None
        self._waiting = False  # the task of the process waits for input
        self._is_held = False  # tasks wait for the end of a pause
        self._teardowns = 0
        self._blocked_until_ns = 0  # an fsync keeps all tasks from running

    async def run(self) -> None:
        """Load the code, and run it until it ends or is killed."""
        process, kernel = self._process, self._kernel
        trio.socket.set_custom_socket_factory(Sockets())
        trio.socket.set_custom_hostname_resolver(Resolver())
        kernel.admits = _admits
        kernel.on_thread = _take_thread
        trio.to_thread.current_default_thread_limiter().total_tokens = math.inf  # actors share no threads
        self._task = trio.lowlevel.current_task()
        incarnation = Incarnation(
            process.actor, process.ordinal, process, lambda error: kernel.stop("refused", error), self
        )
        if kernel.chance.ahead is not None:
            incarnation.keep_generators()
            kernel.chance.after.append(incarnation.seed_again)
        CURRENT.set(incarnation)
        try:
            with self._program.loaded(self._label) as incarnation.program:
                await self._run(incarnation.program)
        except BaseException as error:
            rest = self._unexpected(error)
            if rest is error:
                raise
            if rest is not None:
                raise rest from None
        finally:
            if not process.lifetime.dead:
                self.stack.reset_all()
            CURRENT.set(None)  # what this task does after the program is the harness's own

    async def _run(self, program: Any) -> None:
        """Run the actor's part of the program."""
        raise NotImplementedError

    def on_input(self) -> None:
        """Give the stack what arrived, and the interpreter its time."""
        process = self._process
        arrived, process.inbox = process.inbox, []
        for source, frame in arrived:
            self.stack.receive(source, frame)
        if self._waiting and self._task is not None:
            self._waiting = False
            self._kernel.wake(self._task)

    async def wait(self) -> None:
        """Let the task of the process wait for input."""

        def abort(_: Any) -> trio.lowlevel.Abort:
            self._waiting = False
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiting = True
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def sync(self, name: str | None) -> None:
        """Refuse: a program does not see the disk of an adapter."""
        raise TypeError("a Trio program awaited the fsync of an adapter")

    def command(self, command: Callable[[SystemServer], bool]) -> bool:
        """A program takes no commands."""
        return False

    def when_idle(self, call: Callable[[], None]) -> None:
        """Drop the call: a program takes no commands."""

    def on_raised(self, error: Exception) -> None:
        """Raise it: a program has its own tasks, and no work in the background."""
        raise error

    def before_kill(self) -> None:
        """The operating system of a process that is killed resets its connections."""
        self.stack.reset_all()

    def kill(self) -> None:
        """End the calls of threads; the tasks are cancelled."""
        self.threads.give_up()

    def tear_down(self) -> bool:
        """End tasks that did not end when they were cancelled. False when that has been tried often enough."""
        task = self._task
        if task is None or self._teardowns == _TEARDOWNS_MAX:
            return False
        self._teardowns += 1
        if any(nursery.child_tasks for nursery in task.child_nurseries):
            tear_down(task)
        else:
            trio.lowlevel.reschedule(task, outcome.Error(ForcedTeardown()))
        self._kernel.rouse()
        return True

    def _exited(self, how: str) -> Exception:
        """What it means that the program ended itself."""
        raise NotImplementedError

    def _fsync(self, name: str | None) -> None:
        self._process.sync_now(name, self._block)

    def _block(self, span_ns: int) -> None:
        """Code of the program blocks its thread; in that of the tasks, none of them runs before that is over."""
        if self.threads.is_inside:
            self.threads.block(span_ns)
            return
        kernel = self._kernel
        self._blocked_until_ns = max(self._blocked_until_ns, kernel.now) + span_ns
        kernel.at(self._blocked_until_ns, self._process.ordinal, lambda _: kernel.rouse())

    def admits(self) -> bool:
        """Whether the tasks of this incarnation may run now."""
        process = self._process
        if process.lifetime.dead or self._kernel.closed:
            return True
        if not process.pauses.in_force:
            return self._kernel.now >= self._blocked_until_ns
        if not self._is_held:
            self._is_held = True
            process.pauses.hold(self._on_release, None)
        return False

    def _on_release(self, _: None) -> None:
        self._is_held = False
        self._kernel.rouse()

    def _unexpected(self, error: BaseException) -> BaseException | None:
        """What is left of an error that ended the program, without what a kill or the end of the run caused."""
        rest: BaseException | None = error
        if self._process.lifetime.dead:
            if isinstance(error, BaseExceptionGroup):
                rest = error.split(ForcedTeardown)[1]
            elif isinstance(error, ForcedTeardown):
                rest = None
        if (ending := exit_in(rest)) is not None:
            rest = self._exited(f"sys.exit({ending.code!r})")
        return None if self._kernel.closed and isinstance(rest, Exception) else rest


class NodeDriver(ProgramDriver):
    """Runs a node of a program."""

    def __init__(
        self,
        program: TrioProgram,
        process: SimProcess,
        names: Names,
        number: int,
        kernel: Kernel,
        peers: tuple[str, ...],
    ) -> None:
        super().__init__(program, process, names, number, kernel)
        self._peers = peers

    async def _run(self, program: Any) -> None:
        actor = self._process.actor
        await program.node(actor, list(self._peers), self.files.folder)
        raise NodeEnded(f"node({actor!r}, ...) returned; a node runs until it is cancelled")

    def _exited(self, how: str) -> Exception:
        return NodeEnded(f"the program called {how}; a node runs until it is cancelled")


class ClientDriver(ProgramDriver):
    """Runs the interpreter of a client's ops, which calls the program's client."""

    def __init__(
        self,
        program: TrioProgram,
        process: SimProcess,
        names: Names,
        number: int,
        kernel: Kernel,
        entrypoint: Entrypoint,
    ) -> None:
        super().__init__(program, process, names, number, kernel)
        self._entrypoint = entrypoint

    async def _run(self, program: Any) -> None:
        await self._entrypoint(self._process)

    def _exited(self, how: str) -> Exception:
        return BadInput(how, "a client that answers each op with a Completion", f"the program of {self._process.actor}")


def _take_thread(call: Callable[[], Any], tell: Callable[[outcome.Outcome[Any]], Any]) -> bool:
    incarnation = CURRENT.get()
    if incarnation is None:
        return False
    incarnation.host.threads.start((call, tell))
    return True


def _admits(task: trio.lowlevel.Task) -> bool:
    incarnation = task.context.get(CURRENT)
    return incarnation is None or incarnation.host.admits()
