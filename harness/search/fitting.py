"""Fitting: whether code of another version can run a plan as it stands.

A plan sets options that a version may not know. Where the value is the option's neutral one, code without the option
does the same, and the plan may leave it out; any other value cannot be asked of it. Nothing else is ever dropped from a
plan, since it would be another plan.
"""

from __future__ import annotations

import msgspec

from harness.plans.plan import Plan
from harness.run.drawing import Abilities, abilities_of
from harness.systems.binding import Binding
from harness.systems.catalog import load_systems


def missing(plan: Plan, able: Abilities, described: Abilities) -> list[str]:
    """Options of the plan that a version lacks and that do not have their neutral value, as `described` has it."""
    known = {option.name for option in able.options}
    neutral = {option.name: option.neutral for option in described.options}
    return [
        name
        for name, value in plan.options.items()
        if name not in known and (name not in neutral or neutral[name] != value)
    ]


def misfit(plan: Plan, able: Abilities, described: Abilities) -> str:
    """Why a version cannot run a plan as it stands; empty when it can. `described` can do all that plans ask for."""
    if lacking := missing(plan, able, described):
        return "no option " + ", ".join(f"{name}={plan.options[name]}" for name in lacking)
    workload = plan.drawn.workload
    if workload in described.workloads and workload not in able.workloads:
        return f"no workload {workload}"
    unknown = sorted({fault.kind for fault in plan.faults} - set(able.fault_kinds))
    return f"no fault {', '.join(unknown)}" if unknown else ""


def without_absent(plan: Plan, able: Abilities) -> Plan:
    """The plan without options that a version does not know."""
    known = {option.name for option in able.options}
    options = {name: value for name, value in plan.options.items() if name in known}
    return plan if options == plan.options else msgspec.structs.replace(plan, options=options)


def fitted(plan: Plan, binding: Binding) -> Plan:
    """The plan as this code runs it."""
    return without_absent(plan, abilities_of(load_systems(binding).values()))
