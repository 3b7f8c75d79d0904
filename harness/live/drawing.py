"""What of a plan a live world can do, and what a live plan is in the simulated one.

A live plan is drawn like any other (`harness.plans.draw`), by the profile `live` unless another one is asked for. Then
what processes cannot be made to do is taken out: a machine cannot lose its power here, nor can a kill wait for a write,
an fsync that fails drops nothing of what the kernel has, and the heal is for all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from harness.faults.clocks import ClockRate
from harness.faults.crashes import Crash
from harness.faults.disk_errors import FsyncError
from harness.faults.fault import Fault
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.plan import Disks, DiskSpec, Links, LinkSpec, Plan

PROFILE: Final = "live"
LATE: Final = "ms late at most"
"""The mark that says by how much the harness was late: on a machine that is too busy, a run says little."""
CLOCK_OFF: Final = "ms a clock was off at most"
"""The mark that says by how much the clock of a node differed from true time, as the node itself found."""
LIVE_ONLY: Final = ("clients",)
"""Options that the live world adds to those of a system."""
_SECOND_NS: Final = 1_000_000_000
_RECOVERY_NS: Final = 20 * _SECOND_NS
_FINAL_NS: Final = 10 * _SECOND_NS


def possible(plan: Plan, kinds: Collection[str], *, tells_votes: bool) -> Plan:
    """The plan without what cannot happen to processes of a system that these kinds of faults can happen to.

    Where nodes do not tell for whom they vote, a fault aimed at one that voted for the leader is aimed at a follower.
    Recovery and final reads may take long: a run ends as soon as all clients are done.
    """
    phases = msgspec.structs.replace(
        plan.phases, recovery_ns=_RECOVERY_NS, quiet_ns=0, final_ns=_FINAL_NS, heal="total", healed=()
    )
    chosen = (fault for fault in plan.faults if fault.kind in kinds and not _meets_client(plan, fault))
    faults = tuple(_of_processes(fault if tells_votes else _at_follower(fault)) for fault in chosen)
    check = msgspec.structs.replace(plan.check, invariants=False, liveness=False)
    return msgspec.structs.replace(plan, phases=phases, faults=faults, check=check, overrides=(), atlas=msgspec.UNSET)


def simulated(plan: Plan, schedule: int = 0) -> Plan:
    """What the simulated world can run of a live plan, if it has the system: links and disks take some time there.

    What the machine decided in the live run, the seed of a schedule decides here; `schedule` counts several of them.
    """
    options = {name: value for name, value in plan.options.items() if name not in LIVE_ONLY}
    drawn = msgspec.structs.replace(
        plan.drawn, explicit={name: value for name, value in plan.drawn.explicit.items() if name not in LIVE_ONLY}
    )
    link = LinkSpec(delay_min_ns=200_000, delay_max_ns=1_000_000)
    disk = DiskSpec(fsync_min_ns=500_000, fsync_max_ns=2_000_000)
    return msgspec.structs.replace(
        plan,
        drawn=drawn,
        options=options,
        links=Links(node=link, client=link),
        disks=Disks(default=disk),
        schedule=msgspec.structs.replace(
            plan.schedule, seed=plan.schedule.seed + schedule, policy="random", processing_max_ns=200_000
        ),
        check=msgspec.structs.replace(plan.check, invariants=True),
    )


def _meets_client(plan: Plan, fault: Fault) -> bool:
    """Whether it would stop a client or change its clock: all clients share the process of the harness."""
    return isinstance(fault, Pause | ClockRate) and any(target in plan.clients for target in fault.targets)


def _at_follower(fault: Fault) -> Fault:
    if "@voter" not in fault.aimed_at:
        return fault
    others = fault.order[1:] if isinstance(fault, Partition) else ()
    return fault.with_named_target(("@follower", *others))


def _of_processes(fault: Fault) -> Fault:
    match fault:
        case Crash():
            return msgspec.structs.replace(fault, power=False, aim="", code=None)
        case FsyncError():
            return msgspec.structs.replace(fault, pages="clean")
        case Pause():
            return msgspec.structs.replace(fault, clock="runs")
        case _:
            return fault
