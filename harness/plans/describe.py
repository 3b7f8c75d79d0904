"""A plan as lines for people: everything that was drawn, and the timetable of faults.

Nothing is left out that a run depends on but the single ops; the words are those of the plan file, so that a line can
be found there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from harness.faults.fault import FOREVER, Fault
from harness.faults.upgrades import Upgrade
from harness.faults.wording import decimal, span

from .classify import classify
from .labels import DEFAULT_LABEL
from .plan import ClockSpec, DiskSpec, Drawn, LinkSpec, Plan

_LABEL_WIDTH: Final = 11
_MILLION: Final = 1_000_000


def lines(plan: Plan) -> tuple[str, ...]:
    """The plan, line by line."""
    return (*settings(plan), *timetable(plan))


def settings(plan: Plan) -> tuple[str, ...]:
    """All but the faults."""
    drawn, classification = plan.drawn, classify(plan)
    return _labelled(
        ("plan", _origin(drawn)),
        ("class", "; ".join((classification.plan_class, *classification.reasons))),
        ("actors", _actors(plan)),
        *_codes(plan),
        ("traffic", _traffic(plan)),
        ("options", _options(plan)),
        ("links", f"nodes {_link(plan.links.node)}; clients {_link(plan.links.client)}"),
        ("disks", _deviating(_disk(plan.disks.default), ((n, _disk(d)) for n, d in plan.disks.actors.items()))),
        ("clocks", _deviating("right", ((name, _clock(clock)) for name, clock in plan.clocks.actors.items()))),
        *([("atlas", _atlas(plan))] if plan.damageable else []),
        ("schedule", _schedule(plan)),
        *_redraws(plan),
        ("phases", _phases(plan)),
    )


def summary(plan: Plan) -> tuple[str, ...]:
    """The plan in at most six lines, without what is only a number."""
    drawn, classification, phases = plan.drawn, classify(plan), plan.phases
    explicit = ", ".join(f"{name}={_value(plan.options[name])}" for name in drawn.explicit if name in plan.options)
    rest = f"{len(plan.options) - len(drawn.explicit)} drawn"
    reasons = "; ".join((classification.plan_class, *classification.reasons))
    return _labelled(
        ("plan", _origin(drawn)),
        *([("class", reasons)] if classification.reasons else []),
        ("actors", _actors(plan)),
        *_codes(plan),
        ("traffic", _traffic(plan)),
        ("options", f"{explicit}, {rest}" if explicit else rest),
        *_redraws(plan),
        (
            "phases",
            f"warm-up {span(phases.warmup_ns)}, faults {span(phases.faults_ns)}, {phases.heal} heal, "
            f"recovery {span(phases.recovery_ns)}, quiet {span(phases.quiet_ns)}",
        ),
    )


def timetable(plan: Plan) -> tuple[str, ...]:
    """The faults, one a line: id, begin, how long, kind, and what it does to whom."""
    if not plan.faults:
        return _labelled(("faults", "none"))
    kinds = {fault.kind for fault in plan.faults}
    return (*_labelled(("faults", f"{len(plan.faults)}, of {len(kinds)} kinds")), *table(plan.faults))


def table(faults: Sequence[Fault]) -> tuple[str, ...]:
    """Some faults as aligned lines."""
    if not faults:
        return ()
    rows = [
        (fault.id, _instant(fault.begin_ns), _length(fault), fault.kind, " ".join(fault.particulars()))
        for fault in faults
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return tuple(
        f"  {name:<{widths[0]}}  {begin:>{widths[1]}}  {length:>{widths[2]}}  {kind:<{widths[3]}}  {what}".rstrip()
        for name, begin, length, kind, what in rows
    )


def _origin(drawn: Drawn) -> str:
    upgraded = ", upgraded" if drawn.upgraded is True else ""
    return f"seed {drawn.seed}, profile {drawn.profile}, workload {drawn.workload} ({drawn.variant}){upgraded}"


def _labelled(*pairs: tuple[str, str]) -> tuple[str, ...]:
    return tuple(f"{label:<{_LABEL_WIDTH}} {text}" for label, text in pairs)


def _instant(time_ns: int) -> str:
    return f"{time_ns // 1_000_000_000}.{time_ns % 1_000_000_000 // 1_000_000:03} s"


def _length(fault: Fault) -> str:
    return "for good" if fault.end_ns >= FOREVER else f"+{span(fault.end_ns - fault.begin_ns)}"


def _names(names: Iterable[str]) -> str:
    return ",".join(names)


def _actors(plan: Plan) -> str:
    routings = dict.fromkeys(plan.actors[name].routing for name in plan.clients)
    members = {name for group in plan.groups.values() for name in (*group.voters, *group.learners)}
    learners = {name for group in plan.groups.values() for name in group.learners}
    spare = [name for name in plan.nodes if name not in members]
    counts = ((len(learners), "learners"), (len(spare), "outside"))
    others = ", ".join(f"{count} {what}" for count, what in counts if count)
    nodes = f"{len(plan.nodes)} nodes ({others})" if others else f"{len(plan.nodes)} nodes"
    return f"{nodes}, {len(plan.clients)} clients (routing {', '.join(routings) or 'none'})"


def _codes(plan: Plan) -> list[tuple[str, str]]:
    """Who begins with older code, where anybody does."""
    older = [name for name, actor in sorted(plan.actors.items()) if actor.code != DEFAULT_LABEL]
    if not older:
        return []
    upgraded = {name for fault in plan.faults if isinstance(fault, Upgrade) for name in fault.targets}
    left = [name for name in older if name in plan.nodes and name not in upgraded]
    behind = f"; {_names(left)} until the heal at least" if left else ""
    return [("upgrade", f"{_names(older)} begin with older code{behind}")]


def _traffic(plan: Plan) -> str:
    ops = [op for program in plan.programs for op in program.ops]
    keys = dict.fromkeys(op.key for op in ops)
    functions: dict[str, int] = {}
    for op in ops:
        functions[op.f] = functions.get(op.f, 0) + 1
    counts = ", ".join(f"{functions[f]} {f}" for f in sorted(functions))
    return f"{len(ops)} ops on {len(keys)} keys: {counts}" if ops else "no ops"


def _options(plan: Plan) -> str:
    explicit = plan.drawn.explicit
    said = (
        f"{name}={_value(value)}{' (explicit)' if name in explicit else ''}" for name, value in plan.options.items()
    )
    return ", ".join(said) or "none drawn"


def _value(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _range(low_ns: int, high_ns: int) -> str:
    return span(low_ns) if low_ns == high_ns else f"{span(low_ns)} to {span(high_ns)}"


def _link(link: LinkSpec) -> str:
    if link.shape == "exponential":
        delay = f"{span(link.delay_min_ns)} and exponentially more, {span(link.delay_max_ns)} on average"
    else:
        delay = _range(link.delay_min_ns, link.delay_max_ns)
    loss = f", {decimal(link.loss_ppm, 10_000)} % lost" if link.loss_ppm else ""
    duplicate = f", {decimal(link.duplicate_ppm, 10_000)} % twice" if link.duplicate_ppm else ""
    return delay + loss + duplicate


def _disk(disk: DiskSpec) -> str:
    return f"fsync {_range(disk.fsync_min_ns, disk.fsync_max_ns)}"


def _clock(clock: ClockSpec) -> str:
    return f"rate {decimal(clock.rate_ppm, _MILLION)}, wall off by {span(clock.wall_offset_ns)}"


def _deviating(default: str, others: Iterable[tuple[str, str]]) -> str:
    return "; ".join((default, *(f"{name}: {text}" for name, text in others)))


def _atlas(plan: Plan) -> str:
    """Which disks may be damaged where."""
    return "; ".join(f"{region} of {_names(names) or 'nobody'}" for region, names in plan.damageable.items())


def _redraws(plan: Plan) -> list[tuple[str, str]]:
    """A line of the moments from which everything is drawn anew, if there are any."""
    redraws = plan.schedule.redraws or ()
    moments = ", ".join(f"from {_instant(redraw.at_ns)} on with salt {redraw.salt}" for redraw in redraws)
    return [("branch", f"all is drawn anew {moments}")] if redraws else []


def _schedule(plan: Plan) -> str:
    schedule = plan.schedule
    policy = f"pct of depth {schedule.depth}" if schedule.policy == "pct" else schedule.policy
    quantum = f"times in steps of {span(schedule.quantum_ns)}" if schedule.quantum_ns else "times not quantised"
    processing = (
        f"processing within {span(schedule.processing_max_ns)}" if schedule.processing_max_ns else "processing at once"
    )
    return f"ties {policy}, {quantum}, {processing}"


def _phases(plan: Plan) -> str:
    phases = plan.phases
    heal = f"heal of {_names(phases.healed)} only" if phases.heal == "partial" else "total heal"
    return (
        f"warm-up {span(phases.warmup_ns)}, faults {span(phases.faults_ns)}, {heal}, "
        f"recovery within {span(phases.recovery_ns)} (a bound is {plan.check.bound_timeouts} election timeouts), "
        f"quiet {span(phases.quiet_ns)}, final reads within {span(phases.final_ns)}"
    )
