"""What a checker says: valid, invalid or unknown, and why.

A verdict is data first (anomalies with their evidence) and sentences second (`Anomaly.message`).
Nothing is silently valid: a checker that crashed, or met one of its limits, says `unknown` with a reason.
Merging follows Jepsen's priority: invalid > unknown > valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

Validity = Literal["valid", "invalid", "unknown"]

_PRIORITY: Final[dict[str, int]] = {"valid": 0, "unknown": 1, "invalid": 2}


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """One named thing that is wrong, with its evidence.

    `signature` is `checker/kind[/detail]`; the detail comes from a closed vocabulary (a role, a model, an op function,
    a message kind), never a node, key, value, count, term or time, so that equal bugs have equal signatures.
    `index` is the position, in the one sequence shared by history and trace, at which the anomaly became certain.
    """

    checker: str
    kind: str
    detail: str = ""
    index: int | None = None
    message: str = ""
    evidence: dict[str, Any] = {}

    @property
    def signature(self) -> str:
        """The short stable name of this kind of anomaly."""
        return "/".join(part for part in (self.checker, self.kind, self.detail) if part)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one checker, or of several merged.

    `reason` says why an `unknown` is unknown and how far the checker got; it is empty otherwise.
    `steps` counts the checker's own unit of work (exact, equal on every machine); `seconds` is wall time and is not
    part of anything that is compared. `machine_dependent` marks a verdict that a wall-clock or memory limit decided.
    """

    validity: Validity
    checker: str
    engine: str = ""
    model: str = ""
    ops: int = 0
    anomalies: tuple[Anomaly, ...] = ()
    reason: str = ""
    steps: int = 0
    seconds: float = 0.0
    machine_dependent: bool = False
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = {}


def merge(verdicts: Iterable[Verdict], *, checker: str = "all") -> Verdict:
    """Merge verdicts by priority, keeping every anomaly and every reason."""
    parts = list(verdicts)
    worst: Validity = "valid"
    for part in parts:
        if _PRIORITY[part.validity] > _PRIORITY[worst]:
            worst = part.validity
    return Verdict(
        validity=worst,
        checker=checker,
        engine="+".join(dict.fromkeys(part.engine for part in parts if part.engine)),
        model="+".join(dict.fromkeys(part.model for part in parts if part.model)),
        ops=max((part.ops for part in parts), default=0),
        anomalies=tuple(anomaly for part in parts for anomaly in part.anomalies),
        reason="; ".join(f"{part.checker}: {part.reason}" for part in parts if part.reason),
        steps=sum(part.steps for part in parts),
        seconds=sum(part.seconds for part in parts),
        machine_dependent=any(part.machine_dependent for part in parts),
        notes=tuple(note for part in parts for note in part.notes),
    )
