"""The catalog: every workload, by name.

The workloads of this package stand in `BUILT_IN`. A package beside Foreshock adds its own by an entry point of the
group `foreshock.workloads`, one for each `Workload`; one in a file is named by its place, `FILE.py:NAME`. No suite runs
a workload because it is installed: it is run by name.

The module of such a workload imports `workload` and `generator`, never this one, which imports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Final

from checkers.located import is_located, locate

from .counters import COUNTER
from .lists import LIST, LIST_APPEND
from .locks import LOCK
from .maps import MAP
from .orders import ORDERS
from .queues import QUEUE
from .registers import REGISTER
from .sets import SET
from .workload import Workload

BUILT_IN: Final[tuple[Workload, ...]] = (REGISTER, COUNTER, MAP, SET, QUEUE, LIST, LIST_APPEND, LOCK, ORDERS)
"""The workloads of this package, in the order in which the reference lists them."""

ENTRY_POINTS: Final = "foreshock.workloads"


def _plugged_in() -> Iterable[Workload]:
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        workload = entry.load()
        if not isinstance(workload, Workload):
            raise TypeError(f"entry point {entry.name!r} of {ENTRY_POINTS} is {entry.value}, which is no Workload")
        yield workload


def _by_name(workloads: Iterable[Workload]) -> dict[str, Workload]:
    found: dict[str, Workload] = {}
    for workload in workloads:
        if workload.name in found:
            raise TypeError(f"two workloads are called {workload.name!r}; expected one of each name")
        found[workload.name] = workload
    return found


WORKLOADS: Final[dict[str, Workload]] = _by_name((*BUILT_IN, *_plugged_in()))
"""Every workload by name."""


def find(name: str) -> Workload | None:
    """The workload of this name or place. Raises NotLocated for a place that holds none."""
    return locate(name, Workload) if is_located(name) else WORKLOADS.get(name)
