"""What others may take of a node: connections, memory, time, bytes. Whatever they take, the cluster serves on."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from pathlib import Path

import trio

from raft_impl.server.framing import FrameReader, PeerFault
from raft_impl.server.handshake import HandshakeRefused, Party, dial
from tests.live.cluster import Cluster, eventually

LOST = (PeerFault, trio.BrokenResourceError, trio.ClosedResourceError, OSError)


async def anybody(party: Party) -> None:
    """Judge nobody."""


async def join_as_client(port: int, target: str, number: int) -> trio.SocketStream:
    """A connection after its handshake, as a client has it."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    party = Party(name=f"c{number}", role="client", ping_ms=10_000)
    try:
        await dial(FrameReader(stream), stream.send_all, party, target, None, anybody)
    except HandshakeRefused:
        await stream.aclose()
        raise
    return stream


def resident_bytes(cluster: Cluster, name: str) -> int:
    status = Path(f"/proc/{cluster.running[name].pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def descriptor_count(cluster: Cluster, name: str) -> int:
    return len(os.listdir(f"/proc/{cluster.running[name].pid}/fd"))


def words(cluster: Cluster, name: str) -> set[str]:
    kinds = ("refused", "peer-fault", "hung-up")
    return {record["word"] for kind in kinds for record in cluster.events(name, kind)}


def test_a_thousand_silent_connections_do_not_stop_the_service(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"

    with contextlib.ExitStack() as opened:
        for number in range(1000):
            name = cluster.names[number % 3]
            with contextlib.suppress(ConnectionError):
                opened.enter_context(socket.create_connection(("127.0.0.1", cluster.ports[name]), timeout=10))
        assert cluster.call("add-and-get", "c", "1") == "[1,6]"
        assert max(descriptor_count(cluster, name) for name in cluster.names) < 300

    assert set(cluster.running) == {"n1", "n2", "n3"}
    assert all(process.poll() is None for process in cluster.running.values())


def test_a_frame_that_is_no_message_ends_its_connection_with_one_line(cluster: Cluster) -> None:
    """Whole as a frame, and garbage inside: from a client here, as from a node of other code."""
    cluster.start_all()
    cluster.call("add-and-get", "c", "1")

    async def babble() -> bytes:
        stream = await join_as_client(cluster.ports["n1"], "n1", 1)
        async with stream:
            await stream.send_all(b"\0\0\0\7garbage" * 3)
            with trio.fail_after(5):
                while data := await stream.receive_some():  # a ping may come first
                    assert set(data) == {0}
        return data

    assert trio.run(babble) == b""
    lines = [record for record in cluster.events("n1", "hung-up") if record["word"] == "garbage"]
    assert len(lines) == 1
    assert "no message" in lines[0]["why"]
    assert cluster.call("add-and-get", "c", "1") == "[1,2]"


def test_with_few_descriptors_clients_are_refused_and_nodes_are_not(cluster: Cluster) -> None:
    """At a limit of 160 open files a node has room for 72 clients, 54 of them from one host."""
    cluster.open_files_max = 160
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    refused: list[str] = []

    async def crowd() -> None:
        opened: list[trio.SocketStream] = []
        for number in range(80):
            try:
                opened.append(await join_as_client(cluster.ports["n1"], "n1", number))
            except HandshakeRefused as error:
                refused.append(error.word)
        assert descriptor_count(cluster, "n1") < 160
        for stream in opened:
            await trio.aclose_forcefully(stream)

    trio.run(crowd)

    assert set(refused) == {"too-many-clients"}
    assert 20 <= len(refused) < 40
    assert cluster.call("add-and-get", "c", "1") == "[1,6]"
    assert all(process.poll() is None for process in cluster.running.values())
    assert "too-many-clients" in words(cluster, "n1")


def test_a_node_that_may_open_too_few_files_says_so(cluster: Cluster) -> None:
    cluster.open_files_max = 70

    cluster.start("n1")

    code, line = cluster.ended("n1")
    assert code == 1
    assert line == "error: too-many-open-files: this process may open 70 files; expected at least 96 (ulimit -n)"


def test_a_request_that_is_too_large_is_refused_as_that(cluster: Cluster) -> None:
    cluster.flags = ("--max-request-bytes=1000",)
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"

    large = cluster.try_call("add-and-get", "c" * 1000, "5")

    assert large.returncode == 1
    assert large.stderr.startswith("refused: too-large: the request has more bytes than a server takes")
    assert cluster.call("add-and-get", "c", "1") == "[1,6]"


def test_unfinished_frames_hold_little_memory(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"
    before = resident_bytes(cluster, "n1")
    chunk = bytes(1 << 20)

    async def flood() -> None:
        async def send_most_of_a_frame(number: int) -> None:
            stream = await join_as_client(cluster.ports["n1"], "n1", number)
            with contextlib.suppress(*LOST):
                await stream.send_all(struct.pack(">I", 32 << 20))
                for _ in range(30):
                    await stream.send_all(chunk)
                with trio.move_on_after(3):
                    await stream.receive_some(1)
            await trio.aclose_forcefully(stream)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(send_most_of_a_frame, number)
            await trio.sleep(1.5)
            assert resident_bytes(cluster, "n1") - before < 160 << 20

    trio.run(flood)

    assert "memory" in words(cluster, "n1")
    assert cluster.call("add-and-get", "c", "1") == "[1,6]"


def test_a_frame_that_is_too_long_to_be_one_ends_the_connection(cluster: Cluster) -> None:
    cluster.start_all()
    assert cluster.call("add-and-get", "c", "5") == "[5,5]"

    async def body() -> bytes:
        async with await join_as_client(cluster.ports["n1"], "n1", 1) as stream:
            await stream.send_all(b"\xff\xff\xff\xff")
            while data := await stream.receive_some(100):
                assert data.strip(b"\0") == b""  # pings
            return data

    assert trio.run(body) == b""
    eventually(lambda: "garbage" in words(cluster, "n1"))


def test_a_handshake_byte_by_byte_has_a_deadline(cluster: Cluster) -> None:
    cluster.start("n1")
    eventually(lambda: cluster.events("n1", "introducing"))

    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", cluster.ports["n1"]), timeout=1) as stream:
        with contextlib.suppress(ConnectionError):
            for byte in b"FSHK\x01\x0f\xff" + bytes(60):
                stream.sendall(bytes([byte]))
                time.sleep(0.25)
        elapsed = time.monotonic() - began

    assert 4 < elapsed < 12
