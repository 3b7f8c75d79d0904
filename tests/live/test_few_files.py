"""256 open files, the limit of many systems: hundreds of log segments, and more connections than there is room for."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress

import pytest
import trio

from raft_impl.client import Completion, Counter, connect
from raft_impl.server.handshake import HandshakeRefused
from tests.live.cluster import PATIENCE_S, Cluster, free_ports
from tests.live.test_limits import descriptor_count, join_as_client

pytest.importorskip("hypercorn")
pytest.importorskip("starlette")

OPEN_FILES = 256
WRITES = 2600


async def write(cluster: Cluster) -> list[Completion]:
    """Many small writes, in order."""
    done: list[Completion] = []
    nodes = {name: ("127.0.0.1", port) for name, port in cluster.ports.items()}
    async with connect(nodes, timeout_s=PATIENCE_S) as connection:
        counter = Counter(connection, "c")
        for _ in range(WRITES):
            connection.soon(counter.increment, on_done=done.append)
        await connection.drain()
    return done


async def crowd(cluster: Cluster) -> int:
    """Come as more clients than there is room for. Returns how many were."""
    refused = 0
    opened = []
    for number in range(90):
        try:
            opened.append(await join_as_client(cluster.ports["n1"], "n1", number))
        except HandshakeRefused:
            refused += 1
    for stream in opened:
        await trio.aclose_forcefully(stream)
    return refused


@pytest.mark.slow
def test_three_nodes_with_256_open_files_write_hundreds_of_segments_among_too_many_visitors(cluster: Cluster) -> None:
    cluster.open_files_max = OPEN_FILES
    http = dict(zip(cluster.names, free_ports(3), strict=True))
    for name in cluster.names:
        cluster.start(name, f"--http=127.0.0.1:{http[name]}", "-o", "segment_bytes=256", "-o", "snapshot_threshold=0")
    assert cluster.call("add-and-get", "c", "1") == "[1,1]"

    with ExitStack() as stack:
        for port in (*cluster.ports.values(), *http.values()):
            for _ in range(100):
                with suppress(OSError):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        done = trio.run(write, cluster)
        refused = trio.run(crowd, cluster)
        counts = {name: descriptor_count(cluster, name) for name in cluster.names}

    assert [one.value for one in done] == list(range(2, WRITES + 2))
    assert refused > 0
    assert max(counts.values()) < OPEN_FILES
    for name in cluster.names:
        segments = [file for file in os.listdir(cluster.folder / name) if file.endswith(".wal")]
        assert len(segments) > OPEN_FILES, "more segments than files may be open"
        assert cluster.running[name].poll() is None, cluster.log(name)[-1000:]
        assert "too-many-open-files" not in cluster.log(name)
    cluster.kill("n1")
    cluster.start("n1")
    cluster.kill("n2")
    assert cluster.call("add-and-get", "c", "1") == f"[1,{WRITES + 2}]", "what is in all these segments is read back"
