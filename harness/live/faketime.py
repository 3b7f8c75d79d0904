"""Clocks of programs that are not ours, by libfaketime: the library stands before the C library's clocks.

It reads from a file, each time that a clock is asked, by how much and at which rate to lie. The monotonic clock begins
where the wall clock is, which a program does not notice, for it compares that clock with itself only. Both clocks
follow, so that only rates are set here: a step would move the monotonic clock as well, which no machine does. A change
of the rate moves nothing, since the offset is chosen so that the clock runs on from where it is.

**What it cannot do.** It reaches programs that ask the C library for the time. Go asks the kernel itself, so that etcd
notices nothing (a test shows that). To fake the wall clock alone, with `FAKETIME_DONT_FAKE_MONOTONIC`, lets every
`time.sleep` of Python fail with EINVAL (libfaketime 0.9.10).

Reference: https://github.com/wolfcw/libfaketime, README, sections 4d (rates) and 4f (files).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Final

import trio

from harness.errors import InternalError
from harness.faults.world import MILLION, FaultDisk

_NANOSECONDS: Final = 1_000_000_000
_FOLDERS: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_NAME: Final = "faketime/libfaketimeMT.so.1"


def library() -> Path | None:
    """Where libfaketime is installed (Debian: libfaketime)."""
    found = (path for folder in _FOLDERS for pattern in (_NAME, f"*/{_NAME}") for path in Path(folder).glob(pattern))
    return next(found, None)


class FakeTime:
    """The clocks of the nodes of one run."""

    def __init__(self, folder: Path, nodes: tuple[str, ...], preloaded: Path) -> None:
        self.hits: Counter[str] = Counter()
        """Nothing: whether a clock is off is seen in what nodes say of it."""
        self.off_ns_max = 0
        """By how much a clock was off at most, as its node said."""
        self._preloaded = preloaded
        self._shown_first_ns: dict[str, int] = {}  # by node: how far ahead of ours its clock was then
        self._clocks = {name: NodeClock(folder / f"faketime-{name}") for name in nodes}

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Nothing: files say it all."""
        task_status.started()

    def disk(self, node: str) -> FaultDisk:
        """Their disks cannot be reached."""
        raise InternalError("a fault asked for the disk of a program that is not ours")

    def clocks(self, node: str) -> NodeClock:
        """The clocks of a node."""
        return self._clocks[node]

    def environment(self, node: str) -> dict[str, str]:
        """What is added to the environment of a node that starts now."""
        self._clocks[node].begin()
        self._shown_first_ns.pop(node, None)
        return {
            "LD_PRELOAD": str(self._preloaded),
            "FAKETIME_TIMESTAMP_FILE": str(self._clocks[node].path),
            "FAKETIME_NO_CACHE": "1",
        }

    def shown(self, node: str, monotonic_ns: int) -> None:
        """A node said what its monotonic clock shows. How far it is off counts from what it showed first."""
        ahead_ns = monotonic_ns - time.monotonic_ns()
        first_ns = self._shown_first_ns.setdefault(node, ahead_ns)
        self.off_ns_max = max(self.off_ns_max, abs(ahead_ns - first_ns))


class NodeClock:
    """The clock of one node: how far it is off, and at which rate it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """What the library reads."""
        self._rates: dict[str, int] = {}  # by fault, the latest last
        self._rate_ppm = MILLION
        self._began_ns = self._changed_ns = time.monotonic_ns()
        self._off_ns = 0  # when the rate was changed last

    def begin(self) -> None:
        """A process begins, and counts from now."""
        self._change(self._rate_ppm)
        self._began_ns = self._changed_ns
        self._write()

    def set_rate(self, fault: str, rate_ppm: int | None) -> None:
        """Let the clocks run at a rate, or end that; the latest one in force wins."""
        self._rates.pop(fault, None)
        if rate_ppm is not None:
            self._rates[fault] = rate_ppm
        self._change(next(reversed(self._rates.values()), MILLION))
        self._write()

    def step_wall(self, fault: str, step_ns: int) -> None:
        """Refuse: the monotonic clock would be moved as well."""
        raise InternalError("a fault asked libfaketime to move a wall clock")

    def release_wall(self, fault: str) -> None:
        """Nothing: see `step_wall`."""

    def _change(self, rate_ppm: int) -> None:
        now_ns = time.monotonic_ns()
        self._off_ns += (now_ns - self._changed_ns) * (self._rate_ppm - MILLION) // MILLION
        self._changed_ns, self._rate_ppm = now_ns, rate_ppm

    def _write(self) -> None:
        """The library shows offset + start + rate * (now - start) for a process that began at start."""
        ran_ns = self._changed_ns - self._began_ns
        offset_s = (self._off_ns + ran_ns * (MILLION - self._rate_ppm) // MILLION) / _NANOSECONDS
        written = self.path.with_suffix(".new")
        written.write_text(f"{offset_s:+.6f} x{self._rate_ppm / MILLION:.6f}\n")
        os.replace(written, self.path)
