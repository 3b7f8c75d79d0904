"""Drawing: from a seed to a plan.

`draw` is a pure function of its arguments. Each thing has a stream of its own (see rng), so that an explicit option
replaces one draw and shifts no other. Two values follow from others and are computed, not drawn: the length of the
recovery phase, which has to hold the liveness bound, and a heartbeat that would not fit under an explicit election
timeout.

The order of the steps in `draw` is the order in which a plan is thought up: who takes part, under which options, what
breaks, what is healed, what clients do, and what the run must have done to count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from checkers.located import NotLocated
from harness.errors import BadInput, one_of
from harness.faults.catalog import KINDS
from harness.faults.fault import Fault
from harness.options import OptionSpec
from workloads.catalog import WORKLOADS, find
from workloads.workload import Workload

from .atlas import draw_atlas, within_budget
from .certain import with_certain_hits
from .classify import drift_bound, hindrances
from .drawn_options import Options, client_timeout_ns, draw_options, longest_election_timeout_ns
from .draws import Draws
from .live_profile import LIVE_PROFILES
from .participants import Participants, draw_heal, draw_participants
from .patterns import FaultContext
from .plan import (
    Check,
    Clocks,
    ClockSpec,
    Disks,
    DiskSpec,
    Drawn,
    Gates,
    Group,
    Links,
    LinkSpec,
    Phases,
    Plan,
    Schedule,
)
from .profiles import MILLISECOND, PROFILES, SECOND, Profile
from .programs import draw_programs
from .rng import MILLION, streams
from .swarm import timetable

_FREQUENT_SNAPSHOTS: Final = 30
"""Entries between snapshots up to which compaction on command would mostly find nothing to do."""
_WARMUP_TIMEOUTS: Final = 8
"""Time for a second election, if the first one is split, and for some ops after it."""
_FURTHER_REQUEST_NS: Final = SECOND // 4
"""Time in the warm-up for each further request of an operation, under slow links and disks."""
_ELECTIONS_AFTER_HEAL: Final = 12
"""The number of elections, each of the longest timeout, that may fail before recovery counts as failed."""
_BOUNDS_TO_RECOVER: Final = 3
"""Liveness bounds until the end of the recovery phase: leader and progress, one state, what an administrator asks."""
_QUIET_TIMEOUTS: Final = 8
"""Longest election timeouts without requests: a group that holds elections for no reason holds several in that time."""
_FINAL_NS: Final = 2 * SECOND
_SLOW_DISK_NS: Final = 10 * MILLISECOND
_SLOW_LINK_NS: Final = 10 * MILLISECOND
_TOO_SLOW_PPM: Final = 150_000
_LARGE_RATE_PPM: Final = 4 * MILLION


def draw(
    *,
    seed: int,
    profile: str,
    workload: str,
    options: Sequence[OptionSpec],
    explicit: Mapping[str, Any] | None = None,
    nodes: int | None = None,
    concurrency: int | None = None,
    rate: float | None = None,
    duration_ns: int | None = None,
    fault_kinds: Sequence[str] = tuple(KINDS),
    has_leader: bool = True,
    needs_majority_only: bool = True,
    variant: str | None = None,
) -> Plan:
    """Draw the plan of a seed.

    `options` are those that the system knows; only they are drawn, and only they can be set by `explicit`. What is
    given instead of None replaces the draw of that thing. For a system without a leader, faults that are aimed at a
    role are aimed at a node by name; where a majority is not enough, all is healed. Raises BadInput (a ValueError) with
    one line for what does not exist.
    """
    draws, work = Draws(streams=streams(seed), profile=_profile(profile)), _workload(workload)
    _refuse_empty(nodes=nodes, concurrency=concurrency, rate=rate, duration_ns=duration_ns)

    who = draw_participants(draws, nodes, concurrency)
    chosen = draw_options(draws, options, explicit or {})
    phases = _phases(draws, chosen, work, duration_ns)
    clocks = _clocks(draws, who, chosen)
    kinds = _useful_kinds(fault_kinds, chosen)
    context = _fault_context(draws, who, clocks, chosen, phases)
    faults = timetable(
        draws.streams, context, draws.profile.patterns, draws.profile.pacing, kinds, draws.profile.duration_ns
    )
    atlas, faults = within_budget(context.atlas, who.voters, faults)
    phases, numbered_faults = draw_heal(
        draws, who, context, phases, faults, kinds, atlas, may_be_partial=needs_majority_only
    )
    numbered_faults = with_certain_hits(draws.streams, context, numbered_faults, atlas, kinds)
    if not has_leader:
        numbered_faults = _aimed_by_name(draws, who, numbered_faults)
    links, disks = _links(draws, chosen), _disks(draws, who)
    effective = chosen.consistent(partial_heal=phases.heal == "partial", is_slow=_is_slow(links, disks))
    variant = _variant(draws, work, variant)

    plan = Plan(
        drawn=Drawn(seed=seed, profile=profile, workload=work.name, variant=variant, explicit=chosen.explicit),
        groups={name: Group(machine=work.machine, voters=who.voters, learners=who.learners) for name in work.groups},
        actors=who.actors(work.groups),
        options=effective,
        programs=draw_programs(draws, work, variant, who, phases, begin_ns=chosen.drawn_timeout_ns, rate=rate),
        faults=_spread(draws, numbered_faults, work.groups),
        phases=phases,
        links=links,
        clocks=clocks,
        disks=disks,
        schedule=_schedule(draws),
        atlas=atlas or msgspec.UNSET,
        check=Check(model=work.model, bound_timeouts=_bound_timeouts(effective, work)),
    )
    return msgspec.structs.replace(plan, gates=_gates(plan))


def _profile(name: str) -> Profile:
    known = {**PROFILES, **LIVE_PROFILES}
    if name not in known:
        raise BadInput(f"profile {name!r}", one_of(known, typed=name), "--profile")
    return known[name]


def _workload(name: str) -> Workload:
    try:
        found = find(name)
    except NotLocated as error:
        raise BadInput(error.found, error.expected, f"--workload {error.where}") from None
    if found is None:
        raise BadInput(f"workload {name!r}", one_of([*WORKLOADS, "FILE.py:NAME"], typed=name), "--workload")
    return found


def _variant(draws: Draws, work: Workload, explicit: str | None) -> str:
    names = [variant.name for variant in work.variants]
    if explicit is not None and explicit not in names:
        raise BadInput(f"variant {explicit!r} of workload {work.name}", one_of(names, typed=explicit), "--variant")
    return explicit or draws.streams("variant").weighted([(variant.name, variant.weight) for variant in work.variants])


def _refuse_empty(**numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise BadInput(str(value), "more than 0", f"--{name.removesuffix('_ns')}")


def _bound_timeouts(options: Mapping[str, Any], work: Workload) -> int:
    """The liveness bound in longest election timeouts: some elections, after a client has waited in vain."""
    waiting_ns = work.requests * client_timeout_ns(options)
    return _ELECTIONS_AFTER_HEAL - (-waiting_ns // longest_election_timeout_ns(options))


def _phases(draws: Draws, chosen: Options, work: Workload, duration_ns: int | None) -> Phases:
    options = chosen.effective
    longest_ns = longest_election_timeout_ns(options)
    return Phases(
        warmup_ns=max(SECOND, _WARMUP_TIMEOUTS * max(chosen.drawn_timeout_ns, longest_ns // 2))
        + (work.requests - 1) * _FURTHER_REQUEST_NS,
        faults_ns=duration_ns or draws.profile.duration_ns,
        recovery_ns=(_BOUNDS_TO_RECOVER * _bound_timeouts(options, work) + 1) * longest_ns,
        quiet_ns=_QUIET_TIMEOUTS * longest_ns,
        final_ns=_bound_timeouts(options, work) * longest_ns
        + max(_FINAL_NS, work.requests * client_timeout_ns(options) + SECOND // 2),
    )


def _clocks(draws: Draws, who: Participants, chosen: Options) -> Clocks:
    """Clocks that are wrong from the start, of some nodes, within the bound that leases assume."""
    slowest_ppm, fastest_ppm = _clock_bound(chosen)
    actors = {}
    for name in who.nodes:
        stream = draws.streams(f"clocks/{name}")
        place = stream.below(MILLION + 1)
        offset_ns = stream.log_uniform(1, 86_400_000) * MILLISECOND * stream.choice((-1, 1))
        if stream.chance_ppm(draws.profile.wrong_clocks_ppm):
            rate_ppm = slowest_ppm + (fastest_ppm - slowest_ppm) * place // MILLION
            actors[name] = ClockSpec(rate_ppm=rate_ppm, wall_offset_ns=offset_ns)
    return Clocks(actors=actors)


def _clock_bound(chosen: Options) -> tuple[int, int]:
    """The slowest and the fastest clock rate that leases allow."""
    bound = drift_bound(chosen.effective)
    return -(-MILLION // bound), MILLION * bound // 1


def _useful_kinds(kinds: Sequence[str], chosen: Options) -> tuple[str, ...]:
    """Leave out compaction on command where the drawn snapshots are so frequent that it would have no effect."""
    is_frequent = 0 < chosen.drawn.get("snapshot_threshold", 0) <= _FREQUENT_SNAPSHOTS
    return tuple(kind for kind in kinds if not (is_frequent and kind == "compact"))


def _fault_context(draws: Draws, who: Participants, clocks: Clocks, chosen: Options, phases: Phases) -> FaultContext:
    slowest_ppm, fastest_ppm = _clock_bound(chosen)
    if draws.profile.clock_bound == "beyond":
        stream = draws.streams("faults/clock-bound")
        slowest_ppm = slowest_ppm * stream.between(100_000, 600_000) // MILLION
        fastest_ppm = min(_LARGE_RATE_PPM, fastest_ppm * stream.between(1_300_000, 3_000_000) // MILLION)
    return FaultContext(
        nodes=who.nodes,
        voters=who.voters,
        clients=who.clients,
        begin_ns=phases.warmup_ns,
        end_ns=phases.heal_ns,
        timeout_ns=chosen.drawn_timeout_ns,
        slowest_ppm=slowest_ppm,
        fastest_ppm=fastest_ppm,
        wall_offsets={name: clock.wall_offset_ns for name, clock in clocks.actors.items()},
        atlas=draw_atlas(draws, who.nodes),
        lease_reads=chosen.drawn.get("reads") == "lease",
    )


def _links(draws: Draws, chosen: Options) -> Links:
    """Links that leave time for elections; in some seeds too slow for the timeout, so that only safety counts."""
    link: LinkSpec = draws.choose("links/node", draws.profile.links)
    too_slow = draws.streams("links/too-slow").chance_ppm(_TOO_SLOW_PPM)
    fair_ns = chosen.drawn_timeout_ns * 3 // 10
    if not too_slow and link.delay_max_ns > fair_ns:
        link = msgspec.structs.replace(link, delay_max_ns=fair_ns, delay_min_ns=min(link.delay_min_ns, fair_ns))
    return Links(node=link, client=draws.choose("links/client", draws.profile.links))


def _disks(draws: Draws, who: Participants) -> Disks:
    """One kind of disk for all, and in some seeds one node with a much slower disk."""
    low_ns, high_ns = draws.choose("disks", draws.profile.fsync_ns)
    stream = draws.streams("disks/slow")
    slow, factor = stream.choice(who.nodes), stream.between(3, 10)
    actors = {}
    if draws.profile.patterns and stream.chance_ppm(150_000) and high_ns <= 2 * MILLISECOND:
        actors[slow] = DiskSpec(fsync_min_ns=low_ns * factor, fsync_max_ns=high_ns * factor)
    return Disks(default=DiskSpec(fsync_min_ns=low_ns, fsync_max_ns=high_ns), actors=actors)


def _is_slow(links: Links, disks: Disks) -> bool:
    return links.node.delay_max_ns > _SLOW_LINK_NS or disks.default.fsync_max_ns > _SLOW_DISK_NS


def _spread(draws: Draws, faults: Sequence[Fault], groups: Sequence[str]) -> tuple[Fault, ...]:
    """Aim the faults that are about one group at any of them, each by a draw of its own."""
    if len(groups) == 1:
        return tuple(faults)
    return tuple(
        msgspec.structs.replace(fault, group=draws.streams(f"faults/group/{fault.id}").choice(groups))
        if "group" in fault.__struct_fields__
        else fault
        for fault in faults
    )


def _aimed_by_name(draws: Draws, who: Participants, faults: Sequence[Fault]) -> tuple[Fault, ...]:
    return tuple(
        fault.with_named_target(draws.streams(f"faults/aim/{fault.id}").shuffled(who.nodes))
        if fault.targets_role
        else fault
        for fault in faults
    )


def _schedule(draws: Draws) -> Schedule:
    return Schedule(
        seed=draws.streams("schedule/seed").below(1 << 53),
        policy=draws.choose("schedule/policy", draws.profile.policy),
        depth=draws.streams("schedule/depth").between(1, 5),
        quantum_ns=draws.choose("schedule/quantum", draws.profile.quantum_ns),
        processing_max_ns=draws.choose("schedule/processing", draws.profile.processing_ns),
    )


def _gates(plan: Plan) -> Gates:
    """What a run must have done to count: some ops before the faults and after the heal; without faults, most."""
    planned = sum(len(program.ops) for program in plan.programs)
    wanted = 0 if hindrances(plan) else 1
    return Gates(
        ok_before=wanted,
        ok_during=planned // 2 if not plan.faults else 0,
        ok_after=wanted,
    )
