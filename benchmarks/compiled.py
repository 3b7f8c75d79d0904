"""What a compiled build gives: the same runs, checks and suites interpreted and compiled, in turns, in one command.

    python -m benchmarks.compiled BUILDS [--runs N] [--seeds N] [--jobs N]

BUILDS is where `foreshock compile` keeps builds; what is missing is made first, and its processor time printed.

* Runs: the scenarios of `benchmarks.simulator`, invariants and fingerprint on. One process interprets and one has the
  build; each plan is run by one and at once by the other, so both meet the same load, and each plan gives a ratio.
* Checks: rows of `benchmarks.checkers` that search, in the same two processes.
* Suites: the cells of the nightly suite without its canaries, drawn, run, judged and indexed by the command itself;
  seeds a minute, and how much of the workers' time went into runs and not into waiting, starting and the index.
* From how many seeds on compiling pays: what it costs, by what a seed of that suite gains (`SEEDS_MIN`).

Seconds are the processor's, but for suites. Medians of ratios are what to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.processor import cpu_seconds_of_children
from harness.compiled.finder import VARIABLE

ROOT: Final = Path(__file__).resolve().parents[1]
NIGHTLY: Final = ROOT / "harness" / "suites" / "nightly.toml"
SCENARIOS: Final = ("idle", "default", "peer")
CHECKS: Final = (
    ("cas-register of 5 values", 10_000),
    ("cas-register of 5 values, hidden violation", 1_000),
    ("counter, -3 to 3, blind and answered", 10_000),
    ("list-append, serializable", 10_000),
    ("rw-register, snapshot-isolation", 10_000),
)
ROUNDS: Final = 2
"""Suites of each way. Checks are measured as often."""


# -- in a process of its own -----------------------------------------------------------------------------------------


def answer() -> None:
    """Measure what each line of the input names, and print its seconds of processor time."""
    from benchmarks.checkers import ROWS, measure
    from benchmarks.simulator import default_plan, idle_plan, peer_plan
    from harness.run.runner import RunOptions, Simulation
    from harness.systems.catalog import bind, load_systems
    from harness.systems.checkouts import Checkouts

    system = load_systems(bind("raft_impl", Checkouts()))["default"]
    plans: Mapping[str, Callable[[int], Any]] = {
        "idle": idle_plan,
        "default": lambda seed: default_plan(seed, system),
        "peer": peer_plan,
    }
    rows = {row.name: row for row in ROWS}
    for line in sys.stdin:
        name, number = json.loads(line)
        if name in plans:
            simulation = Simulation(plans[name](number), {"default": system}, RunOptions(gates=False))
            began = time.process_time()
            simulation.run()
            seconds = time.process_time() - began
        else:
            seconds = measure(rows[name], number).seconds
        print(seconds, flush=True)


# -- the comparison --------------------------------------------------------------------------------------------------


class Ways(NamedTuple):
    """Two processes that do the same, and measure it."""

    interpreted: subprocess.Popen[str]
    compiled: subprocess.Popen[str]

    def ask(self, name: str, number: int) -> tuple[float, float]:
        """Seconds of each for one plan or one history."""
        interpreted, compiled = (_ask(process, name, number) for process in self)
        return interpreted, compiled


def _ask(process: subprocess.Popen[str], name: str, number: int) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps([name, number]), file=process.stdin, flush=True)
    return float(process.stdout.readline())


def environment(builds: Path | None) -> dict[str, str]:
    """That of a process that uses these builds, or none."""
    plain = {key: value for key, value in os.environ.items() if key != VARIABLE}
    return plain if builds is None else plain | {VARIABLE: str(builds)}


def compare(builds: Path, runs: int) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Seconds of each scenario and check, interpreted and compiled."""
    command = [sys.executable, "-m", "benchmarks.compiled", "--answer"]
    options: dict[str, Any] = {"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(command, env=environment(None), **options) as interpreted,
        subprocess.Popen(command, env=environment(builds), **options) as compiled,
    ):
        ways = Ways(interpreted, compiled)
        for scenario in SCENARIOS:
            ways.ask(scenario, 1)  # warms up
            yield scenario, [ways.ask(scenario, seed) for seed in range(2, runs + 2)]
        for name, size in CHECKS:
            yield f"{name}, {size:,}", [ways.ask(name, size) for _ in range(ROUNDS)]


class Suite(NamedTuple):
    """One execution of the nightly cells."""

    seeds_a_minute: float
    run_seconds: float
    efficiency: float


def suite(builds: Path | None, seeds: int, jobs: int) -> Suite:
    """Run the nightly cells by the command, into a results folder of its own."""
    with tempfile.TemporaryDirectory(prefix="foreshock-") as results:
        file = Path(results, "cells.toml")
        cells, removed = re.subn(
            r"canaries = \[.*?\]\ncanaries_a_night = \d+\n", "", NIGHTLY.read_text(), flags=re.DOTALL
        )
        assert removed == 1, f"{NIGHTLY} has its canaries elsewhere"
        file.write_text(cells)
        words = ("suite", str(file), "--seeds", f"1..{seeds}", "--jobs", str(jobs), "--results", results, "--json")
        done = subprocess.run(
            [sys.executable, "-m", "harness", *words],
            cwd=ROOT,
            env=environment(builds),
            stdout=subprocess.PIPE,
            check=False,
        )
    found = json.loads(done.stdout)
    wall, busy = found["wall_seconds"], found["run_seconds"]
    return Suite(60 * sum(found["runs"].values()) / wall, busy / seeds, busy / (jobs * wall))


def make(builds: Path) -> float:
    """Compile what has no build. Returns the seconds of processor time."""
    before = cpu_seconds_of_children()
    command = [sys.executable, "-m", "harness", "compile", "--into", str(builds)]
    subprocess.run(command, cwd=ROOT, env=environment(None), check=True)
    return cpu_seconds_of_children() - before


def main() -> int:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", type=Path, nargs="?", metavar="BUILDS")
    parser.add_argument("--runs", type=int, default=12, help="plans of each scenario")
    parser.add_argument("--seeds", type=int, default=60, help="of each suite; 0: no suite")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        answer()
        return 0
    if given.builds is None:
        parser.error("BUILDS is missing")
    builds = given.builds.absolute()
    cost = make(builds)
    print(f"{'made and tried out':44}{cost:12.0f} s of a processor")
    print(f"{'':44}{'interpreted':>12}{'compiled':>10}{'ratio':>7}", flush=True)
    for name, pairs in compare(builds, given.runs):
        plain, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"{name:44}{plain * 1000:9.0f} ms{fast * 1000:7.0f} ms{ratio:7.2f}", flush=True)
    if not given.seeds:
        return 0
    found = [(suite(None, given.seeds, given.jobs), suite(builds, given.seeds, given.jobs)) for _ in range(ROUNDS)]
    plain, fast, ratio = (
        statistics.median(column)
        for column in zip(
            *((a.seeds_a_minute, b.seeds_a_minute, b.seeds_a_minute / a.seeds_a_minute) for a, b in found), strict=True
        )
    )
    print(f"{f'nightly, {given.jobs} jobs, seeds a minute':44}{plain:12.0f}{fast:10.0f}{ratio:7.2f}")
    print(f"{'  of the workers in runs':44}{found[-1][0].efficiency:12.0%}{found[-1][1].efficiency:10.0%}")
    gain = statistics.median(a.run_seconds - b.run_seconds for a, b in found)
    if gain > 0:
        print(f"compiling pays from {cost / gain:,.0f} such seeds on, if all of it was made now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
