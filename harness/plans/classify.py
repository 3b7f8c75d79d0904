"""The class of a plan: what may be expected of a correct system under it.

| class | a correct system is |
| --- | --- |
| tolerable | safe, and live after the heal |
| degrading | safe, but may stay unavailable: liveness is not judged |
| breaking | wrong in the named way, and in no other: an assumption of the options that run is violated |

The class is computed and never stored, so an edited plan cannot have the wrong one. It is **monotone**: removing or
shortening a fault never makes the class worse, adds a reason or widens what is allowed, because each reason is a claim
about *some* fault (or about the options) and never about the lack of one. Shrinking relies on that.

The assumptions, and what breaks them:

* `reads=local`, and `reads=serializable` of etcd, answers from the state of the node that is asked, without clock or
  quorum, so that stale reads are always allowed.
* `reads=lease` assumes that each node's monotonic clock runs at a rate in [1/b, b], b being `lease_drift_bound`
  (dissertation 6.4.1). A rate beyond it breaks this, and so does a pause in which the clock stands still, for it is a
  rate of zero. Steps of the wall clock do not. A plan that states no bound has promised nothing about rates: b counts
  as 1.
* Raft assumes that what an fsync has confirmed outlives a power loss, and that a node remembers what it answered for.
  A disk that lies breaks this, and so does one that loses the latest write that it confirmed. One that reports errors,
  is full or is slow does not: a node that cannot write stops.
* Liveness assumes that broadcast time is much below the election timeout (paper 5.6), and that after the heal a
  majority of every configuration which may be in force stands, with at least one client that can reach it. A node whose
  disk may be damaged does not count, because it may rightly refuse to start.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final, Literal

import msgspec

from harness.faults.clocks import is_within
from harness.faults.fault import FOREVER, Assumptions, Fault
from harness.options import OptionValues

from .plan import LinkSpec, Plan

PlanClass = Literal["tolerable", "degrading", "breaking"]

STALE_READS: Final = ("linearizability/", "reads/")
"""What reads without their assumption may show. No invariant of Raft rests on reads."""

_UNCHECKED_READS: Final = ("local", "serializable")
"""Words of `reads` under which the node that is asked answers from its own state; the second one is etcd's."""
_MILLION: Final = 1_000_000
_MILLISECOND: Final = 1_000_000


class Classification(msgspec.Struct, frozen=True, kw_only=True):
    """The class with its reasons. `allowed` holds prefixes of signatures that a broken assumption explains."""

    plan_class: PlanClass
    reasons: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    def allows(self, signature: str) -> bool:
        """Whether an anomaly of this signature is explained by a broken assumption of the plan."""
        return signature.startswith(self.allowed)


def classify(plan: Plan) -> Classification:
    """Compute the class of a plan."""
    broken = tuple(_broken_assumptions(plan))
    breaking = tuple(dict.fromkeys(reason for reason, _ in broken))
    degrading = hindrances(plan)
    if breaking:
        allowed = tuple(sorted({signature for _, signatures in broken for signature in signatures}))
        return Classification(plan_class="breaking", reasons=breaking + degrading, allowed=allowed)
    return Classification(plan_class="degrading" if degrading else "tolerable", reasons=degrading)


def hindrances(plan: Plan) -> tuple[str, ...]:
    """Why no progress can be expected under a plan, whether or not it also breaks an assumption."""
    return tuple(dict.fromkeys(_hindrances(plan)))


def _broken_assumptions(plan: Plan) -> Iterable[tuple[str, tuple[str, ...]]]:
    """What is assumed and does not hold, each with the signatures that it explains."""
    reads = plan.options.get("reads")
    if reads in _UNCHECKED_READS:
        yield f"reads={reads}: stale reads are possible without any fault", STALE_READS
    bound = drift_bound(plan.options) if reads == "lease" else None
    if bound is not None:
        for actor, clock in plan.clocks.actors.items():
            if actor in plan.nodes and not is_within(clock.rate_ppm, bound):
                yield "reads=lease: a clock runs beyond lease_drift_bound", STALE_READS
    assumptions = Assumptions(nodes=plan.nodes, clock_bound=bound)
    for fault in _happening(plan):
        for reason in fault.broken_assumptions(assumptions):
            yield reason, fault.allowed


def _hindrances(plan: Plan) -> Iterable[str]:
    if _broadcast_ns(plan) >= _election_timeout_ns(plan):
        yield "timing: a round of votes, or a heartbeat, may take an election timeout"
    felled = lost_nodes(plan)
    for voters in _configurations(plan):
        if 2 * len([name for name in voters if name not in felled]) <= len(voters):
            yield "quorum: damaged disks may fell a majority of a configuration"
    homes = [plan.actors[name].home for name in plan.clients if plan.actors[name].routing == "home"]
    if felled and homes and len(homes) == len(plan.clients) and felled.issuperset(homes):
        yield "clients: damaged disks may fell the homes of all"
    if plan.phases.heal == "total":
        return
    healed, actors = frozenset(plan.phases.healed), tuple(plan.actors)
    lost = {
        name
        for fault in _happening(plan)
        if fault.end_ns > plan.phases.heal_ns
        for name in fault.cut_off(actors)
        if name not in healed
    }
    for voters in _configurations(plan):
        if 2 * len([name for name in voters if name not in lost and name not in felled]) <= len(voters):
            yield "quorum: no majority of a configuration is healed"
    if plan.clients and lost.issuperset(plan.clients):
        yield "clients: none is healed"


def lost_nodes(plan: Plan) -> frozenset[str]:
    """The nodes that may refuse to start from some moment on: those that a fault may damage."""
    return frozenset(name for fault in _happening(plan) for name in fault.lost_nodes(plan.damageable))


def drift_bound(options: OptionValues) -> Fraction:
    """The bound b on clock rates that the options state; 1 when they state none."""
    return Fraction(str(options.get("lease_drift_bound", 1)))


def _happening(plan: Plan) -> Iterable[Fault]:
    """The faults that last some time within the run."""
    horizon_ns = plan.phases.horizon_ns
    return (fault for fault in plan.faults if fault.begin_ns < min(fault.end_ns, horizon_ns))


def _configurations(plan: Plan) -> Iterable[tuple[str, ...]]:
    """The sets of voters that may be in force, group by group."""
    for group in plan.groups.values():
        yield group.voters
    for fault in _happening(plan):
        yield from fault.configurations


def _broadcast_ns(plan: Plan) -> int:
    """What must fit into the election timeout: a round of votes with an fsync on either side, and a late heartbeat."""
    heartbeat_ns = int(plan.options.get("heartbeat_ms", 0)) * _MILLISECOND
    fsync_ns = max(disk.fsync_max_ns for disk in (plan.disks.default, *plan.disks.actors.values()))
    step_ns = _slowest_ns(plan.links.node) + plan.schedule.processing_max_ns + fsync_ns
    return step_ns + max(heartbeat_ns, step_ns)


def _slowest_ns(link: LinkSpec) -> int:
    """How long a message takes at most; of an exponential delay, whose maximum is a mean, all but two in a hundred."""
    span_ns = link.delay_max_ns - link.delay_min_ns
    return link.delay_min_ns + (4 * span_ns if link.shape == "exponential" else span_ns)


def _election_timeout_ns(plan: Plan) -> int:
    """The least election timeout; when the plan states none, the one of its code holds and nothing can be said."""
    return int(plan.options.get("election_timeout_ms", 0)) * _MILLISECOND or FOREVER
