"""Seconds of the processor, as the operating system counts them for processes."""

from __future__ import annotations

import resource


def cpu_seconds() -> float:
    """Of this process and of all children that it has waited for."""
    return _seconds(resource.RUSAGE_SELF) + cpu_seconds_of_children()


def cpu_seconds_of_children() -> float:
    """Of all children that this process has waited for, and of theirs."""
    return _seconds(resource.RUSAGE_CHILDREN)


def _seconds(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime
