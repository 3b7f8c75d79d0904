"""Measures of one run, for comparison: how available, how fast, how soon back, how talkative, how busy.

Latency counts from the instant at which an op was *due*, not from when its thread got round to it: a system that hangs
for ten seconds delays every op that was due in them, and measuring from the invoke would show one slow op and hide the
rest (coordinated omission). An op that was given up says that its answer would have taken longer than that: it is
censored at its deadline, and quantiles are those of Kaplan and Meier. Leaving it out would let a version gain that
answers only what is easy; counting it with its deadline would hide everything else behind the deadlines. Where so few
ops are answered that a quantile lies beyond what was seen, it is infinite: a pair tells something then if it is so on
one side only. An answer is an ok, or the object's own no, such as that of a compare-and-set which found another value.

A change of a measure decides a comparison when it is both significant and relevant. Significant: the exact sign test
over the pairs, with Holm's correction for the number of measures, stays below `SIGNIFICANT`. Relevant: B is worse by
more than the measure's threshold. One without the other decides nothing: many pairs make any difference significant,
and few pairs show large differences by chance.

By how much B is worse is told with an interval that resamples plans (the bootstrap over pairs), at a level that holds
for all measures together. Pairs in which a side has no value leave the question open; how far is told as well, by the
least and the most that the effect could be whatever the missing ones were.

References: Kaplan and Meier 1958 (nonparametric estimation from incomplete observations); Tene 2013 (how not to measure
latency); Holm 1979 (a simple sequentially rejective multiple test procedure);
Efron 1987 (better bootstrap confidence intervals); Manski 2003 (partial identification of probability distributions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from math import inf, isfinite
from typing import Final, NamedTuple

import msgspec

from checkers import History
from checkers.operation import Operation
from harness.outcome import Outcome

from .statistics import binomial_p, censored_quantile, holm, mean, median, resampled

SIGNIFICANT: Final = 0.05

LOWER_IS_BETTER: Final = {
    "availability": False,
    "latency_p50_ms": True,
    "latency_p99_ms": True,
    "recovery_ms": True,
    "throughput": False,
    "elections": True,
    "messages_per_op": True,
    "fsyncs_per_op": True,
}
"""Every measure, with its direction."""
MEANS: Final = ("availability",)
"""Measures whose effect is the mean difference, since most pairs are equal; of the others it is the median share."""

MAX_REGRESSION: Final = {
    "availability": 0.01,
    "latency_p50_ms": 0.10,
    "latency_p99_ms": 0.20,
    "recovery_ms": 0.25,
    "throughput": 0.05,
    "elections": 0.50,
    "messages_per_op": 0.10,
    "fsyncs_per_op": 0.10,
}
"""By how much B may be worse before that is relevant: a share of A's value, of availability a difference of shares.

