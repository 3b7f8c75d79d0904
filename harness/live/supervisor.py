"""OS processes of a run: each node is a process group that is started, killed, stopped, continued and started again.

A node finds its data again after a kill; what it prints goes to one log for all its incarnations. A process that ends
though nobody killed it is a finding, and `on_death` is told of it with its last lines.

A group is killed before its leader is waited for, since only until then is its id certain to be its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import trio

from harness.errors import BadInput

from .guardian import Guardian

_STANDSTILL_SECONDS_MAX: Final = 0.2
_LAST_LINES: Final = 15
_LAST_BYTES: Final = 8192


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How a node is started: a command line, and what is added to the environment.

    It runs in the folder of the logs, so that no code is found because of where the harness was called.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = {}


class Supervisor:
    """The processes of one run; use as a context manager around the Trio run."""

    def __init__(self, folder: Path, launch: Callable[[str], Launch]) -> None:
        """Logs go to `folder`; `launch` says how a node is started, each time that it is."""
        self.incarnations: dict[str, int] = {}
        """How often each node was started."""
        self.on_death: Callable[[str, str], None] = lambda name, how: None
        """Called with the name of a node that ended by itself, and how."""
        self._folder = folder
        self._launch = launch
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._held: list[subprocess.Popen[bytes]] = []
        self._guardian = Guardian()

    def __enter__(self) -> Supervisor:
        self._guardian.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.on_death = lambda name, how: None  # the run is over
        for name in list(self._running):
            self.kill(name)
        for process in self._held:
            process.kill()
            process.wait()
            self._guardian.forget(process.pid)
        self._guardian.end()

    def log(self, name: str) -> Path:
        """Where the output of a node goes."""
        return self._folder / f"{name}.log"

    def is_up(self, name: str) -> bool:
        """Whether a process of this node is there; it may be stopped."""
        return name in self._running

    def pids(self) -> dict[str, int]:
        """The leaders of all groups by node."""
        return {name: process.pid for name, process in self._running.items()}

    def start(self, name: str, nursery: trio.Nursery) -> None:
        """Start a node that is down; `nursery` watches it. Raises BadInput when its program cannot be started."""
        launch = self._launch(name)
        with self.log(name).open("ab") as log:
            try:
                process = subprocess.Popen(
                    launch.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **launch.environment, **self._guardian.mark},
                    start_new_session=True,
                    cwd=self._folder,
                )
            except (OSError, ValueError) as error:  # a null character in a word, say
                found = f"a program that cannot be started ({getattr(error, 'strerror', None) or error})"
                raise BadInput(found, "an installed one", launch.command[0]) from None
        self._running[name] = process
        self._guardian.watch(process.pid)
        self.incarnations[name] = self.incarnations.get(name, 0) + 1
        nursery.start_soon(self._watch, name, process)

    def hold(self, command: Sequence[str]) -> int:
        """Start a process that is no node and lasts as long as the run. Returns its id."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self._guardian.mark},
            start_new_session=True,
            cwd=self._folder,
        )
        self._held.append(process)
        self._guardian.watch(process.pid)
        return process.pid

    def kill(self, name: str) -> bool:
        """Kill the group of a node by SIGKILL, and wait until its leader is gone. Whether there was one.

        One that had ended by itself a moment before was not killed: `on_death` is told of it.
        """
        process = self._running.pop(name, None)
        if process is None:
            return False
        code = self._end(process)
        if code != -signal.SIGKILL:
            self.on_death(name, _how(code))
            return False
        return True

    def stop(self, name: str) -> bool:
        """Stop a group by SIGSTOP. Whether its leader stands still."""
        process = self._running.get(name)
        if process is None:
            return False
        os.killpg(process.pid, signal.SIGSTOP)
        deadline = time.monotonic() + _STANDSTILL_SECONDS_MAX
        while not (stopped := _stands_still(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.001)
        return stopped

    def go_on(self, name: str) -> None:
        """Let a stopped group go on."""
        process = self._running.get(name)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)

    def last_lines(self, name: str) -> list[str]:
        """What a node said last."""
        try:
            with self.log(name).open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - _LAST_BYTES))
                return log.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        except OSError:
            return []

    async def _watch(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until a process ends; tell if nobody killed it."""
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:  # killed and waited for before this task began
            return
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        if self._running.get(name) is not process:
            return
        del self._running[name]
        self.on_death(name, _how(self._end(process)))

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Kill a group, or what is left of it, and wait for its leader. How that ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # an empty group is gone already
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        self._guardian.forget(process.pid)
        return code


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _stands_still(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"
