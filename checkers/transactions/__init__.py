"""Transactions judged by their dependency graph, in the manner of Elle; see docs/transactions.md.

    from checkers import History
    from checkers.transactions import check

    verdict = check(History.from_jsonl("history.jsonl"), "list-append", expect=["snapshot-isolation"])

The graph takes near-linear time, names what is wrong, and says which isolation levels it rules out. What it leaves open
is settled by a search for an order of the transactions, which the graph guides; see `search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checkers.history import History
from checkers.verdict import Verdict

from . import list_append, rw_register
from .anomalies import ANOMALIES
from .anomalies import MODELS as CONSISTENCY_MODELS
from .search import STEP_LIMIT

WORKLOADS: Final = {
    "list-append": list_append.check,
    "rw-register": rw_register.check,
    "multi-register": rw_register.check,
}
"""Models of histories that these checkers read, and which of them does."""

__all__ = ["ANOMALIES", "CONSISTENCY_MODELS", "WORKLOADS", "check"]


def check(
    history: History,
    model: str,
    *,
    expect: Sequence[str] = ("strict-serializable",),
    step_limit: int = STEP_LIMIT,
    time_limit_s: float | None = None,
    memory_limit_bytes: int | None = None,
) -> Verdict:
    """Judge a history of transactions against consistency models; a limit that is reached makes the verdict unknown."""
    if model not in WORKLOADS:
        raise ValueError(f"model {model!r}: expected one of {', '.join(WORKLOADS)}")
    return WORKLOADS[model](
        history,
        expect=expect,
        step_limit=step_limit,
        time_limit_s=time_limit_s,
        memory_limit_bytes=memory_limit_bytes,
    )
