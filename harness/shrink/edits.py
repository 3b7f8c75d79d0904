"""Edits: a plan with something taken out, still a plan that can run.

Each function takes a plan and gives a new one in which every name that is used exists: a node that goes takes its place
in groups, faults, clocks and disks with it. None of them knows why a plan is edited. A fault that is left without a
target goes too, since a fault of nobody is another fault (of all links, for packets).

Names and ids stay as they are, because draws are keyed by them: what is left does what it did, as far as causality
allows. Only threads are numbered anew: the number of a process that acts again after `info` is counted on from them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import msgspec

from harness.faults.fault import FOREVER, Fault
from harness.plans.plan import Gates, Phases, Plan, PlannedOp, Program, Redraw

Value = TypeVar("Value")

replace = msgspec.structs.replace

NO_GATES = Gates(ok_before=0, ok_during=0, ok_after=0, fault_kinds=False)


def asked_for(plan: Plan, signature: str) -> Plan:
    """The plan that is judged for one failure: without gates, and without liveness unless the failure is one of it.

    Gates would call a small plan vacuous; and a plan that leaves no time to recover says nothing about recovery.
    """
    is_liveness = signature.startswith("liveness/")
    return replace(plan, gates=NO_GATES, check=replace(plan.check, liveness=plan.check.liveness and is_liveness))


def without_faults(plan: Plan, ids: Collection[str]) -> Plan:
    """Take out faults, by id."""
    return replace(plan, faults=tuple(fault for fault in plan.faults if fault.id not in ids))


def with_fault(plan: Plan, changed: Fault) -> Plan:
    """Put a fault in place of the one with its id."""
    return replace(plan, faults=tuple(changed if fault.id == changed.id else fault for fault in plan.faults))


def without_ops(plan: Plan, ids: Collection[int]) -> Plan:
    """Take out operations, by id: those of the programs, recovery operations and final reads."""

    def kept(op: PlannedOp | None) -> PlannedOp | None:
        return None if op is None or op.id in ids else op

    programs = tuple(
        replace(
            program,
            ops=tuple(op for op in program.ops if op.id not in ids),
            recovery=kept(program.recovery),
            final=tuple(op for op in program.final if op.id not in ids),
        )
        for program in plan.programs
    )
    return replace(plan, programs=programs)


def without_client(plan: Plan, client: str, heir: str | None = None) -> Plan:
    """Take out a client with its programs; with an heir, another client does in its first program what they did."""
    orphaned = [program for program in plan.programs if program.client == client]
    programs = [program for program in plan.programs if program.client != client]
    if heir is not None:
        position = next(at for at, program in enumerate(programs) if program.client == heir)
        programs[position] = _joined(programs[position], orphaned)
    numbered = tuple(replace(program, thread=thread) for thread, program in enumerate(programs))
    return _without_actor(replace(plan, programs=numbered), client)


def without_node(plan: Plan, node: str) -> Plan:
    """Take out a node. Clients that had it as their home turn to the first node that is left."""
    left = [name for name in plan.nodes if name != node]
    groups = {
        name: replace(
            group,
            voters=tuple(voter for voter in group.voters if voter != node),
            learners=tuple(learner for learner in group.learners if learner != node),
        )
        for name, group in plan.groups.items()
    }
    actors = {
        name: replace(actor, home=left[0]) if actor.home == node else actor for name, actor in plan.actors.items()
    }
    disks = replace(plan.disks, actors=without_key(plan.disks.actors, node))
    return _without_actor(replace(plan, groups=groups, actors=actors, disks=disks), node)


def without_time(plan: Plan, begin_ns: int, end_ns: int) -> Plan:
    """Take out the time from `begin_ns` to `end_ns`. What was later comes earlier, what was within at its begin."""

    def moved(time_ns: int) -> int:
        if time_ns >= FOREVER:
            return time_ns
        return time_ns - max(0, min(time_ns, end_ns) - begin_ns)

    def due(op: PlannedOp) -> PlannedOp:
        return replace(op, due_ns=moved(op.due_ns))

    programs = tuple(
        replace(
            program,
            ops=tuple(map(due, program.ops)),
            recovery=None if program.recovery is None else due(program.recovery),
            final=tuple(map(due, program.final)),
        )
        for program in plan.programs
    )
    return replace(
        plan,
        programs=programs,
        faults=tuple(
            replace(fault, begin_ns=moved(fault.begin_ns), end_ns=moved(fault.end_ns)) for fault in plan.faults
        ),
        phases=_moved_phases(plan.phases, moved),
        schedule=replace(plan.schedule, redraws=_moved_redraws(plan, moved)),
    )


def moments(plan: Plan) -> tuple[int, ...]:
    """The instants of a plan, from 0 to its horizon: when something that it names begins, ends or is due."""
    phases = plan.phases
    recovered_ns = phases.heal_ns + phases.recovery_ns
    found = {0, phases.warmup_ns, phases.heal_ns, recovered_ns, recovered_ns + phases.quiet_ns, phases.horizon_ns}
    found.update(op.due_ns for op in all_ops(plan))
    found.update(time_ns for fault in plan.faults for time_ns in (fault.begin_ns, fault.end_ns))
    return tuple(sorted(time_ns for time_ns in found if time_ns <= phases.horizon_ns))


def all_ops(plan: Plan) -> tuple[PlannedOp, ...]:
    """Every operation of a plan, in the order in which they are due."""
    ops = [
        op
        for program in plan.programs
        for op in (*program.ops, *((program.recovery,) if program.recovery else ()), *program.final)
    ]
    return tuple(sorted(ops, key=lambda op: (op.due_ns, op.id)))


def without_key(values: Mapping[str, Value], key: str) -> dict[str, Value]:
    """A table without one entry."""
    return {name: value for name, value in values.items() if name != key}


def without_name(fault: Fault, name: str) -> Fault | None:
    """A fault that no longer names an actor; None when it is about nobody then."""
    changed: dict[str, object] = {}
    for field in fields_of(type(fault)):
        value = getattr(fault, field.name)
        if isinstance(value, tuple) and name in value:
            rest = tuple(one for one in value if one != name)
            if not rest and (field.required or field.name == "targets"):
                return None
            changed[field.name] = rest
        elif value == name and field.name not in ("id", "group"):
            return None
    return replace(fault, **changed) if changed else fault


@functools.cache
def fields_of(kind: type[Fault]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a kind of fault; reading them takes as long as a short run."""
    return msgspec.structs.fields(kind)


