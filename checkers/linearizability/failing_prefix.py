"""The shortest failing prefix: at which completion a violation became certain.

Linearizability is closed under prefixes, so there is one first event after which no continuation is linearizable. In a
prefix, an operation that returns later has not returned: its answer is not known, and it may still take effect, or not.

A fast path that finds a violation knows more than that there is one. One that compares operations pairwise knows an
upper bound, the last event of the violation it happened to find. One that walks from the left knows where it could not
go on: it uses answers that were given only later, so that is before the violation was certain, or just then. Such hints
are usually exact or off by little, so that two or three checks of prefixes settle what a bisection would need twenty
for (`first_certain`). For any other engine, prefixes are decided anew by bisection (`certain_index`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from checkers.models import Model
from checkers.operation import Operation

from .partition import Part
from .result import Limits, LinearizabilityResult

PREFIX_STEPS: Final = 1_000_000
"""What deciding one prefix may spend: about a second."""

Decide = Callable[[Model, Sequence[Operation], Limits], LinearizabilityResult]
"""How explanations ask whether some operations of one object have an order."""

GUESSES: Final = 8
"""How many probes follow the hints of the check before plain bisection takes over: most searches end within two."""


class Bounds(NamedTuple):
    """No prefix that ends before `lower` fails, the prefix that ends at `upper` does, and `guess` may be the first.

    `evidence` is what the check knows of the failure, for itself.
    """

    lower: int
    upper: int
    guess: int
    evidence: object = None


def first_certain(check: Callable[[int], Bounds | None], found: Bounds) -> int:
    """Find the smallest `end` such that the prefix of the events with index <= `end` is not linearizable.

    `check(end)` decides that prefix: None if it is linearizable, else bounds within it. `found` are the bounds within
    the whole history.
    """
    lower, upper, guess, _ = found
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


class Certain(NamedTuple):
    """The completion by which a violation was certain; `is_exact`: and it was not certain before."""

    end: int
    is_exact: bool


def certain_index(part: Part, model: Model, result: LinearizabilityResult, decide: Decide) -> Certain:
    """Find the completion that ends the shortest failing prefix.

    An engine names the completion at which it gave up. One that got past all earlier ones knows later answers, and
    what never happened, so it can only be too early; any other may be too late. The true one is searched by bisection
    from there: failing prefixes stay failing. Where a prefix cannot be decided within the budget, it counts as fine,
    and what is found is an upper bound.
    """
    if result.certain is not None and not any(void.call <= result.certain < void.ret for void in part.voids):
        return Certain(result.certain, True)
    ends = part.completions()
    undecided: list[int] = []

    def fails(position: int) -> bool:
        prefix = part.prefix(ends[position], model)
        validity = decide(model, prefix, Limits(steps=PREFIX_STEPS)).validity
        if validity == "unknown":
            undecided.append(position)
        return validity == "invalid"

    named = result.certain if result.blocked is None else result.blocked.ret
    start = len(ends) - 1 if named is None else bisect_left(ends, named)
    if result.is_lower_bound or result.certain is not None:
        found = _first_failing(fails, start, len(ends) - 1, likely=start)
    else:
        high = start if fails(start) else len(ends) - 1
        found = _first_failing(fails, 0, high, likely=high - 1) if high > 0 else high
    return Certain(ends[found], not undecided)


def _first_failing(fails: Callable[[int], bool], low: int, high: int, likely: int) -> int:
    """Return the first position that fails; `high` fails, and nothing before `low` does.

    Try a likely one first, and from there in steps that double: an engine that knows later answers gives up early, but
    not by much.
    """
    stride = 1
    while low < high:
        middle = min(max(likely, low), high - 1)
        if fails(middle):
            high = middle
            likely = (low + high) // 2
        else:
            low = middle + 1
            likely = min(low + stride - 1, (low + high) // 2)
            stride *= 2
    return high
