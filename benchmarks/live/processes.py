"""Servers as OS processes that end with this one, however that ends, and what they used of the processor."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PATIENCE_S: Final = 30.0
"""How long a cluster may take to be ready."""


class NotReady(RuntimeError):
    """A cluster did not come up, or answered something else than was asked for."""


def start(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, stdin: Any = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    """Start one server; what it says goes to `log`, but for its standard output if `stdin` is a pipe."""
    output: IO[str] | int
    with log.open("a") as errors:
        output = subprocess.PIPE if stdin == subprocess.PIPE else errors.fileno()
        return subprocess.Popen(
            list(command),
            stdin=stdin,
            stdout=output,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            text=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509
        )


def stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    """End servers at once, and wait until they are gone."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def processor_s(processes: Sequence[subprocess.Popen[str]]) -> float:
    """Processor seconds that servers have used so far, in user space and in the kernel."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
