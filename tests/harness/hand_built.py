"""Plans made by hand, for tests that need a plan and no particular one."""

from __future__ import annotations

from typing import Any

from harness.plans.plan import (
    Actor,
    Check,
    Clocks,
    Disks,
    DiskSpec,
    Drawn,
    Group,
    Links,
    LinkSpec,
    Phases,
    Plan,
    Schedule,
)

MS = 1_000_000
SECOND = 1_000 * MS


def a_plan(*, nodes: int = 1, clients: int = 1, seed: int = 1, link: LinkSpec | None = None, **fields: Any) -> Plan:
    """A plan of nodes n1, n2, ... and clients c1, c2, ... in which nothing happens; `fields` replace those of the plan.

    Ten seconds of faults begin after one second; recovery and final reads have one second each. A client's home is the
    node of its number, in turn.
    """
    names = tuple(f"n{number + 1}" for number in range(nodes))
    healthy = link or LinkSpec(delay_min_ns=MS, delay_max_ns=2 * MS)
    values: dict[str, Any] = {
        "drawn": Drawn(seed=seed, profile="calm", workload="register", variant="unique"),
        "groups": {"g0": Group(machine="register", voters=names)},
        "actors": {name: Actor(kind="node") for name in names}
        | {f"c{number + 1}": Actor(kind="client", home=names[number % nodes]) for number in range(clients)},
        "options": {},
        "programs": (),
        "phases": Phases(warmup_ns=SECOND, faults_ns=10 * SECOND, recovery_ns=SECOND, final_ns=SECOND),
        "links": Links(node=healthy, client=healthy),
        "clocks": Clocks(),
        "disks": Disks(default=DiskSpec(fsync_min_ns=MS, fsync_max_ns=MS)),
        "schedule": Schedule(seed=seed),
        "check": Check(model="cas-register"),
    }
    return Plan(**(values | fields))
