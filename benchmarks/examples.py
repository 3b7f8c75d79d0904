"""The examples of systems of other people: what many seeds find in each, whether a seed is one run, and how fast.

    python -m benchmarks.examples --count 1000 [--only Quorum] [--jobs 2] [--gate] [--markdown FILE] [--json FILE]

runs every class of `docs/examples/systems/` as its guide says, with small plans of one profile: seeds 1 to `count` of
those that are right; of those that are wrong 100 at most, and 100 if fewer find nothing. It prints how many runs
were valid, invalid and unknown, the first failing seed, and simulated seconds for each second of the processor, beside
those of our Raft under plans of the same size in the same run.

A sample of the seeds of each is run again in two fresh processes with other PYTHONHASHSEEDs: the fingerprints must be
those of the first process. `--gate` ends with exit code 1 when a right one is invalid or never valid, a wrong one is
not found within 100 seeds, or a fingerprint differs.

    python -m benchmarks.examples seeds Quorum 1 2 3

is what those processes run: one JSON line a seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

import msgspec

from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = "docs/examples/systems"
WRONG_SEEDS: Final = 100
"""Within how many seeds a wrong example must be found."""

SAMPLE: Final = 10
"""Seeds of each that are run again in other processes, spread over those that were run."""

_HASH_SEEDS: Final = ("0", "12345")
_BATCH: Final = 50


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One class of an example, what it is run with, and whether it is right."""

    name: str
    file: str
    kind: Literal["right", "wrong", "ours"]
    workload: str = "register"
    nodes: int = 3
    profile: str = "swarm"
    is_program: bool = True

    @property
    def system(self) -> str:
        """Its spec."""
        spec = f"{FOLDER}/{self.file}:{self.name}"
        return "raft_impl" if self.kind == "ours" else f"trio:{spec}" if self.is_program else spec

    @property
    def drawing(self) -> Drawing:
        """What its plans are drawn from."""
        return Drawing(
            system=self.system,
            workload=self.workload,
            profile=self.profile,
            nodes=self.nodes,
            concurrency=4,
            rate=20.0,
            duration_ns=4_000_000_000,
        )


GROW_ONLY: Final = f"{FOLDER}/grow_only.py:WORKLOAD"
EXAMPLES: Final = (
    Example(name="Primary", file="tcp_register.py", kind="right", profile="partitions"),
    Example(name="Eager", file="tcp_register.py", kind="wrong", profile="partitions"),
    Example(name="Quorum", file="quorum_register.py", kind="right"),
    Example(name="Forgetful", file="quorum_register.py", kind="wrong"),
    Example(name="Durable", file="http_register.py", kind="right", nodes=1),
    Example(name="Unsynced", file="http_register.py", kind="wrong", nodes=1),
    Example(name="Fenced", file="lock_service.py", kind="right", workload="counter", nodes=1),
    Example(name="Unfenced", file="lock_service.py", kind="wrong", workload="counter", nodes=1),
    Example(name="Counter", file="crdt_counter.py", kind="right", workload=GROW_ONLY),
    Example(name="Doubled", file="crdt_counter.py", kind="wrong", workload=GROW_ONLY),
    Example(name="Monotonic", file="lease_register.py", kind="right", profile="clocks"),
    Example(name="WallClock", file="lease_register.py", kind="wrong", profile="clocks"),
    Example(name="Patient", file="failover_register.py", kind="right", profile="partitions"),
    Example(name="Hasty", file="failover_register.py", kind="wrong", profile="partitions"),
    Example(name="PrimaryBackup", file="primary_backup.py", kind="wrong", is_program=False),
    Example(name="raft_impl", file="", kind="ours"),
)
BY_NAME: Final = {example.name: example for example in EXAMPLES}


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """One run: its seed and fingerprint, what it came to, and what it cost."""

    seed: int
    fingerprint: str
    verdict: str
    primary: str | None
    simulated_s: float
    cpu_s: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the seeds of one example came to. `differing` are seeds whose fingerprint is another in another process."""

    example: Example
    verdicts: dict[str, int]
    failing_seeds: tuple[int, ...]
    signatures: dict[str, int]
    simulated_s: float
    cpu_s: float
    sampled: int
    differing: tuple[int, ...]

    @property
    def speed(self) -> float:
        """Simulated seconds for each second of the processor."""
        return self.simulated_s / self.cpu_s

    @property
    def faults(self) -> list[str]:
        """What `--gate` does not accept."""
        found = [f"seed {seed}: another fingerprint in another process" for seed in self.differing]
        if self.example.kind == "wrong" and not self.failing_seeds:
            found.append(f"not found within {sum(self.verdicts.values())} seeds")
        if self.example.kind != "wrong":
            found += [f"seed {seed}: invalid" for seed in self.failing_seeds]
            found += [] if self.verdicts.get("valid") else ["no run was valid"]
        return [f"{self.example.name}: {fault}" for fault in found]


# -- in a process of its own ------------------------------------------------------------------------------------------


def run_seeds(example: Example, seeds: Sequence[int]) -> Iterator[Ran]:
    """Run some seeds of an example one after the other."""
    with Checkouts() as checkouts:
        binding = bind(example.system, checkouts)
        abilities = abilities_of(load_systems(binding).values())
        for seed in seeds:
            plan = example.drawing.plan(seed, abilities)
            began = time.process_time()
            outcome = execute(plan, binding, RunOptions(explain=False))
            yield Ran(
                seed=seed,
                fingerprint=outcome.fingerprint,
                verdict=outcome.verdict.validity,
                primary=outcome.primary,
                simulated_s=outcome.simulated_ns / 1e9,
                cpu_s=time.process_time() - began,
            )


# -- all of them ------------------------------------------------------------------------------------------------------


def in_process(example: Example, seeds: Sequence[int], hash_seed: str = "random") -> list[Ran]:
    """Run some seeds in a fresh process with this PYTHONHASHSEED."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.examples", "seeds", example.name, *map(str, seeds)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [msgspec.json.decode(line, type=Ran) for line in done.stdout.splitlines()]


