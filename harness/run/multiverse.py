"""Branches of one run: what becomes of it when everything after a moment is drawn anew.

A branch is plan data: the plan of the run with one more redraw (`Schedule.redraws`, a moment and a salt). Up to that
moment it is the same run; from then on the salt goes into every draw, of links, disks, ties and actors alike. So there
are two ways to run it, and they must give the same outcome, down to the fingerprint:

* **replay**: run its plan from the start. This works everywhere, and is what the other way is compared with.
* **fork**: run the common past once. A process, the *trunk*, runs the plan itself; at the moment it forks a process for
  each branch, which goes on from there, judges, and sends what it was asked for back. A branch then costs the rest of
  the run, and its memory is what it changes.

Moments are instants of virtual time, and not indexes of the trace: an edit that takes something out of the past of a
branch shifts all indexes behind it, and no time.

What forking in the middle of a run needs: the trunk forks between two events, when no task runs; the new process gives
Trio's loop an epoll and wake-up sockets of its own (`trio_seam.after_fork`), and ends by `os._exit`, so that no buffer
of a file that its parent has open is written twice. A branch that gives no answer in time is killed; the trunk waits
for every branch that it began, and this process for the trunk. Where the process of a parent ends, even by SIGKILL, the
kernel ends its children (`PR_SET_PDEATHSIG`).
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Generic, Literal, NoReturn, TypeVar

import msgspec

from harness.errors import BadInput
from harness.outcome import Outcome
from harness.plans.plan import Plan, Redraw, with_redraw
from harness.sim.kernel import trio_seam
from harness.sim.world import WORLD
from harness.systems.binding import Binding
from harness.systems.catalog import load_systems

from .execution import errors_sorted, execute, require_runnable
from .runner import WHOLE, RunOptions, Simulation, outcome_of

Told = TypeVar("Told")
Way = Literal["fork", "replay"]

SECONDS_MAX: Final = 300.0
"""A branch takes seconds; one that takes minutes is stuck."""
_GRACE_SECONDS: Final = 2.0
"""How long a trunk that is no longer wanted may take to end its branches."""
_PIECE: Final = 1 << 16
_LENGTH_BYTES: Final = 8
_PR_SET_PDEATHSIG: Final = 1


class Branch(msgspec.Struct, Generic[Told], frozen=True, kw_only=True):
    """What was told of a branch's outcome; or `told` None, and why there is nothing to tell."""

    redraw: Redraw
    told: Told | None
    error: str = ""


