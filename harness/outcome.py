"""The outcome of a run: plan, binding, what happened, and what it means."""

from __future__ import annotations

from typing import Any

import msgspec

from checkers.history import Op
from checkers.trace import Row
from checkers.verdict import Verdict
from harness.plans.plan import Plan


class JudgedAnomaly(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly with its place in the class of the plan: `allowed` when the broken assumption explains it."""

    kind: str
    signature: str
    checker: str
    index: int | None
    allowed: bool
    message: str = ""
    evidence: dict[str, Any] = {}


class Outcome(msgspec.Struct, kw_only=True):
    """Everything that one run left. `rows` is None when the trace was not kept; a replay makes it again."""

    plan: Plan
    binding: dict[str, Any]
    plan_sha256: str
    fingerprint: str
    history_sha256: str
    history: tuple[Op, ...]
    rows: list[Row] | None
    verdict: Verdict
    plan_class: str
    anomalies: tuple[JudgedAnomaly, ...]
    primary: str | None
    ops: dict[str, int]
    faults: dict[str, int]
    fault_outcomes: dict[str, str]
    messages: int
    simulated_ns: int
    wall_seconds: float
    check_seconds: float
    recovery_ms: float | None
    resolved_options: dict[str, Any]
    code_digest: str
    marks: dict[str, int]
    metrics: dict[str, Any]
    stopped: str

    @property
    def exit_code(self) -> int:
        """0 valid, 1 invalid, 2 unknown."""
        return {"valid": 0, "invalid": 1, "unknown": 2}[self.verdict.validity]
