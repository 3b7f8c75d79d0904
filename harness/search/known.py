"""Known failures: signatures that a person looked at, so that a suite is red for news only.

[[known]]
signature = "linearizability/nonlinearizable/counter/read"
workload = "counter"                      # optional; so is profile
reason = "issue 12: reads during a transfer"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from harness.errors import BadInput
from harness.record import RunRecord

FILE: Final = "known-failures.toml"


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One known failure, everywhere or for one workload or profile."""

    signature: str
    reason: str
    workload: str | None = None
    profile: str | None = None

    def covers(self, signature: str, workload: str, profile: str) -> bool:
        """True when this entry is about such a failure."""
        return signature == self.signature and self.workload in (None, workload) and self.profile in (None, profile)


def reason_of(record: RunRecord, known: Iterable[Known]) -> str | None:
    """Why a failing run is no news; None when no entry covers it."""
    signature = record.failure_signature or "unnamed"
    fitting = (entry.reason for entry in known if entry.covers(signature, record.workload, record.profile))
    return next(fitting, None)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    known: list[Known] = []


def load(path: Path = Path(FILE)) -> list[Known]:
    """Read the known failures; none when there is no such file. Raises BadInput."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).known
    except FileNotFoundError:
        return []
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(
            f"a malformed file ({error})", "[[known]] entries with signature and reason", str(path)
        ) from None
