"""What a run keeps of itself does not grow with its rows, and of its operations only what stands in columns."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.archive.layout import RunWriter, prepare
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import run
from harness.systems.binding import Binding
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

SECOND = 1_000_000_000
ROOT = Path(__file__).parents[3]

BYTES_A_ROW_MAX = 20
"""A run that is streamed grows by some 11 bytes for each row of its trace: the columns of its history and of entries.
Kept rows would take 200 bytes each, and a history of objects 25 for each row."""

HOUR_PEAK_KIB_MAX = 150_000_000 // 1024


@pytest.fixture(name="binding")
def the_binding() -> Iterator[Binding]:
    with Checkouts() as checkouts:
        yield bind("raft_impl", checkouts)


def peak_of(seconds: int, binding: Binding, results: Path) -> tuple[int, int]:
    """Traced bytes at the peak of running, judging and storing a drawn plan, and the rows of its trace."""
    drawing = Drawing(
        profile="calm",
        nodes=3,
        rate=40.0,
        duration_ns=seconds * SECOND,
        explicit={"snapshot_threshold": "50", "segment_bytes": "4096"},
    )
    plan = drawing.plan(1, abilities_of(load_systems(binding).values()))
    gc.collect()
    tracemalloc.start()
    try:
        with RunWriter(results, plan) as writer:
            outcome = run(plan, binding, sink=writer)
            writer.place(outcome)
        return tracemalloc.get_traced_memory()[1], outcome.metrics.rows
    finally:
        tracemalloc.stop()


def test_the_peak_of_a_longer_run_is_not_that_of_its_rows(binding: Binding, tmp_path: Path) -> None:
    prepare(tmp_path)
    peak_of(2, binding, tmp_path)  # what is imported and cached once

    short_bytes, short_rows = peak_of(10, binding, tmp_path)
    long_bytes, long_rows = peak_of(40, binding, tmp_path)

    assert long_rows > 3 * short_rows > 30_000
    assert long_bytes - short_bytes < BYTES_A_ROW_MAX * (long_rows - short_rows)


@pytest.mark.slow
def test_an_hour_at_fifty_operations_a_second_stays_below_150_megabytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "run", "--seed", "3", "--profile", "calm", "--rate", "50"]
    command += ["--duration", "3600s", "-o", "snapshot_threshold=1000", "--results", str(tmp_path), "--json"]

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)

    assert process.returncode == 0
    assert usage.ru_maxrss < HOUR_PEAK_KIB_MAX
