"""The outcome of a run: the plan, what happened, and what it means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from checkers.op import Op
from checkers.trace import Row
from checkers.verdict import Verdict
from harness.errors import Exit
from harness.judged import JudgedAnomaly
from harness.options import OptionValues
from harness.plans.plan import Plan
from harness.systems.binding import RecordedBinding


class OpCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Completed operations by how they ended."""

    ok: int = 0
    fail: int = 0
    info: int = 0

    @classmethod
    def of(cls, history: Iterable[Op]) -> OpCounts:
        """Count the completions of a history."""
        ended = Counter(op.type for op in history)
        return cls(ok=ended["ok"], fail=ended["fail"], info=ended["info"])


class FaultCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Faults of the plan by what became of them."""

    planned: int = 0
    effective: int = 0
    no_target: int = 0
    no_effect: int = 0

    @classmethod
    def of(cls, outcomes: Mapping[str, str], *, planned: int) -> FaultCounts:
        """Count what became of faults, given by their ids."""
        ended = Counter(outcomes.values())
        return cls(
            planned=planned,
            effective=ended["effective"],
            no_target=ended["no-target"],
            no_effect=ended["no-effect"],
        )


class Metrics(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Figures of one run. Latencies are those of ok ops, from invoke to answer.

    `fsyncs` are those that nodes began, 0 where they cannot be counted. `leaderless_ms` is for how long groups had no
    leader, up to their latest one; None where nothing says who leads.
    `state` is what each node said of itself when a run was stopped early.
    """

    events: int
    passes: int
    delivered: int
    rows: int
    elections: int
    messages_per_op: float | None
    converged_ms: float | None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    fsyncs: int = 0
    leaderless_ms: float | None = None
    violations: dict[str, int]
    state: dict[str, Any] = {}


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the outcome and the record of a run have in common.

    `fault_hits` has for each fault that had an effect how many events it touched; runs of earlier versions have none.
    """

    plan_sha256: str
    fingerprint: str
    history_sha256: str
    plan_class: str = msgspec.field(name="class")
    primary: str | None
    anomalies: tuple[JudgedAnomaly, ...]
    ops: OpCounts
    faults: FaultCounts
    fault_outcomes: dict[str, str]
    fault_hits: dict[str, int] = {}
    messages: int
    recovery_ms: float | None
    stopped: str
    resolved_options: OptionValues
    marks: dict[str, int]
    metrics: Metrics
    binding: RecordedBinding = RecordedBinding(codes={})
    code_digest: str = ""
    wall_seconds: float = 0.0
    check_seconds: float = 0.0


class Outcome(RunFacts, frozen=True, kw_only=True):
    """Everything that one run left. `rows` is None when the trace was not kept; a replay makes it again."""

    plan: Plan
    history: Sequence[Op]
    rows: list[Row] | None
    verdict: Verdict
    simulated_ns: int
    tracebacks: tuple[str, ...] = ()
    """Where the code of a node raised, once for each place."""

    @property
    def exit_code(self) -> Exit:
        """0 valid, 1 invalid, 2 unknown."""
        return Exit.of(self.verdict.validity)
