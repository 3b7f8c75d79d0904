"""By how much the harness itself is late: on a machine that is too busy, a run says little.

Proxies, clients and the nemesis share one process. While it waits for a processor, nodes find each other silent for no
reason of the plan; where that is longer than an election timeout, a run is likely to say nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec
import trio

from checkers.verdict import Verdict

_BEAT_SECONDS: Final = 0.05
_TOO_BUSY: Final = (
    "the harness itself waited for a processor longer than an election timeout: a machine that is too busy"
)


class Lateness:
    """What a task that only sleeps finds."""

    def __init__(self) -> None:
        self.ms_max = 0
        """By how much it woke too late, at most."""

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            due_s = trio.current_time() + _BEAT_SECONDS
            await trio.sleep_until(due_s)
            self.ms_max = max(self.ms_max, round(1000 * (trio.current_time() - due_s)))

    def explained(self, verdict: Verdict, election_timeout_ms: int) -> Verdict:
        """The verdict; where it is `unknown`, and this may be why, with that word."""
        if verdict.validity != "unknown" or self.ms_max <= election_timeout_ms:
            return verdict
        return msgspec.structs.replace(verdict, reason=f"{verdict.reason}; {_TOO_BUSY}")
