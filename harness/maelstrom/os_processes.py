"""Nodes as OS processes: each is the leader of a process group of its own, which is killed as a whole, by its id.

Three ways lead to an end, and none leaves a process behind. A run that ends kills its groups; so does one that is
interrupted, for the groups are killed where the `with` is left, outside of Trio. When the harness itself is killed, the
guardian (`harness.live.guardian`) kills them. A group is killed before its leader is waited for, since only until then
is its id certain to be its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import trio

from harness.errors import BadInput
from harness.live.guardian import Guardian
from harness.live.maelstrom_protocol import LINE_BYTES_MAX

STDERR_LINES: Final = 20
"""Last lines of standard error that are kept of a node."""
STDERR_LINE_MAX: Final = 500
BACKLOG_MAX: Final = 10_000
"""Lines that wait for a node that does not read; more are lost, as in a full socket buffer."""
_EXIT_SECONDS_MAX: Final = 0.5
"""A process that closed its standard output is given that long to end, so that its exit code is known."""


class NodeProcess:
    """One incarnation of a node: a process group with its three streams."""

    def __init__(self, name: str, process: trio.Process) -> None:
        self.name = name
        self.process = process
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self.is_ours_to_end = False  # killed on purpose: its end is no news
        self._lines_in, self._lines_out = trio.open_memory_channel[bytes](BACKLOG_MAX)

    def write(self, line: bytes) -> bool:
        """Have a line written to its standard input; False when it is lost."""
        try:
            self._lines_in.send_nowait(line)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    async def read_lines(self, on_line: Callable[[bytes], None]) -> None:
        """Call back with every line of its standard output, until that ends; an endless line is cut and given too."""
        stdout = self.process.stdout
        assert stdout is not None
        rest = b""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for chunk in stdout:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    on_line(line)
                if len(rest) > LINE_BYTES_MAX:
                    on_line(rest)
                    rest = b""
        if rest:
            on_line(rest)

    async def keep_stderr(self) -> None:
        """Keep the last lines of its standard error."""
        stderr = self.process.stderr
        assert stderr is not None
        rest = b""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for chunk in stderr:
                *lines, rest = (rest + chunk).split(b"\n")
                self.stderr.extend(line.decode(errors="replace")[:STDERR_LINE_MAX] for line in lines)
                rest = rest[-STDERR_LINE_MAX:]
        if rest:
            self.stderr.append(rest.decode(errors="replace"))

    async def write_lines(self) -> None:
        """Write to its standard input what `write` was given, as fast as it reads."""
        stdin = self.process.stdin
        assert stdin is not None
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for line in self._lines_out:
                await stdin.send_all(line)

    async def ending(self) -> str:
        """Say how it ended, once its standard output has: "exit code 3", "signal SIGSEGV", or what it did instead."""
        deadline = trio.current_time() + _EXIT_SECONDS_MAX
        while trio.current_time() < deadline:
            found = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)  # noqa: ASYNC222  # it does not wait
            if found is not None:
                if found.si_code == os.CLD_EXITED:
                    return f"ended with exit code {found.si_status}"
                return f"was ended by {signal.Signals(found.si_status).name}"
            await trio.sleep(0.01)
        return "closed its standard output"

    def is_stopped(self) -> bool:
        """Whether the operating system holds it, as after SIGSTOP."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"


class NodeProcesses:
    """All process groups of a run; use as a context manager around `trio.run`."""

    def __init__(self, command: Sequence[str], data: Path) -> None:
        self.command = list(command)
        self.data = data
        self.running: dict[str, NodeProcess] = {}
        self._guardian = Guardian()

    def __enter__(self) -> NodeProcesses:
        self._guardian.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill_all()
        self._guardian.end()

    async def start(self, name: str) -> NodeProcess:
        """Start a node. Its folder for data, which it finds again after a kill, is $FORESHOCK_DATA. Raises BadInput."""
        folder = self.data / name
        folder.mkdir(exist_ok=True)
        try:
            process = await trio.lowlevel.open_process(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "FORESHOCK_DATA": str(folder), **self._guardian.mark},
            )
        except OSError as error:
            found = f"a command that cannot be started ({error.strerror})"
            raise BadInput(found, "a program that reads and prints messages", self.command[0]) from None
        node = NodeProcess(name, process)
        self.running[name] = node
        self._guardian.watch(process.pid)
        return node

    def kill(self, name: str) -> NodeProcess:
        """Kill the whole group of a node by SIGKILL and wait for its leader."""
        node = self.running.pop(name)
        node.is_ours_to_end = True
        pid = node.process.pid
        with contextlib.suppress(ProcessLookupError, PermissionError):  # an empty group is gone already
            os.killpg(pid, signal.SIGKILL)
        node.process._proc.wait()  # Trio's own wait needs its loop, which may be gone; SIGKILL is quick
        if trio.lowlevel.in_trio_run():
            node.process.poll()  # closes what Trio keeps of it
        self._guardian.forget(pid)
        return node

    def kill_all(self) -> None:
        """Kill all that run."""
        for name in list(self.running):
            self.kill(name)

    def stop(self, name: str) -> bool:
        """Stop a group by SIGSTOP. Returns whether its leader stands still."""
        node = self.running[name]
        os.killpg(node.process.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 0.1
        while not (stopped := node.is_stopped()) and time.monotonic() < deadline:
            time.sleep(0.001)
        return stopped

    def go_on(self, name: str) -> None:
        """Let a stopped group go on."""
        if name in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running[name].process.pid, signal.SIGCONT)
