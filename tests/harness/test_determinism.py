"""A run is a pure function of (plan, binding): the share of `benchmarks/determinism.py` that every change must pass.

Equal means equal fingerprints, histories, verdicts and signatures. Two hash seeds alone do not see everything: the
order in which Trio calls abort functions changed only with the allocator.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import run
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

ROOT = Path(__file__).resolve().parents[2]
PLANS = ("register:1", "counter:2", "register:3", "counter:4", "orders:5", "counter:6")
SHORT = ("--duration", "2")

WAYS: dict[str, tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]] = {
    "hash seed 0": (PLANS, {"PYTHONHASHSEED": "0"}, ()),
    "hash seed 12345": (PLANS, {"PYTHONHASHSEED": "12345"}, ()),
    "malloc": (PLANS, {"PYTHONMALLOC": "malloc"}, ()),
    "reversed": (PLANS[::-1], {}, ()),
    "task lane": (PLANS, {}, ("--task-lane",)),
}


def fingerprints(way: str) -> dict[str, dict[str, Any]]:
    """Run the plans one way, in a process that has imported nothing else."""
    plans, environment, arguments = WAYS[way]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV"))}
    command = [sys.executable, "-m", "benchmarks.determinism", "fingerprints", *SHORT, *arguments, *plans]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random", **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["plan"]: line for line in lines}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, dict[str, Any]]]:
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(WAYS, pool.map(fingerprints, WAYS), strict=True))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "hash seed 0"])
def test_a_plan_runs_alike_in_any_process(found: dict[str, dict[str, dict[str, Any]]], way: str) -> None:
    reference = found["hash seed 0"]

    assert list(reference) == list(PLANS)
    assert len({line["fingerprint"] for line in reference.values()}) == len(PLANS)
    assert {line.get("verdict", "error") for line in reference.values()} <= {"valid", "unknown"}
    assert {plan: found[way][plan] for plan in PLANS} == reference


def test_a_run_imports_nothing_that_changes_the_schedule(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Importing Hypothesis sets Trio's scheduling flag for the whole process and re-seeds its generator."""
    assert [line["imported"] for lines in found.values() for line in lines.values()] == [[]] * len(PLANS) * len(WAYS)


def test_a_run_in_this_process_is_the_run_of_a_fresh_one(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Here, where Hypothesis, pytest and much else were imported and other runs may have gone before."""
    reference = found["hash seed 0"]
    with Checkouts() as checkouts:
        binding = bind("raft_impl", checkouts)
        abilities = abilities_of(load_systems(binding).values())

        again = {}
        for name in PLANS[:2]:
            workload, _, seed = name.partition(":")
            drawing = Drawing(workload=workload, duration_ns=2_000_000_000)
            again[name] = run(drawing.plan(int(seed), abilities), binding).fingerprint

    assert again == {name: reference[name]["fingerprint"] for name in PLANS[:2]}
