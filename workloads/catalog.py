"""The workloads by name, spelled out: no decorators, no work at import."""

from __future__ import annotations

from typing import Final

from .counters import COUNTER
from .registers import REGISTER
from .workload import Workload

WORKLOADS: Final[dict[str, Workload]] = {workload.name: workload for workload in (REGISTER, COUNTER)}
"""Every workload that the command line offers, by name."""
