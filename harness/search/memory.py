"""How much memory processes take, as Linux counts it: the resident set of a process and of all that it has started.

A page that two processes share counts in both, so a sum over processes is what they take at most.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_PROC = Path("/proc")


def is_known() -> bool:
    """Whether this system says what a process takes."""
    return (_PROC / "self" / "statm").exists()


def resident_bytes(pid: int) -> int:
    """Of one process; 0 when it has ended."""
    try:
        pages = (_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def resident_bytes_with_children(pid: int) -> int:
    """Of a process and of all below it, such as the nodes of a live run; 0 when it has ended."""
    children: list[int] = []
    with contextlib.suppress(OSError):  # it ends meanwhile
        for path in (_PROC / str(pid) / "task").glob("*/children"):
            children += map(int, path.read_text(encoding="ascii").split())
    return resident_bytes(pid) + sum(map(resident_bytes_with_children, children))
