"""Determinism: the same plans run in many ways, and every way must leave the same fingerprint and the same verdict.

    python -m benchmarks.determinism campaign --count 200 --interpreter OTHER_PYTHON --interpreter ANOTHER

draws `count` plans, over the workloads in turn, and runs each

* in two fresh processes with different PYTHONHASHSEED (order of sets and of strings' hashes),
* in a fresh process under PYTHONMALLOC=malloc (other addresses, and so another order of sets of objects: Trio's abort
  functions are called in such an order, and nothing else has shown it),
* in one process, one after the other in shuffled order, and in another order again (caches, counters, class state),
* in one process with assertions off (`-O`), and in one with the development mode's checks (`-X dev`),
* in the task lane of the tests, where every event wakes a Trio task: the oracle of the simulator's drivers,
* with each other interpreter given, which must have the package's dependencies installed.

It prints one line a way and the first plan that differs, if any; exit code 1 then.

    python -m benchmarks.determinism fingerprints register:1 counter:2

is what those processes run: one JSON line a plan. With `--rows FILE` the trace of the last plan is stored, so that two
runs that differ can be laid side by side.

    python -m benchmarks.determinism compiled BUILDS --count 100

compares the sources with their build in the folder BUILDS, which `foreshock compile` has made, over all workloads.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

from harness.compiled.finder import VARIABLE, compiled
from workloads.catalog import WORKLOADS as CATALOG

ROOT: Final = Path(__file__).resolve().parents[1]
WORKLOADS: Final = ("register", "counter")
_COMPILED_PARTS: Final = tuple(map(re.compile, (r"harness\.sim\.", r"_foreshock_code_\w+\.protocol\.")))


# -- in a process of its own ----------------------------------------------------------------------------------------


def fingerprints(
    plans: Sequence[str], *, profile: str, duration_ns: int | None, rows: Path | None
) -> Iterator[dict[str, Any]]:
    """Draw and run plans (`workload:seed`) one after the other, and give what must not depend on the process."""
    from harness.run.drawing import Drawing, abilities_of
    from harness.run.runner import RunOptions, run
    from harness.systems.catalog import bind, load_systems
    from harness.systems.checkouts import Checkouts

    with Checkouts() as checkouts:
        binding = bind("raft_impl", checkouts)
        abilities = abilities_of(load_systems(binding).values())
        for name in plans:
            workload, _, seed = name.partition(":")
            drawing = Drawing(workload=workload, profile=profile, duration_ns=duration_ns)
            plan = drawing.plan(int(seed), abilities)
            try:
                outcome = run(plan, binding, RunOptions(keep_rows=rows is not None))
            except Exception as error:  # a finding of its own; here it counts that it is the same everywhere
                yield {"plan": name, "plan_sha256": plan.sha256, "error": f"{type(error).__name__}: {error}"}
                continue
            if rows is not None and outcome.rows is not None:
                rows.write_text("".join(f"{row!r}\n" for row in outcome.rows))
            yield {
                "plan": name,
                "plan_sha256": outcome.plan_sha256,
                "fingerprint": outcome.fingerprint,
                "history_sha256": outcome.history_sha256,
                "verdict": outcome.verdict.validity,
                "signatures": [anomaly.signature for anomaly in outcome.anomalies],
                "simulated_ns": outcome.simulated_ns,
                "imported": sorted({"hypothesis", "pytest"} & set(sys.modules)),
            }


# -- the campaign ---------------------------------------------------------------------------------------------------


class Way(NamedTuple):
    """One way to run plans: an interpreter with its flags and environment, and how many plans share a process."""

    name: str
    python: str = sys.executable
    flags: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    fresh: bool = False
    shuffle: int | None = None
    in_tasks: bool = False
    compiled: bool = False

    def batches(self, plans: Sequence[str], jobs: int) -> list[list[str]]:
        """The plans of each process."""
        if self.fresh:
            return [[plan] for plan in plans]
        order = list(plans)
        if self.shuffle is not None:
            random.Random(self.shuffle).shuffle(order)
            return [order]
        return [order[first::jobs] for first in range(jobs) if order[first::jobs]]

    def command(self, plans: Sequence[str], profile: str) -> list[str]:
        """The line that runs some plans this way."""
        lane = ["--task-lane"] if self.in_tasks else ["--compiled"] if self.compiled else []
        return [
            self.python,
            *self.flags,
            "-m",
            "benchmarks.determinism",
            "fingerprints",
            "--profile",
            profile,
            *lane,
            *plans,
        ]

    def run(self, plans: Sequence[str], profile: str, *extra: str) -> list[dict[str, Any]]:
        """Run some plans in one process."""
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("PYTHON") and key != VARIABLE
        }
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random", **dict(self.environment)}
        done = subprocess.run(
            [*self.command(plans, profile), *extra],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


def ways(interpreters: Sequence[str]) -> list[Way]:
    """All the ways, the reference first."""
    return [
        Way("fresh processes, PYTHONHASHSEED=0", fresh=True, environment=(("PYTHONHASHSEED", "0"),)),
        Way("fresh processes, PYTHONHASHSEED=12345", fresh=True, environment=(("PYTHONHASHSEED", "12345"),)),
        Way("fresh processes, PYTHONMALLOC=malloc", fresh=True, environment=(("PYTHONMALLOC", "malloc"),)),
        Way("one process, shuffled", shuffle=1),
        Way("one process, shuffled otherwise", shuffle=2),
        Way("python -O", flags=("-O",)),
        Way("python -X dev", flags=("-X", "dev")),
        Way("task lane", in_tasks=True),
        *(Way(_version(python), python=python) for python in interpreters),
        *(
            Way(f"{_version(python)}, malloc", python, environment=(("PYTHONMALLOC", "malloc"),))
            for python in interpreters
        ),
    ]


def compiled_ways(builds: Path) -> list[Way]:
    """Interpreted and compiled code."""
    environment = ((VARIABLE, str(builds.absolute())),)
    return [Way("interpreted"), Way("compiled", environment=environment, compiled=True)]


def campaign(chosen: Sequence[Way], count: int, first: int, profile: str, workloads: Sequence[str], jobs: int) -> bool:
    """Run all plans in all ways and print the table. Returns whether they all agree."""
    plans = [f"{workloads[number % len(workloads)]}:{first + number}" for number in range(count)]
    reference: dict[str, dict[str, Any]] = {}
    agree = True
    print(f"{count} plans, workloads {', '.join(workloads)}, profile {profile}, {_version(sys.executable)}")
    for way in chosen:
        began = time.perf_counter()
        found = _run_all(way, plans, profile, jobs)
        by_plan = {one["plan"]: one for one in found}
        reference = reference or by_plan
        differing = [plan for plan in plans if by_plan[plan] != reference[plan]]
        seconds = time.perf_counter() - began
        print(f"{way.name:45} {count - len(differing):5} equal {len(differing):5} differ {seconds:8.1f} s", flush=True)
        if differing:
            agree = False
            print(_difference(chosen[0], way, differing[0], profile))
    verdicts = Counter(one.get("verdict", "error") for one in reference.values())
    simulated = sum(one.get("simulated_ns", 0) for one in reference.values()) / 1e9
    print(
        ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        + f"; {simulated:.0f} simulated s"
    )
    for one in reference.values():
        if one.get("verdict") != "valid":
            print(f"  {one['plan']}: {one.get('error') or one['verdict']} {' '.join(one.get('signatures', ()))}")
    return agree and not verdicts["error"]


def _run_all(way: Way, plans: Sequence[str], profile: str, jobs: int) -> list[dict[str, Any]]:
    """Run all plans one way, in up to `jobs` processes at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        results = pool.map(lambda batch: way.run(batch, profile), way.batches(plans, jobs))
        return [one for batch in results for one in batch]


