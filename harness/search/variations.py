"""Variations: a plan made of other plans, by cutting, splicing, stretching, retargeting and repeating their faults.

`vary` is a pure function of its arguments, so that whoever knows the parents and the seed knows the plan. What comes
out is an ordinary plan: it replays, and shrinks, and says in `drawn.varied` whose child it is. A variation keeps the
class of its parent: where it does not, because a spliced change of members leaves damage no minority, another one is
drawn.

Gates are off. They ask whether a seed's faults were laid out well, which is no question to a plan that is one of many
neighbours, and would take the place of an unknown verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from harness.faults.fault import FOREVER, Fault
from harness.faults.partitions import Partition
from harness.plans.classify import classify
from harness.plans.drawn_options import longest_election_timeout_ns
from harness.plans.plan import Gates, Plan
from harness.plans.profiles import PROFILES
from harness.plans.rng import Stream
from harness.plans.swarm import FAULTS, without_overlaps

replace = msgspec.structs.replace

NO_GATES: Final = Gates(ok_before=0, ok_during=0, ok_after=0, fault_kinds=False)
_TRIES: Final = 4
"""Variations that are drawn until one keeps the class of the plan; after that only chance is drawn anew."""
_RESCHEDULED_PPM: Final = 700_000
"""How often everything that chance decides while running is drawn anew as well."""
_MILLISECOND: Final = 1_000_000
_FREE_OPTIONS: Final = (
    "max_entries_per_append",
    "max_inflight",
    "max_append_bytes",
    "snapshot_threshold",
    "trailing_entries",
    "snapshot_chunk_bytes",
    "segment_bytes",
    "session_ttl_ms",
    "storage",
)
"""Options on which neither the length of a phase nor the class of a plan rests, so that they may change alone."""


def vary(parent: Plan, donor: Plan, seed: int) -> Plan:
    """A variation of `parent`, perhaps with something of `donor`, under the number of a seed."""
    stream = Stream(seed, "variation")
    wanted = classify(parent).plan_class
    drawn = replace(parent.drawn, seed=seed, varied=(parent.drawn.seed, donor.drawn.seed))
    begun = replace(parent, drawn=drawn, gates=NO_GATES)
    for _ in range(_TRIES):
        plan = begun
        for _ in range(stream.weighted(((1, 5), (2, 3), (3, 2)))):
            plan = stream.weighted(_WAYS)(stream, plan, donor)
        if plan == begun or stream.chance_ppm(_RESCHEDULED_PPM):
            plan = _rescheduled(stream, plan, donor)
        if classify(plan).plan_class == wanted:
            return plan
    return _rescheduled(stream, begun, donor)


def _rescheduled(stream: Stream, plan: Plan, donor: Plan) -> Plan:
    """Draw anew what chance decides while running."""
    return replace(plan, schedule=replace(plan.schedule, seed=stream.below(1 << 53)))


def _cut(stream: Stream, plan: Plan, donor: Plan) -> Plan:
    """Leave out some faults, or all but those of one stretch of time."""
    faults = plan.faults
    if len(faults) < 2:
        return plan
    if stream.chance_ppm(500_000):
        kept = stream.subset(faults, stream.choice((400_000, 700_000, 900_000)))
    else:
        begin_ns, end_ns = _stretch_of(stream, plan)
        kept = tuple(fault for fault in faults if begin_ns <= fault.begin_ns < end_ns or fault.end_ns >= FOREVER)
    return replace(plan, faults=kept or faults)


def _splice(stream: Stream, plan: Plan, donor: Plan) -> Plan:
    """Add what happens in one stretch of time of another plan."""
    begin_ns, end_ns = _stretch_of(stream, donor)
    found = [fault for fault in donor.faults if begin_ns <= fault.begin_ns < end_ns and fault.end_ns < FOREVER]
    if not plan.damageable:
        found = [fault for fault in found if fault.counts_with != "damage"]
    if plan.phases.heal == "partial":  # who is healed was chosen for the configurations that there were
        found = [fault for fault in found if not fault.configurations]
    return _with_copies(stream, plan, [_renamed(fault, donor, plan) for fault in found], donor)


def _repeat(stream: Stream, plan: Plan, donor: Plan) -> Plan:
    """Let what happens in one stretch of time happen once more."""
    begin_ns, end_ns = _stretch_of(stream, plan)
    found = [fault for fault in plan.faults if begin_ns <= fault.begin_ns < end_ns and fault.end_ns < FOREVER]
    return _with_copies(stream, plan, found, plan)


def _stretch(stream: Stream, plan: Plan, donor: Plan) -> Plan:
    """Move the begin, the end or all of some faults, by up to a few election timeouts."""
    parts = stream.choice((150_000, 400_000, 1_000_000))
    reach_ns = _timeout_ns(plan) * stream.choice((1, 4, 20)) // 4

    def moved(fault: Fault) -> Fault:
        if not stream.chance_ppm(parts) or fault.end_ns >= FOREVER:
            return fault
        by_ns = stream.between(-reach_ns, reach_ns)
        match stream.choice(("all", "begin", "end")):
            case "all":
                return replace(fault, begin_ns=fault.begin_ns + by_ns, end_ns=fault.end_ns + by_ns)
            case "begin":
                return replace(fault, begin_ns=fault.begin_ns + by_ns)
            case _:
                return replace(fault, end_ns=fault.end_ns + by_ns)

    return _with_faults(plan, [moved(fault) for fault in plan.faults])


def _retarget(stream: Stream, plan: Plan, donor: Plan) -> Plan:
    """Let nodes change their parts: in all faults, or in those of one stretch of time."""
    nodes = plan.nodes
    parts = dict(zip(nodes, stream.shuffled(nodes), strict=True))
    begin_ns, end_ns = (0, FOREVER) if stream.chance_ppm(300_000) else _stretch_of(stream, plan)
    faults = [
        _with_names(fault, parts)
        if begin_ns <= fault.begin_ns < end_ns and fault.end_ns < FOREVER and fault.counts_with != "damage"
        else fault
        for fault in plan.faults
    ]
    return replace(plan, faults=tuple(faults))


def _options(stream: Stream, plan: Plan, donor: Plan) -> Plan:
    """Set one option that nothing else rests on to another value that the profile has, or to the donor's."""
    profile = PROFILES.get(plan.drawn.profile)
    free = [name for name in _FREE_OPTIONS if name in plan.options and name not in plan.drawn.explicit]
    if profile is None or not free:
        return plan
    name = stream.choice(free)
    values = [value for value, _ in profile.options[name].values] if name in profile.options else []
    value = stream.choice([*values, donor.options.get(name, plan.options[name])])
    changed = {**plan.options, name: value}
    if changed.get("max_inflight") == 1 != plan.options.get("max_inflight"):  # too slow with some other options
        return plan
    if name in ("max_entries_per_append", "max_append_bytes") and plan.options.get("max_inflight") == 1:
        return plan
    return replace(plan, options=changed)


