"""The workloads by name, spelled out: no decorators, no work at import."""

from __future__ import annotations

from typing import Final

from .counters import COUNTER
from .lists import LIST, LIST_APPEND
from .locks import LOCK
from .maps import MAP
from .queues import QUEUE
from .registers import REGISTER
from .sets import SET
from .workload import Workload

WORKLOADS: Final[dict[str, Workload]] = {
    workload.name: workload for workload in (REGISTER, COUNTER, MAP, SET, QUEUE, LIST, LIST_APPEND, LOCK)
}
"""Every workload that the command line offers, by name."""
