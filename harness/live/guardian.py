"""The guardian: a process that outlives the harness for a moment, and ends what the harness had started.

When the harness is killed, no code of it runs any more. The guardian then sees the end of its standard input and kills
the process groups that it was told of, and whatever bears the mark of this run in its environment: a process may have
begun of which the harness had no time to tell.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from typing import Final

_MARK: Final = "FORESHOCK_GUARDED"
"""The variable by which the guardian knows the processes of its run."""

_GUARDIAN: Final = """
import os, signal, sys, time
mark = sys.argv[1].encode()
groups, looks = set(), 20  # for a second: what was just being started bears its mark a moment later
for line in sys.stdin:
    if line == "end\\n":
        looks = 1
        break
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
for look in range(looks):
    time.sleep(0.05 if look else 0)
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/" + process + "/environ", "rb") as environment:
                if mark in environment.read().split(b"\\0"):
                    os.kill(int(process), signal.SIGKILL)
        except OSError:
            pass
"""


class Guardian:
    """Ends the processes of one run when the harness does not."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(8)
        self._process: subprocess.Popen[str] | None = None

    @property
    def mark(self) -> dict[str, str]:
        """What every process of the run must have in its environment."""
        return {_MARK: self._token}

    def begin(self) -> None:
        """Start it, in a session of its own: Ctrl-C at the terminal does not reach it."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARDIAN, f"{_MARK}={self._token}"],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """Take note of a process group."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """A process group is gone."""
        self._tell(f"-{group}")

    def end(self) -> None:
        """Let it end: it looks once more for what bears the mark, and kills that."""
        if self._process is not None:
            assert self._process.stdin is not None, "it was started with a pipe"
            self._tell("end")
            self._process.stdin.close()
            self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process is not None, "begun before anything is started"
        assert self._process.stdin is not None, "it was started with a pipe"
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
