"""The passes of shrinking: what is tried, one record each, in the order of the table at the end of this file.

A pass looks at a plan once and proposes edits, from large to small. They are tried one after another, each on what the
accepted ones before it left, so an edit must mean something on any smaller plan too: it names what it takes out, and
does nothing where that is gone already. Whatever a pass proposes, an edit is kept only if the plan fails as before and
its size is less (`size`); so a new pass is a new row of the table, and can make a result worse in no way.

**Why this order.** What an edit saves is what the edits after it need not try, and what a run takes.

1. *length*: a failing run mostly fails long before its end. Cut first, every later trial is a shorter run.
2. *faults* before *operations*: a fault makes other things necessary (clients that meet it, time to recover from it),
   while operations seldom make a fault necessary. Faults are fewer, too: taking half of them out costs one run.
3. *clients*, then *operations*: a client takes a share of the operations along.
4. *nodes* when few faults name them; five nodes that become three halve the messages of every later run.
5. *gaps* of time only after what stood between them has gone.
6. *durations* and *targets* of the faults that are left, which are the necessary ones.
7. *codes*: who need not begin with older code, in a plan that upgrades nodes.
8. *options* and the other knobs last: they are cheap to read and say little. Before the faults are few, a default
   changes every message of a long run, and such an edit would be rejected for no reason but bad luck.

The passes are repeated until a whole round changes nothing: the smallest result of one pass is often what makes
another edit possible. A pass marked `redraws` is, at the very end, tried again under other seeds of the schedule:
taking out an operation shifts the number of each later message on a link, and so its delay; a race that was lost by
that luck is won again under some other one. Knobs are not worth the runs.

Taking out parts in halves, quarters and so on is delta debugging (Zeller and Hildebrandt 2002, section 3), without the
step to complements, which chunks from large to small make superfluous.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final, TypeVar

import msgspec

from harness.faults.fault import FOREVER, Fault
from harness.plans.labels import DEFAULT_LABEL
from harness.plans.plan import Plan, Schedule

from . import edits
from .size import PLAIN_DISK, PLAIN_LINK

Part = TypeVar("Part")
Edit = Callable[[Plan], Plan]
"""Makes a plan smaller. A plan to which it does not apply comes back as it is."""

replace = msgspec.structs.replace

_SHORTEST_GAP_NS: Final = 1_000_000
"""Time is not cut finer than to a millisecond: less is not read."""
_LENGTH_PARTS: Final = 8


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """One way to make a plan smaller. `redraws`: worth trying under other seeds of the schedule as well."""

    name: str
    edits: Callable[[Plan], Iterable[Edit]]
    redraws: bool = False


def chunks(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """All parts, both halves, all quarters, down to single ones; the last ones first, which mostly matter least."""
    size = len(parts)
    while size:
        for end in range(len(parts), 0, -size):
            yield parts[max(0, end - size) : end]
        size = size // 2 if size > 1 else 0


def _length(plan: Plan) -> Iterator[Edit]:
    horizon_ns = plan.phases.horizon_ns
    for eighths in range(1, _LENGTH_PARTS):
        yield partial(edits.without_time, begin_ns=horizon_ns * eighths // _LENGTH_PARTS, end_ns=horizon_ns)


def _faults(plan: Plan) -> Iterator[Edit]:
    for chunk in chunks([fault.id for fault in plan.faults]):
        yield partial(edits.without_faults, ids=frozenset(chunk))


def _overrides(plan: Plan) -> Iterator[Edit]:
    for chunk in chunks(plan.overrides):
        yield partial(_without_overrides, chunk=frozenset(chunk))


def _without_overrides(plan: Plan, chunk: frozenset[Any]) -> Plan:
    return replace(plan, overrides=tuple(one for one in plan.overrides if one not in chunk))


def _clients(plan: Plan) -> Iterator[Edit]:
    for client in plan.clients:
        yield partial(_only_client, client=client)
    for client in reversed(plan.clients):
        yield partial(_without_client, client=client)
    for client in reversed(plan.clients):
        for heir in plan.clients:
            if heir != client:
                yield partial(_without_client, client=client, heir=heir)


def _only_client(plan: Plan, client: str) -> Plan:
    for other in plan.clients:
        if other != client and client in plan.actors:
            plan = edits.without_client(plan, other)
    return plan


def _without_client(plan: Plan, client: str, heir: str | None = None) -> Plan:
    if client not in plan.actors or (heir is not None and heir not in {program.client for program in plan.programs}):
        return plan
    return edits.without_client(plan, client, heir)


def _ops(plan: Plan) -> Iterator[Edit]:
    for chunk in chunks([op.id for op in edits.all_ops(plan)]):
        yield partial(edits.without_ops, ids=frozenset(chunk))


def _nodes(plan: Plan) -> Iterator[Edit]:
    for first, second in pairwise(reversed(plan.nodes)):  # two at once: an even number of nodes tolerates no more
        yield partial(_without_nodes, nodes=(first, second))
    for node in reversed(plan.nodes):
        yield partial(_without_nodes, nodes=(node,))


def _without_nodes(plan: Plan, nodes: tuple[str, ...]) -> Plan:
    for node in nodes:
        if node in plan.actors and len(plan.nodes) > 1:
            plan = edits.without_node(plan, node)
    return plan


def _gaps(plan: Plan) -> Iterator[Edit]:
    """Cut the time in which nothing begins or ends; the latest first, so that cuts do not move those still to come."""
    gaps = [(begin, end) for begin, end in pairwise(edits.moments(plan)) if end - begin > _SHORTEST_GAP_NS]
    for begin, end in reversed(gaps):
        for kept in (0, (end - begin) // 4, (end - begin) // 2):
            kept -= kept % _SHORTEST_GAP_NS
            yield partial(_without_gap, begin_ns=begin, end_ns=end, kept_ns=kept)


def _without_gap(plan: Plan, begin_ns: int, end_ns: int, kept_ns: int) -> Plan:
    """Cut a gap, if it is still there, to what is kept of it."""
    if (begin_ns, end_ns) not in pairwise(edits.moments(plan)):
        return plan
    return edits.without_time(plan, begin_ns + kept_ns, end_ns)


def _durations(plan: Plan) -> Iterator[Edit]:
    """End faults sooner, and begin them later."""
    for fault in plan.faults:
        end_ns = min(fault.end_ns, plan.phases.horizon_ns)
        lasts_ns = end_ns - fault.begin_ns
        if lasts_ns <= _SHORTEST_GAP_NS:
            continue
        for kept in (_SHORTEST_GAP_NS, lasts_ns // 4, lasts_ns // 2):
            yield partial(_with_time, id_=fault.id, begin_ns=fault.begin_ns, end_ns=fault.begin_ns + kept)
        for kept in (lasts_ns // 4, lasts_ns // 2):
            yield partial(_with_time, id_=fault.id, begin_ns=end_ns - kept, end_ns=end_ns)


def _with_time(plan: Plan, id_: str, begin_ns: int, end_ns: int) -> Plan:
    """Shorten a fault, if it still lasts from before to after what is asked for."""
    for fault in plan.faults:
        if fault.id == id_ and fault.begin_ns <= begin_ns and end_ns <= fault.end_ns:
            return edits.with_fault(plan, replace(fault, begin_ns=begin_ns, end_ns=end_ns))
    return plan


def _targets(plan: Plan) -> Iterator[Edit]:
    """Take single names out of the faults, and then what is set in them but need not be."""
    for fault in plan.faults:
        for name in dict.fromkeys(name for value in _names(fault) for name in value):
            yield partial(_with_fewer_names, id_=fault.id, name=name)
        for field in edits.fields_of(type(fault)):
            if not field.required and getattr(fault, field.name) != field.default:
                yield partial(_with_default, id_=fault.id, name=field.name, default=field.default)


def _names(fault: Fault) -> list[tuple[str, ...]]:
    return [value for name in fault.__struct_fields__ if isinstance(value := getattr(fault, name), tuple)]


def _with_fewer_names(plan: Plan, id_: str, name: str) -> Plan:
    for fault in plan.faults:
        if fault.id == id_ and (changed := edits.without_name(fault, name)) is not None:
            return edits.with_fault(plan, changed)
    return plan


def _with_default(plan: Plan, id_: str, name: str, default: Any) -> Plan:
    for fault in plan.faults:
        if fault.id == id_:
            return edits.with_fault(plan, replace(fault, **{name: default}))
    return plan


def _options(plan: Plan) -> Iterator[Edit]:
    for chunk in chunks(sorted(plan.options)):
        yield partial(_without_options, names=frozenset(chunk))


def _without_options(plan: Plan, names: frozenset[str]) -> Plan:
    return replace(plan, options={name: value for name, value in plan.options.items() if name not in names})


def _clocks(plan: Plan) -> Iterator[Edit]:
    for chunk in chunks(sorted(plan.clocks.actors)):
        yield partial(_with_right_clocks, names=frozenset(chunk))


def _with_right_clocks(plan: Plan, names: frozenset[str]) -> Plan:
    actors = {name: clock for name, clock in plan.clocks.actors.items() if name not in names}
    return replace(plan, clocks=replace(plan.clocks, actors=actors))


def _disks(plan: Plan) -> Iterator[Edit]:
    for chunk in chunks(sorted(plan.disks.actors)):
        yield partial(_with_usual_disks, names=frozenset(chunk))
    yield lambda plan: replace(plan, disks=replace(plan.disks, default=PLAIN_DISK))


def _with_usual_disks(plan: Plan, names: frozenset[str]) -> Plan:
    actors = {name: disk for name, disk in plan.disks.actors.items() if name not in names}
    return replace(plan, disks=replace(plan.disks, actors=actors))


def _links(plan: Plan) -> Iterator[Edit]:
    yield lambda plan: replace(plan, links=replace(plan.links, client=PLAIN_LINK))
    yield lambda plan: replace(plan, links=replace(plan.links, node=PLAIN_LINK))
    for name in ("loss_ppm", "duplicate_ppm"):
        yield partial(_with_plain_links, field=name)


def _with_plain_links(plan: Plan, field: str) -> Plan:
    plain = {field: getattr(PLAIN_LINK, field)}
    node, client = replace(plan.links.node, **plain), replace(plan.links.client, **plain)
    return replace(plan, links=replace(plan.links, node=node, client=client))


def _schedule(plan: Plan) -> Iterator[Edit]:
    """Ties in the order in which they were made, at nanoseconds, and no time between arrival and processing."""
    plain = Schedule(seed=plan.schedule.seed, policy="fifo")
    yield partial(_with_schedule, changes={name: getattr(plain, name) for name in plain.__struct_fields__[1:]})
    yield partial(_with_schedule, changes={"redraws": plain.redraws})
    yield partial(_with_schedule, changes={"processing_min_ns": 0, "processing_max_ns": 0})
    yield partial(_with_schedule, changes={"quantum_ns": 0, "policy": "fifo", "depth": plain.depth})
    yield partial(_with_schedule, changes={"policy": "fifo", "depth": plain.depth})


def _with_schedule(plan: Plan, changes: Mapping[str, object]) -> Plan:
    return replace(plan, schedule=replace(plan.schedule, **changes))


def _codes(plan: Plan) -> Iterator[Edit]:
    """Let actors begin with the newest code: all of them, and then single ones."""
    older = [name for name, actor in plan.actors.items() if actor.code != DEFAULT_LABEL]
    for chunk in chunks(older):
        yield partial(_with_newest_code, names=frozenset(chunk))


def _with_newest_code(plan: Plan, names: frozenset[str]) -> Plan:
    return replace(
        plan,
        actors={
            name: replace(actor, code=DEFAULT_LABEL) if name in names else actor for name, actor in plan.actors.items()
        },
    )


def _rest(plan: Plan) -> Iterator[Edit]:
    """A total heal, faults that end with it, and clients that follow the leader."""
    yield _healed_in_total
    for fault in plan.faults:
        if fault.end_ns >= FOREVER:
            yield partial(_ended_by_the_heal, id_=fault.id)
    for client in plan.clients:
        yield partial(_following_the_leader, client=client)


def _healed_in_total(plan: Plan) -> Plan:
    return replace(plan, phases=replace(plan.phases, heal="total", healed=()))


def _ended_by_the_heal(plan: Plan, id_: str) -> Plan:
    heal_ns = plan.phases.heal_ns
    for fault in plan.faults:
        if fault.id == id_ and fault.begin_ns < heal_ns < fault.end_ns:
            return edits.with_fault(plan, replace(fault, end_ns=heal_ns))
    return plan


def _following_the_leader(plan: Plan, client: str) -> Plan:
    if client not in plan.actors:
        return plan
    return replace(plan, actors={**plan.actors, client: replace(plan.actors[client], routing="leader")})


PASSES: Final[tuple[Pass, ...]] = (
    Pass(name="length", edits=_length, redraws=True),
    Pass(name="faults", edits=_faults, redraws=True),
    Pass(name="overrides", edits=_overrides),
    Pass(name="clients", edits=_clients, redraws=True),
    Pass(name="operations", edits=_ops, redraws=True),
    Pass(name="nodes", edits=_nodes, redraws=True),
    Pass(name="gaps", edits=_gaps),
    Pass(name="durations", edits=_durations),
    Pass(name="targets", edits=_targets),
    Pass(name="codes", edits=_codes),
    Pass(name="options", edits=_options),
    Pass(name="clocks", edits=_clocks),
    Pass(name="disks", edits=_disks),
    Pass(name="links", edits=_links),
    Pass(name="schedule", edits=_schedule),
    Pass(name="rest", edits=_rest),
)
"""Every pass, in the order in which they are made."""
