"""Nodes as OS processes for tests: started on free loopback ports, and all gone when the test is, however it ends."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
PATIENCE_S = 20.0
OPTIONS = ("-o", "election_timeout_ms=400", "-o", "heartbeat_ms=80")
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def raft_impl(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "raft_impl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=timeout_s)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def prepare_child(open_files_max: int | None) -> Callable[[], None]:
    """What the child does first: be killed when the process of the tests is, whatever kills that; open few files."""

    def prepare() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if open_files_max is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files_max, open_files_max))

    return prepare


def eventually(claim: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """The first true value of `claim`, asked again and again; the test fails when there is none in time."""
    deadline = time.monotonic() + patience_s
    while True:
        value = claim()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {claim.__doc__ or claim}"
        time.sleep(0.05)


class Cluster:
    """Nodes of one address book. `close` ends every process that was started here."""

    def __init__(self, folder: Path, names: Sequence[str] = ("n1", "n2", "n3"), *flags: str) -> None:
        self.folder = folder
        self.names = tuple(names)
        self.ports = dict(zip(self.names, free_ports(len(self.names)), strict=True))
        self.flags = flags
        self.client_flags: tuple[str, ...] = ()
        self.open_files_max: int | None = None
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._all: list[subprocess.Popen[bytes]] = []

    @property
    def nodes(self) -> list[str]:
        """The address book as arguments."""
        return [f"--node={name}=127.0.0.1:{port}" for name, port in self.ports.items()]

    def start(
        self,
        name: str,
        *flags: str,
        nodes: Sequence[str] | None = None,
        machine: str | None = "counter",
        code: Path = ROOT,
    ) -> None:
        """Start one node, or start it again; `code` is the folder of the package that it runs."""
        data = ["--name", name, "--data", str(self.folder / name)]
        of_machine = ["--machine", machine] if machine else []
        book = self.nodes if nodes is None else nodes
        command = [
            sys.executable,
            "-m",
            "raft_impl",
            "serve",
            *data,
            *of_machine,
            *book,
            *OPTIONS,
        ]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *self.flags, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**ENVIRONMENT, "PYTHONPATH": str(code)},
                cwd=code,
                preexec_fn=prepare_child(self.open_files_max),  # noqa: PLW1509
            )
        self.running[name] = process
        self._all.append(process)

    def start_all(self, *flags: str) -> None:
        """Start every node."""
        for name in self.names:
            self.start(name, *flags)

    def kill(self, name: str) -> None:
        """End a node with no warning, and wait until it is gone."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def ended(self, name: str) -> tuple[int, str]:
        """Wait until a node ends by itself: its exit code, and the last line that it said."""
        code = self.running.pop(name).wait(PATIENCE_S)
        return code, self.log(name).splitlines()[-1]

    def call(self, *words: str) -> str:
        """One call that must succeed: what it printed."""
        result = self.try_call(*words)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def try_call(self, *words: str, timeout_ms: int = 15_000) -> subprocess.CompletedProcess[str]:
        """One call, however it ends."""
        return raft_impl("call", *self.nodes, *self.client_flags, "-o", f"client_timeout_ms={timeout_ms}", *words)

    def log(self, name: str) -> str:
        """Everything that a node has said."""
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        """The records of one kind in the JSON log of a node."""
        lines = (line for line in self.log(name).splitlines() if line.startswith("{"))
        return [record for record in map(json.loads, lines) if record["event"] == event]

    def leader(self) -> str:
        """Who of those that run became leader last."""

        def latest() -> str:
            led = [
                (record["timestamp"], name)
                for name in self.running
                for record in self.events(name, "role")
                if record["fields"][1] == "leader"
            ]
            return max(led)[1] if led else ""

        return str(eventually(latest))

    def close(self) -> None:
        """End everything, also what is stopped, and see that it is gone."""
        for process in self._all:
            process.kill()
        for process in self._all:
            process.wait(PATIENCE_S)
