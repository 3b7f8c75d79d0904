"""Large values and a large state cause no elections: what takes long leaves the loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from raft_impl.client import Map, connect
from raft_impl.runtime.node import REQUEST_BYTES_MAX

from . import cluster as live
from .cluster import Cluster, eventually, raft_impl

MEBIBYTE = 1 << 20


def statuses(cluster: Cluster) -> dict[str, Any]:
    """What every node that answers says of itself."""
    found: dict[str, Any] = json.loads(raft_impl("cluster", "status", *cluster.nodes, "--json").stdout)["nodes"]
    return found


def terms(cluster: Cluster) -> set[int]:
    """The terms of the nodes that answer."""
    return {status["term"] for status in statuses(cluster).values()}


def put(cluster: Cluster, values: dict[str, str]) -> None:
    """Put each value under its key, one after the other, with the defaults of the library but for patience."""
    nodes = {name: ("127.0.0.1", port) for name, port in cluster.ports.items()}

    async def main() -> None:
        async with connect(nodes, timeout_s=60, options={"client_attempt_timeout_ms": 30_000}) as client:
            for key, value in values.items():
                await Map(client).put(key, value)

    trio.run(main)


Start = Callable[..., Cluster]


@pytest.fixture
def start(clusters: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts three nodes with a map, with the defaults of real nodes but for the flags given."""

    def start(*flags: str) -> Cluster:
        monkeypatch.setattr(live, "OPTIONS", ())
        cluster = clusters(*flags)
        for name in cluster.names:
            cluster.start(name, machine="map")
        eventually(lambda: len(statuses(cluster)) == 3 and 0 not in terms(cluster))
        return cluster

    return start


def test_values_of_16_mib_leave_the_term_alone(start: Start) -> None:
    cluster = start()
    before = terms(cluster)

    put(cluster, {"large": "x" * (REQUEST_BYTES_MAX - 100), "again": "y" * (REQUEST_BYTES_MAX - 100)})

    assert terms(cluster) == before


@pytest.mark.slow
def test_a_state_of_100_mib_is_snapshotted_and_sent_to_a_follower_without_an_election(start: Start) -> None:
    cluster = start("-o", "snapshot_threshold=8", "-o", "trailing_entries=0")
    leader = next(iter(statuses(cluster).values()))["leader"]
    away = next(name for name in cluster.names if name != leader)
    before = terms(cluster)
    cluster.kill(away)
    put(cluster, {f"key-{number}": f"{number}" * (13 * MEBIBYTE) for number in range(8)})

    eventually(lambda: all(status["log"]["snapshot"] >= 8 for status in statuses(cluster).values()), patience_s=60)
    cluster.start(away, machine="map")
    eventually(
        lambda: [status["log"]["snapshot"] >= 8 for status in statuses(cluster).values()] == [True] * 3, patience_s=60
    )
    put(cluster, {"after": "all"})

    assert terms(cluster) == before
