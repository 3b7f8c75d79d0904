"""Exceptions of the system under test: told once for each place where they were raised.

A node whose code raises is started again, and mostly raises again at the same line: one bug, and dozens of anomalies.
The first of them stands for all, with their number; its traceback goes to the run folder and not into the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from checkers.verdict import Anomaly

_KEY = "traceback"


def summarize(anomalies: Iterable[Anomaly]) -> tuple[list[Anomaly], tuple[str, ...]]:
    """Keep the first anomaly of each place, in order, and give the traceback of each place."""
    first: dict[str, Anomaly] = {}
    times: Counter[str] = Counter()
    for anomaly in anomalies:
        place = _place(anomaly)
        first.setdefault(place, anomaly)
        times[place] += 1
    kept = [_without_traceback(anomaly, times[place]) for place, anomaly in first.items()]
    return kept, tuple(anomaly.evidence[_KEY] for anomaly in first.values() if _KEY in anomaly.evidence)


def _place(anomaly: Anomaly) -> str:
    """Where it was raised: the traceback without its last line, in which the values differ from time to time."""
    frames, _, _ = anomaly.evidence.get(_KEY, "").rstrip().rpartition("\n")
    return f"{anomaly.signature}\n{frames}" if frames else f"{anomaly.signature}\n{anomaly.message}"


def _without_traceback(anomaly: Anomaly, times: int) -> Anomaly:
    if _KEY not in anomaly.evidence:
        return anomaly
    message = anomaly.message if times == 1 else f"{anomaly.message} ({times} times)"
    return msgspec.structs.replace(anomaly, message=message, evidence={"times": times})
