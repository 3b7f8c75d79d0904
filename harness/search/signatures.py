"""Signatures over nights: when each was first and last seen and on which commit, how often, and how that changes.

A night is a campaign. A signature is counted against the runs of the cells (workload and profile) in which it was ever
seen, since it could not have been seen in the others; a rate comes with Wilson's interval. The trend compares the
latest night that ran these cells with all nights before it: `rising` and `falling` say that the two intervals do not
meet, `gone` that the latest night was long enough to show it (at the earlier rate, a night without it would come less
than once in twenty), `not seen` that it was not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Final, Literal

import msgspec

from .statistics import wilson

NEVER_SEEN_P: Final = 0.05
NIGHTS_SHOWN: Final = 10
_BARS: Final = "▁▂▃▄▅▆▇█"

Trend = Literal["new", "rising", "steady", "falling", "gone", "not seen"]
Cell = tuple[str, str]
"""Workload and profile."""


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign: when it began, the commit that it tested, and how many runs each cell had."""

    campaign: str
    started: str
    ref: str
    runs: Mapping[Cell, int]


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """A failing run of a campaign."""

    campaign: str
    cell: Cell
    signature: str
    seed: int
    ops: int
    simulated_seconds: float
    reproduce: str


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one signature.

    `rate` with `rate_low` and `rate_high` is over all nights; `seed` fails with the fewest ops of all. `nights` are the
    rates of the latest nights, the oldest first, None where its cells were not run.
    """

    signature: str
    runs: int
    of: int
    rate: float
    rate_low: float
    rate_high: float
    first: str
    first_ref: str
    last: str
    last_ref: str
    trend: Trend
    seed: int
    ops: int
    simulated_seconds: float
    reproduce: str
    nights: tuple[float | None, ...]

    @property
    def bars(self) -> str:
        """The rates of the latest nights as a line of bars; `.` is a night without it, a blank one that did not ask."""
        highest = max((rate for rate in self.nights if rate), default=0.0)
        return "".join(
            " " if rate is None else "." if not rate else _BARS[min(7, int(rate / highest * 8 - 1e-9))]
            for rate in self.nights
        )


def histories(nights: Iterable[Night], sightings: Iterable[Sighting]) -> list[History]:
    """Describe each signature, the one that was seen last first."""
    ordered = sorted(nights, key=lambda night: (night.started, night.campaign))
    by_signature: dict[str, list[Sighting]] = {}
    for sighting in sightings:
        by_signature.setdefault(sighting.signature, []).append(sighting)
    described = [_describe(signature, ordered, seen) for signature, seen in by_signature.items()]
    return sorted(described, key=lambda one: (one.last, -one.runs, one.signature), reverse=True)


def _describe(signature: str, ordered: Sequence[Night], seen: Sequence[Sighting]) -> History:
    cells = {sighting.cell for sighting in seen}
    counts: dict[str, int] = {}
    for sighting in seen:
        counts[sighting.campaign] = counts.get(sighting.campaign, 0) + 1
    asked = [(night, sum(night.runs.get(cell, 0) for cell in cells)) for night in ordered]
    hits = [(counts.get(night.campaign, 0), runs) for night, runs in asked]
    when = [night for night in ordered if night.campaign in counts]
    total, of = sum(hit for hit, _ in hits), sum(runs for _, runs in hits)
    low, high = wilson(total, of)
    shortest = min(seen, key=lambda one: (one.ops, one.simulated_seconds, one.seed))
    return History(
        signature=signature,
        runs=total,
        of=of,
        rate=round(total / of, 6) if of else 0.0,
        rate_low=round(low, 6),
        rate_high=round(high, 6),
        first=when[0].started,
        first_ref=when[0].ref,
        last=when[-1].started,
        last_ref=when[-1].ref,
        trend=trend([(hit, runs) for hit, runs in hits if runs]),
        seed=shortest.seed,
        ops=shortest.ops,
        simulated_seconds=shortest.simulated_seconds,
        reproduce=shortest.reproduce,
        nights=tuple(round(hit / runs, 6) if runs else None for hit, runs in hits[-NIGHTS_SHOWN:]),
    )


def trend(hits: Sequence[tuple[int, int]]) -> Trend:
    """What the latest night says, of failures and runs a night, the oldest first; nights without runs are left out."""
    *earlier, (latest, runs) = hits
    before, before_runs = sum(hit for hit, _ in earlier), sum(of for _, of in earlier)
    if not before:
        return "new"
    if not latest:
        # How probable a night without it would be at the earlier rate.
        rate = before / before_runs
        is_gone = rate >= 1 or runs * log(1 - rate) < log(NEVER_SEEN_P)
        return "gone" if is_gone else "not seen"
    now, then = wilson(latest, runs), wilson(before, before_runs)
    if now[0] > then[1]:
        return "rising"
    return "falling" if now[1] < then[0] else "steady"
