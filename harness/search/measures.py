"""Measures of one run, for comparison: how available, how fast, how soon back, how talkative.

Latency counts from the instant at which an op was *due*, not from when its thread got round to it: a system that hangs
for ten seconds delays every op that was due in them, and measuring from the invoke would show one slow op and hide the
rest (coordinated omission). Ops without an ok answer have no latency; they count against availability.

A change of a measure decides a comparison when it is both significant and relevant. Significant: the exact sign test
over the pairs, with Holm's correction for the number of measures, stays below `SIGNIFICANT`. Relevant: B is worse by
more than the measure's threshold. One without the other decides nothing: many pairs make any difference significant,
and few pairs show large differences by chance.

References: Holm 1979 (a simple sequentially rejective multiple test procedure).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

import msgspec

from checkers import History
from harness.outcome import Outcome

from .statistics import binomial_p, holm, mean, mean_interval, median, median_interval, quantile

SIGNIFICANT: Final = 0.05

LOWER_IS_BETTER: Final = {
    "availability": False,
    "latency_p50_ms": True,
    "latency_p99_ms": True,
    "recovery_ms": True,
    "messages_per_op": True,
}
"""Every measure, with its direction."""


MAX_REGRESSION: Final = {
    "availability": 0.01,
    "latency_p50_ms": 0.10,
    "latency_p99_ms": 0.20,
    "recovery_ms": 0.25,
    "messages_per_op": 0.10,
}
"""By how much B may be worse before that is relevant: a share of A's value, of availability a difference of shares.

Round numbers: looser where a measure varies more between plans.
"""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of paired runs: medians, how often B is better or worse, and the sign test's p-value.

    `worse_by` is by what share of A's value B is worse, negative when it is better: the median over the pairs. Of
    availability it is the mean difference, since most pairs are equal. `low` and `high` are its 95 % interval: for
    the median exact, by the values of two pairs, and None of fewer than six. It is relevant above `max_regression`.
    `regressed`: relevant, and significant by `p_corrected`, which is `p_value` corrected for the number of measures.
    """

    a: float | None
    b: float | None
    pairs: int
    better: int
    worse: int
    p_value: float
    p_corrected: float
    worse_by: float | None
    max_regression: float
    regressed: bool
    low: float | None = None
    high: float | None = None


Measures = dict[str, float | None]


def measure(outcome: Outcome) -> Measures:
    """Measure a run. None where there is nothing to measure."""
    latencies_ms, planned = _latencies_ms(outcome)
    ok = outcome.ops.ok
    return {
        "availability": len(latencies_ms) / planned if planned else None,
        "latency_p50_ms": quantile(latencies_ms, 500_000),
        "latency_p99_ms": quantile(latencies_ms, 990_000),
        "recovery_ms": outcome.recovery_ms,
        "messages_per_op": outcome.messages / ok if ok else None,
    }


def _latencies_ms(outcome: Outcome) -> tuple[list[float], int]:
    """Latencies of the ok ops of the programs, and how many ops the programs have.

    A thread performs its program in order and goes on as process + threads after an unknown outcome, so its n-th invoke
    is its n-th planned op; what follows are recovery ops and final reads, which are no load.
    """
    programs = outcome.plan.programs
    performed: dict[int, int] = {}
    latencies = []
    for operation in History(outcome.history).operations(with_void=True):
        thread = operation.process % len(programs)
        position = performed.get(thread, 0)
        performed[thread] = position + 1
        if position < len(programs[thread].ops) and operation.type == "ok":
            latencies.append((operation.ret_time - programs[thread].ops[position].due_ns) / 1e6)
    return latencies, sum(len(program.ops) for program in programs)


def changes(
    a: Sequence[Measures],
    b: Sequence[Measures],
    max_regression: Mapping[str, float] = MAX_REGRESSION,
    significant: float = SIGNIFICANT,
) -> dict[str, Change]:
    """Compare the measures of paired runs, and say which have become significantly and relevantly worse."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for name in LOWER_IS_BETTER:
        both = [(x[name], y[name]) for x, y in zip(a, b, strict=True)]
        pairs[name] = [(x, y) for x, y in both if x is not None and y is not None]
    signs = {name: _signs(name, values) for name, values in pairs.items()}
    p_values = {name: float(binomial_p(*counts)) for name, counts in signs.items()}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return {
        name: _change(
            values,
            signs[name],
            p_values[name],
            corrected[name],
            _effect(name, values),
            max_regression[name],
            significant,
        )
        for name, values in pairs.items()
    }


def _change(
    values: Sequence[tuple[float, float]],
    signs: tuple[int, int],
    p_value: float,
    p_corrected: float,
    effect: tuple[float | None, float | None, float | None],
    max_regression: float,
    significant: float,
) -> Change:
    better, worse = signs
    worse_by, low, high = effect
    is_relevant = worse_by is not None and worse_by > max_regression
    return Change(
        a=_rounded(median([x for x, _ in values])),
        b=_rounded(median([y for _, y in values])),
        pairs=len(values),
        better=better,
        worse=worse,
        p_value=p_value,
        p_corrected=p_corrected,
        worse_by=_rounded(worse_by),
        max_regression=max_regression,
        regressed=is_relevant and worse > better and p_corrected < significant,
        low=_rounded(low),
        high=_rounded(high),
    )


def _signs(name: str, values: Sequence[tuple[float, float]]) -> tuple[int, int]:
    """In how many pairs B is better, and in how many worse."""
    less = sum(1 for x, y in values if y < x)
    more = sum(1 for x, y in values if y > x)
    return (less, more) if LOWER_IS_BETTER[name] else (more, less)


def _effect(name: str, values: Sequence[tuple[float, float]]) -> tuple[float | None, float | None, float | None]:
    """By what share B is worse, and the ends of its interval; None of no pairs.

    Infinite where A's value is mostly 0 and B's is not.
    """
    if name == "availability":
        differences = [x - y for x, y in values]
        return mean(differences), *(mean_interval(differences) or (None, None))
    sign = 1 if LOWER_IS_BETTER[name] else -1
    shares = [sign * (y - x) / x if x else (inf * sign if y else 0.0) for x, y in values]
    return median(shares), *(median_interval(shares) or (None, None))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
