"""Jobs: one run as an item for worker processes, and its document as the result.

A failing or unknown run is run once more with its trace kept, and its folder is written by the worker itself, so that a
hundred thousand trace rows never cross a pipe. That second run is also a free test of determinism.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from harness.archive.document import run_document
from harness.archive.layout import write_run
from harness.archive.provenance import provenance
from harness.errors import InternalError
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.systems.binding import Binding
from harness.systems.versions import systems

PROVES_EVERY: Final = 50
"""One seed in so many is run a second time, in whichever worker is free, and must leave the same fingerprint."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One seed to run. `purpose` is `judge`, or `prove`: run it again for its fingerprint only.

    `results` is where the folder of a run that is not valid goes; None keeps none.
    """

    seed: int
    drawing: Drawing
    binding: Binding
    cell: int = 0
    purpose: Literal["judge", "prove"] = "judge"
    results: str | None = None
    stop_at_first: bool = False


def perform(job: Job) -> dict[str, Any]:
    """Run a job in this process. Returns the document of the run."""
    plan = job.drawing.plan(job.seed, abilities_of(systems(job.binding).values()))
    outcome = execute(plan, job.binding, stop_at_first=job.stop_at_first)
    if job.purpose == "prove" or job.results is None or outcome.verdict.validity == "valid":
        return run_document(outcome, run=None, path=None, provenance=provenance())
    again = execute(plan, job.binding, keep_rows=True, stop_at_first=job.stop_at_first)
    require_equal(outcome.fingerprint, again.fingerprint, job)
    document = write_run(Path(job.results), again, provenance())
    return {**document, "wall_seconds": round(outcome.wall_seconds, 6)}


def require_equal(first: str, second: str, job: Job) -> None:
    """Raise InternalError when two runs of one plan differ."""
    if first != second:
        command = job.drawing.command(job.seed)
        raise InternalError(f"not deterministic: two runs of `{command}` have the fingerprints {first} and {second}")


def failure_signature(document: dict[str, Any]) -> str | None:
    """The signature under which a failing run is grouped: its primary one, unless that alone is allowed.

    An anomaly that nothing explains must not hide behind an earlier one that a broken assumption of the plan explains.
    """
    anomalies = document["anomalies"]
    unexplained = [anomaly for anomaly in anomalies if not anomaly["allowed"]]
    primary: str | None = document["primary"]
    if not unexplained or any(anomaly["signature"] == primary for anomaly in unexplained):
        return primary
    first = min(unexplained, key=lambda a: (a["index"] is None, a["index"] or 0, a["signature"]))
    signature: str = first["signature"]
    return signature


def is_allowed(document: dict[str, Any]) -> bool:
    """True when every anomaly of an invalid run is explained by a broken assumption of its plan."""
    return document["verdict"] == "invalid" and all(anomaly["allowed"] for anomaly in document["anomalies"])
