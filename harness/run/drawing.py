"""A drawing: everything that decides a plan but the seed, as a person types it.

One drawing and a seed give one plan; a suite's cell, both sides of a comparison and every mutant search share a drawing
over many seeds. A drawing knows the command line that repeats it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from checkers.located import is_located
from harness import options
from harness.errors import BadInput, one_of
from harness.faults.catalog import kinds_for
from harness.options import OptionSpec
from harness.plans.plan import Plan, decode
from harness.quantities import duration_text
from harness.systems.system import System

SYSTEM: Final = "raft_impl"
"""What is tested when nobody says what."""


LiveNetwork = Literal["proxies", "namespaces"]
"""What brings about the faults of links in the live world."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan may ask of a system, as plain data: the code itself may live in another process."""

    workloads: tuple[str, ...]
    fault_kinds: tuple[str, ...]
    options: tuple[OptionSpec, ...]
    has_leader: bool = True
    """Whether a fault may be aimed at the leader, or at who voted for it."""
    needs_majority_only: bool = True
    """Whether the heal may leave a minority of the nodes broken."""
    versions: tuple[tuple[OptionSpec, ...], ...] = ()
    """The options of each of several versions."""


def abilities_of(systems: Iterable[System]) -> Abilities:
    """What all of these versions can be asked together."""
    return together(
        Abilities(
            workloads=tuple(system.workloads),
            fault_kinds=kinds_for(system.capabilities),
            options=tuple(system.options),
            has_leader="leader" in system.capabilities,
            needs_majority_only="majority" in system.capabilities,
        )
        for system in systems
    )


def together(able: Iterable[Abilities]) -> Abilities:
    """What every one supports, and any option of theirs; where several have an option, as the first describes it."""
    listed = list(able)
    specs: dict[str, OptionSpec] = {}
    for one in listed:
        for option in one.options:
            specs.setdefault(option.name, option)
    first = listed[0]
    return Abilities(
        workloads=tuple(name for name in first.workloads if all(name in one.workloads for one in listed)),
        fault_kinds=tuple(kind for kind in first.fault_kinds if all(kind in one.fault_kinds for one in listed)),
        options=tuple(specs.values()),
        has_leader=all(one.has_leader for one in listed),
        needs_majority_only=all(one.needs_majority_only for one in listed),
        versions=tuple(one.options for one in listed),
    )


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of a plan. None means that the profile decides.

    `explicit` holds the texts of `-o key=value`.
    """

    world: Literal["simulated", "live"] = "simulated"
    network: LiveNetwork = "proxies"
    system: str = SYSTEM
    workload: str = "register"
    profile: str = "swarm"
    nodes: int | None = None
    concurrency: int | None = None
    rate: float | None = None
    duration_ns: int | None = None
    explicit: dict[str, str] = {}
    upgrade_from: str | None = None
    """The older version with which nodes begin, to be upgraded to `system`; None: all run that from the start."""

    def plan(self, seed: int, abilities: Abilities) -> Plan:
        """Draw the plan of a seed for a system with these abilities. Raises BadInput."""
        from harness.plans.draw import draw  # workloads and profiles: slow to import, needed by no `--help`

        runnable = _runnable(abilities)
        if self.workload not in runnable and not is_located(self.workload):  # of a place: its machine is the author's
            known = one_of(runnable, typed=self.workload if len(runnable) > 1 else "")
            raise BadInput(f"workload {self.workload!r}", f"what {self.system} understands, {known}", "--workload")
        plan = draw(
            seed=seed,
            profile=self.profile,
            workload=self.workload,
            options=abilities.options,
            explicit=options.parse(self.explicit, abilities.options),
            nodes=self.nodes,
            concurrency=self.concurrency,
            rate=self.rate,
            duration_ns=self.duration_ns,
            fault_kinds=abilities.fault_kinds,
            has_leader=abilities.has_leader,
            needs_majority_only=abilities.needs_majority_only,
        )
        if self.upgrade_from is not None:
            from harness.plans.upgrades import with_upgrades

            plan = with_upgrades(plan, abilities.versions)
        # Canonical JSON sorts the keys of objects. What runs now must be what a stored plan reads as later.
        drawn = plan.to_json()
        del plan  # that of an hour is large: not twice at a time
        return decode(drawn, f"the plan of seed {seed}")

    def command(self, seed: int) -> str:
        """Give the line that repeats the run of a seed."""
        world = ["--world", self.world] if self.world != "simulated" else []
        world += ["--network", self.network] if self.network != "proxies" else []
        words = [
            "foreshock",
            "run",
            *world,
            "--seed",
            str(seed),
            "--workload",
            self.workload,
            "--profile",
            self.profile,
        ]
        if self.system != SYSTEM:
            words += ["--system", self.system]
        if self.upgrade_from is not None:
            words += ["--upgrade-from", self.upgrade_from]
        for option, value in (("--nodes", self.nodes), ("--concurrency", self.concurrency), ("--rate", self.rate)):
            if value is not None:
                words += [option, f"{value:g}"]
        if self.duration_ns is not None:
            words += ["--duration", duration_text(self.duration_ns)]
        for name, text in self.explicit.items():
            words += ["-o", f"{name}={text}"]
        return shlex.join(words)


def _runnable(abilities: Abilities) -> tuple[str, ...]:
    """The workloads that a system with these abilities can run: those that it names, and others on their machines."""
    from workloads.catalog import WORKLOADS

    machines = {WORKLOADS[name].machine for name in abilities.workloads if name in WORKLOADS}
    others = (name for name, work in WORKLOADS.items() if work.machine in machines)
    return tuple(dict.fromkeys((*abilities.workloads, *others)))
