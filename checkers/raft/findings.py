"""What the rules found: the first violation of each kind in each group, and how often each was violated."""

from __future__ import annotations

from typing import Any

from checkers.verdict import Anomaly

from .ledger import Replica


class Findings:
    """Collects violations. `anomalies` are in order of discovery; `counts` is by (group, kind)."""

    def __init__(self) -> None:
        self.anomalies: list[Anomaly] = []
        self.counts: dict[tuple[str, str], int] = {}

    def report(self, index: int, replica: Replica, kind: str, detail: str, what: str, **evidence: Any) -> None:
        group = replica.group.name
        count = self.counts.get((group, kind), 0)
        self.counts[group, kind] = count + 1
        if count:
            return
        self.anomalies.append(
            Anomaly(
                checker="raft",
                kind=kind,
                detail=detail,
                index=index,
                message=f"{replica.name} ({group}) {what}",
                evidence={"actor": replica.name, "group": group, **evidence},
            )
        )
