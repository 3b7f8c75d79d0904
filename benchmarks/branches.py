"""What branches save: the chances of a failure over time, asked by runs from the start and by branches.

    python -m benchmarks.branches --mutant no-session-dedup --workload counter --redraws 20

draws seeds until one fails under the mutant, asks when the failure was bound to happen as `foreshock explain` does, in
both ways, and prints the seconds of each, their ratio, and whether the answers are equal (exit code 1 if not). With
--short the run ends where the failure shows, as that of a shrunk plan does; what is behind it is saved by neither way.
"""

from __future__ import annotations

import argparse
import time
from typing import Final

from benchmarks.processor import cpu_seconds
from harness.explain.branching import Branching
from harness.explain.chances import Chance, chances
from harness.explain.explanation import failed_at
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.shrink.edits import asked_for, without_time
from harness.shrink.shrinker import Judge
from harness.shrink.trial import target_of
from harness.shrink.workers import Workers
from harness.systems.binding import Binding
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

_SEEDS: Final = range(1, 1_001)
_OPTIONS: Final = RunOptions(keep_rows=True, stop_at_first=True, gates=False)


def first_failure(binding: Binding, drawing: Drawing) -> tuple[Plan, Outcome]:
    """The plan of the first seed that fails, and its outcome."""
    abilities = abilities_of(load_systems(binding).values())
    for seed in _SEEDS:
        plan = drawing.plan(seed, abilities)
        outcome = execute(plan, binding, _OPTIONS)
        if outcome.primary is not None:
            return plan, outcome
    raise SystemExit(f"no seed of {len(_SEEDS)} fails")


def seconds() -> tuple[float, float]:
    """Wall time, and CPU time of this process and all that it has waited for."""
    return time.perf_counter(), cpu_seconds()


def main() -> int:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutant", default="no-session-dedup")
    parser.add_argument("--workload", default="counter")
    parser.add_argument("--profile", default="swarm")
    parser.add_argument("--redraws", type=int, default=20)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, tuple[Chance, ...]] = {}
    spent: dict[str, tuple[float, float]] = {}
    with Checkouts() as checkouts:
        binding = bind(f"patch:tests/mutants/{arguments.mutant}.patch", checkouts)
        drawing = Drawing(workload=arguments.workload, profile=arguments.profile)
        plan, outcome = first_failure(binding, drawing)
        target = target_of(outcome)
        assert target is not None
        failed_ns = (outcome.rows or [])[failed_at(outcome, target)][0]
        if arguments.short:
            plan = without_time(asked_for(plan, target.signature), failed_ns, plan.phases.horizon_ns)
        print(f"seed {plan.drawn.seed}: {target.signature} at {failed_ns / 1e9:.3f} s")
        for way in ("from the start", "branches"):
            began = seconds()
            with Workers(binding, jobs=arguments.jobs) as workers:
                judge: Judge = workers if way == "from the start" else Branching(binding, workers, jobs=arguments.jobs)
                found[way] = chances(
                    plan, target, judge, failed_ns=failed_ns, moments=arguments.moments, redraws=arguments.redraws
                )
            ended = seconds()
            spent[way] = ended[0] - began[0], ended[1] - began[1]
            runs = sum(one.runs for one in found[way])
            print(f"{way}: {runs} runs, {spent[way][0]:.1f} s, {spent[way][1]:.1f} CPU s")
    whole, branched = spent.values()
    print(f"ratio: {whole[0] / branched[0]:.2f} in seconds, {whole[1] / branched[1]:.2f} in CPU seconds")
    is_equal = found["from the start"] == found["branches"]
    print("the answers are equal" if is_equal else "the answers differ")
    return 0 if is_equal else 1


if __name__ == "__main__":
    raise SystemExit(main())
