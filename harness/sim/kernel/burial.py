"""Burial: the end of tasks that outlive their cancellation.

Code of a system under test may shield a wait that nothing will ever end (a dead environment answers nobody), and Trio's
nurseries would wait for it for ever. When the run is over, `Buried` is raised in each such task where it waits, in the
innermost first. It is no `Exception`, so that ordinary error handling lets it pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import outcome
import trio


class Buried(BaseException):
    """The run is over, and this task was cancelled and did not end."""


def bury(main: trio.lowlevel.Task) -> None:
    """Raise `Buried` in every task below `main` that has no task below itself. All of them must be waiting."""
    for task in _innermost(main):
        trio.lowlevel.reschedule(task, outcome.Error(Buried()))


def only_buried(error: BaseException) -> bool:
    """Whether an exception is nothing but burials."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(Buried)[1] is None
    return isinstance(error, Buried)


def _innermost(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    for child in [child for nursery in task.child_nurseries for child in nursery.child_tasks]:
        below = list(_innermost(child))
        yield from below or [child]
