"""The benchmark of live nodes: it measures ours without any peer, names a peer that is missing, and leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.live import __main__ as live
from benchmarks.live.load import Measured
from benchmarks.live.processes import start, stop

from .cluster import ENVIRONMENT, ROOT


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.live", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**ENVIRONMENT, **environment},
        cwd=ROOT,
        timeout=60,
    )


def test_a_short_run_of_ours_measures_every_number_of_clients_and_ends_its_servers(tmp_path: Path) -> None:
    short = ("--peers", "ours", "--clients", "1,4", "--seconds", "0.3", "--rounds", "1")

    result = run(*short, "--directory", str(tmp_path), "--json")

    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert [(row["system"], row["clients"], row["ratio"]) for row in rows] == [("ours", 1, 1.0), ("ours", 4, 1.0)]
    for row in rows:
        assert row["ops_per_s"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["server_cpu_us_per_op"] > 0
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if str(tmp_path).encode() in command]


def test_a_missing_peer_is_refused_in_one_line_that_says_how_to_install_it() -> None:
    result = run("--peers", "ours,etcd", PATH="")

    assert result.returncode == live.EXIT_BAD_INPUT
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "apt-get install etcd-server" in result.stderr


@pytest.mark.parametrize("arguments", [("--peers", "ours,raft"), ("--clients", "1,x"), ("--clients", "0")])
def test_bad_arguments_are_one_line(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert live.main(arguments) == live.EXIT_BAD_INPUT

    assert capsys.readouterr().err.count("expected") == 1


def test_ratios_are_of_one_round_each() -> None:
    """Rounds differ by what else the machine does; a ratio of two medians would mix them."""

    def of(system: str, ops_per_s: float) -> Measured:
        return Measured(system=system, clients=1, ops_per_s=ops_per_s, p50_ms=1.0, p99_ms=2.0, server_cpu_us_per_op=3.0)

    rounds = [
        [of("ours", 100), of("other", 200)],
        [of("ours", 10), of("other", 20)],
        [of("ours", 50), of("other", 500)],
    ]

    ours, other = live.table(rounds)

    assert (ours.ratio, other.ratio) == (1.0, 2.0)
    assert (ours.ops_per_s, other.ops_per_s) == (50, 200)


def test_a_server_that_was_stopped_is_gone(tmp_path: Path) -> None:
    sleeper = start(["sleep", "60"], tmp_path / "log")

    stop([sleeper])

    assert sleeper.returncode == -9
