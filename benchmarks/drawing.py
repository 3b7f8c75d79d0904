"""What share of a suite is spent on drawing its plans.

    python -m benchmarks.drawing --suite nightly --count 60 --gate

draws the plans of the suite's first seeds, runs and judges each as a suite does, and prints the CPU seconds of both and
the share of drawing, which has its own line of code: `Drawing.plan`. With --gate the exit code is 1 when it is 3 % or
more. The first seed of each cell is not counted: it pays for imports and tables.
"""

from __future__ import annotations

import argparse
import time
from typing import Final

from harness.run.drawing import abilities_of
from harness.run.execution import execute
from harness.search import suites
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

SHARE_MAX: Final = 0.03


def main() -> int:
    """Measure, and print the share."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suite", default="nightly")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--gate", action="store_true")
    arguments = parser.parse_args()
    suite = suites.load(arguments.suite)
    drawn = ran = 0.0
    with Checkouts() as checkouts:
        binding = bind("raft_impl", checkouts)
        able = abilities_of(load_systems(binding).values())
        for seed in range(arguments.first, arguments.first + arguments.count + len(suite.cells)):
            began = time.process_time()
            plan = suite.cells[suite.cell_of(seed)].plan(seed, able)
            between = time.process_time()
            execute(plan, binding)
            ended = time.process_time()
            if seed >= arguments.first + len(suite.cells):
                drawn, ran = drawn + between - began, ran + ended - between
    share = drawn / (drawn + ran)
    print(
        f"{arguments.suite}, {arguments.count} seeds: {drawn:.2f} CPU s drawing, {ran:.2f} CPU s running and judging; "
        f"drawing is {100 * share:.1f} % of the suite"
    )
    return 1 if arguments.gate and share >= SHARE_MAX else 0


if __name__ == "__main__":
    raise SystemExit(main())
