"""The world of a campaign: what many simulated runs and many live ones do not have in common.

A campaign hands out seeds, counts verdicts, groups failures and can be resumed, whatever runs them. A world says which
code a spec means, what plans may ask of it, how one seed is run, and whether a second run of it must be alike.
"""

from __future__ import annotations

from typing import Protocol

from harness.record import RunRecord
from harness.run.drawing import Abilities, abilities_of
from harness.run.marks import MARKS as CLIENT_MARKS
from harness.sim.world import MARKS
from harness.systems import catalog
from harness.systems.binding import Binding
from harness.systems.catalog import load_systems
from harness.systems.checkouts import Checkouts

from .executors import SECONDS_MAX, Mapper, Pool
from .jobs import Job, perform


class World(Protocol):
    """What runs the seeds of a campaign."""

    @property
    def is_function_of_plan(self) -> bool:
        """Whether two runs of one plan must be alike."""
        ...

    def bind(self, spec: str, checkouts: Checkouts, upgrade_from: str | None = None) -> Binding:
        """Find the code that a spec names, and that with which nodes begin. Raises BadInput."""
        ...

    def abilities(self, binding: Binding) -> Abilities:
        """What plans may ask of it."""
        ...

    def marks(self, binding: Binding) -> tuple[str, ...]:
        """All marks that a run could hit; none where runs cannot be seen from inside."""
        ...

    def pool(
        self, *, jobs: int | None, seconds_max: float, memory_bytes_max: int | None = None
    ) -> Mapper[Job, RunRecord]:
        """Workers that run one job after the other; without `jobs` as many as suit this world."""
        ...


class Simulated:
    """Runs that are functions of their plans."""

    is_function_of_plan: bool = True

    def bind(self, spec: str, checkouts: Checkouts, upgrade_from: str | None = None) -> Binding:
        """Find the code that a spec names, and that with which nodes begin. Raises BadInput."""
        return catalog.bind(catalog.specs_of(spec, upgrade_from), checkouts)

    def abilities(self, binding: Binding) -> Abilities:
        """What plans may ask of all versions of the code."""
        return abilities_of(load_systems(binding).values())

    def marks(self, binding: Binding) -> tuple[str, ...]:
        """Those of the world, of clients, and of the code."""
        systems = load_systems(binding).values()
        return (*MARKS, *CLIENT_MARKS, *(mark for system in systems for mark in system.marks))

    def pool(
        self, *, jobs: int | None, seconds_max: float = SECONDS_MAX, memory_bytes_max: int | None = None
    ) -> Mapper[Job, RunRecord]:
        """One worker a processor."""
        return Pool(perform, jobs=jobs, seconds_max=seconds_max, memory_bytes_max=memory_bytes_max)