def _difference(one: Way, other: Way, plan: str, profile: str) -> str:
    """The first rows in which two ways to run a plan differ."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("one", "other")]
        for way, file in zip((one, other), files, strict=True):
            way.run([plan], profile, "--rows", str(file))
        lines = [file.read_text().splitlines() for file in files]
    for index, (left, right) in enumerate(zip(*lines, strict=False)):
        if left != right:
            return f"  {plan}, row {index}:\n    {one.name}: {left}\n    {other.name}: {right}"
    return f"  {plan}: equal rows when run alone ({len(lines[0])} and {len(lines[1])}); what ran before it matters"


def _lane(in_tasks: bool) -> AbstractContextManager[None]:
    """The lane in which plans run. That of the tests is imported only where it is used: its bases may be compiled."""
    if not in_tasks:
        return nullcontext()
    from tests.harness.sim.task_driver import task_lane

    return task_lane()


def _version(python: str) -> str:
    code = "import platform as p, trio; print(p.python_implementation(), p.python_version(), 'trio', trio.__version__)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Parse the command line, and run the campaign or one process's share of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("fingerprints", help="run plans in this process")
    one.add_argument("plans", nargs="+", metavar="WORKLOAD:SEED")
    one.add_argument("--task-lane", action="store_true")
    one.add_argument("--duration", type=int, metavar="SECONDS", help="of the fault phase; drawn if absent")
    one.add_argument("--rows", type=Path)
    one.add_argument("--compiled", action="store_true", help="refuse to run interpreted code")
    many = commands.add_parser("campaign", help="run plans in every way")
    many.add_argument("--count", type=int, default=200)
    many.add_argument("--workloads", default=",".join(WORKLOADS))
    many.add_argument("--interpreter", action="append", default=[], metavar="PYTHON")
    built = commands.add_parser("compiled", help="compare interpreted and compiled code")
    built.add_argument("builds", type=Path, metavar="BUILDS")
    built.add_argument("--count", type=int, default=100)
    built.add_argument("--workloads", default=",".join(CATALOG))
    for command in (many, built):
        command.add_argument("--first", type=int, default=1)
        command.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    for command in (one, many, built):
        command.add_argument("--profile", default="swarm")
    given = parser.parse_args()
    if given.command == "fingerprints":
        duration_ns = given.duration * 1_000_000_000 if given.duration else None
        with _lane(given.task_lane):
            for line in fingerprints(given.plans, profile=given.profile, duration_ns=duration_ns, rows=given.rows):
                print(json.dumps(line), flush=True)
        if given.compiled and not all(any(map(part.match, compiled.names())) for part in _COMPILED_PARTS):
            raise SystemExit(f"interpreted code: {VARIABLE} names no build of these sources")
        return 0
    chosen = compiled_ways(given.builds) if given.command == "compiled" else ways(given.interpreter)
    workloads = given.workloads.split(",")
    return 0 if campaign(chosen, given.count, given.first, given.profile, workloads, given.jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
