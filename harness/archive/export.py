"""Rows of the index as CSV, for spreadsheets and databases: DuckDB, pandas and Polars read it, and write Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harness.record import RunRecord

from .index import IndexedRun
from .layout import writable

COLUMNS: Final = (
    "recorded", "campaign", "cell", "seed", "workload", "variant", "profile", "system", "commit", "verdict", "class",
    "signature", "allowed", "reason", "run", "ops_ok", "ops_fail", "ops_info", "faults", "faults_effective", "messages",
    "elections", "recovery_ms", "simulated_seconds", "wall_seconds", "check_seconds", "plan_sha256", "fingerprint",
    "code_digest", "harness", "python", "trio",
)  # fmt: skip
"""One row a run, the oldest first. What an internal error left unknown is empty."""


def write_csv(path: Path, runs: Iterable[IndexedRun]) -> None:
    """Write runs, newest first as the index lists them, with the oldest at the top. Raises BadInput."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in sorted(runs, key=lambda run: run.number):
        writer.writerow(_row(run))
    with writable(path):
        path.write_text(text.getvalue(), encoding="utf-8")


def _row(run: IndexedRun) -> list[object]:
    record = run.record()
    commit = " ".join(code.commit for code in record.binding.codes.values() if code.commit)
    known: dict[str, object] = {
        "recorded": run.recorded,
        "campaign": run.campaign,
        "cell": run.cell,
        "seed": run.seed,
        "workload": run.workload,
        "profile": run.profile,
        "system": run.system,
        "commit": commit,
        "verdict": run.verdict,
        "signature": run.signature,
        "allowed": int(run.allowed),
        "run": run.run,
        "code_digest": record.code_digest,
    }
    if isinstance(record, RunRecord):
        known |= {
            "variant": record.variant,
            "class": record.plan_class,
            "reason": record.reason,
            "ops_ok": record.ops.ok,
            "ops_fail": record.ops.fail,
            "ops_info": record.ops.info,
            "faults": record.faults.planned,
            "faults_effective": record.faults.effective,
            "messages": record.messages,
            "elections": record.metrics.elections,
            "recovery_ms": record.recovery_ms,
            "simulated_seconds": record.simulated_seconds,
            "wall_seconds": record.wall_seconds,
            "check_seconds": record.check_seconds,
            "plan_sha256": record.plan_sha256,
            "fingerprint": record.fingerprint,
            "harness": record.provenance.harness,
            "python": record.provenance.python,
            "trio": record.provenance.trio,
        }
    return [known.get(column) for column in COLUMNS]
