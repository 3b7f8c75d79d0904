"""The size of a plan: what shrinking makes less of, and in which order it matters to a person.

Fewer faults come first, then fewer operations, clients and nodes, then fewer settings that a reader must wonder about,
then a shorter run. Sizes compare as tuples do. Every edit that is kept makes the size less, and all parts are whole
numbers from 0 on, so shrinking ends whatever its passes propose.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from harness.faults.fault import FOREVER, Fault
from harness.plans.labels import DEFAULT_LABEL
from harness.plans.plan import DiskSpec, LinkSpec, Plan, Schedule

from .edits import all_ops, fields_of

PLAIN_LINK: Final = LinkSpec(delay_min_ns=1_000_000, delay_max_ns=1_000_000)
"""A link that takes a millisecond, always, and loses nothing."""
PLAIN_DISK: Final = DiskSpec(fsync_min_ns=1_000_000, fsync_max_ns=1_000_000)
"""A disk whose fsync takes a millisecond, always."""

_DIGIT: Final = re.compile(rb"[1-9]")


class Size(NamedTuple):
    """How much a plan holds. `settings` counts what is not plain, `digits` those of its JSON that are not 0."""

    faults: int
    ops: int
    clients: int
    nodes: int
    settings: int
    length_ns: int
    fault_ns: int
    targets: int
    digits: int


def size_of(plan: Plan) -> Size:
    """Measure a plan."""
    horizon_ns = plan.phases.horizon_ns
    return Size(
        faults=len(plan.faults) + len(plan.overrides),
        ops=len(all_ops(plan)),
        clients=len(plan.clients),
        nodes=len(plan.nodes),
        settings=_settings(plan),
        length_ns=horizon_ns,
        fault_ns=sum(min(fault.end_ns, max(horizon_ns, fault.begin_ns)) - fault.begin_ns for fault in plan.faults),
        targets=sum(len(value) for fault in plan.faults for value in _tuples(fault)),
        digits=len(_DIGIT.findall(plan.to_json())),
    )


def _settings(plan: Plan) -> int:
    """How many things are set that could be plain."""
    plain = Schedule(seed=plan.schedule.seed, policy="fifo")
    return (
        len(plan.options)
        + len(plan.clocks.actors)
        + len(plan.disks.actors)
        + _differing(plan.disks.default, PLAIN_DISK)
        + _differing(plan.links.node, PLAIN_LINK)
        + _differing(plan.links.client, PLAIN_LINK)
        + _differing(plan.schedule, plain)
        + sum(actor.kind == "client" and actor.routing != "leader" for actor in plan.actors.values())
        + sum(actor.code != DEFAULT_LABEL for actor in plan.actors.values())
        + sum(_not_default(fault) for fault in plan.faults)
        + (plan.phases.heal != "total")
    )


def _differing(value: msgspec.Struct, plain: msgspec.Struct) -> int:
    return sum(getattr(value, name) != getattr(plain, name) for name in plain.__struct_fields__)


def _not_default(fault: Fault) -> int:
    """How many fields of a fault differ from their default; one without an end counts too."""
    set_: int = sum(
        not field.required and getattr(fault, field.name) != field.default for field in fields_of(type(fault))
    )
    return set_ + int(fault.end_ns >= FOREVER)


def _tuples(fault: Fault) -> list[tuple[object, ...]]:
    values = (getattr(fault, name) for name in fault.__struct_fields__)
    return [value for value in values if isinstance(value, tuple)]