def _tempo(stream: Stream, plan: Plan, donor: Plan) -> Plan:
    """Order what happens at one instant in another way."""
    policies = ("fifo", "random", "pct")
    schedule = replace(plan.schedule, policy=stream.choice(policies), depth=stream.between(1, 5))
    return replace(plan, schedule=schedule)


_Way = Callable[[Stream, Plan, Plan], Plan]
_WAYS: Final[tuple[tuple[_Way, int], ...]] = (
    (_splice, 4),
    (_repeat, 3),
    (_stretch, 3),
    (_retarget, 2),
    (_cut, 2),
    (_options, 2),
    (_tempo, 1),
)


def _timeout_ns(plan: Plan) -> int:
    return longest_election_timeout_ns(plan.options) // 2


def _stretch_of(stream: Stream, plan: Plan) -> tuple[int, int]:
    """A stretch of time that begins with a fault, from a few to forty election timeouts long."""
    length_ns = stream.log_uniform(2 * _timeout_ns(plan), 40 * _timeout_ns(plan))
    begins = [fault.begin_ns for fault in plan.faults]
    begin_ns = stream.choice(begins) if begins else plan.phases.warmup_ns
    return begin_ns, begin_ns + length_ns


def _with_copies(stream: Stream, plan: Plan, found: Sequence[Fault], donor: Plan) -> Plan:
    """Add faults at another moment, with their distances in election timeouts as they were."""
    if not found:
        return plan
    ours_ns, theirs_ns = _timeout_ns(plan), _timeout_ns(donor)
    first_ns = min(fault.begin_ns for fault in found)
    at_ns = stream.between(plan.phases.warmup_ns, plan.phases.heal_ns - 1)

    def scaled(time_ns: int) -> int:
        return at_ns + (time_ns - first_ns) * ours_ns // theirs_ns

    numbers = (number for number in range(1, 10_000) if f"v{number}" not in {fault.id for fault in plan.faults})
    copies = [
        replace(fault, id=f"v{number}", begin_ns=scaled(fault.begin_ns), end_ns=scaled(fault.end_ns))
        for fault, number in zip(found, numbers, strict=False)
    ]
    return _with_faults(plan, [*plan.faults, *copies])


