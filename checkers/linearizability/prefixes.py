"""The shortest failing prefix: at which completion a violation became certain.

Linearizability is closed under prefixes, so there is one first event after which no continuation is linearizable. In a
prefix, an operation that returns later has not returned: its answer is not known, and it may still take effect, or not.

A fast path that finds a violation knows more than that there is one. One that compares operations pairwise knows an
upper bound, the last event of the violation it happened to find. One that walks from the left knows a lower bound: it
uses answers that were given only later, so it can fail before a client could have been sure, but never after. Either
bound is usually exact or off by little, so that two or three checks of prefixes settle what a bisection would need
twenty for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

GUESSES: Final = 8
"""How many probes follow the bounds of the check before plain bisection takes over: most searches end within two."""

Bounds = tuple[int, int]
"""(lower, upper): no prefix that ends before `lower` fails, and the prefix that ends at `upper` does."""


def first_certain(check: Callable[[int], Bounds | None], found: Bounds) -> int:
    """Find the smallest `end` such that the prefix of the events with index <= `end` is not linearizable.

    `check(end)` decides that prefix: None if it is linearizable, else bounds within it. `found` are the bounds within
    the whole history. A lower bound of 0 says nothing: then the probes go down from the upper bound, else up from the
    lower one.
    """
    lower, upper = found
    probes = 0
    while lower < upper:
        if probes >= GUESSES:
            end = (lower + upper) // 2
        elif lower > 0:
            end = min(lower + (1 << probes) - 1, upper - 1)
        else:
            end = upper - 1
        probes += 1
        bounds = check(end)
        if bounds is None:
            lower = end + 1
        else:
            lower = max(lower, bounds[0])
            upper = min(upper, bounds[1], end)
    return upper
