"""What a source means by its answers, where tools differ."""

from __future__ import annotations

from typing import Literal

import msgspec


class Conventions(msgspec.Struct, frozen=True, kw_only=True):
    """What a source means where tools differ. `check` follows it unless told otherwise, and prints it with the verdict.

    `failed_cas`: a failed cas constrains when its `error` is a negative answer (by-error), or always says that the
    state was not `old` (constraint: Porcupine's etcd logs), or says nothing (nothing: Knossos).
    `nil_read`: an ok read of null saw no value (absent), or says nothing (anything: Knossos).
    """

    source: str = "jsonl"
    failed_cas: Literal["by-error", "constraint", "nothing"] = "by-error"
    nil_read: Literal["absent", "anything"] = "absent"
