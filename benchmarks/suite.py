"""What a suite costs besides its runs: processor time, the second processor, and memory of the coordinator.

    python -m benchmarks.suite [--seeds 200] [--rounds 2] [--many 20000] [--gate]

* **Share of CPU in runs.** A suite of `--seeds` seeds, as a person types it, with one worker and with two: of all CPU
  time of its processes (interpreters that start, coordinator, index, pipes) the share that workers spent in jobs.
* **Two processors.** The wall time of the same suite with one worker over that with two, in turn, `--rounds` times; the
  median of the ratios of neighbours, so that a machine that gets slower changes both. Says little on a busy machine.
* **Memory.** `--many` runs of a fake, trivially cheap system: workers answer at once with a record of a real run, of
  which one in 100 is unknown and one in 500 a failure. Everything else is a suite's own: worker processes, pipes,
  tally, index. Printed is the resident memory of the coordinator from 1,000 runs on, what a run costs it in CPU time,
  and what it takes in the index.

`--gate` exits with 1 when less than 90 % of the CPU time is spent in runs, or when the coordinator grows by more than
10 % from 1,000 runs to the last; and, with `--cores`, when two processors are less than 1.8 times one.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.processor import cpu_seconds_of_children
from harness.archive.documents import run_record
from harness.archive.index import FILE, Index
from harness.archive.store import Archive
from harness.record import RunRecord
from harness.run.drawing import Drawing
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.search import campaign as campaigns
from harness.search import suites
from harness.search.campaign import Execution, Settings
from harness.search.executors import SECONDS_MAX, Done, Mapper, Pool
from harness.search.jobs import Job, perform
from harness.search.memory import resident_bytes
from harness.search.statistics import median
from harness.search.worlds import Simulated
from harness.systems.checkouts import Checkouts

SHARE_MIN: Final = 0.90
CORES_MIN: Final = 1.8
GROWTH_MAX: Final = 0.10
FIRST_SAMPLE: Final = 1000
_UNKNOWN_EVERY: Final = 100
_FAILS_EVERY: Final = 500


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """One suite: seconds of the wall, of all its processes, and of its jobs."""

    wall: float
    cpu: float
    in_runs: float


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The coordinator after a number of runs."""

    runs: int
    rss_kib: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign of cheap runs."""

    samples: list[Sample]
    cpu_ms_a_run: float
    index_bytes_a_run: float

    @property
    def growth(self) -> float:
        """From the first sample to the last, as a share of the first."""
        return self.samples[-1].rss_kib / self.samples[0].rss_kib - 1


class _Measured(Simulated):
    """The simulated world, with jobs that say how much CPU time they took."""

    def __init__(self) -> None:
        self.in_runs = 0.0

    def pool(
        self, *, jobs: int | None, seconds_max: float = SECONDS_MAX, memory_bytes_max: int | None = None
    ) -> Mapper[Job, RunRecord]:
        return _Adding(self, timed, jobs=jobs, seconds_max=seconds_max)


class _Adding(Pool[Job, RunRecord]):
    """Workers whose jobs are added up, also those that prove a seed and are no run of the campaign."""

    def __init__(self, world: _Measured, function: Callable[[Job], RunRecord], **options: Any) -> None:
        super().__init__(function, **options)
        self._world = world

    def map(self, items: Iterable[Job]) -> Iterator[Done[Job, RunRecord]]:
        for done in super().map(items):
            if done.result is not None:
                self._world.in_runs += done.result.wall_seconds
            yield done


class _Cheap(Simulated):
    """A world whose runs cost nothing."""

    def pool(
        self, *, jobs: int | None, seconds_max: float = SECONDS_MAX, memory_bytes_max: int | None = None
    ) -> Mapper[Job, RunRecord]:
        return Pool(answer_at_once, jobs=jobs, seconds_max=seconds_max)


def timed(job: Job) -> RunRecord:
    """Do a job; the record has the CPU seconds of it in place of the wall's."""
    before = time.process_time()
    record = perform(job)
    return msgspec.structs.replace(record, wall_seconds=time.process_time() - before)


_stock: list[RunRecord] = []


def answer_at_once(job: Job) -> RunRecord:
    """Answer with a record that a real run left, under this job's seed.

    Workers have different runs in stock, so a seed that is proved in another worker needs a fingerprint of its own.
    """
    if not _stock:
        plan = job.plan()
        _stock.append(run_record(execute(plan, job.binding, RunOptions())))
    record = msgspec.structs.replace(
        _stock[0], seed=job.seed, workload=job.drawing.workload, fingerprint=f"{job.seed:032x}"
    )
    if job.seed % _FAILS_EVERY == 0:
        return msgspec.structs.replace(record, verdict="invalid", primary="fake/failure")
    if job.seed % _UNKNOWN_EVERY == 0:
        return msgspec.structs.replace(record, verdict="unknown", reason=f"fake: nothing happened for {job.seed} s")
    return record


