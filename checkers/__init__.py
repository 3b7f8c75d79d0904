"""Histories in, verdicts out: pure, and a library on its own.

    from checkers import History, check

    verdict = check(History.from_jsonl("history.jsonl"), "cas-register")
    print(verdict.validity, *(anomaly.message for anomaly in verdict.anomalies), sep="\\n")

`history` has the nouns, `models` what objects do, `linearizability` decides whether an order exists. `trace` and `raft`
are about what actors did rather than what clients saw. Nothing here knows of worlds, plans or any implementation.
"""

from __future__ import annotations

from checkers.linearizability.front.checker import EnginesDisagree

from .api import check, check_file
from .history import History
from .intervals import Pair
from .malformed import MalformedHistory
from .models import ILLEGAL, MODELS, Model
from .op import Op
from .operation import Operation
from .recorder import Recorder
from .verdict import Anomaly, Verdict, merge

__all__ = [
    "ILLEGAL",
    "MODELS",
    "Anomaly",
    "EnginesDisagree",
    "History",
    "MalformedHistory",
    "Model",
    "Op",
    "Operation",
    "Pair",
    "Recorder",
    "Verdict",
    "check",
    "check_file",
    "merge",
]