Round numbers: looser where a measure varies more between plans.
"""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of paired runs: medians, how often B is better or worse, and the sign test's p-value.

    `worse_by` is by what share of A's value B is worse, negative when it is better: the median over the pairs. Of
    `MEANS` it is the mean difference. `low` and `high` are its interval, which holds at 95 % for all measures together:
    by resampling plans, or as `interval` says; None where pairs are too few. `unmeasured` pairs have no value on some
    side; `least` and `most` are what the effect would be if all of them spoke for B, or against it, and None where that
    has no bound. It is relevant above `max_regression`.
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
    interval: str = ""
    unmeasured: int = 0
    least: float | None = None
    most: float | None = None


Measures = dict[str, float | None]


def measure(outcome: Outcome) -> Measures:
    """Measure a run. None where there is nothing to measure."""
    waits = _waits(outcome)
    answered = [wait for wait in waits if wait.is_answered]
    ok = outcome.ops.ok
    seconds = (max(wait.end_ns for wait in answered) - min(wait.due_ns for wait in waits)) / 1e9 if answered else 0.0
    latencies = [((wait.end_ns - wait.due_ns) / 1e6, wait.is_answered) for wait in waits]
    return {
        "availability": len(answered) / len(waits) if waits else None,
        "latency_p50_ms": _latency(latencies, 500_000),
        "latency_p99_ms": _latency(latencies, 990_000),
        "recovery_ms": outcome.recovery_ms,
        "throughput": len(answered) / seconds if seconds > 0 else None,
        "elections": float(outcome.metrics.elections),
        "messages_per_op": outcome.messages / ok if ok else None,
        "fsyncs_per_op": outcome.metrics.fsyncs / ok if ok and outcome.metrics.fsyncs else None,
    }


def _latency(latencies: Sequence[tuple[float, bool]], share_ppm: int) -> float | None:
    """A quantile; infinite beyond what was seen, None where nothing was asked."""
    found = censored_quantile(latencies, share_ppm)
    return inf if found is None and latencies else found


class _Wait(NamedTuple):
    """How long a client waited for an op of a program: since it was due, until it was answered or given up."""

    due_ns: int
    end_ns: int
    is_answered: bool


def _waits(outcome: Outcome) -> list[_Wait]:
    """All ops of the programs.

    A thread performs its program in order and goes on as process + threads after an unknown outcome, so its n-th invoke
    is its n-th planned op; what follows are recovery ops and final reads, which are no load. One that was never begun
    waits until the run is over.
    """
    programs, horizon_ns = outcome.plan.programs, outcome.plan.phases.horizon_ns
    timeout_ms = outcome.resolved_options.get("client_timeout_ms")
    performed: list[list[Operation]] = [[] for _ in programs]
    for operation in History(outcome.history).operations(with_void=True):
        performed[operation.process % len(programs)].append(operation)
    waits = []
    for program, operations in zip(programs, performed, strict=True):
        for planned, operation in zip_longest(program.ops, operations[: len(program.ops)]):
            end_ns, is_answered = horizon_ns, False
            if operation is not None:
                is_answered = operation.type == "ok" or operation.is_negative
                if operation.type != "info":
                    end_ns = operation.ret_time
                elif timeout_ms is not None:
                    end_ns = min(operation.call_time + int(timeout_ms) * 1_000_000, horizon_ns)
            waits.append(_Wait(planned.due_ns, end_ns, is_answered))
    return waits


def changes(
    a: Sequence[Measures],
    b: Sequence[Measures],
    max_regression: Mapping[str, float] = MAX_REGRESSION,
    significant: float = SIGNIFICANT,
    *,
    unrun: int = 0,
) -> dict[str, Change]:
    """Compare the measures of paired runs, and say which have become significantly and relevantly worse.

    `unrun` are pairs that were asked for and of which nothing was measured. Measures that no run has are left out.
    """
    known = [name for name in LOWER_IS_BETTER if any(name in one for one in (*a, *b)) or not a]
    found = {name: _measured(name, a, b) for name in known}
    signs = {name: _signs(name, values) for name, values in found.items()}
    p_values = {name: float(binomial_p(*counts)) for name, counts in signs.items()}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    level = 1 - SIGNIFICANT / len(known)
    return {
        name: _change(
            name,
            values,
            signs[name],
            p_values[name],
            corrected[name],
            level=level,
            unmeasured=len(a) - len(values) + unrun,
            max_regression=max_regression[name],
            significant=significant,
        )
        for name, values in found.items()
    }


class _Measured(NamedTuple):
    """A measure of a pair that both sides have, and by how much B is worse."""

    a: float
    b: float
    worse_by: float


def _measured(name: str, a: Sequence[Measures], b: Sequence[Measures]) -> list[_Measured]:
    both = ((x.get(name), y.get(name)) for x, y in zip(a, b, strict=True))
    return [
        _Measured(x, y, worse_by)
        for x, y in both
        if x is not None and y is not None and (worse_by := difference(name, x, y)) is not None
    ]


def _change(
    name: str,
    values: Sequence[_Measured],
    signs: tuple[int, int],
    p_value: float,
    p_corrected: float,
    *,
    level: float,
    unmeasured: int,
    max_regression: float,
    significant: float,
) -> Change:
    better, worse = signs
    found = [one.worse_by for one in values]
    statistic = mean if name in MEANS else median
    worse_by = statistic(found)
    low, high, interval = resampled(found, level, is_mean=name in MEANS)
    most = 1.0 if name in MEANS else inf  # by how much a single pair can be worse
    is_relevant = worse_by is not None and worse_by > max_regression
    return Change(
        a=_rounded(median([one.a for one in values])),
        b=_rounded(median([one.b for one in values])),
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
        interval=interval,
        unmeasured=unmeasured,
        least=_bounded(statistic([*found, *[-most] * unmeasured])),
        most=_bounded(statistic([*found, *[most] * unmeasured])),
    )


def difference(name: str, a: float | None, b: float | None) -> float | None:
    """By how much a pair is worse in a measure: a share of A's value, of `MEANS` the difference.

    Infinite where A's value is 0 and B's is not, or where B's is infinite. None without both, and of two infinite ones.
    """
    if a is None or b is None or a == b == inf:
        return None
    if a == inf:
        return -1.0 if LOWER_IS_BETTER[name] else inf
    worse = b - a if LOWER_IS_BETTER[name] else a - b
    if name in MEANS:
        return worse
    return worse / a if a else inf * worse if worse else 0.0


def _signs(name: str, values: Sequence[_Measured]) -> tuple[int, int]:
    """In how many pairs B is better, and in how many worse."""
    less = sum(1 for one in values if one.b < one.a)
    more = sum(1 for one in values if one.b > one.a)
    return (less, more) if LOWER_IS_BETTER[name] else (more, less)


def _bounded(value: float | None) -> float | None:
    """A value that is some number; None for an infinite one, and for the mean of two opposite infinite ones."""
    return None if value is None or not isfinite(value) else round(value, 4)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
