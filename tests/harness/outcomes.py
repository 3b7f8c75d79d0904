"""Small plans and outcomes, made by hand, for tests of what stands around a run."""

from __future__ import annotations

from typing import Any

from checkers.op import Op
from checkers.trace import Row
from checkers.verdict import Validity, Verdict
from harness.judged import JudgedAnomaly
from harness.outcome import FaultCounts, Metrics, OpCounts, Outcome
from harness.plans import plan as plans
from harness.systems.binding import RecordedBinding, RecordedCode
from tests.harness.hand_built import MS, a_plan


def make_plan(seed: int = 1, workload: str = "register", **fields: Any) -> plans.Plan:
    """A plan with one node, one client and one op."""
    read = plans.PlannedOp(id=0, due_ns=0, f="read", key="x")
    return a_plan(
        seed=seed,
        **{
            "drawn": plans.Drawn(seed=seed, profile="calm", workload=workload, variant="unique"),
            "programs": (plans.Program(thread=0, client="c1", ops=(read,)),),
            "phases": plans.Phases(warmup_ns=0, faults_ns=MS, recovery_ns=0, final_ns=0),
        }
        | fields,
    )


def make_history() -> tuple[Op, ...]:
    """One read, whose completion carries a field of another tool."""
    invoke = Op(index=0, time=0, process=0, type="invoke", f="read", key="x")
    return (invoke, Op(index=3, time=9, process=0, type="ok", f="read", key="x", value=None, extra={"node": "n1"}))


def make_rows(count: int = 2) -> list[Row]:
    """Role changes."""
    return [(index, "role", "n1", "g0", "follower", index) for index in range(count)]


def make_outcome(
    seed: int = 1,
    validity: Validity = "valid",
    *signatures: str,
    allowed: bool = False,
    rows: list[Row] | None = None,
    **changes: Any,
) -> Outcome:
    """What a run of `make_plan(seed)` left, with an anomaly for each signature."""
    plan = changes.pop("plan", None) or make_plan(seed)
    anomalies = tuple(
        JudgedAnomaly(
            kind=signature.split("/")[1],
            signature=signature,
            checker=signature.split("/")[0],
            index=3,
            allowed=allowed,
            message=f"what is wrong: {signature}",
            evidence={"prefix": 4},
        )
        for signature in signatures
    )
    values: dict[str, Any] = {
        "plan": plan,
        "binding": RecordedBinding(codes={"default": RecordedCode(spec="raft_impl", digest="d" * 64)}),
        "plan_sha256": plan.sha256,
        "fingerprint": f"{seed:064x}",
        "history_sha256": "b" * 64,
        "history": make_history(),
        "rows": rows,
        "verdict": Verdict(validity=validity, checker="all", reason="too long" if validity == "unknown" else ""),
        "plan_class": "tolerable",
        "anomalies": anomalies,
        "primary": signatures[0] if signatures else None,
        "ops": OpCounts(ok=1),
        "faults": FaultCounts(),
        "fault_outcomes": {},
        "messages": 12,
        "simulated_ns": 5_000 * MS,
        "wall_seconds": 0.25,
        "check_seconds": 0.01,
        "recovery_ms": 3.5,
        "resolved_options": {"reads": "quorum"},
        "code_digest": "d" * 64,
        "marks": {},
        "metrics": Metrics(
            events=9,
            passes=9,
            delivered=12,
            rows=2,
            elections=1,
            messages_per_op=12.0,
            converged_ms=None,
            violations={},
        ),
        "stopped": "horizon",
    }
    return Outcome(**{**values, **changes})
