"""Many live runs: one suite, which leaves no process however it ends, and goes on where it stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.archive.index import Index
from tests.live.cluster import eventually
from tests.live.test_live_world import marked_processes

ROOT = Path(__file__).parents[2]
SHORT = ("--duration", "1s", "--nodes", "3", "-o", "election_timeout_ms=400")


def live_suite(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A suite of another harness, a leader of its process group, with everything that it makes in one folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "suite", "--world", "live", "--results", str(folder / "results"), *words],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def nodes_of(folder: Path) -> list[int]:
    """The nodes of a suite."""
    return marked_processes(f"--data\0{folder}")


def test_a_killed_suite_leaves_nothing_running(tmp_path: Path) -> None:
    suite = live_suite(tmp_path, "--count", "2")
    try:
        eventually(lambda: len(nodes_of(tmp_path)) >= 3)
    finally:
        suite.kill()
        suite.communicate()

    eventually(lambda: not nodes_of(tmp_path))
    eventually(lambda: not marked_processes(f"{tmp_path}"))
    eventually(lambda: not list(tmp_path.glob("foreshock-live-*")))


@pytest.mark.slow
def test_an_interrupted_suite_leaves_nothing_running_and_goes_on_later(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    suite = live_suite(tmp_path, "--count", "2", "--workload", "register", *SHORT)
    results = tmp_path / "results"
    try:
        eventually(lambda: list(results.glob("2*-register-s1-*")), 60)
        eventually(lambda: len(nodes_of(tmp_path)) >= 3)
    finally:
        os.killpg(suite.pid, signal.SIGINT)  # as a terminal does: the worker gets it too
        _, said = suite.communicate(timeout=30)

    assert suite.returncode == 130, said
    assert "Traceback" not in said
    assert not nodes_of(tmp_path)
    assert not list(tmp_path.glob("foreshock-live-*"))
    campaign = said.split("foreshock suite --resume ")[1].split()[0]

    capfd.readouterr()
    code = cli.run(["suite", "--resume", campaign, "--results", str(results), "--max-unknown", "100%", "--json"])

    out, err = capfd.readouterr()
    assert code == 0, err
    summary = json.loads(out)
    assert (summary["world"], sum(summary["runs"].values()), summary["runs"]["invalid"]) == ("live", 2, 0)
    with Index(results) as index:
        runs = list(index.runs(campaign=campaign))
    assert sorted(run.seed for run in runs) == [1, 2]
    assert all(run.path is not None and Path(run.path, "logs").is_dir() for run in runs), "every live run is kept"
