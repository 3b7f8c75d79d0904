"""Drawing: from a seed to a plan.

`draw` is a pure function of its arguments. Each thing has a stream of its own (see rng), so that an explicit option
replaces one draw and shifts no other. Two values follow from others and are computed, not drawn: the length of the
recovery phase, which has to hold the liveness bound, and a heartbeat that would not fit under an explicit election
timeout.

The order below is the order in which a plan is thought up: who takes part, under which options, what breaks, what is
healed, what clients do, and what the run must have done to count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, Literal

import msgspec

from harness.errors import BadInput, one_of
from harness.faults.catalog import KINDS
from harness.faults.fault import Fault
from harness.faults.membership import Membership
from harness.systems.system import OptionSpec
from workloads.catalog import WORKLOADS
from workloads.generator import Event, Generator, evaluate, stagger, time_limit
from workloads.workload import Workload

from .classify import drift_bound, hindrances
from .patterns import FaultContext, lasting
from .plan import (
    Actor,
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
    PlannedOp,
    Program,
    Schedule,
)
from .profiles import MILLISECOND, PROFILES, SECOND, Choices, Profile
from .rng import MILLION, Stream, Streams, streams
from .swarm import timetable

_GROUP: Final = "g0"
_ASSUMED_TIMEOUT_MS: Final = 150
"""The election timeout of a system that has no such option."""
_SNAPSHOTS_BY_THEMSELVES: Final = 30
"""Entries between snapshots up to which compaction on command would mostly find nothing to do."""
_ASSUMED_CLIENT_TIMEOUT_MS: Final = 1_000
_WARMUP_TIMEOUTS: Final = 8
"""Room for a second election, if the first one is split, and for some ops after it."""
_ELECTIONS_AFTER_HEAL: Final = 12
"""So many rounds of elections, each of the longest timeout, may fail before recovery counts as failed."""
_FINAL_NS: Final = 2 * SECOND
_SLOW_DISK_NS: Final = 10 * MILLISECOND
_SLOW_LINK_NS: Final = 10 * MILLISECOND
_ROOMY_WINDOW: Final = 8
_ENTRY_BYTES: Final = 64
"""An append of so many bytes carries one entry, whatever number it may carry."""
_TOO_SLOW_PPM: Final = 150_000
_LARGE_RATE_PPM: Final = 4 * MILLION


class _Cast(msgspec.Struct, frozen=True):
    """Who takes part."""

    nodes: tuple[str, ...]
    clients: tuple[str, ...]
    routing: Literal["leader", "home", "any"]

    def home(self, thread: int) -> str:
        return self.nodes[thread % len(self.nodes)]

    def actors(self) -> dict[str, Actor]:
        actors = {name: Actor(kind="node") for name in self.nodes}
        for thread, name in enumerate(self.clients):
            actors[name] = Actor(kind="client", home=self.home(thread), routing=self.routing)
        return actors


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
    variant: str | None = None,
) -> Plan:
    """Draw the plan of a seed.

    `options` are those that the system knows; only they are drawn, and only they can be set by `explicit`. What is
    given instead of None replaces the draw of that thing. Raises BadInput (a ValueError) with one line for what does
    not exist.
    """
    explicit = dict(explicit or {})
    table, work = _profile(profile), _workload(workload)
    _refuse_unknown(explicit, options)
    _refuse_empty(nodes=nodes, concurrency=concurrency, rate=rate, duration_ns=duration_ns)
    open_stream = streams(seed)

    cast = _cast(open_stream, table, nodes, concurrency)
    drawn_options = _options(open_stream, table, options)
    effective = _with_explicit(drawn_options, explicit, options)
    timeout_ns = drawn_options.get("election_timeout_ms", _ASSUMED_TIMEOUT_MS) * MILLISECOND
    phases = _phases(table, effective, timeout_ns, duration_ns)
    clocks = _clocks(open_stream, table, cast, effective)
    context = _fault_context(open_stream, table, cast, clocks, effective, phases, timeout_ns)
    # What was drawn decides, not what is explicit: an explicit option changes that option only.
    context = msgspec.structs.replace(context, lease_reads=drawn_options.get("reads") == "lease")
    if 0 < drawn_options.get("snapshot_threshold", 0) <= _SNAPSHOTS_BY_THEMSELVES:
        fault_kinds = tuple(kind for kind in fault_kinds if kind != "compact")
    faults = timetable(open_stream, context, table.patterns, table.pacing, fault_kinds)
    phases, faults = _heal(open_stream, table, cast, context, phases, faults, fault_kinds)
    node_link = _node_links(open_stream, table, timeout_ns)
    disks = _disks(open_stream, table, cast)
    is_slow = node_link.delay_max_ns > _SLOW_LINK_NS or disks.default.fsync_max_ns > _SLOW_DISK_NS
    drawn_options = _consistent(drawn_options, {}, phases, is_slow=is_slow)
    effective = _consistent(_with_explicit(drawn_options, explicit, options), explicit, phases, is_slow=is_slow)
    chosen_variant = _variant(open_stream, work, variant)

    plan = Plan(
        drawn=Drawn(seed=seed, profile=profile, workload=workload, variant=chosen_variant, explicit=explicit),
        groups={_GROUP: Group(machine=work.machine, voters=cast.nodes)},
        actors=cast.actors(),
        options=effective,
        programs=_programs(open_stream, table, work, chosen_variant, cast, phases, timeout_ns, rate),
        faults=tuple(faults),
        phases=phases,
        links=Links(
            node=node_link,
            client=_choose(open_stream, "links/client", table.links),
        ),
        clocks=clocks,
        disks=disks,
        schedule=_schedule(open_stream, table),
        check=Check(model=work.model, bound_timeouts=_bound_timeouts(effective)),
    )
    return msgspec.structs.replace(plan, gates=_gates(plan))


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise BadInput(f"profile {name!r}", one_of(PROFILES), "--profile")
    return PROFILES[name]


def _workload(name: str) -> Workload:
    if name not in WORKLOADS:
        raise BadInput(f"workload {name!r}", one_of(WORKLOADS), "--workload")
    return WORKLOADS[name]


def _refuse_unknown(explicit: Mapping[str, Any], options: Sequence[OptionSpec]) -> None:
    known = [spec.name for spec in options]
    for name in explicit:
        if name not in known:
            raise BadInput(f"option {name!r}", one_of(sorted(known)), f"-o {name}={explicit[name]}")


def _refuse_empty(**numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise BadInput(str(value), "more than 0", f"--{name.removesuffix('_ns')}")


def _choose(open_stream: Streams, name: str, choices: Choices) -> Any:
    return open_stream(name).weighted(choices.values)


def _cast(open_stream: Streams, table: Profile, nodes: int | None, concurrency: int | None) -> _Cast:
    node_count = nodes or _choose(open_stream, "nodes", table.nodes)
    client_count = concurrency or _choose(open_stream, "clients", table.clients)
    return _Cast(
        tuple(f"n{number}" for number in range(1, node_count + 1)),
        tuple(f"c{number}" for number in range(1, client_count + 1)),
        _choose(open_stream, "routing", table.routing),
    )


def _options(open_stream: Streams, table: Profile, options: Sequence[OptionSpec]) -> dict[str, Any]:
    """Draw every option that both the profile and the system know."""
    drawn = {}
    for spec in options:
        choices = table.options.get(spec.name)
        if choices is not None:
            possible = [(value, weight) for value, weight in choices.values if _fits(spec, value)]
            if possible:
                drawn[spec.name] = open_stream(f"options/{spec.name}").weighted(possible)
        elif spec.name == "heartbeat_ms" and "election_timeout_ms" in table.options:
            timeout_ms = _choose(open_stream, "options/election_timeout_ms", table.options["election_timeout_ms"])
            drawn[spec.name] = timeout_ms // _choose(open_stream, "options/heartbeat_ms", table.heartbeats)
    return drawn


def _fits(spec: OptionSpec, value: Any) -> bool:
    if spec.words and isinstance(value, str):
        return value in spec.words
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return (spec.minimum is None or value >= spec.minimum) and (spec.maximum is None or value <= spec.maximum)


def _with_explicit(
    drawn: Mapping[str, Any], explicit: Mapping[str, Any], options: Sequence[OptionSpec]
) -> dict[str, Any]:
    """What runs: the explicit options, and the draws for the rest."""
    values = {**drawn, **explicit}
    effective = {spec.name: values[spec.name] for spec in options if spec.name in values}
    timeout_ms = int(effective.get("election_timeout_ms", 0))
    if timeout_ms and "heartbeat_ms" in drawn and "heartbeat_ms" not in explicit:
        fitting_ms = drawn["heartbeat_ms"] if 2 * drawn["heartbeat_ms"] <= timeout_ms else max(1, timeout_ms // 3)
        effective["heartbeat_ms"] = fitting_ms
    return effective


def _consistent(
    options: Mapping[str, Any], explicit: Mapping[str, Any], phases: Phases, *, is_slow: bool
) -> dict[str, Any]:
    """Undo draws that do not go with the others; what is explicit stays as it is.

    After a partial heal, an outsider that is heard but does not hear leads for ever without check-quorum, and deposes
    every leader of the healed set without pre-vote. Leases stand on voters that ignore candidates, which check-quorum
    brings. An entry at a time over slow links, or to slow disks, carries less than clients send: then no bound on
    recovery would be fair (`is_slow`).
    """
    mended: dict[str, Any] = {}
    if phases.heal == "partial":
        mended["pre_vote"] = True
    if phases.heal == "partial" or options.get("reads") == "lease":
        mended["check_quorum"] = True
    one_entry = options.get("max_entries_per_append") == 1 or options.get("max_append_bytes", MILLION) <= _ENTRY_BYTES
    if is_slow and options.get("max_inflight") == 1 and one_entry:
        mended["max_inflight"] = _ROOMY_WINDOW
    return {**options, **{name: mended[name] for name in mended if name in options and name not in explicit}}


def _milliseconds(options: Mapping[str, Any], name: str, otherwise: int) -> int:
    return int(options.get(name, otherwise)) * MILLISECOND


def _bound_timeouts(options: Mapping[str, Any]) -> int:
    """The liveness bound in longest election timeouts: some elections, after a client has waited in vain."""
    longest_ns = 2 * _milliseconds(options, "election_timeout_ms", _ASSUMED_TIMEOUT_MS)
    waiting_ns = _milliseconds(options, "client_timeout_ms", _ASSUMED_CLIENT_TIMEOUT_MS)
    return _ELECTIONS_AFTER_HEAL - (-waiting_ns // longest_ns)


def _phases(table: Profile, options: Mapping[str, Any], timeout_ns: int, duration_ns: int | None) -> Phases:
    longest_ns = 2 * _milliseconds(options, "election_timeout_ms", _ASSUMED_TIMEOUT_MS)
    waiting_ns = _milliseconds(options, "client_timeout_ms", _ASSUMED_CLIENT_TIMEOUT_MS)
    return Phases(
        warmup_ns=max(SECOND, _WARMUP_TIMEOUTS * max(timeout_ns, longest_ns // 2)),
        faults_ns=duration_ns or table.duration_ns,
        recovery_ns=(_bound_timeouts(options) + 1) * longest_ns,
        final_ns=max(_FINAL_NS, waiting_ns + SECOND // 2),
    )


def _clocks(open_stream: Streams, table: Profile, cast: _Cast, options: Mapping[str, Any]) -> Clocks:
    """Clocks that are wrong from the start, of some nodes, within the bound that leases assume."""
    slowest_ppm, fastest_ppm = _clock_bound(options)
    actors = {}
    for name in cast.nodes:
        stream = open_stream(f"clocks/{name}")
        place = stream.below(MILLION + 1)
        offset_ns = stream.log_uniform(1, 86_400_000) * MILLISECOND * stream.choice((-1, 1))
        if stream.chance_ppm(table.wrong_clocks_ppm):
            rate_ppm = slowest_ppm + (fastest_ppm - slowest_ppm) * place // MILLION
            actors[name] = ClockSpec(rate_ppm=rate_ppm, wall_offset_ns=offset_ns)
    return Clocks(actors=actors)


def _clock_bound(options: Mapping[str, Any]) -> tuple[int, int]:
    """The slowest and the fastest clock rate that leases allow."""
    bound = drift_bound(dict(options))
    return -(-MILLION // bound), MILLION * bound // 1


def _fault_context(
    open_stream: Streams,
    table: Profile,
    cast: _Cast,
    clocks: Clocks,
    options: Mapping[str, Any],
    phases: Phases,
    timeout_ns: int,
) -> FaultContext:
    slowest_ppm, fastest_ppm = _clock_bound(options)
    if table.clock_bound == "beyond":
        stream = open_stream("faults/clock-bound")
        slowest_ppm = slowest_ppm * stream.between(100_000, 600_000) // MILLION
        fastest_ppm = min(_LARGE_RATE_PPM, fastest_ppm * stream.between(1_300_000, 3_000_000) // MILLION)
    return FaultContext(
        nodes=cast.nodes,
        voters=cast.nodes,
        clients=cast.clients,
        begin_ns=phases.warmup_ns,
        end_ns=phases.heal_ns,
        timeout_ns=timeout_ns,
        slowest_ppm=slowest_ppm,
        fastest_ppm=fastest_ppm,
        wall_offsets={name: clock.wall_offset_ns for name, clock in clocks.actors.items()},
    )


def _heal(
    open_stream: Streams,
    table: Profile,
    cast: _Cast,
    context: FaultContext,
    phases: Phases,
    faults: list[Fault],
    fault_kinds: Sequence[str],
) -> tuple[Phases, list[Fault]]:
    """Decide what is healed; when not all is, give each outsider a fault that lasts. Number all faults."""
    stream = open_stream("heal")
    partial = stream.chance_ppm(table.partial_heal_ppm)
    healed = _healed_set(stream, cast, faults)
    if partial and faults and len(healed) < len(cast.nodes):
        phases = msgspec.structs.replace(
            phases,
            heal="partial",
            healed=(*healed, *(c for i, c in enumerate(cast.clients) if _reaches(cast, i, healed))),
        )
        for outsider in cast.nodes:
            if outsider not in healed:
                faults += lasting(open_stream(f"faults/lasting/{outsider}"), context, outsider, tuple(fault_kinds))
        faults.sort(key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind))
    return phases, [msgspec.structs.replace(fault, id=f"f{number}") for number, fault in enumerate(faults, 1)]


def _healed_set(stream: Stream, cast: _Cast, faults: Sequence[Fault]) -> tuple[str, ...]:
    """Nodes that hold a majority of every configuration that may be in force, and the home of one client."""
    size = len(cast.nodes)
    count = stream.between(size // 2 + 1, max(size // 2 + 1, size - 1))
    order = list(stream.shuffled(cast.nodes))
    healed = set(order[:count])
    if cast.routing == "home" and not any(cast.home(thread) in healed for thread in range(len(cast.clients))):
        healed.add(cast.home(0))
    configurations = [fault.voters for fault in faults if isinstance(fault, Membership)]
    for name in order[count:]:
        if all(2 * len(healed.intersection(voters)) > len(voters) for voters in configurations):
            break
        healed.add(name)
    return tuple(name for name in cast.nodes if name in healed)


def _reaches(cast: _Cast, thread: int, healed: tuple[str, ...]) -> bool:
    """Whether the client of a thread talks to the healed set: one that sticks to its home does when that is inside."""
    return cast.routing != "home" or cast.home(thread) in healed


def _variant(open_stream: Streams, work: Workload, explicit: str | None) -> str:
    names = [variant.name for variant in work.variants]
    if explicit is not None and explicit not in names:
        raise BadInput(f"variant {explicit!r} of workload {work.name}", one_of(names), "--variant")
    return explicit or open_stream("variant").weighted([(variant.name, variant.weight) for variant in work.variants])


def _programs(
    open_stream: Streams,
    table: Profile,
    work: Workload,
    variant: str,
    cast: _Cast,
    phases: Phases,
    timeout_ns: int,
    explicit_rate: float | None,
) -> tuple[Program, ...]:
    """Evaluate the workload's generator into the ops of each thread, then the recovery ops and the final reads.

    Recovery ops and final reads repeat until they are ok, so that only clients which can reach the healed set have any.
    """
    rate = Fraction(explicit_rate or _choose(open_stream, "rate", table.rates))
    stream = open_stream("program")
    traffic = work.generator(variant, stream)
    paced: Generator = time_limit(phases.heal_ns - timeout_ns, stagger(max(1, round(SECOND / rate)), traffic))
    events = evaluate(paced, threads=len(cast.clients), stream=stream, start_ns=timeout_ns)
    ops = _planned(events, len(cast.clients))
    healed = frozenset(phases.healed or cast.clients)
    able = tuple(thread for thread, client in enumerate(cast.clients) if client in healed)
    final = _final_reads(work, ops[-1], able, phases.horizon_ns - phases.final_ns)
    count = len(ops[-1]) + sum(map(len, final.values()))
    programs = []
    for thread, client in enumerate(cast.clients):
        call = work.recovery(thread)
        recovery = PlannedOp(id=count + thread, due_ns=phases.heal_ns, f=call.f, key=call.key, value=call.value)
        programs.append(
            Program(
                thread=thread,
                client=client,
                ops=tuple(ops[thread]),
                recovery=recovery if thread in able else None,
                final=tuple(final.get(thread, ())),
            )
        )
    return tuple(programs)


def _planned(events: Sequence[Event], threads: int) -> list[list[PlannedOp]]:
    """The ops of each thread, and last those of all threads in the order in which they are due."""
    ops: list[list[PlannedOp]] = [[] for _ in range(threads + 1)]
    for event in events:
        for call in event.calls:
            op = PlannedOp(id=len(ops[-1]), due_ns=event.due_ns, f=call.f, key=call.key, value=call.value)
            ops[event.thread].append(op)
            ops[-1].append(op)
    return ops


def _final_reads(
    work: Workload, ops: Sequence[PlannedOp], able: Sequence[int], due_ns: int
) -> dict[int, list[PlannedOp]]:
    """Share out the keys that were used among the threads that can read; each thread reads one at least."""
    keys = list(dict.fromkeys(op.key for op in ops if op.key is not None))
    final: dict[int, list[PlannedOp]] = {}
    if work.final is None or not keys:
        return final
    for number in range(max(len(keys), len(able))):
        call = work.final(keys[number % len(keys)])
        op = PlannedOp(id=len(ops) + number, due_ns=due_ns, f=call.f, key=call.key, value=call.value)
        final.setdefault(able[number % len(able)], []).append(op)
    return final


def _node_links(open_stream: Streams, table: Profile, timeout_ns: int) -> LinkSpec:
    """Links that leave room for elections; but for some, too slow for the timeout, under which only safety counts."""
    link: LinkSpec = _choose(open_stream, "links/node", table.links)
    slow = open_stream("links/too-slow").chance_ppm(_TOO_SLOW_PPM)
    most_ns = timeout_ns * 3 // 10
    if slow or link.delay_max_ns <= most_ns:
        return link
    return msgspec.structs.replace(link, delay_max_ns=most_ns, delay_min_ns=min(link.delay_min_ns, most_ns))


def _disks(open_stream: Streams, table: Profile, cast: _Cast) -> Disks:
    """One kind of disk for all, and in some seeds one node with a disk much slower."""
    low_ns, high_ns = _choose(open_stream, "disks", table.fsync_ns)
    stream = open_stream("disks/slow")
    slow, factor = stream.choice(cast.nodes), stream.between(3, 10)
    actors = {}
    if table.patterns and stream.chance_ppm(150_000) and high_ns <= 2 * MILLISECOND:
        actors[slow] = DiskSpec(fsync_min_ns=low_ns * factor, fsync_max_ns=high_ns * factor)
    return Disks(default=DiskSpec(fsync_min_ns=low_ns, fsync_max_ns=high_ns), actors=actors)


def _schedule(open_stream: Streams, table: Profile) -> Schedule:
    return Schedule(
        seed=open_stream("schedule/seed").below(1 << 53),
        policy=_choose(open_stream, "schedule/policy", table.policy),
        depth=open_stream("schedule/depth").between(1, 5),
        quantum_ns=_choose(open_stream, "schedule/quantum", table.quantum_ns),
        processing_max_ns=_choose(open_stream, "schedule/processing", table.processing_ns),
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
