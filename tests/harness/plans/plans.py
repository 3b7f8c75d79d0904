"""Small plans and option lists for the tests of this folder."""

from __future__ import annotations

from typing import Any

from harness.faults.fault import Fault
from harness.options import OptionSpec
from harness.plans.draw import draw
from harness.plans.plan import Clocks, Disks, DiskSpec, LinkSpec, Phases, Plan
from tests.harness.hand_built import a_plan

SECOND = 1_000_000_000
NODES = ("n1", "n2", "n3", "n4", "n5")
CLIENTS = ("c1", "c2")

OPTIONS = tuple(
    OptionSpec(name=name, type="", default=None, neutral=None)
    for name in (
        "election_timeout_ms",
        "heartbeat_ms",
        "pre_vote",
        "check_quorum",
        "reads",
        "lease_drift_bound",
        "sessions",
        "max_entries_per_append",
        "max_inflight",
        "max_append_bytes",
        "snapshot_threshold",
        "client_timeout_ms",
        "client_attempt_timeout_ms",
    )
)


def drawn(seed: int = 1, profile: str = "swarm", workload: str = "register", **explicit: Any) -> Plan:
    """A drawn plan of a system that knows all options and faults."""
    return draw(seed=seed, profile=profile, workload=workload, **({"options": OPTIONS} | explicit))


def built(
    *faults: Fault,
    healed: tuple[str, ...] = (),
    options: dict[str, Any] | None = None,
    clocks: Clocks | None = None,
    delay_max_ns: int = 1_000_000,
    **fields: Any,
) -> Plan:
    """A plan of five nodes and two clients, by hand; the faults are between 1 s and 11 s."""
    return a_plan(
        nodes=len(NODES),
        clients=len(CLIENTS),
        link=LinkSpec(delay_min_ns=0, delay_max_ns=delay_max_ns),
        options=options or {},
        faults=faults,
        phases=Phases(
            warmup_ns=SECOND,
            faults_ns=10 * SECOND,
            recovery_ns=SECOND,
            final_ns=SECOND,
            heal="partial" if healed else "total",
            healed=healed,
        ),
        clocks=clocks or Clocks(),
        disks=Disks(default=DiskSpec(fsync_min_ns=0, fsync_max_ns=1_000_000)),
        **fields,
    )
