"""The record of a run: what `foreshock run --json` prints, and `verdict.json` holds with the evidence.

Scripts depend on the names of its fields. Fields are added freely; one that is renamed or removed comes with a new
`RECORD_VERSION` and a migration (`harness.archive.documents`), so that stored runs can be read.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from checkers.verdict import Validity, Verdict
from harness.systems.binding import RecordedBinding

from .outcome import RunFacts

RECORD_VERSION: Final = 2
_SECONDS_MAX: Final = 9e9
"""What 64 bits hold of nanoseconds. A damaged document is refused where it is read, not where it is drawn."""


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Versions behind a run. `harness` digests the harness's own code, `python` and `trio` are version strings."""

    harness: str
    python: str
    trio: str

    def differences(self, other: Provenance) -> list[str]:
        """Name what differs, in words for a report."""
        return [name for name in self.__struct_fields__ if getattr(self, name) != getattr(other, name)]


class RunRecord(RunFacts, frozen=True, kw_only=True):
    """One run. `run` and `path` are None when it has no folder."""

    document: int = RECORD_VERSION
    run: str | None
    path: str | None
    seed: int
    workload: str
    variant: str
    profile: str
    verdict: Validity
    reason: str
    simulated_seconds: Annotated[float, msgspec.Meta(ge=0, le=_SECONDS_MAX)]
    provenance: Provenance
    varied: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    """The seeds of the plans that its plan was made of; absent: the plan was drawn."""
    verdict_details: Verdict | msgspec.UnsetType = msgspec.UNSET
    """The merged verdict of all checkers; in `verdict.json` only."""

    @property
    def is_allowed(self) -> bool:
        """True when every anomaly of an invalid run is explained by a broken assumption of its plan."""
        return self.verdict == "invalid" and all(anomaly.allowed for anomaly in self.anomalies)

    @property
    def is_failure(self) -> bool:
        """True when an anomaly is explained by nothing."""
        return self.verdict == "invalid" and not self.is_allowed

    @property
    def failure_signature(self) -> str | None:
        """The signature under which a failing run is grouped: its primary one, unless that alone is allowed.

        An anomaly that nothing explains must not hide behind an earlier one that a broken assumption of the plan
        explains.
        """
        unexplained = [anomaly for anomaly in self.anomalies if not anomaly.allowed]
        if not unexplained or any(anomaly.signature == self.primary for anomaly in unexplained):
            return self.primary
        first = min(unexplained, key=lambda anomaly: (anomaly.index is None, anomaly.index or 0, anomaly.signature))
        return first.signature

    def message_of(self, signature: str) -> str:
        """The counterexample of the first anomaly of this signature; empty when there is none."""
        return next((anomaly.message for anomaly in self.anomalies if anomaly.signature == signature), "")


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A run that ended in an internal error of the harness, in which nothing can be said of the system."""

    document: int = RECORD_VERSION
    run: None = None
    path: None = None
    seed: int
    workload: str
    profile: str
    verdict: Literal["error"] = "error"
    error: str
    binding: RecordedBinding
    code_digest: str
    reproduce: str


Record = RunRecord | ErrorRecord
