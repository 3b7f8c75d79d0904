"""How a command ends when it is not allowed to finish: Ctrl-C, and a closed pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness.conftest import ROOT

LONG = ("--duration", "600s")
ENDLESS = {
    "run": ("run", "--seed", "1", *LONG),
    "suite": ("suite", "--count", "5000"),
    "compare": ("compare", "path:.", "path:.", "--seeds", "1..500"),
    "mutants": ("mutants", "tests/mutants", "--count", "500"),
    "replay": ("replay", "{plan}", "--repeat", "500"),
}


def foreshock(*words: str) -> list[str]:
    return [sys.executable, "-m", "harness", *words]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    subprocess.run(
        foreshock("run", "--seed", "1", "--duration", "2s", "--results", str(tmp_path / "stored")),
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next((tmp_path / "stored").glob("*/plan.json"))


@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c_ends_a_command_with_130_and_one_line(name: str, tmp_path: Path, plan: Path) -> None:
    words = [word.format(plan=plan) for word in ENDLESS[name]]
    results = tmp_path / "results"
    process = subprocess.Popen(
        foreshock(*words, "--results", str(results)) if name not in ("compare", "mutants") else foreshock(*words),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        time.sleep(4)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        out, err = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    assert process.returncode == 130, err
    assert "Traceback" not in err + out
    assert err.splitlines()[-1].startswith("interrupted")


@pytest.mark.parametrize("words", [("scenario",), ("run", "--seed", "1", "--duration", "2s"), ("doctor",)])
def test_a_closed_pipe_is_no_verdict(words: tuple[str, ...], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        environment = {**os.environ, "FORESHOCK_RESULTS": str(tmp_path)}
        done = subprocess.run(
            foreshock(*words), cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    finally:
        os.close(write)

    assert (done.returncode, done.stderr) == (141, "")
