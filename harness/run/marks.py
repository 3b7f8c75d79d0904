"""Coverage marks of clients: what of the rare situations a history shows, whatever the system is.

They are read from the history when a run is over, and cost it nothing. Marks of servers are noted by the system.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from checkers.op import Op

UNANSWERED: Final = "client: an operation ended without an answer"
REFUSED: Final = "client: an operation was refused"
ALL_WAIT: Final = "client: every thread waited for an answer at once"
ACROSS_HEAL: Final = "client: an operation of before the heal was answered after it"
SILENCE: Final = "client: nothing succeeded for three seconds of the faults"

MARKS: Final[tuple[str, ...]] = (UNANSWERED, REFUSED, ALL_WAIT, ACROSS_HEAL, SILENCE)
"""Every mark that the history of a run can show."""

_SILENCE_NS: Final = 3_000_000_000


def marks_of(history: Sequence[Op], *, threads: int, warmup_ns: int, heal_ns: int) -> dict[str, int]:
    """How often a history of that many threads shows each of them; those that it does not show are left out."""
    counts: dict[str, int] = {}
    for mark in _shown(history, threads, warmup_ns, heal_ns):
        counts[mark] = counts.get(mark, 0) + 1
    return counts


def _shown(history: Sequence[Op], threads: int, warmup_ns: int, heal_ns: int) -> Iterator[str]:
    begun: dict[int | str, int] = {}  # process -> when its open operation was asked for
    succeeded_ns = warmup_ns
    for op in history:
        if op.type == "invoke":
            begun[op.process] = op.time
            if len(begun) == threads > 1:
                yield ALL_WAIT
            continue
        asked_ns = begun.pop(op.process, op.time)
        if op.type == "info":
            yield UNANSWERED
        elif op.type == "fail":
            yield REFUSED
        else:
            if asked_ns < heal_ns <= op.time:
                yield ACROSS_HEAL
            if warmup_ns < op.time and succeeded_ns < heal_ns and min(op.time, heal_ns) - succeeded_ns >= _SILENCE_NS:
                yield SILENCE
            succeeded_ns = max(succeeded_ns, op.time)
