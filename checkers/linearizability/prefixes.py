"""The shortest failing prefix: at which completion a violation became certain.

Linearizability is closed under prefixes, so there is one first event after which no continuation is linearizable. In a
prefix, an operation that returns later has not returned: its answer is not known, and it may still take effect, or not.

A fast path that finds a violation knows more than that there is one. One that compares operations pairwise knows an
upper bound, the last event of the violation it happened to find. One that walks from the left knows where it could not
go on: it uses answers that were given only later, so that is before the violation was certain, or just then. Such hints
are usually exact or off by little, so that two or three checks of prefixes settle what a bisection would need twenty
for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

GUESSES: Final = 8
"""How many probes follow the hints of the check before plain bisection takes over: most searches end within two."""


class Bounds(NamedTuple):
    """No prefix that ends before `lower` fails, the prefix that ends at `upper` does, and `guess` may be the first."""

    lower: int
    upper: int
    guess: int


def first_certain(check: Callable[[int], Bounds | None], found: Bounds) -> int:
    """Find the smallest `end` such that the prefix of the events with index <= `end` is not linearizable.

    `check(end)` decides that prefix: None if it is linearizable, else bounds within it. `found` are the bounds within
    the whole history.
    """
    lower, upper, guess = found
    probes, step = 0, 1
    while lower < upper:
        if probes >= GUESSES:
            end = (lower + upper) // 2
        elif guess >= upper:
            end = upper - 1
        elif guess >= lower:
            end = guess
        else:
            end = min(lower + step - 1, upper - 1)
            step *= 2
        probes += 1
        bounds = check(end)
        if bounds is None:
            lower = end + 1
        else:
            lower = max(lower, bounds.lower)
            upper = min(upper, bounds.upper, end)
            guess = bounds.guess
    return upper
