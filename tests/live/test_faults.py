"""Nodes that are killed, stopped, or out of disk: nothing acknowledged is lost, and each says what it died of."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.cluster import Cluster, eventually


def test_kills_lose_nothing_that_was_acknowledged(cluster: Cluster) -> None:
    cluster.start_all()
    chance = random.Random(1)
    acknowledged = attempted = 0

    for _ in range(4):
        victim = chance.choice(cluster.names)
        attempted += 1
        acknowledged += cluster.try_call("add", "c", "1").returncode == 0
        cluster.kill(victim)
        attempted += 1
        acknowledged += cluster.try_call("add", "c", "1").returncode == 0
        cluster.start(victim)
    for name in cluster.names:
        cluster.kill(name)
    cluster.start_all()

    assert acknowledged >= 4
    assert acknowledged <= int(cluster.call("read", "c")) <= attempted


def test_a_stopped_node_is_missed_and_comes_back(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    stopped = cluster.leader()
    others = [name for name in cluster.names if name != stopped]

    cluster.running[stopped].send_signal(signal.SIGSTOP)
    assert cluster.call("add-and-get", "c", "1") == "[1,6]"
    eventually(lambda: [one for name in others for one in cluster.events(name, "hung-up") if one["peer"] == stopped])
    cluster.running[stopped].send_signal(signal.SIGCONT)
    cluster.kill(others[0])

    assert cluster.call("add-and-get", "c", "1") == "[1,7]"


def test_without_a_quorum_a_call_says_so(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    cluster.kill("n2")
    cluster.kill("n3")
    eventually(lambda: cluster.events("n1", "role")[-1]["fields"][1] != "leader")

    for words in (("read", "c"), ("add-and-get", "c", "1")):
        result = cluster.try_call(*words, timeout_ms=3000)

        assert result.returncode == 1
        assert result.stderr.startswith("refused: no-quorum: ")
        assert "no connection to n2, n3" in result.stderr


@pytest.fixture
def small_disk(cluster: Cluster) -> Iterator[Path]:
    """A file system of 1 MiB where n1 keeps its data."""
    path = cluster.folder / "n1"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(path)], check=True)
    try:
        yield path
    finally:
        cluster.close()
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_ends_the_node_in_one_line_and_loses_nothing(cluster: Cluster, small_disk: Path) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

    for _ in range(50):  # until a block is needed
        if cluster.running["n1"].poll() is not None:
            break
        cluster.try_call("add", "c" * 400, "1")
    code, line = cluster.ended("n1")

    assert code == 1
    assert line == (
        "error: disk-full: write: no space is left; what was acknowledged is safe: make room, and start again"
    )
    assert cluster.events("n1", "died")[-1]["word"] == "disk-full"
    assert cluster.call("read", "c") == "5"
    ballast.unlink()
    cluster.start("n1")
    cluster.kill("n2")
    assert cluster.call("read", "c") == "5"


def test_a_read_only_directory_is_named(cluster: Cluster) -> None:
    path = cluster.folder / "n1"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "none", str(path)], check=True)
    try:
        cluster.start("n1")
        code, line = cluster.ended("n1")
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)

    assert code == 1
    assert line.startswith("error: read-only: open ")


def test_nothing_is_left_running_when_the_tests_are_killed(tmp_path: Path) -> None:
    """Also by a signal that no fixture sees."""
    code = (
        "import sys, time, pathlib\n"
        "from tests.live.cluster import Cluster\n"
        f"cluster = Cluster(pathlib.Path({str(tmp_path)!r}), ['n1'])\n"
        "cluster.start('n1')\n"
        "print(cluster.running['n1'].pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    runner = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True, cwd=root
    )
    assert runner.stdout is not None
    pid = int(json.loads(runner.stdout.readline()))

    runner.kill()
    runner.wait()
    runner.stdout.close()

    def is_gone() -> bool:
        path = Path(f"/proc/{pid}/stat")
        return not path.exists() or path.read_text().rpartition(")")[2].split()[0] == "Z"

    eventually(is_gone)
