"""No vacuous pass: a run counts only if its faults bit and its clients got something done.

Gates turn a `valid` into an `unknown` (checker `gates`), never an `invalid` into anything. A run is vacuous when a
kind of fault that the plan uses at least twice was never effective, or when fewer ops than the plan's gates say were
ok before the faults, during them, or after the heal. Kinds that say so (`counts_with`) are one kind here: errors of
disks, of which one stops a node before it meets the next, and damage, of which one uses up the budget.

A kind of which the system lacks the capability, such as a step of a wall clock that no process reads, can do nothing to
it. Its faults are accounted for as `no-effect`, and a run is judged by its other faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from checkers.op import Op
from checkers.verdict import Verdict
from harness.faults.catalog import kinds_for
from harness.faults.fault import Fault
from harness.plans.plan import Plan


def judge(
    plan: Plan, history: Sequence[Op], fault_outcomes: Mapping[str, str], capabilities: Collection[str]
) -> Verdict:
    """Valid, or unknown with the reasons why the run says nothing about a system with these capabilities."""
    reasons = [*_empty_phases(plan, history)]
    if plan.gates.fault_kinds:
        reasons += _kinds_without_effect(plan, fault_outcomes, kinds_for(capabilities))
    return Verdict(
        validity="unknown" if reasons else "valid",
        checker="gates",
        reason="vacuous: " + "; ".join(reasons) if reasons else "",
    )


def _empty_phases(plan: Plan, history: Sequence[Op]) -> list[str]:
    phases = plan.phases
    ok = Counter(_phase(op.time, phases.warmup_ns, phases.heal_ns) for op in history if op.type == "ok")
    wanted = {"before": plan.gates.ok_before, "during": plan.gates.ok_during, "after": plan.gates.ok_after}
    words = {"before": "before the faults", "during": "during the faults", "after": "after the heal"}
    return [
        f"{ok[phase]} ok ops {words[phase]}, the plan asks for {least}"
        for phase, least in wanted.items()
        if ok[phase] < least
    ]


def _phase(time_ns: int, warmup_ns: int, heal_ns: int) -> str:
    if time_ns < warmup_ns:
        return "before"
    return "during" if time_ns < heal_ns else "after"


def _kinds_without_effect(plan: Plan, outcomes: Mapping[str, str], possible: Collection[str]) -> list[str]:
    def word(fault: Fault) -> str:
        return fault.counts_with or fault.kind

    used = Counter(word(fault) for fault in plan.faults if fault.kind in possible)
    effective = {word(fault) for fault in plan.faults if outcomes.get(fault.id) == "effective"}
    return [
        f"{count} faults of kind {kind}, none effective"
        for kind, count in sorted(used.items())
        if count >= 2 and kind not in effective
    ]
