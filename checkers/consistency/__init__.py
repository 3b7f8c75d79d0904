"""Conditions other than linearizability: sequential consistency, stale reads, lost elements, counters out of bounds.

`CONDITIONS` has each by its name on the command line, with the models of the objects that it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from checkers.history import History
from checkers.verdict import Verdict

from . import counter_bounds, sequential, set_full, staleness


@dataclass(frozen=True)
class Condition:
    """A weaker promise than linearizability, or a measure of how badly that is broken."""

    models: tuple[str, ...]
    judge: Callable[[History, Any], Verdict]
    takes_initial: bool = True


CONDITIONS: Final[dict[str, Condition]] = {
    "sequential": Condition(
        ("register", "cas-register"), lambda history, initial: sequential.check(history, initial=initial)
    ),
    "staleness": Condition(
        ("register", "cas-register"), lambda history, initial: staleness.check(history, initial=initial)
    ),
    "set-full": Condition(("set",), lambda history, _: set_full.check(history), takes_initial=False),
    "counter-bounds": Condition(("counter",), lambda history, initial: counter_bounds.check(history, initial=initial)),
}

__all__ = ["CONDITIONS", "Condition"]
