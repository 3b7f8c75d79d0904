"""What a comparison found, as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import msgspec

from harness.errors import Exit

from .compare import Summary
from .measures import Change

WORDS = {Exit.VALID: "nothing speaks against it", Exit.INVALID: "worse", Exit.UNKNOWN: "undecided"}


def markdown(summaries: Sequence[Summary]) -> str:
    """Write the comparisons of one version with others."""
    base = summaries[0].a
    lines = [f"## Compared with `{base.spec}`", ""]
    lines += ["| version | verdict | pairs | identical | only it failed | only the base failed |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| `{one.b.spec}` | **{WORDS[Exit(one.exit)]}** | {len(one.pairs)} | {one.identical} | {one.worse} "
        f"| {one.better} |"
        for one in summaries
    ]
    for one in summaries:
        lines += _details(one)
    return "\n".join(lines) + "\n"


def _details(summary: Summary) -> list[str]:
    """New signatures with their reproductions, then the metrics."""
    lines = ["", f"### `{summary.b.spec}`"]
    for new in summary.new_signatures:
        lines += ["", f"New: `{new.signature}`", "", "```sh", new.reproduce, "```"]
    if summary.gone_signatures:
        lines += ["", f"No longer seen: {', '.join(f'`{signature}`' for signature in summary.gone_signatures)}"]
    if summary.incomparable:
        lines += ["", f"{len(summary.incomparable)} plans could not be run by both."]
    if summary.bounds is not msgspec.UNSET and summary.bounds.undecided:
        bounds = summary.bounds
        lines += ["", f"Undecided: {bounds.undecided} of {bounds.plans} plans; whatever they were, this fails on"]
        lines[-1] += f" {bounds.least:+.1%} to {bounds.most:+.1%} more of them."
    if summary.sequential is not msgspec.UNSET:
        tests = summary.sequential
        found = f"worse by {', '.join(f'`{name}`' for name in tests.accuses)}" if tests.accuses else "no accusation"
        lines += ["", f"{tests.test} after each of {tests.pairs} of {tests.of} pairs: {found}."]
    lines += ["", "| median of | base | this | better | worse | worse by | interval | p, corrected |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |"]
    lines += [_row(name, change, name in summary.accused) for name, change in summary.metrics.items()]
    return lines


def _value(value: float | None) -> str:
    """A value of a metric: `infinite` where too few calls were answered to say more, `-` where there is none."""
    return "-" if value is None else f"{value:g}" if isfinite(value) else "infinite"


def share_text(share: float | None) -> str:
    """By what share a metric is worse; `-` where that is not known."""
    if share is None:
        return "-"
    return f"{share:.1%}" if isfinite(share) else "infinite" if share > 0 else "-infinite"


def interval_text(change: Change) -> str:
    """Between which shares the effect lies; `-` where that is not known."""
    return (
        "-" if change.low is None or change.high is None else f"{share_text(change.low)} to {share_text(change.high)}"
    )


def _row(name: str, change: Change, is_accused: bool) -> str:
    worse_by = share_text(change.worse_by)
    values = [_value(value) for value in (change.a, change.b)]
    shown = f"**{name}**" if is_accused else name
    return (
        f"| {shown} | {values[0]} | {values[1]} | {change.better} | {change.worse} | {worse_by} "
        f"| {interval_text(change)} | {change.p_corrected:.2g} |"
    )
