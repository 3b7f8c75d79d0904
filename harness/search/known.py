"""Known failures: signatures that a person looked at, so that a suite is red for news only.

[[known]]
signature = "linearizability/nonlinearizable/counter/read"
workload = "counter"                      # optional; so is profile
reason = "reads during a transfer"
issue = "#12"                             # optional
expires = 2026-12-24                      # optional: the last day on which it is known; then it is news again
"""

from __future__ import annotations

import datetime
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
    issue: str = ""
    expires: datetime.date | None = None
    workload: str | None = None
    profile: str | None = None

    def covers(self, signature: str, workload: str, profile: str) -> bool:
        """True when this entry is about such a failure."""
        return signature == self.signature and self.workload in (None, workload) and self.profile in (None, profile)

    @property
    def text(self) -> str:
        """Why it is no news: the issue and the reason."""
        return f"{self.issue}: {self.reason}" if self.issue else self.reason


def in_force(entries: Iterable[Known], today: datetime.date) -> tuple[list[Known], list[Known]]:
    """Entries that still hold, and those whose time is over."""
    listed = list(entries)
    over = [entry for entry in listed if entry.expires is not None and entry.expires < today]
    return [entry for entry in listed if entry not in over], over


def reason_of(record: RunRecord, known: Iterable[Known]) -> str | None:
    """Why a failing run is no news; None when no entry covers it."""
    signature = record.failure_signature or "unnamed"
    fitting = (entry.text for entry in known if entry.covers(signature, record.workload, record.profile))
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
