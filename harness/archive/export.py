"""Rows of the index for spreadsheets, databases and data frames: as CSV, or as Parquet with a type for each column.

Parquet needs pyarrow (the extra `parquet`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from harness.errors import BadInput
from harness.record import RunRecord

from .index import IndexedRun
from .layout import writable

_INTEGERS: Final = (
    "cell", "seed", "ops_ok", "ops_fail", "ops_info", "faults", "faults_effective", "messages", "elections",
)  # fmt: skip
_FLOATS: Final = ("recovery_ms", "simulated_seconds", "wall_seconds", "check_seconds")
COLUMNS: Final = (
    "recorded", "campaign", "cell", "seed", "workload", "variant", "profile", "system", "commit", "verdict", "class",
    "signature", "allowed", "reason", "run", "ops_ok", "ops_fail", "ops_info", "faults", "faults_effective", "messages",
    "elections", "recovery_ms", "simulated_seconds", "wall_seconds", "check_seconds", "plan_sha256", "fingerprint",
    "code_digest", "harness", "python", "trio",
)  # fmt: skip
"""One row a run, the oldest first. What an internal error left unknown is empty."""
PARQUET: Final = ".parquet"


def write(path: Path, runs: Iterable[IndexedRun]) -> None:
    """Write runs, newest first as the index lists them, with the oldest at the top: as Parquet where the name says so.

    Raises BadInput.
    """
    rows = (_row(run) for run in sorted(runs, key=lambda run: run.number))
    content = _parquet(rows) if path.suffix == PARQUET else _csv(rows)
    with writable(path):
        path.write_bytes(content)


def _csv(rows: Iterable[dict[str, object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "allowed": int(bool(row["allowed"]))} for row in rows)
    return text.getvalue().encode()


def _parquet(rows: Iterable[dict[str, object]]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput(
            "no package pyarrow", "pip install 'foreshock[parquet]', or a name in .csv", "--export"
        ) from None

    types = dict.fromkeys(COLUMNS, pyarrow.string())
    types |= dict.fromkeys(_INTEGERS, pyarrow.int64()) | dict.fromkeys(_FLOATS, pyarrow.float64())
    types |= {"recorded": pyarrow.timestamp("ms", tz="UTC"), "allowed": pyarrow.bool_()}
    told = ({**row, "recorded": datetime.fromisoformat(str(row["recorded"]))} for row in rows)
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(told), pyarrow.schema(list(types.items()))), file)
    return file.getvalue()


def _row(run: IndexedRun) -> dict[str, object]:
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
        "allowed": run.allowed,
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
    return {column: known.get(column) for column in COLUMNS}
