"""Faults of a run in text: when each was in force, whom it met, and what it did."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from typing import Final

from checkers.trace import Row
from harness.faults.fault import Fault
from harness.plans.plan import Plan
from harness.record import RunRecord
from harness.reports import timeline

from .drawing import Drawing, cut, one_cell

_HEADINGS: Final = ("fault", "seconds", "kind", "whom", "what it did")
_WHOM_MAX: Final = 11
_DID_MIN: Final = 16


def fault_table(
    plan: Plan, record: RunRecord, rows: Sequence[Row] | None, *, width: int, only: Collection[str] | None = None
) -> Drawing:
    """Draw the faults with the ids in `only`, or all, in the order of the plan. What did nothing is dim."""
    end_ns = rows[-1][0] if rows else int(record.simulated_seconds * 1e9)
    listed = timeline.faults(plan, record, rows, end_ns)
    lines: list[tuple[str, ...]] = [_HEADINGS]
    acted = [False]
    for fault, (id_, kind, begin, end, outcome, targets, _) in zip(plan.faults, listed, strict=True):
        if only is not None and id_ not in only:
            continue
        whom = cut(one_cell(targets.replace(", ", ",") or ",".join(fault.aimed_at)) or "-", _WHOM_MAX)
        when = f"{begin / 1e6:.3f}..{end / 1e6:.3f}" if outcome != "no-target" else "-"
        lines.append((id_, when, kind, whom, deed(fault, outcome, record.fault_hits.get(id_))))
        acted.append(outcome == "effective")
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS) - 1)]
    drawing = Drawing(width)
    for line, did in zip(lines, acted, strict=True):
        start = "".join(f"  {cell:<{length}}" for cell, length in zip(line, widths, strict=False)) + "  "
        for number, part in enumerate(textwrap.wrap(line[-1], max(_DID_MIN, width - len(start)))):
            drawing.line(((" " * len(start) if number else start) + part, "" if did else "dim"))
    return drawing


def deed(fault: Fault, outcome: str, hits: int | None) -> str:
    """What a fault did, in words: what counts for its kind, and how often that happened where it is known."""
    if outcome == "no-target":
        return "nothing: it had no target"
    if outcome == "no-effect":
        return "nothing: nobody met it"
    said = fault.deed or fault.effective_when.removeprefix("it ") or outcome
    return f"{said}, {hits:,} times" if hits is not None and hits > 1 else said
