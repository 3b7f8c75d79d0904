"""What a session promises: it is kept as long as it is used often enough, and one that was just opened is there.

A session may be forgotten when it was idle for the time that the system states (`session_ttl_ms`), in log time. Log
time is continued by each leader on its own clock, so it runs no faster than the fastest clock of the plan. A client
knows for certain that its session was in use when the write began that was answered last: that write was stamped later.
So if less time has passed than the stated one on the fastest clock, an answer `no-session` is an anomaly
(`session/forgotten`), whichever leaders, snapshots and replays lie between. A client that was told so is kept, and
opens another session before its next write; one that goes on as before is told again too early, and seen by that.

That a command of a forgotten session is not executed a second time is for the checker of the history to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from checkers.verdict import Anomaly, Verdict
from harness.faults.clocks import ClockRate
from harness.plans.plan import Plan

NO_SESSION: Final = "no-session"
"""The error of an op whose session is not known."""

_MILLION: Final = 1_000_000


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """A session that a client was told is unknown, and since when it was not used for certain."""

    client: str
    process: int
    since_ns: int
    lost_ns: int
    index: int


class SessionUse:
    """The use that one client makes of its sessions, one after another."""

    def __init__(self, client: str) -> None:
        self.losses: list[Loss] = []
        self._client = client
        self._since_ns = 0  # when the session was used last for certain, or not opened yet
        self._is_gone = False

    def asked(self, now: int) -> None:
        """A write begins: the session that it needs is there, or is opened from now on."""
        if self._is_gone:
            self.used(now)

    def used(self, since_ns: int) -> None:
        """A session will be opened from now on, or a write that began then was answered."""
        self._since_ns = since_ns
        self._is_gone = False

    def lost(self, process: int, now: int, index: int) -> None:
        """The client was told at this index of the run that its session is unknown."""
        loss = Loss(client=self._client, process=process, since_ns=self._since_ns, lost_ns=now, index=index)
        self.losses.append(loss)
        self._is_gone = True


def judge(plan: Plan, options: Mapping[str, Any], losses: Iterable[Loss]) -> Verdict:
    """Judge the sessions that were lost. `options` are the resolved ones of the system."""
    promised_ns = promise_ns(plan, options)
    anomalies = []
    if promised_ns is not None:
        for loss in losses:
            idle_ns = loss.lost_ns - loss.since_ns
            if promised_ns == 0 or idle_ns < promised_ns:
                anomalies.append(_anomaly(loss, idle_ns, promised_ns))
    return Verdict(validity="invalid" if anomalies else "valid", checker="session", anomalies=tuple(anomalies[:1]))


def promise_ns(plan: Plan, options: Mapping[str, Any]) -> int | None:
    """How long a session is kept without use, in true time. 0: for ever; None: nothing is promised."""
    if options.get("sessions") != "on" or "session_ttl_ms" not in options:
        return None
    return int(options["session_ttl_ms"]) * _MILLION * _MILLION // _fastest_ppm(plan)


def _fastest_ppm(plan: Plan) -> int:
    clocks = [spec.rate_ppm for name, spec in plan.clocks.actors.items() if name in plan.nodes]
    faults = [fault.rate_ppm for fault in plan.faults if isinstance(fault, ClockRate)]
    return max([_MILLION, *clocks, *faults])


def _anomaly(loss: Loss, idle_ns: int, promised_ns: int) -> Anomaly:
    promised = f"{promised_ns // _MILLION} ms" if promised_ns else "for ever"
    return Anomaly(
        checker="session",
        kind="forgotten",
        index=loss.index,
        message=f"{loss.client} (process {loss.process}): its session was forgotten after {idle_ns // _MILLION} ms "
        f"without use; promised: {promised}",
        evidence={"client": loss.client, "since_ns": loss.since_ns, "lost_ns": loss.lost_ns},
    )
