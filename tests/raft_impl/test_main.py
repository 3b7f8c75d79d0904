"""Nodes as OS processes: they elect, serve, survive a kill, leave in good order, and say what is wrong in one line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
NAMES = ("n1", "n2", "n3")


def raft_impl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raft_impl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=60)


class Processes:
    """Three nodes, each a process with a log of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sockets = [socket.socket() for _ in NAMES]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        self.nodes = [
            f"--node={name}=127.0.0.1:{one.getsockname()[1]}" for name, one in zip(NAMES, sockets, strict=True)
        ]
        for one in sockets:
            one.close()
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str) -> None:
        options = ("-o", "election_timeout_ms=400", "-o", "heartbeat_ms=80")
        data = str(self.folder / name)
        command = [sys.executable, "-m", "raft_impl", "serve", "--name", name, "--data", data, "--machine", "counter"]
        with (self.folder / f"{name}.log").open("a") as log:
            self.running[name] = subprocess.Popen(
                [*command, *self.nodes, *options], stderr=log, env=ENVIRONMENT, text=True
            )

    def call(self, *words: str) -> str:
        result = raft_impl("call", *self.nodes, "-o", "client_timeout_ms=20000", *words)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def leader(self) -> str:
        """Who led last, by the logs."""
        led = [(line, name) for name in NAMES for line in self.log(name).splitlines() if '"leader"' in line]
        return max(led, key=lambda pair: pair[0].split('"timestamp"')[1])[1]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    for name in NAMES:
        processes.start(name)
    yield processes
    for process in processes.running.values():
        process.kill()
        process.wait()


@pytest.mark.slow
def test_nodes_serve_survive_a_kill_and_leave_in_good_order(processes: Processes) -> None:
    assert processes.call("add-and-get", "c", "5") == "[5,5]"

    killed = processes.leader()
    processes.running[killed].kill()
    processes.running[killed].wait()
    assert processes.call("add-and-get", "c", "2") == "[2,7]"
    processes.start(killed)

    leaving = processes.leader()
    processes.running[leaving].send_signal(signal.SIGTERM)
    assert processes.running[leaving].wait(timeout=20) == 0
    assert '"event": "stopped"' in processes.log(leaving)
    assert processes.call("read", "c") == "7"

    dumped = raft_impl("dump", "--data", str(processes.folder / leaving))
    assert "add-and-get c 5" in dumped.stdout
    verified = raft_impl("verify", "--data", str(processes.folder / leaving))
    assert (verified.returncode, verified.stdout) == (0, "sound\n")
    in_use = raft_impl("verify", "--data", str(processes.folder / killed))
    assert (in_use.returncode, in_use.stderr) == (
        1,
        "error: in-use: open: another process uses this data directory\n",
    )


@pytest.mark.slow
def test_a_node_refuses_a_corrupt_directory_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "g0-00000001.wal").write_bytes(b"this is no log, and no crash explains it" * 3)

    flags = ("--name", "n1", "--node", "n1=127.0.0.1:0", "--data", str(tmp_path), "--adopt")
    served = raft_impl("serve", *flags)
    verified = raft_impl("verify", "--data", str(tmp_path))

    assert served.returncode == 1
    assert served.stderr.splitlines()[-1] == "error: log-corrupt: g0-00000001.wal at 0"
    assert (verified.returncode, verified.stdout) == (1, "g0: log-corrupt: g0-00000001.wal at 0 (fatal)\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "--name", "n1", "--data", "x", "--node", "n1"), "expected NAME=HOST:PORT"),
        (("serve", "--name", "n9", "--data", "x", "--node", "n1=127.0.0.1:1"), "expected one of the nodes n1"),
        (("call", "--node", "n1=127.0.0.1:1", "-o", "reads=dirty", "read"), "expected quorum or lease or local"),
        (("call", "--node", "n1=127.0.0.1:1", "write", "x", "[" * 3000 + "]" * 3000), "at most 64 lists and objects"),
        (("dump", "--data", "absent"), "expected a directory"),
        (("fly",), "invalid choice"),
    ],
    ids=["node", "name", "option", "depth", "data", "command"],
)
def test_bad_arguments_are_one_line_and_254(arguments: tuple[str, ...], message: str) -> None:
    result = raft_impl(*arguments)

    assert result.returncode == 254
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