def _with_faults(plan: Plan, faults: Sequence[Fault]) -> Plan:
    """The plan with these faults, each within the phase; lasting ones stay, and the latest go where there are many."""
    low_ns, high_ns = plan.phases.warmup_ns, plan.phases.heal_ns
    lasting = [fault for fault in faults if fault.end_ns >= FOREVER]
    others = [
        replace(
            fault,
            begin_ns=min(max(fault.begin_ns, low_ns), high_ns - _MILLISECOND),
            end_ns=min(max(fault.end_ns, low_ns + _MILLISECOND), high_ns),
        )
        for fault in faults
        if fault.end_ns < FOREVER
    ]
    kept = [*without_overlaps(others)[: FAULTS + FAULTS // 2], *lasting]
    return replace(plan, faults=tuple(sorted(kept, key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind))))


def _renamed(fault: Fault, donor: Plan, plan: Plan) -> Fault:
    """A fault of another plan for the actors of this one, who take the parts in turn."""
    names: dict[str, str] = {}
    for theirs, ours in ((donor.nodes, plan.nodes), (donor.clients, plan.clients)):
        names.update((name, ours[place % len(ours)]) for place, name in enumerate(theirs))
    renamed = _with_names(fault, names)
    if isinstance(renamed, Partition):
        missing = [name for name in plan.nodes if name not in renamed.order]
        renamed = replace(renamed, order=(*renamed.order, *missing))
    if "group" in fault.__struct_fields__ and fault.group not in plan.groups:  # type: ignore[attr-defined]  # just asked
        renamed = replace(renamed, group=next(iter(plan.groups)))
    return renamed


def _with_names(fault: Fault, names: dict[str, str]) -> Fault:
    changed: dict[str, object] = {}
    for field in fault.__struct_fields__:
        value = getattr(fault, field)
        if isinstance(value, tuple) and any(name in names for name in value):
            changed[field] = tuple(dict.fromkeys(names.get(name, name) for name in value))
        elif isinstance(value, str) and field not in ("id", "group", "code") and value in names:
            changed[field] = names[value]
    if "voters" in changed and "learners" in fault.__struct_fields__:
        changed["learners"] = changed.get("learners", getattr(fault, "learners"))  # noqa: B009
    for field in ("targets", "voters", "learners"):
        members, voters = changed.get(field), changed.get("voters")
        if isinstance(members, tuple):
            taken = voters if field == "learners" and isinstance(voters, tuple) else ()
            changed[field] = tuple(sorted(name for name in members if name not in taken))
    return replace(fault, **changed) if changed else fault
