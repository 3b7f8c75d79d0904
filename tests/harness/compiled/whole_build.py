"""The build of this checkout, which takes minutes: 100 plans run as interpreted ones do, and errors are told alike.

So do Trio programs, a system of other people, and checks of histories of every kind that `benchmarks.checkers` knows.

    python -m tests.harness.compiled.whole_build [--builds DIR] [--count 100] [--optimise 3]

Continuous integration calls it with a build that is made in half the time, and the nightly script with the one that
campaigns use. Exit code 1 says that a fingerprint, a history, a verdict or a traceback differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.compiled.finder import VARIABLE

ROOT = Path(__file__).parents[3]

PROVOKED = """
import json, sys, traceback
from pathlib import Path
from types import SimpleNamespace

from harness.sim.kernel.local_clock import LocalClock
from harness.systems import catalog
from harness.systems.checkouts import Checkouts

catalog.load_systems(catalog.bind("raft_impl", Checkouts()))
rules = {name.partition(".")[2]: module for name, module in sys.modules.items() if name.startswith("_foreshock_code_")}


def frames(call):
    try:
        call()
    except Exception as error:
        _, *inner = traceback.extract_tb(error.__traceback__)
        told = [(Path(one.filename).name, one.lineno, one.name, one.line) for one in inner]
        return type(error).__name__, str(error), told


running = LocalClock(SimpleNamespace(now=0), monotonic_start_ns=0, wall_start_ns=0)
print(json.dumps({
    "clock": frames(lambda: running.advance(1)),
    "log": frames(lambda: rules["protocol.log"].Log(3, 1).truncate(9)),
    "files": {name: sys.modules[name].__file__ for name in ("harness.sim.kernel.local_clock", "harness.errors")},
}))
"""

SYSTEMS = (
    "trio:{0}/tcp_register.py:Eager",
    "trio:{0}/quorum_register.py:Quorum",
    "{0}/primary_backup.py:PrimaryBackup",
)

OTHERS = """
import json, sys
from benchmarks.checkers import ROWS, measure
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

for spec in sys.argv[1:]:
    binding = bind(spec, Checkouts())
    drawing = Drawing(system=spec, profile="swarm", nodes=3, duration_ns=4 * 10**9)
    outcome = execute(drawing.plan(2, abilities_of(load_systems(binding).values())), binding)
    print(spec, outcome.fingerprint, outcome.verdict.validity)
for row in ROWS:
    if "hopeless" not in row.name:
        print(row.name, measure(row, min(3_000, *row.sizes)).verdict)
"""
"""Everything that is not told apart by plans of `raft_impl`, one line each."""


def run(*command: str, builds: Path | None = None) -> str:
    """Run Python in a process of its own, with or without a build. Returns what it printed."""
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if builds is not None:
        environment[VARIABLE] = str(builds)
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def compiled_states(builds: Path) -> list[str]:
    """What the doctor says of the build, without it and with it."""
    told = [json.loads(run("-m", "harness", "doctor", "--json", builds=where)) for where in (None, builds)]
    return [one["state"] for each in told for one in each["findings"] if one["name"] == "compiled build"]


def tracebacks_agree(builds: Path) -> bool:
    """Whether errors in compiled code name the files, lines and functions of the sources."""
    plain, fast = (json.loads(run("-c", PROVOKED, builds=where)) for where in (None, builds))
    files: list[dict[str, Any]] = [told.pop("files") for told in (plain, fast)]
    suffixes = [{Path(file).suffix for file in each.values()} for each in files]
    print(f"tracebacks: {'equal' if plain == fast else 'different'}, in modules of {suffixes}")
    return plain == fast and suffixes == [{".py"}, {".py", ".so"}] and len(plain["log"][2]) > 1


def others_agree(builds: Path) -> bool:
    """Whether other systems leave the same, and histories get the same verdicts."""
    systems = [spec.format("docs/examples/systems") for spec in SYSTEMS]
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(run, "-c", OTHERS, *systems, builds=where) for where in (None, builds)]
        plain, fast = (each.result().splitlines() for each in both)
    print(f"other systems and checks: {len(plain)} lines, {'equal' if plain == fast else 'different'}")
    for one, other in zip(plain, fast, strict=False):
        if one != other:
            print(f"  {one}\n  {other}")
    return plain == fast and len(plain) > len(systems) + 20


def main() -> int:
    """Build, and compare."""
    parser = argparse.ArgumentParser(description="Compare a whole build with its sources.")
    parser.add_argument("--builds", type=Path, help="keep the build here")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--optimise", type=int, default=3, help="how much the C compiler optimises")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        builds: Path = (given.builds or Path(scratch)).absolute()
        print(
            run("-m", "harness", "compile", "--into", str(builds), "--optimise", str(given.optimise)),
            end="",
            flush=True,
        )
        states = compiled_states(builds)
        print(f"doctor: {' and '.join(states)}", flush=True)
        told = tracebacks_agree(builds) & others_agree(builds)
        plans = subprocess.run(
            [sys.executable, "-m", "benchmarks.determinism", "compiled", str(builds), "--count", str(given.count)],
            cwd=ROOT,
            check=False,
        )
    return 0 if states == ["missing", "ok"] and told and plans.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
