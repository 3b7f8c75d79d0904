"""What a compiled build gives: the simulator's scenarios interpreted and compiled, in turns, in processes of their own.

    python -m benchmarks.compiled BUILDS [--rounds N] [--repeat N]

BUILDS is a folder in which `foreshock compile` has made a build. What is printed is what a delivery costs, in steps of
the calibration of `benchmarks.simulator` (which is never compiled): the median of the rounds, and the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from harness.compiled.finder import VARIABLE

ROOT: Final = Path(__file__).resolve().parents[1]


def measure(builds: Path | None, repeat: int) -> dict[str, float]:
    """Steps of the calibration that a delivery costs in each scenario, in a new process."""
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if builds is not None:
        environment[VARIABLE] = str(builds.absolute())
    command = [sys.executable, "-m", "benchmarks.simulator", "--json", "--repeat", str(repeat)]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {scenario: row["steps_per_delivery"] for scenario, row in json.loads(done.stdout).items()}


def main() -> int:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser(description="Compare interpreted and compiled runs.")
    parser.add_argument("builds", type=Path, metavar="BUILDS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3, help="plans of each scenario in a round")
    given = parser.parse_args()
    rounds: list[dict[str, Any]] = [
        {"interpreted": measure(None, given.repeat), "compiled": measure(given.builds, given.repeat)}
        for _ in range(given.rounds)
    ]
    print(f"{'scenario':16}{'interpreted':>13}{'compiled':>10}{'ratio':>7}   (steps a delivery)")
    for scenario in rounds[0]["interpreted"]:
        plain, fast = (statistics.median(one[way][scenario] for one in rounds) for way in ("interpreted", "compiled"))
        print(f"{scenario:16}{plain:13.1f}{fast:10.1f}{plain / fast:7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
