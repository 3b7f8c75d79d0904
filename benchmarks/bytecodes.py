"""Where a delivery costs more bytecodes than in an older commit, by folder and by function.

    python -m benchmarks.bytecodes REF [--seeds 3] [--top 20]
    python -m benchmarks.bytecodes REF --through REF REF ...   a line for each commit on the way

REF is written into a temporary folder, and draws the default plan of `benchmarks.simulator` for each seed. Both
trees run these same plans, each in a process of its own, and count the bytecodes that each function executes: figures
are exact, and hold on any machine. A plan that is older than the code is read as stored failures are; what it leads to
differs as far as the rules of the system under test have changed since, so figures are for a delivered message.

The commit that issue 9 is measured against is b5c1feb.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.compiled import environment
from harness.errors import BadInput
from harness.systems.checkouts import commit_of, git

ROOT: Final = Path(__file__).resolve().parents[1]

_COUNT: Final = """
import json, os, re, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())  # an older tree is run from its folder, and not from where this one is installed
from benchmarks import simulator
from harness.plans import plan as plans
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts
try:
    from harness.systems.catalog import load_systems
except ImportError:
    from harness.systems.versions import systems as load_systems

system = load_systems(bind("raft_impl", Checkouts()))["default"]
delivered, steps = 0, {}
for name in sys.argv[1:]:
    if not Path(name).exists():
        Path(name).write_bytes(simulator.default_plan(int(Path(name).stem), system).to_json())
    executed, _, messages = simulator.count_bytecodes(plans.load(Path(name)), system)
    delivered += messages
    for code, number in executed.items():
        path = re.sub(r"_foreshock_code_[0-9a-f]+", "raft_impl", code.co_filename)
        own = re.search(r"(?:harness|raft_impl|checkers|workloads)/(?!.*site-packages).*", path)
        where = f"{own[0] if own else 'libraries/any'} {code.co_qualname}"
        steps[where] = steps.get(where, 0) + number
print(json.dumps({where: number / delivered for where, number in steps.items()}))
"""
"""Counts the plans of these files, and draws those that do not exist. Runs in both trees."""


def count(tree: Path, plans: list[str]) -> Counter[str]:
    """Bytecodes a delivery of each function of a tree."""
    command = [sys.executable, "-c", _COUNT, *plans]
    # Compiled modules execute no bytecodes that could be seen, and an older tree has no build.
    done = subprocess.run(command, cwd=tree, env=environment(None), stdout=subprocess.PIPE, text=True, check=True)
    return Counter(json.loads(done.stdout))


def measure(refs: Sequence[str], seeds: int) -> Iterator[Counter[str]]:
    """What each of these commits, and then this tree, executes for a delivery. Raises BadInput for no commit."""
    commits = [commit_of(ROOT, ref) for ref in refs]
    with tempfile.TemporaryDirectory() as scratch:
        plans = [str(Path(scratch, f"{seed}.json")) for seed in range(1, seeds + 1)]
        for commit in commits:
            with tempfile.TemporaryDirectory(dir=scratch) as tree:
                with tarfile.open(fileobj=io.BytesIO(git(ROOT, "archive", "--format=tar", commit))) as tar:
                    tar.extractall(tree, filter="data")
                yield count(Path(tree), plans)
        yield count(ROOT, plans)


def by_folder(steps: Counter[str]) -> Counter[str]:
    """The same, of all functions of a folder together; rules that were one file are counted with their folder."""
    folders: Counter[str] = Counter()
    for where, number in steps.items():
        path = Path(where.split()[0])
        folders["checkers/raft" if "checkers/raft" in path.as_posix() else path.parent.as_posix()] += number
    return folders


def show(before: Counter[str], now: Counter[str], top: int) -> None:
    """Print what differs most."""
    total = before.total()
    print(f"{total:.1f} bytecodes a delivery before, {now.total():.1f} now: {now.total() / total - 1:+.1%}\n")
    print(f"{'before':>9}{'now':>9}{'differs':>9}")
    for where in sorted(before | now, key=lambda where: -abs(now[where] - before[where]))[:top]:
        differs = now[where] - before[where]
        print(f"{before[where]:9.1f}{now[where]:9.1f}{differs / total:+9.1%}  {where}")


def walk(refs: Sequence[str], seeds: int) -> None:
    """Print how much each commit executes, and how much more than the one before, in parts of the first."""
    names = [git(ROOT, "log", "-1", "--format=%h  %ad  %s", "--date=format:%d %b %H:%M", ref).decode() for ref in refs]
    first = last = 0.0
    for name, steps in zip([*names, "this tree"], measure(refs, seeds), strict=True):
        total = steps.total()
        first, last = first or total, last or total
        print(f"{total:9.1f}{total / first - 1:+8.1%}{(total - last) / first:+8.1%}  {name.strip()}", flush=True)
        last = total


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description="Compare the bytecodes of a delivery with those of an older commit.")
    parser.add_argument("ref", metavar="REF")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--through", nargs="+", default=[], metavar="REF")
    given = parser.parse_args()
    try:
        if given.through:
            walk([given.ref, *given.through], given.seeds)
            return
        before, now = measure([given.ref], given.seeds)
    except BadInput as error:
        parser.error(str(error))
    show(by_folder(before), by_folder(now), given.top)
    print("\nand by function")
    show(before, now, given.top)


if __name__ == "__main__":
    main()