def main(words: Sequence[str] | None = None) -> int:
    """Measure; print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--gate", action="store_true", help="exit 1 when a bound is missed")
    parser.add_argument(
        "--cores", action="store_true", help="gate two processors too: of a machine with nothing else to do"
    )
    parser.add_argument("--inside", choices=("suite", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=1, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.many <= FIRST_SAMPLE:
        parser.error(f"--many {asked.many}; more than {FIRST_SAMPLE}, after which the first sample is taken")
    if asked.inside == "suite":
        print(json.dumps(_suite(asked.seeds, asked.jobs)))
        return 0
    if asked.inside == "memory":
        print(msgspec.json.encode(_memory(asked.many)).decode())
        return 0
    pairs = [(_timed(asked.seeds, 1), _timed(asked.seeds, 2)) for _ in range(asked.rounds)]
    memory = msgspec.json.decode(_inside("memory", "--many", str(asked.many)), type=Memory)
    print(tables(pairs, memory, asked.seeds))
    missed = misses(pairs, memory, cores=asked.cores)
    for miss in missed:
        print(f"missed: {miss}", file=sys.stderr)
    return 1 if missed and asked.gate else 0


def tables(pairs: list[tuple[Timed, Timed]], memory: Memory, seeds: int) -> str:
    """What was measured, in Markdown."""
    one, two = (list(column) for column in zip(*pairs, strict=True))
    lines = [f"| {seeds} seeds | wall s | CPU s | in runs | CPU s a seed |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, of in (("one worker", one), ("two workers", two)):
        cpu = median([run.cpu for run in of]) or 0.0
        lines.append(
            f"| {name} | {median([run.wall for run in of]):.1f} | {cpu:.1f} | {_share(of):.1%} | {cpu / seeds:.3f} |"
        )
    lines += ["", f"Two workers are {_ratio(pairs):.2f} times as fast as one.", ""]
    lines += ["| runs of a fake system | coordinator, MiB |", "| ---: | ---: |"]
    lines += [f"| {sample.runs:,} | {sample.rss_kib / 1024:.1f} |" for sample in memory.samples]
    lines += [
        "",
        f"A run costs the coordinator {memory.cpu_ms_a_run:.2f} ms of CPU time, and the index "
        f"{memory.index_bytes_a_run:,.0f} bytes.",
    ]
    return "\n".join(lines)


def misses(pairs: list[tuple[Timed, Timed]], memory: Memory, *, cores: bool) -> list[str]:
    """Bounds that were not held."""
    shares = [_share(list(runs)) for runs in zip(*pairs, strict=True)]
    found = [f"{share:.1%} of the CPU time in runs; at least {SHARE_MIN:.0%}" for share in shares if share < SHARE_MIN]
    if memory.growth > GROWTH_MAX:
        found.append(f"the coordinator grew by {memory.growth:.1%}; at most {GROWTH_MAX:.0%}")
    if cores and _ratio(pairs) < CORES_MIN:
        found.append(f"two workers are {_ratio(pairs):.2f} times as fast as one; at least {CORES_MIN}")
    return found


def _share(runs: list[Timed]) -> float:
    return median([run.in_runs / run.cpu for run in runs]) or 0.0


def _ratio(pairs: list[tuple[Timed, Timed]]) -> float:
    return median([one.wall / two.wall for one, two in pairs]) or 0.0


def _timed(seeds: int, jobs: int) -> Timed:
    """Run a suite in processes of its own, whose CPU time is counted when they have ended."""
    before = cpu_seconds_of_children()
    began = time.monotonic()
    output = _inside("suite", "--seeds", str(seeds), "--jobs", str(jobs))
    wall = time.monotonic() - began
    return Timed(wall=wall, cpu=cpu_seconds_of_children() - before, in_runs=json.loads(output)["in_runs"])


def _inside(what: str, *words: str) -> bytes:
    command = [sys.executable, "-m", "benchmarks.suite", "--inside", what, *words]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def _suite(seeds: int, jobs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="foreshock-") as folder, Archive(Path(folder)) as archive:
        world: _Measured = _here("_Measured")
        _execution(world, archive.index, Path(folder), seeds, jobs).run(lambda _: None)
        return {"in_runs": world.in_runs}


def _memory(many: int) -> Memory:
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="foreshock-") as folder, Archive(Path(folder)) as archive:
        execution = _execution(_here("_Cheap"), archive.index, Path(folder), many, 2)
        began = time.process_time()

        def look(_: str) -> None:
            runs = execution.tally.total
            if runs in (FIRST_SAMPLE, many) or runs % 5000 == 0:
                gc.collect()
                samples.append(Sample(runs=runs, rss_kib=resident_bytes(os.getpid()) >> 10))

        execution.run(look)
        cpu = time.process_time() - began
        size = sum(path.stat().st_size for path in Path(folder).glob(f"{FILE}*"))
    if execution.tally.total != many or execution.tally.verdicts["error"]:
        raise AssertionError(f"{execution.tally.verdicts}; {many} runs and no error")
    return Memory(samples=samples, cpu_ms_a_run=cpu / many * 1000, index_bytes_a_run=size / many)


def _here(name: str) -> Any:
    """A world of this module under its own name: workers must not look for its functions in `__main__`."""
    from benchmarks import suite as here

    return getattr(here, name)()


def _execution(world: Simulated, index: Index, results: Path, seeds: int, jobs: int) -> Execution:
    suite = msgspec.structs.replace(
        suites.load(suites.DEFAULT), cells=(Drawing(workload="register"), Drawing(workload="counter"))
    )
    binding = world.bind("raft_impl", Checkouts())
    settings = Settings(suite=suite, system="raft_impl", code_digest=binding.code_digest, first=1, last=seeds)
    campaign = campaigns.new_id(suite.name)
    index.begin_campaign(campaign, suite.name, settings)
    return Execution(campaign, settings, world, {"raft_impl": binding}, index, results, jobs=jobs)


if __name__ == "__main__":
    sys.exit(main())
