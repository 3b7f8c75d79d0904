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

from harness.record import Provenance
from harness.systems.loader import code_digest

_OURS: Final = ("checkers", "harness", "workloads")


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