def _without_actor(plan: Plan, actor: str) -> Plan:
    """What clients and nodes have in common when they go."""
    faults = (without_name(fault, actor) for fault in plan.faults)
    return replace(
        plan,
        actors=without_key(plan.actors, actor),
        faults=tuple(fault for fault in faults if fault is not None),
        phases=replace(plan.phases, healed=tuple(name for name in plan.phases.healed if name != actor)),
        clocks=replace(plan.clocks, actors=without_key(plan.clocks.actors, actor)),
        overrides=tuple(one for one in plan.overrides if actor not in (one.source, one.target)),
    )


def _joined(heir: Program, others: Collection[Program]) -> Program:
    """A program that also does what others did; of the recovery operations its own stays."""
    ops = sorted((op for program in (heir, *others) for op in program.ops), key=lambda op: (op.due_ns, op.id))
    final = [op for program in (heir, *others) for op in program.final]
    recovery = next((program.recovery for program in (heir, *others) if program.recovery is not None), None)
    return replace(heir, ops=tuple(ops), final=tuple(final), recovery=recovery)


def _moved_redraws(plan: Plan, moved: Callable[[int], int]) -> tuple[Redraw, ...] | msgspec.UnsetType:
    redraws = plan.schedule.redraws
    if redraws is msgspec.UNSET:
        return redraws
    return tuple(replace(redraw, at_ns=moved(redraw.at_ns)) for redraw in redraws)


def _moved_phases(phases: Phases, moved: Callable[[int], int]) -> Phases:
    warmup_ns, heal_ns = moved(phases.warmup_ns), moved(phases.heal_ns)
    recovered_ns, horizon_ns = moved(phases.heal_ns + phases.recovery_ns), moved(phases.horizon_ns)
    closing_ns = moved(phases.horizon_ns - phases.final_ns)
    return replace(
        phases,
        warmup_ns=warmup_ns,
        faults_ns=heal_ns - warmup_ns,
        recovery_ns=recovered_ns - heal_ns,
        quiet_ns=closing_ns - recovered_ns,
        final_ns=horizon_ns - closing_ns,
    )
