"""The found bugs of a corpus, each shrunk: how small a failure the harness can show of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness.run.drawing import Drawing, abilities_of
from harness.search.detection import Search
from harness.systems.catalog import load_systems

from .shrinking import shrink


class ShrunkMutant(msgspec.Struct, frozen=True, kw_only=True):
    """What shrinking made of the first failure of a mutant. Sizes are by the names of `size.Size`."""

    name: str
    seed: int
    signature: str
    before: dict[str, int]
    after: dict[str, int]
    finished: bool
    trials: int
    wall_seconds: float


def shrink_found(
    searches: Sequence[Search],
    cells: Sequence[Drawing],
    results: Path,
    *,
    limit_s: float,
    jobs: int | None,
    advance: Callable[[str], None],
    tell: Callable[[str], None],
) -> list[ShrunkMutant]:
    """Shrink the first failing run of each search, each within the limit; `tell` is told of each that is done."""
    shrunk = []
    for search in searches:
        seed = search.first_failure
        assert seed is not None, f"{search.mutant.name} was not found"
        began = time.monotonic()
        plan = search.drawing(cells, seed).plan(seed, abilities_of(load_systems(search.binding).values()))
        result = shrink(plan, search.binding, results, jobs=jobs, time_limit_s=limit_s, advance=advance)
        if result is None:  # the failure that was found needs its gates
            continue
        one = ShrunkMutant(
            name=search.mutant.name,
            seed=seed,
            signature=result.target.signature,
            before=result.shrunk.before._asdict(),
            after=result.shrunk.after._asdict(),
            finished=result.shrunk.finished,
            trials=result.shrunk.trials,
            wall_seconds=round(time.monotonic() - began, 3),
        )
        tell(f"{one.name}: {one.after['faults']} faults, {one.after['ops']} ops, {one.after['nodes']} nodes")
        shrunk.append(one)
    return shrunk