class Multiverse(Generic[Told]):
    """The branches of the run of one plan.

    `tell` makes of an outcome what is wanted of it; it is called in the process of the branch, and what it gives must
    pickle. `way` None: fork where that can be, else replay. `jobs` branches run at a time, beside the trunk; a replay
    runs in this process, one after the other, whatever `jobs` and `seconds_max` are.
    """

    def __init__(
        self,
        plan: Plan,
        binding: Binding,
        options: RunOptions = WHOLE,
        *,
        tell: Callable[[Outcome], Told],
        way: Way | None = None,
        jobs: int = 1,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        """Raise BadInput where the way is `fork` and this process cannot be forked."""
        reason = why_not_fork()
        if way == "fork" and reason:
            raise BadInput(reason, "Linux and a process with one thread, or the way `replay`", "branches by fork")
        self.plan, self.binding, self.options = plan, binding, options
        self.tell = tell
        self.jobs, self.seconds_max = jobs, seconds_max
        self.way: Way = way or ("replay" if reason else "fork")

    def branches(self, redraws: Iterable[Redraw]) -> Iterator[Branch[Told]]:
        """Run a branch for each redraw, and give each as soon as it is there, in no fixed order."""
        wanted = tuple(redraws)
        return self._forked(wanted) if self.way == "fork" else map(self._replayed, wanted)

    def _replayed(self, redraw: Redraw) -> Branch[Told]:
        try:
            told = self.tell(execute(with_redraw(self.plan, redraw), self.binding, self.options))
        except Exception as error:
            return Branch(redraw=redraw, told=None, error=_text_of(error))
        return Branch(redraw=redraw, told=told)

    def _forked(self, redraws: Sequence[Redraw]) -> Iterator[Branch[Told]]:
        left = set(range(len(redraws)))
        pid, answers = _fork(lambda out: _Trunk(self, redraws, out).run())
        reason = ""
        try:
            frames = _Frames()
            while left:
                # Each branch and the way to it has its time; the trunk sees to that, and this is for the trunk.
                piece = _read(answers, 2 * self.seconds_max)
                if piece is None:
                    reason = f"no branch and no trunk gave an answer within {2 * self.seconds_max:g} s"
                    break
                if not piece:
                    break
                for number, told, error in frames.add(piece):
                    left.discard(number)
                    yield Branch(redraw=redraws[number], told=told, error=error)
        finally:
            os.close(answers)
            status = _end(pid)
        for number in sorted(left):
            yield Branch(redraw=redraws[number], told=None, error=reason or f"the trunk {_words_of(status)}")


def why_not_fork() -> str:
    """Why branches cannot be forked from this process; "" if they can."""
    if not trio_seam.CAN_FORK:
        return f"{sys.platform} has no fork that a run survives"
    others = threading.active_count() - 1
    return f"{others} other threads, of which a fork would lose what they hold" if others else ""


class _Running:
    """A branch on its way, as the trunk sees it."""

    __slots__ = ("data", "deadline", "number", "overdue", "pid")

    def __init__(self, number: int, pid: int, deadline: float) -> None:
        self.number, self.pid, self.deadline = number, pid, deadline
        self.data = b""
        self.overdue = False


class _Trunk:
    """The process that runs the plan itself and forks its branches; in such a process, the branch."""

    def __init__(self, multiverse: Multiverse[Any], redraws: Sequence[Redraw], out: int) -> None:
        self._multiverse, self._redraws, self._out = multiverse, redraws, out
        self._at: dict[int, list[int]] = defaultdict(list)  # numbers of the redraws that are to come, by moment
        for number, redraw in enumerate(redraws):
            self._at[redraw.at_ns].append(number)
        self._running: dict[int, _Running] = {}  # by the number of the file that their answer comes from
        self._branch: int | None = None  # in a branch: its number
        self._began = time.perf_counter()

    def run(self) -> None:
        """Run the plan to its end, and every branch from where it begins."""
        gc.collect()
        gc.freeze()  # what is not looked at need not be copied
        signal.signal(signal.SIGTERM, self._give_up)
        simulation, error = None, ""
        multiverse = self._multiverse
        try:
            require_runnable(multiverse.plan, multiverse.binding)
            options = msgspec.structs.replace(multiverse.options, can_branch=True)
            with errors_sorted(multiverse.binding):
                simulation = Simulation(multiverse.plan, load_systems(multiverse.binding), options)
                for at_ns in list(self._at):
                    simulation.checkpoints[at_ns] = partial(self._begin_branches, simulation)
                simulation.run()
        except Exception as problem:
            error = _text_of(problem)
        if self._branch is None:
            self._end_trunk(simulation, error)
        if self._branch is not None:
            self._answer(simulation, error)

    def _begin_branches(self, simulation: Simulation, at_ns: int) -> None:
        """Fork a process for each branch that begins here. Returns in those processes, too."""
        for number in self._at.pop(at_ns):
            if self._fork(number):
                trio_seam.after_fork()
                _branch_off(simulation, self._redraws[number])
                return
        if not self._at:
            simulation.world.kernel.stop("all branches have begun")

    def _end_trunk(self, simulation: Simulation | None, error: str) -> None:
        """Of branches whose moment lies behind the end of the run nothing differs but their plan."""
        for number in [number for at_ns in sorted(self._at) for number in self._at[at_ns]]:
            if simulation is None or error:
                _write(self._out, (number, None, error))
            elif self._fork(number):
                _branch_off(simulation, self._redraws[number])
                return
        self._collect(0)

    def _fork(self, number: int) -> bool:
        """Begin a branch when there is room for it. True in its process."""
        self._collect(self._multiverse.jobs - 1)
        reader, writer = os.pipe()
        parent = os.getpid()
        with _blocked(signal.SIGTERM):  # it must know the branches that it ends
            pid = os.fork()
            if pid:
                os.close(writer)
                deadline = time.monotonic() + self._multiverse.seconds_max
                self._running[reader] = _Running(number, pid, deadline)
                return False
            others = (reader, self._out, *self._running)
            self._running.clear()
            self._branch, self._out = number, writer
            self._began = time.perf_counter()
        _end_with(parent)
        for other in others:
            os.close(other)
        return True

    def _answer(self, simulation: Simulation | None, error: str) -> None:
        told = None
        if simulation is not None and not error:
            multiverse = self._multiverse
            try:
                with errors_sorted(multiverse.binding):
                    told = multiverse.tell(outcome_of(simulation, multiverse.binding, self._began))
            except Exception as problem:
                error = _text_of(problem)
        _write(self._out, (self._branch, told, error))

    def _give_up(self, *_: object) -> NoReturn:
        """Nobody wants the answers any more: end the branches, and then this process."""
        for one in self._running.values():
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)
        os._exit(1)

    def _collect(self, most: int) -> None:
        """Wait until at most this many branches run, and hand on what the others gave."""
        while len(self._running) > most:
            poll = select.poll()
            for reader in self._running:
                poll.register(reader, select.POLLIN)
            wait_s = min(one.deadline for one in self._running.values()) - time.monotonic()
            for reader, _ in poll.poll(max(0, int(wait_s * 1000) + 1)):
                piece = os.read(reader, _PIECE)
                if piece:
                    self._running[reader].data += piece
                else:
                    self._finish(reader)
            for one in self._running.values():
                if not one.overdue and time.monotonic() > one.deadline:
                    one.overdue = True
                    one.deadline += self._multiverse.seconds_max
                    os.kill(one.pid, signal.SIGKILL)

    def _finish(self, reader: int) -> None:
        """Hand on the answer of a branch that has ended, or the reason why there is none."""
        one = self._running.pop(reader)
        os.close(reader)
        _, status = os.waitpid(one.pid, 0)
        if status == 0:
            _write_all(self._out, one.data)
            return
        late = f"no answer within {self._multiverse.seconds_max:g} s"
        _write(self._out, (one.number, None, late if one.overdue else f"the branch {_words_of(status)}"))


