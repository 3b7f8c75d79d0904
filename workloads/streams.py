"""The random stream that a workload is drawn from, as far as workloads need it.

Workloads stand below the harness and never import it; the streams of the harness (harness.plans.rng) satisfy this
protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Stream(Protocol):
    """Reproducible random integers, and what is made of them."""

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound)."""
        ...

    def between(self, low: int, high: int) -> int:
        """A uniform integer in [low, high]."""
        ...

    def chance_ppm(self, parts: int) -> bool:
        """True in `parts` of a million cases."""
        ...

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        ...

    def weighted(self, items: Sequence[tuple[T, int]]) -> T:
        """One of the (item, weight) pairs' items, by weight."""
        ...

    def shuffled(self, items: Sequence[T]) -> tuple[T, ...]:
        """The items in random order."""
        ...
