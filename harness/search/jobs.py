"""Jobs: one run as an item for worker processes, and its record as the result.

A failing or unknown run is run once more with its trace kept, and its folder is written by the worker itself, so that a
hundred thousand trace rows never cross a pipe. That second run is also a free test of determinism.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from harness.archive.documents import run_record
from harness.archive.layout import RunWriter
from harness.errors import InternalError
from harness.plans.plan import Plan
from harness.record import RunRecord
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems.binding import Binding
from harness.systems.catalog import load_systems

from .guided import Recipe

PROVES_EVERY: Final = 50
"""One seed in this number is run a second time, in whichever worker is free, and must leave the same fingerprint."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One seed to run. `purpose` is `judge`, or `prove`: run it again for its fingerprint only.

    `results` is where the folder of a run that is not valid goes; None keeps none.
    """

    seed: int
    drawing: Drawing
    binding: Binding
    cell: int = 0
    purpose: Literal["judge", "prove"] = "judge"
    results: str | None = None
    stop_at_first: bool = False
    explain: bool = True
    recipe: Recipe | None = None
    """How the plan is made; None: it is drawn."""

    def plan(self) -> Plan:
        """The plan to run, made in this process."""
        if self.recipe is not None:
            return self.recipe.plan()
        return self.drawing.plan(self.seed, abilities_of(load_systems(self.binding).values()))


def perform(job: Job) -> RunRecord:
    """Run a job in this process. Returns the record of the run."""
    plan = job.plan()
    options = RunOptions(stop_at_first=job.stop_at_first, explain=job.explain)
    outcome = execute(plan, job.binding, options)
    if job.purpose == "prove" or job.results is None or outcome.verdict.validity == "valid":
        return run_record(outcome)
    with RunWriter(Path(job.results), plan) as writer:
        again = execute(plan, job.binding, options, sink=writer)
        require_equal(outcome.fingerprint, again.fingerprint, job)
        record = writer.place(again)
    return msgspec.structs.replace(record, wall_seconds=outcome.wall_seconds)


def require_equal(first: str, second: str, job: Job) -> None:
    """Raise InternalError when two runs of one plan differ."""
    if first != second:
        command = job.drawing.command(job.seed) if job.recipe is None else f"the varied plan of seed {job.seed}"
        raise InternalError(f"not deterministic: two runs of `{command}` have the fingerprints {first} and {second}")
