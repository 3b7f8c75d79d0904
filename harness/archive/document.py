"""The document of a run: what `foreshock run --json` prints, and `verdict.json` holds with the evidence.

Scripts depend on its keys. Keys are added, never renamed or removed without a new `document` version.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from harness.outcome import JudgedAnomaly, Outcome

from .provenance import Provenance

DOCUMENT_VERSION: Final = 1


def run_document(outcome: Outcome, *, run: str | None, path: str | None, provenance: Provenance) -> dict[str, Any]:
    """Describe an outcome. `run` and `path` are None when the run has no folder."""
    drawn = outcome.plan.drawn
    return {
        "document": DOCUMENT_VERSION,
        "run": run,
        "path": path,
        "seed": drawn.seed,
        "workload": drawn.workload,
        "variant": drawn.variant,
        "profile": drawn.profile,
        "plan_sha256": outcome.plan_sha256,
        "fingerprint": outcome.fingerprint,
        "history_sha256": outcome.history_sha256,
        "verdict": outcome.verdict.validity,
        "reason": outcome.verdict.reason,
        "class": outcome.plan_class,
        "primary": outcome.primary,
        "anomalies": [_anomaly(anomaly) for anomaly in outcome.anomalies],
        "ops": outcome.ops,
        "faults": outcome.faults,
        "fault_outcomes": outcome.fault_outcomes,
        "messages": outcome.messages,
        "simulated_seconds": outcome.simulated_ns / 1e9,
        "wall_seconds": round(outcome.wall_seconds, 6),
        "check_seconds": round(outcome.check_seconds, 6),
        "recovery_ms": outcome.recovery_ms,
        "stopped": outcome.stopped,
        "resolved_options": outcome.resolved_options,
        "binding": outcome.binding,
        "code_digest": outcome.code_digest,
        "provenance": msgspec.to_builtins(provenance),
        "marks": outcome.marks,
        "metrics": outcome.metrics,
    }


def evidence_document(document: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Extend the document of a run by what its checkers found: the content of `verdict.json`."""
    evidence = [{**_anomaly(anomaly), "evidence": anomaly.evidence} for anomaly in outcome.anomalies]
    return {**document, "anomalies": evidence, "verdict_details": msgspec.to_builtins(outcome.verdict, str_keys=True)}


def _anomaly(anomaly: JudgedAnomaly) -> dict[str, Any]:
    return {
        "kind": anomaly.kind,
        "signature": anomaly.signature,
        "checker": anomaly.checker,
        "index": anomaly.index,
        "allowed": anomaly.allowed,
        "message": anomaly.message,
    }
