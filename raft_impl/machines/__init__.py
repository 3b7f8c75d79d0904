"""Deterministic state machines, one a file, and the session layer in front of them.

`CATALOG` lists by name what a group can replicate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from .base import Machine
from .counter import Counter
from .list import List
from .lock import Lock
from .map import Map
from .participant import Participant
from .queue import Queue
from .register import Register
from .set import Set

CATALOG: Final[Mapping[str, Callable[[], Machine]]] = MappingProxyType(
    {
        "register": Register,
        "counter": Counter,
        "counter-explicit": partial(Counter, explicit=True),
        "map": Map,
        "set": Set,
        "list": List,
        "queue": Queue,
        "lock": Lock,
        "participant": Participant,
    }
)

__all__ = ["CATALOG", "Machine"]
