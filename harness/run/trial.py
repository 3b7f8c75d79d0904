"""A short plan of each workload, and what each left: `python -m harness.run.trial` prints it, one line a plan.

`foreshock compile` has it run with the sources and with the new build. What a build leaves must be the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from harness.compiled.finder import compiled
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

from .drawing import Drawing, abilities_of
from .runner import run

_DURATION_NS: Final = 4_000_000_000
"""Of the faults of each plan: enough for elections, crashes and snapshots, and done in a second."""


def outcomes() -> Iterator[str]:
    """Workload, fingerprint, verdict and signatures of each plan."""
    with Checkouts() as checkouts:
        binding = bind("raft_impl", checkouts)
        systems = load_systems(binding)
        for seed, workload in enumerate(systems["default"].workloads, 1):
            drawing = Drawing(workload=workload, profile="swarm", duration_ns=_DURATION_NS)
            outcome = run(drawing.plan(seed, abilities_of(systems.values())), binding)
            signatures = (anomaly.signature for anomaly in outcome.anomalies)
            yield " ".join((workload, outcome.fingerprint, outcome.verdict.validity, *signatures))


if __name__ == "__main__":
    for line in outcomes():
        print(line, flush=True)
    print(len(compiled.names()), "compiled modules", file=sys.stderr)
