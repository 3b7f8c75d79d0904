"""An anomaly with its place in the class of the plan, as documents and screens have it."""

from __future__ import annotations

from typing import Any

import msgspec

from checkers.verdict import Anomaly


class JudgedAnomaly(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly with its place in the class of the plan: `allowed` when the broken assumption explains it.

    `evidence` is absent from what `run --json` prints; `verdict.json` and `check --json` have it.
    """

    kind: str
    signature: str
    checker: str
    index: int | None
    allowed: bool
    message: str = ""
    evidence: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


def judged(anomaly: Anomaly, *, allowed: bool) -> JudgedAnomaly:
    """Give an anomaly of a checker its place."""
    return JudgedAnomaly(
        kind=anomaly.kind,
        signature=anomaly.signature,
        checker=anomaly.checker,
        index=anomaly.index,
        allowed=allowed,
        message=anomaly.message,
        evidence=anomaly.evidence,
    )
