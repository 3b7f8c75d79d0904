"""The plan of a scenario, which its first commands describe: without programs, faults or delays."""

from __future__ import annotations

from typing import Final

from harness.errors import BadInput, one_of
from harness.options import OptionValues
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
from harness.systems.system import System

from .language import Script

GROUP: Final = "g0"
"""The one group of a scenario."""

MODELS: Final = {"register": "cas-register", "lock": "mutex"}
"""Models of the machines whose model has another name."""

_UNLIMITED_NS: Final = 10**15


def plan_of(script: Script, system: System) -> Plan:
    """The plan of a scenario. Raises BadInput for actors, a machine or options that do not exist."""
    where = f"{script.name}:{script.steps[0].line}"
    words = script.steps[0].words[1:]
    voters = tuple(word for word in words if "=" not in word)
    options: OptionValues = {"sessions": "off"}
    options |= dict(word.split("=", 1) for word in words if "=" in word)
    machine: str = options.pop("machine", "register")
    if machine not in system.workloads:
        raise BadInput(f"machine {machine!r}", one_of(system.workloads), where)
    try:
        options = system.resolve(options)
    except ValueError as error:
        raise BadInput(str(error), "options of the system", where) from None
    spares = tuple(name for step in script.steps if step.words[0] == "spare" for name in step.words[1:])
    if len({*voters, *spares}) < len(voters) + len(spares) or not voters:
        raise BadInput(f"nodes {' '.join(voters + spares)}", "each node once, and at least one", where)
    link = LinkSpec(delay_min_ns=0, delay_max_ns=0)
    model = MODELS.get(machine, machine)
    return Plan(
        drawn=Drawn(seed=0, profile="scenario", workload=machine, variant=script.name),
        groups={GROUP: Group(machine=machine, voters=voters)},
        actors={name: Actor(kind="node") for name in voters + spares}
        | {name: Actor(kind="client") for name in script.clients},
        options=options,
        programs=(),
        phases=Phases(warmup_ns=0, faults_ns=_UNLIMITED_NS, recovery_ns=0, final_ns=0),
        links=Links(node=link, client=link),
        clocks=Clocks(),
        disks=Disks(default=DiskSpec(fsync_min_ns=0, fsync_max_ns=0)),
        schedule=Schedule(seed=0, policy="fifo"),
        check=Check(model=model, liveness=False),
    )
