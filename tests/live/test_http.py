"""HTTP of three real nodes, asked with curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.cluster import Cluster, eventually, free_ports, raft_impl

pytest.importorskip("hypercorn")
pytest.importorskip("starlette")

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="asks with curl")
NAMES = ("n1", "n2", "n3")


class Http:
    """Three nodes with HTTP."""

    def __init__(self, cluster: Cluster, machine: str, *, redirects: bool = False) -> None:
        self.cluster = cluster
        self.ports = dict(zip(NAMES, free_ports(3), strict=True))
        self._machine = machine
        self._peers = [f"--http-peer={name}=127.0.0.1:{port}" for name, port in self.ports.items()] if redirects else []

    def start(self, *names: str) -> None:
        for name in names:
            self.cluster.start(name, "--http", f"127.0.0.1:{self.ports[name]}", *self._peers, machine=self._machine)

    def curl(self, name: str, path: str, *flags: str) -> tuple[int, str]:
        """(status, body); status 0 when there was no answer."""
        command = [
            "curl",
            "-s",
            "-m",
            "20",
            "-w",
            "\n%{http_code}",
            *flags,
            f"http://127.0.0.1:{self.ports[name]}{path}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def json(self, name: str, path: str, *flags: str) -> Any:
        status, body = self.curl(name, path, *flags)
        assert status == 200, body
        return json.loads(body)

    def wait(self) -> str:
        """Wait until all nodes that run know one leader, and give it."""

        def agreed() -> str:
            found = {self.curl(name, "/health") for name in self.cluster.running}
            return json.loads(min(found)[1])["leader"] if {status for status, _ in found} == {200} else ""

        return str(eventually(agreed))


@pytest.mark.slow
@needs_curl
def test_a_map_is_set_and_read_through_any_node_also_after_a_kill(cluster: Cluster) -> None:
    http = Http(cluster, "map")
    http.start(*NAMES)
    leader = http.wait()
    others = [name for name in NAMES if name != leader]

    assert http.json(others[0], "/set?key=a&value=b") == {"key": "a", "value": "b"}
    assert [http.json(name, "/get?key=a")["value"] for name in NAMES] == ["b", "b", "b"]
    assert http.curl(leader, "/get?key=none") == (404, '{"error":"absent"}\n')
    assert http.curl(leader, "/get")[0] == 400
    assert http.curl(leader, "/increment?key=a")[0] == 400, "a map does not count"
    assert http.curl(leader, "/nothing")[0] == 404
    assert http.curl(leader, "/transfer")[0] == 405, "only POST moves a leader"

    status = http.json(leader, "/status")
    assert (status["role"], sorted(status["peers"])) == ("leader", others)
    assert http.json(others[0], "/members")["members"]["voters"] == list(NAMES)
    assert http.json(leader, "/snapshot", "-X", "POST")["taken"] is True
    assert f'raft_is_leader{{node="{leader}",group="g0"}} 1' in http.curl(leader, "/metrics")[1]
    assert f'peer="{others[1]}"' in http.curl(leader, "/metrics")[1]

    assert http.json(others[1], f"/transfer?to={others[0]}", "-X", "POST")["target"] == others[0]
    eventually(lambda: http.wait() == others[0])
    code, text = http.curl(leader, f"/transfer?to={others[0]}", "-X", "POST")
    assert (code, "leads already" in text) == (409, True)
    cluster.kill(others[0])
    survivor = others[1]
    eventually(lambda: http.curl(survivor, "/set?key=a&value=c")[0] == 200)
    assert http.json(leader, "/get?key=a")["value"] == "c"


@pytest.mark.slow
@needs_curl
def test_without_a_quorum_the_answer_is_503_and_says_why(cluster: Cluster) -> None:
    http = Http(cluster, "counter")
    http.start(*NAMES)
    http.wait()
    assert http.json("n1", "/increment?key=c&by=5")["value"] == 5
    assert http.json("n2", "/decrement?key=c")["value"] == 4
    assert http.json("n3", "/set?key=c&value=9")["value"] == 9
    assert http.curl("n3", "/set?key=c&value=x")[0] == 400

    cluster.kill("n2")
    cluster.kill("n3")
    eventually(lambda: http.curl("n1", "/health")[0] == 503)

    assert "no quorum" in json.loads(http.curl("n1", "/health")[1])["reason"]
    for path in ("/increment?key=c", "/get?key=c"):
        status, body = http.curl("n1", path)
        assert status == 503
        assert "no quorum" in json.loads(body)["reason"]
        assert json.loads(body)["outcome"] == "refused"
    assert http.json("n1", "/status")["leader"] is None, "about itself a node speaks without a quorum"


@pytest.mark.slow
@needs_curl
def test_a_follower_redirects_to_the_leader_when_it_knows_where(cluster: Cluster) -> None:
    http = Http(cluster, "map", redirects=True)
    http.start(*NAMES)
    leader = http.wait()
    follower = next(name for name in NAMES if name != leader)

    status, _ = http.curl(follower, "/set?key=a&value=b%20c")
    assert status == 307
    assert http.json(follower, "/set?key=a&value=b%20c", "-L") == {"key": "a", "value": "b c"}
    assert http.json(leader, "/get?key=a")["value"] == "b c"


@pytest.mark.slow
@needs_curl
def test_many_requests_at_once_are_all_answered_and_a_node_leaves_in_good_order(
    clusters: Callable[..., Cluster],
) -> None:
    http = Http(clusters(), "counter")
    http.start(*NAMES)
    http.wait()
    url = f"http://127.0.0.1:{http.ports['n2']}/increment?key=c&n=[1-100]"

    done = subprocess.run(
        ["curl", "-s", "-Z", "--parallel-max", "50", url], capture_output=True, text=True, check=False, timeout=60
    )

    values = [json.loads(line)["value"] for line in done.stdout.splitlines()]
    assert sorted(values) == list(range(1, 101))
    http.cluster.running["n2"].terminate()
    assert http.cluster.running["n2"].wait(20) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--http", "0.0.0.0:7001"), "expected a loopback address"),
        (("--http", "nowhere"), "expected NAME=HOST:PORT"),
        (("--http-peer", "n1=127.0.0.1:7001"), "--http-peer without --http"),
        (("--http", "127.0.0.1:0", "--http-peer", "n9=127.0.0.1:7001"), "expected one of the nodes n1"),
    ],
)
def test_bad_addresses_are_one_line_and_254(flags: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = raft_impl("serve", "--name", "n1", "--node", "n1=127.0.0.1:0", "--data", str(tmp_path / "d"), *flags)

    assert done.returncode == 254
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
