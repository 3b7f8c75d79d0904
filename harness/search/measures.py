"""Measures of one run, for comparison: how available, how fast, how soon back, how talkative.

Latency counts from the instant at which an op was *due*, not from when its thread got round to it: a system that hangs
for ten seconds delays every op that was due in them, and measuring from the invoke would show one slow op and hide the
rest (coordinated omission). Ops without an ok answer have no latency; they count against availability.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from checkers import History
from harness.outcome import Outcome

from .statistics import binomial_p, median, quantile

LOWER_IS_BETTER: Final = {
    "availability": False,
    "latency_p50_ms": True,
    "latency_p99_ms": True,
    "recovery_ms": True,
    "messages_per_op": True,
}
"""Every measure, with its direction."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of paired runs: medians, how often B is better or worse, and the sign test's p-value."""

    a: float | None
    b: float | None
    pairs: int
    better: int
    worse: int
    p_value: float


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


def changes(a: Sequence[Measures], b: Sequence[Measures]) -> dict[str, Change]:
    """Compare the measures of paired runs: medians, how often B is better or worse, and the sign test's p-value."""
    result: dict[str, Change] = {}
    for name, lower in LOWER_IS_BETTER.items():
        both = [(x[name], y[name]) for x, y in zip(a, b, strict=True)]
        pairs = [(x, y) for x, y in both if x is not None and y is not None]
        less = sum(1 for x, y in pairs if y < x)
        more = sum(1 for x, y in pairs if y > x)
        better, worse = (less, more) if lower else (more, less)
        result[name] = Change(
            a=_rounded(median([x for x, _ in pairs])),
            b=_rounded(median([y for _, y in pairs])),
            pairs=len(pairs),
            better=better,
            worse=worse,
            p_value=float(binomial_p(less, more)),
        )
    return result


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
