"""`foreshock cluster` against real processes: each command does what it says, or says why not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.live.cluster import ENVIRONMENT, Cluster, eventually

pytestmark = pytest.mark.slow


class Foreshock:
    """The command line, for one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._nodes = cluster.nodes

    def run(self, action: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness", "cluster", action, *self._nodes, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=60)

    def json(self, action: str, *words: str) -> Any:
        done = self.run(action, "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def test_a_cluster_of_four_is_administered_while_a_client_writes(
    clusters: Callable[..., Cluster],
) -> None:
    cluster = clusters(names=("n1", "n2", "n3", "n4"))
    foreshock = Foreshock(cluster)
    for name in ("n1", "n2", "n3"):
        cluster.start(name, "--voters", "n1,n2,n3", "--cluster", "four")
    assert cluster.call("add-and-get", "c", "1") == "[1,1]"

    status = foreshock.json("status")
    assert (sorted(status["nodes"]), status["silent"]) == (["n1", "n2", "n3"], ["n4"])
    (leader,) = [name for name, one in status["nodes"].items() if one["role"] == "leader"]
    assert len(status["nodes"][leader]["peers"]) == 2

    cluster.start("n4", "--join", "--cluster", "four")
    assert foreshock.json("add", "n4", "--learner")["members"]["learners"] == ["n4"]
    assert foreshock.run("add", "n4").stderr.startswith("refused: is-member; ")
    assert foreshock.json("promote", "n4")["members"]["voters"] == ["n1", "n2", "n3", "n4"]
    assert cluster.call("add-and-get", "c", "1") == "[1,2]"

    assert foreshock.json("transfer", "n4")["leader"] == "n4"
    assert foreshock.run("transfer", "n4").returncode == 1
    eventually(lambda: foreshock.json("status")["nodes"]["n1"]["log"]["applied"] > 3)
    assert sorted(foreshock.json("snapshot")["snapshots"]) == ["n1", "n2", "n3", "n4"]

    assert "n1" not in foreshock.json("remove", "n1")["members"]["voters"]
    assert foreshock.run("remove", "n1").returncode == 1
    assert foreshock.json("remove", "n4")["leader"] in ("n2", "n3"), "the leader itself can be removed"
    assert cluster.call("add-and-get", "c", "1") == "[1,3]"
    assert foreshock.run("members").stdout.splitlines()[0] == "voters    n2 n3"

    dumped = foreshock.run("dump")
    assert any(": add-and-get c 1 [session" in line for line in dumped.stdout.splitlines())
    shown = foreshock.json("dump", "n2", "--count", "2")["lines"]
    assert len(shown) == 2


def test_without_a_majority_every_command_says_so(cluster: Cluster) -> None:
    cluster.start("n1")
    foreshock = Foreshock(cluster)
    eventually(lambda: foreshock.run("status").stdout)

    status = foreshock.run("status")
    added = foreshock.run("transfer", "--timeout", "2")

    assert status.returncode == 1
    assert [line.split()[1] for line in status.stdout.splitlines()[2:]] == ["silent", "silent"]
    assert added.returncode == 1
    assert added.stderr.startswith("refused: no-leader; no server leads; a majority")
    assert len(added.stderr.splitlines()) == 1


def test_a_server_that_does_not_run_is_not_added_and_that_is_said(clusters: Callable[..., Cluster]) -> None:
    cluster = clusters(names=("n1", "n2"))
    cluster.start("n1", "--voters", "n1")
    foreshock = Foreshock(cluster)
    cluster.call("read", "c")

    added = foreshock.run("add", "n2", "--timeout", "3")

    assert added.returncode == 2
    assert "not-caught-up" in added.stderr
    members = foreshock.json("members")["members"]
    assert (members["voters"], members["learners"]) == (["n1"], ["n2"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("status", "--node", "n1"), "expected NAME=HOST:PORT"),
        (("add", "--node", "n1=127.0.0.1:1", "a b"), "NAME has the name 'a b'"),
        (("add", "--node", "n1=127.0.0.1:1", "n7"), "expected n7=HOST:PORT"),
        (("add", "--node", "n1=127.0.0.1:1", "n7=0.0.0.0:7"), "expected an address that others can reach"),
        (("status", "--node", "n1=127.0.0.1:1", "--timeout", "0"), "expected more than 0"),
        (("status",), "expected foreshock cluster status --node NAME=HOST:PORT"),
    ],
)
def test_bad_arguments_are_one_line_and_254(words: tuple[str, ...], message: str) -> None:
    command = [sys.executable, "-m", "harness", "cluster", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=60)

    assert done.returncode == 254
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_administrator_without_the_secret_is_not_let_in(clusters: Callable[..., Cluster]) -> None:
    cluster = clusters()
    secret = cluster.folder / "secret"
    secret.write_text("nobody guesses this one")
    for name in cluster.names:
        cluster.start(name, "--secret-file", str(secret))
    foreshock = Foreshock(cluster)
    proof = ("--secret-file", str(secret))
    eventually(lambda: foreshock.run("status", *proof).returncode == 0)

    assert foreshock.json("members", *proof)["members"]["voters"] == ["n1", "n2", "n3"]
    stranger = foreshock.run("status")
    assert stranger.returncode == 1
    lines = stranger.stdout.splitlines()
    assert [line.split()[1] for line in lines[1:4]] == ["refused"] * 3
    assert [line.split(": ")[:2] for line in lines[4:]] == [[name, "wrong-secret"] for name in cluster.names]
    for words in (("members",), ("transfer",), ("snapshot",), ("dump",), ("remove", "n3"), ("promote", "n3")):
        done = foreshock.run(*words)
        assert done.returncode == 1
        assert done.stderr.startswith("refused: wrong-secret; "), "that waiting helps would not be true"
        assert len(done.stderr.splitlines()) == 1
