"""Provenance: what besides (plan, binding) stood behind a run, so that a replay knows what it may demand.

Two runs of one plan must have one fingerprint when the code under test, the harness and the interpreter are the same.
When one of them differs, a different fingerprint is a finding to report and no failure of determinism.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import Final

import msgspec

from harness.loader import code_digest

_OURS: Final = ("checkers", "harness", "workloads")


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Versions behind a run. `harness` digests the harness's own code, `python` and `trio` are version strings."""

    harness: str
    python: str
    trio: str

    def differences(self, other: Provenance) -> list[str]:
        """Name what differs, in words for a report."""
        return [name for name in self.__struct_fields__ if getattr(self, name) != getattr(other, name)]


@functools.cache
def provenance() -> Provenance:
    """Describe this process."""
    root = Path(__file__).resolve().parents[2]
    digests = "".join(code_digest(root / package) for package in _OURS)
    return Provenance(
        harness=hashlib.sha256(digests.encode()).hexdigest(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        trio=importlib.metadata.version("trio"),
    )
