"""Transactions judged by their dependency graph, in the manner of Elle; see docs/transactions.md.

    from checkers import History
    from checkers.transactions import check

    verdict = check(History.from_jsonl("history.jsonl"), "list-append", expect=["snapshot-isolation"])

Unlike an exact search for an order of transactions this takes near-linear time, names what is wrong, and says which
isolation levels it rules out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checkers.history import History
from checkers.verdict import Verdict

from . import list_append, rw_register
from .anomalies import ANOMALIES
from .anomalies import MODELS as CONSISTENCY_MODELS

WORKLOADS: Final = {
    "list-append": list_append.check,
    "rw-register": rw_register.check,
    "multi-register": rw_register.check,
}
"""Models of histories that these checkers read, and which of them does."""

__all__ = ["ANOMALIES", "CONSISTENCY_MODELS", "WORKLOADS", "check"]


def check(history: History, model: str, *, expect: Sequence[str] = ("strict-serializable",)) -> Verdict:
    """Judge a history of transactions against consistency models."""
    if model not in WORKLOADS:
        raise ValueError(f"model {model!r}: expected one of {', '.join(WORKLOADS)}")
    return WORKLOADS[model](history, expect=expect)
