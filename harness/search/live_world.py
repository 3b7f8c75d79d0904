"""The live world of a campaign: each seed is a run of OS processes, one at a time unless more are asked for.

One at a time, since runs beside each other share the processors: a node, or the proxy before it, that waits for one is
silent for no reason of the plan, elections follow, and runs are `unknown` or find what no fault of the plan brought
about. Every run is kept whole, also a valid one: it cannot be had again. A cluster that does not come up in time is one
run that is `unknown`, for the machine may have been too busy; nodes that end at once end the suite.

A run is made by a worker process, as a simulated one is, so that a run that hangs or dies costs one seed. A worker that
is ended, or whose parent is gone, ends the processes of its run; when it is killed, the run's guardian does.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.archive.layout import write_run
from harness.errors import BadInput
from harness.live.kept import keep_beside
from harness.live.live_run import run
from harness.live.specs import WORLD
from harness.live.systems.catalog import abilities_of_live, live_system, live_system_of
from harness.live.systems.system import LiveSystem
from harness.plans.labels import DEFAULT_LABEL
from harness.record import RunRecord
from harness.run.drawing import Abilities
from harness.systems.binding import Binding
from harness.systems.checkouts import Checkouts

from .executors import Pool
from .jobs import Job


class Live:
    """Runs of OS processes, of which no two are alike."""

    is_function_of_plan: bool = False

    def bind(self, spec: str, checkouts: Checkouts, upgrade_from: str | None = None) -> Binding:
        """Find the code that a spec names. Raises BadInput."""
        if upgrade_from is not None:
            raise BadInput("--upgrade-from", "the simulated world, where versions are mixed", "--world live")
        code = live_system(spec, checkouts).code
        return Binding(codes={DEFAULT_LABEL: msgspec.structs.replace(code, spec=WORLD + code.spec)})

    def abilities(self, binding: Binding) -> Abilities:
        """What plans may ask of the system: with proxies, which can do all that another network can."""
        return abilities_of_live(_system(binding), "proxies")

    def marks(self, binding: Binding) -> tuple[str, ...]:
        """None: which situations a process reached is not seen from outside."""
        return ()

    def pool(
        self, *, jobs: int | None, seconds_max: float, memory_bytes_max: int | None = None
    ) -> Pool[Job, RunRecord]:
        """One worker, unless more are asked for."""
        return Pool(
            perform_live,
            jobs=jobs or 1,
            seconds_max=seconds_max,
            memory_bytes_max=memory_bytes_max,
            starts_processes=True,
        )


def perform_live(job: Job) -> RunRecord:
    """Run a job with real processes and keep the run. Returns its record."""
    assert job.results is not None, "a live run is kept"
    system = _system(job.binding)
    network = job.drawing.network
    plan = job.drawing.plan(job.seed, abilities_of_live(system, network))
    result = run(plan, system, network=network, may_never_serve=True)
    record = write_run(Path(job.results), result.outcome)
    keep_beside(record, result.logs, Path(job.results))
    return record


def _system(binding: Binding) -> LiveSystem:
    code = binding.codes[DEFAULT_LABEL]
    return live_system_of(msgspec.structs.replace(code, spec=code.spec.removeprefix(WORLD)))
