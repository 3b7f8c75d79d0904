"""Shrinking what a campaign found: one failure of each signature that is news, all within one budget of time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness.archive.find import find
from harness.archive.store import Archive
from harness.plans.plan import Plan
from harness.run.drawing import abilities_of
from harness.search.campaign import Bindings, Failure, SmallFailure
from harness.search.suites import Suite
from harness.systems.binding import Binding
from harness.systems.catalog import load_systems

from .memory import FOLDER
from .shrinking import shrink, write


def shrink_new(
    failures: Sequence[Failure],
    suite: Suite,
    bindings: Bindings,
    archive: Archive,
    *,
    budget_s: float,
    jobs: int | None,
    advance: Callable[[str], None],
) -> tuple[Failure, ...]:
    """Shrink the example of each failure that is neither allowed nor known; the others stay as they are.

    What one failure leaves of its share of the time, the others have. A test of each is written beside what shrinking
    remembers. Raises BadInput when the results folder cannot be written.
    """
    deadline, shrunk = time.monotonic() + budget_s, list(failures)
    news = [at for at, failure in enumerate(failures) if not failure.allowed and failure.known is None]
    for done, at in enumerate(news):
        share_s = max(0.0, deadline - time.monotonic()) / (len(news) - done)
        failure = failures[at]
        binding = bindings[suite.cells[suite.cell_of(failure.seed)].system]
        plan = _plan_of(failure, suite, binding, archive.results)
        result = shrink(
            plan,
            binding,
            archive.results,
            jobs=jobs,
            time_limit_s=share_s,
            advance=lambda state, signature=failure.signature: advance(f"{signature}: {state}"),  # type: ignore[misc]
            with_test=True,
        )
        if result is None:  # it fails only with gates, or not again: `replay` tells which
            continue
        test = archive.results / FOLDER / f"test_{re.sub(r'[^a-z0-9]+', '_', failure.signature.lower())}.py"
        write(test, result.test.encode())
        small = SmallFailure(
            run=archive.keep(result.outcome).run,
            faults=result.shrunk.after.faults,
            ops=result.shrunk.after.ops,
            nodes=result.shrunk.after.nodes,
            finished=result.shrunk.finished,
            test=str(test),
        )
        shrunk[at] = msgspec.structs.replace(failure, small=small)
    return tuple(shrunk)


def _plan_of(failure: Failure, suite: Suite, binding: Binding, results: Path) -> Plan:
    """The plan of a failure's example: the stored one, or drawn anew where no folder was kept."""
    if failure.run is not None:
        return find(failure.run, results).plan
    drawing = suite.cells[suite.cell_of(failure.seed)]
    return drawing.plan(failure.seed, abilities_of(load_systems(binding).values()))