def _branch_off(simulation: Simulation, redraw: Redraw) -> None:
    """At a checkpoint, or after the end: let it be the run of the plan that has this redraw and none later."""
    simulation.plan = with_redraw(simulation.plan, redraw)
    kernel = simulation.world.kernel
    kernel.log.restart(WORLD, simulation.plan.to_json())
    kernel.forget_moments()
    kernel.chance.redraw(redraw.key)


class _Frames:
    """Takes a stream of bytes apart into what `_write` wrote."""

    def __init__(self) -> None:
        self._data = b""

    def add(self, piece: bytes) -> Iterator[Any]:
        self._data += piece
        while len(self._data) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._data[:_LENGTH_BYTES])
            if len(self._data) < end:
                return
            frame, self._data = self._data[_LENGTH_BYTES:end], self._data[end:]
            yield pickle.loads(frame)  # noqa: S301  (from a process that was forked from this one)


def _fork(work: Callable[[int], None]) -> tuple[int, int]:
    """Start a process in a group of its own that does this work. Returns its id, and where its answers come from."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    reader, writer = os.pipe()
    parent = os.getpid()
    with _blocked(signal.SIGINT):  # Ctrl-C is for this process
        pid = os.fork()
        if pid == 0:
            _serve(work, parent, reader, writer)
    os.close(writer)
    return pid, reader


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """Let a signal wait; in a process that is forked meanwhile and ends there, for good."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(work: Callable[[int], None], parent: int, reader: int, writer: int) -> NoReturn:
    """The life of a forked process, and of those that it forks."""
    code = 1
    try:
        os.setpgid(0, 0)
        _end_with(parent)
        os.close(reader)
        os.dup2(2, 1)  # stdout is the parent's, and may be promised to one JSON document
        work(writer)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _end_with(parent: int) -> None:
    """Let the kernel end this process when its parent has ended, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _end(pid: int) -> int:
    """End a process that was forked, wait for it, and give the status with which it ended.

    It is asked to end those that it forked, and waited for; one that does not do so is killed with its group.
    """
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        return status
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _GRACE_SECONDS
    while not ended and time.monotonic() < until:
        time.sleep(0.001)
        ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return status


def _read(reader: int, seconds: float) -> bytes | None:
    """What comes next; empty at the end, None when nothing comes in time."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    return os.read(reader, _PIECE) if poll.poll(int(seconds * 1000)) else None


def _write(writer: int, content: Any) -> None:
    frame = pickle.dumps(content)
    _write_all(writer, len(frame).to_bytes(_LENGTH_BYTES) + frame)


def _write_all(writer: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(writer, left) :]


def _words_of(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


def _text_of(error: Exception) -> str:
    """The error in one line, alike in both ways."""
    text = " ".join(str(error).split())
    return text if isinstance(error, (BadInput, ValueError)) else f"{type(error).__name__}: {text}"