def run_all(example: Example, seeds: range, pool: ThreadPoolExecutor) -> list[Ran]:
    """Run seeds in as many processes at a time as the pool has threads."""
    batches = [seeds[first : first + _BATCH] for first in range(0, len(seeds), _BATCH)]
    return [one for batch in pool.map(lambda batch: in_process(example, batch), batches) for one in batch]


def measure(example: Example, count: int, pool: ThreadPoolExecutor) -> Measured:
    """Run the seeds of one example, and a sample of them twice more in other processes."""
    seeds = range(1, min(count, WRONG_SEEDS if example.kind == "wrong" else count) + 1)
    ran = run_all(example, seeds, pool)
    if example.kind == "wrong" and all(one.verdict != "invalid" for one in ran):
        ran += run_all(example, range(len(seeds) + 1, WRONG_SEEDS + 1), pool)
    sample = seeds[:: max(1, len(seeds) // SAMPLE)][:SAMPLE]
    expected = {one.seed: one.fingerprint for one in ran}
    again = pool.map(lambda hash_seed: in_process(example, sample, hash_seed), _HASH_SEEDS)
    differing = {one.seed for batch in again for one in batch if one.fingerprint != expected[one.seed]}
    return Measured(
        example=example,
        verdicts=dict(Counter(one.verdict for one in ran)),
        failing_seeds=tuple(one.seed for one in ran if one.verdict == "invalid"),
        signatures=dict(Counter(one.primary or "" for one in ran if one.verdict == "invalid").most_common()),
        simulated_s=sum(one.simulated_s for one in ran),
        cpu_s=sum(one.cpu_s for one in ran),
        sampled=len(sample),
        differing=tuple(sorted(differing)),
    )


_COLUMNS: Final = ("example", "", "seeds", "valid", "invalid", "unknown", "first", "simulated s a s", "same", "plans")


def row(measured: Measured) -> tuple[str, ...]:
    """What is shown of one example."""
    example, verdicts = measured.example, measured.verdicts
    plans = [example.profile, f"{example.nodes} node{'s' * (example.nodes > 1)}"]
    return (
        f"{example.file}:{example.name}" if example.file else example.name,
        example.kind,
        str(sum(verdicts.values())),
        *(str(verdicts.get(verdict, 0)) for verdict in ("valid", "invalid", "unknown")),
        str(measured.failing_seeds[0]) if measured.failing_seeds else "-",
        f"{measured.speed:.0f}",
        f"{measured.sampled - len(measured.differing)} of {measured.sampled}",
        ", ".join(plans),
    )


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The rows as a table for a page."""
    lines = [f"| {' | '.join(cells)} |" for cells in (_COLUMNS, ["---"] * len(_COLUMNS), *rows)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure all examples, or run one process's share."""
    if sys.argv[1:2] == ["seeds"]:
        for one in run_seeds(BY_NAME[sys.argv[2]], [int(word) for word in sys.argv[3:]]):
            sys.stdout.buffer.write(msgspec.json.encode(one) + b"\n")
            sys.stdout.flush()
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000, help="seeds of each that is right, and of our Raft")
    parser.add_argument("--only", action="append", choices=list(BY_NAME), metavar="CLASS")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    found: list[Measured] = []
    print("{:32} {:5} {:>5} {:>5} {:>7} {:>7} {:>5} {:>15} {:>8}  {}".format(*_COLUMNS))
    with ThreadPoolExecutor(given.jobs) as pool:
        for name in given.only or BY_NAME:
            found.append(measure(BY_NAME[name], given.count, pool))
            print("{:32} {:5} {:>5} {:>5} {:>7} {:>7} {:>5} {:>15} {:>8}  {}".format(*row(found[-1])), flush=True)
            for signature, times in found[-1].signatures.items():
                print(f"    {times} times {signature}", flush=True)
    faults = [fault for measured in found for fault in measured.faults]
    print("\n".join(faults) or "right ones never invalid, wrong ones found, every sampled seed one run")
    if given.markdown:
        given.markdown.write_text(markdown([row(measured) for measured in found]), encoding="utf-8")
    if given.json:
        given.json.write_text(json.dumps([msgspec.to_builtins(measured) for measured in found], indent=1) + "\n")
    return 1 if given.gate and faults else 0


if __name__ == "__main__":
    sys.exit(main())
