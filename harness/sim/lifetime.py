"""The lifetime of one incarnation of an actor, as everything that serves it sees it.

A crash sets `dead` before any task is cancelled. From then on the ports of the incarnation do nothing and its pending
events are dropped, so clean-up code of a killed task leaves no mark, in whatever order Trio runs it.
"""

from __future__ import annotations


class Lifetime:
    """Whether one incarnation still runs."""

    __slots__ = ("dead", "disk_error", "gone", "met_disk_error")

    def __init__(self) -> None:
        self.dead = False  # it was killed, refused to start, or its code raised
        self.gone = False  # its task has ended
        self.disk_error: OSError | None = None  # of the fsync that has just completed, until its caller is told
        self.met_disk_error = False  # whether its disk has ever failed it
