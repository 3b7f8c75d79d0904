"""The forced end of tasks that do not end when they are cancelled.

Code of a system under test may shield a wait that nothing will ever end (the environment of a killed process answers
no call), and Trio's nurseries would wait for it without end. When the run is over, `ForcedTeardown` is raised in each
such task where it waits, in the innermost tasks first. It is not an `Exception`, so ordinary error handling lets it
pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import outcome
import trio


class ForcedTeardown(BaseException):
    """The run is over, and this task was cancelled and did not end."""


def tear_down(main: trio.lowlevel.Task) -> None:
    """Raise `ForcedTeardown` in every task below `main` that has no task below itself. All of them must be waiting."""
    for task in _innermost(main):
        trio.lowlevel.reschedule(task, outcome.Error(ForcedTeardown()))


def only_forced_teardown(error: BaseException) -> bool:
    """Whether an exception holds nothing but `ForcedTeardown`."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(ForcedTeardown)[1] is None
    return isinstance(error, ForcedTeardown)


def _innermost(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    for child in [child for nursery in task.child_nurseries for child in nursery.child_tasks]:
        below = list(_innermost(child))
        yield from below or [child]
