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
from .register import Register

CATALOG: Final[Mapping[str, Callable[[], Machine]]] = MappingProxyType(
    {
        "register": Register,
        "counter": Counter,
        "counter-explicit": partial(Counter, explicit=True),
    }
)

__all__ = ["CATALOG", "Machine"]
