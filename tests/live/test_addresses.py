"""Addresses travel in the log: nobody has to be told of everybody, and nobody's address is for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from raft_impl.client import Counter, connect
from tests.live.cluster import PATIENCE_S, Cluster, free_ports, raft_impl


def cluster_command(cluster: Cluster, through: str, action: str, *words: str) -> Any:
    """A command of an administrator who knows one server."""
    done = raft_impl("cluster", action, f"--node={through}=127.0.0.1:{cluster.ports[through]}", "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def address(cluster: Cluster, name: str) -> str:
    return f"127.0.0.1:{cluster.ports[name]}"


def test_a_server_joins_knowing_one_and_known_to_nobody_and_the_first_servers_may_all_go(
    clusters: Callable[..., Cluster],
) -> None:
    cluster = clusters(names=("n1", "n2", "n3", "n4", "n5"))
    book = {name: f"--node={name}={address(cluster, name)}" for name in cluster.names}
    first = [book[name] for name in ("n1", "n2", "n3")]
    for name in ("n1", "n2", "n3"):
        cluster.start(name, nodes=first)
    assert cluster.call("add-and-get", "c", "1") == "[1,1]"

    cluster.start("n4", "--join", nodes=[book["n4"], book["n2"]])
    added = cluster_command(cluster, "n3", "add", f"n4={address(cluster, 'n4')}")
    assert added["members"]["voters"] == ["n1", "n2", "n3", "n4"]
    assert added["members"]["addresses"] == {name: address(cluster, name) for name in ("n1", "n2", "n3", "n4")}

    cluster.start("n5", "--join", nodes=[book["n5"], book["n4"]])
    replaced = cluster_command(cluster, "n4", "replace", "n1", f"n5={address(cluster, 'n5')}")
    assert replaced["members"]["voters"] == ["n2", "n3", "n4", "n5"]
    cluster.kill("n1")
    cluster_command(cluster, "n4", "remove", "n2")
    cluster.kill("n2")

    async def count_while_the_last_of_the_first_goes() -> int:
        known = {"n3": ("127.0.0.1", cluster.ports["n3"])}
        async with connect(known, timeout_s=PATIENCE_S) as connection:
            counter = Counter(connection, "c")
            assert await counter.increment() == 2
            await trio.to_thread.run_sync(cluster_command, cluster, "n5", "remove", "n3")
            cluster.kill("n3")
            return await counter.increment()

    assert trio.run(count_while_the_last_of_the_first_goes) == 3

    cluster.kill("n5")
    cluster.start("n5", nodes=[], machine=None)
    assert cluster_command(cluster, "n4", "members")["members"]["voters"] == ["n4", "n5"]


@pytest.mark.slow
def test_a_member_moves_to_another_address(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "1") == "[1,1]"
    (port,) = free_ports(1)
    cluster.kill("n3")

    moved = cluster_command(cluster, "n1", "replace", "n3", f"n3=127.0.0.1:{port}")
    assert moved["members"]["addresses"]["n3"] == f"127.0.0.1:{port}"
    cluster.start("n3", nodes=[f"--node=n3=127.0.0.1:{port}"])
    cluster.ports["n3"] = port
    cluster.kill("n2")

    assert cluster.call("add-and-get", "c", "1") == "[1,2]", "n1 finds n3 where it is now"


@pytest.mark.slow
def test_a_whole_cluster_that_moved_finds_itself_by_what_is_typed(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "1") == "[1,1]"
    for name in cluster.names:
        cluster.kill(name)
    cluster.ports = dict(zip(cluster.names, free_ports(3), strict=True))

    cluster.start_all()

    assert cluster.call("add-and-get", "c", "1") == "[1,2]"
    (said,) = cluster.events("n1", "address-differs")
    assert f"cluster replace n1 n1=127.0.0.1:{cluster.ports['n1']}" in said["why"]


def test_a_node_that_never_had_an_address_says_so(cluster: Cluster) -> None:
    cluster.start("n1", nodes=[])

    code, line = cluster.ended("n1")

    assert code == 254
    assert line == "error: --name is 'n1'; expected --node n1=HOST:PORT"


def test_a_node_may_listen_elsewhere_than_where_others_reach_it_but_must_know_where_that_is(tmp_path: Path) -> None:
    (port,) = free_ports(1)

    refused = raft_impl("serve", "--name", "n1", "--data", str(tmp_path), "--listen", f"127.0.0.1:{port}")

    assert refused.returncode == 254
    assert refused.stderr.count("\n") == 1
    assert "n1=HOST:PORT" in refused.stderr
