"""The same servers and clients over TCP and real files. Real time passes here, so these tests are few."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from raft_impl import surface
from raft_impl.protocol.messages import Append, Heartbeat
from raft_impl.protocol.state import Entry, EntryKind, Index, Term
from raft_impl.runtime.wire import encode
from raft_impl.server.arguments import Address
from raft_impl.server.real_env import RealDisk, RealEnvironment
from raft_impl.server.serving import INBOX_BYTES_MAX
from raft_impl.server.transport import Transport

OPTIONS = {
    "election_timeout_ms": 300,
    "heartbeat_ms": 60,
    "client_timeout_ms": 10_000,
    "client_attempt_timeout_ms": 500,
    "snapshot_threshold": 20,
}


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with trio.fail_after(30):
            await body()

    trio.run(bounded)


class Node:
    """A server that can be stopped and started again on the same port and directory."""

    def __init__(self, name: str, directory: Path, addresses: dict[str, Address], options: dict[str, Any]) -> None:
        self.name, self.directory, self.addresses, self.options = name, directory, addresses, options
        self.notes: list[tuple[Any, ...]] = []
        self.scope = trio.CancelScope()
        self.stopped = trio.Event()
        self.server: Any = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        host, port = self.addresses[self.name]
        (listener,) = await trio.open_tcp_listeners(port, host=host)
        self.addresses[self.name] = listener.socket.getsockname()[:2]
        disk = RealDisk(self.directory)
        spec = surface.GroupSpec(machine="counter", voters=("n1", "n2", "n3"))
        try:
            with self.scope:
                async with trio.open_nursery() as nursery:
                    env = RealEnvironment(self.name, self.addresses, disk, self.notes.extend)
                    await nursery.start(env.network.run, listener)
                    self.server = surface.make_server(env, groups={"g0": spec}, options=self.options)
                    await self.server.start()
                    task_status.started()
                    await env.serve(self.server)
        finally:
            disk.close()
            self.stopped.set()


@asynccontextmanager
async def cluster(folder: Path, **options: Any) -> AsyncIterator[tuple[dict[str, Node], trio.Nursery]]:
    """Three nodes; their addresses are filled in before any of them dials."""
    addresses: dict[str, Address] = {}
    for name in ("n1", "n2", "n3"):
        (probe,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses[name] = probe.socket.getsockname()[:2]
        await probe.aclose()
    nodes = {name: Node(name, folder / name, addresses, {**OPTIONS, **options}) for name in addresses}
    async with trio.open_nursery() as nursery:
        for node in nodes.values():
            await nursery.start(node.run)
        yield nodes, nursery
        nursery.cancel_scope.cancel()


async def client(nodes: dict[str, Node], nursery: trio.Nursery, name: str = "client") -> surface.Client:
    addresses = nodes["n1"].addresses
    env = RealEnvironment(name, addresses)
    await nursery.start(env.network.run, None)
    opened = surface.make_client(env, group="g0", servers=tuple(nodes), options=nodes["n1"].options)
    await opened.open()
    return opened


@pytest.mark.parametrize("storage", ["sync", "async"])
def test_a_cluster_serves_over_tcp_and_real_files(tmp_path: Path, storage: str) -> None:
    async def body() -> None:
        async with cluster(tmp_path, storage=storage) as (nodes, nursery):
            first = await client(nodes, nursery, "first")
            second = await client(nodes, nursery, "second")
            for number in range(1, 31):
                assert await first.call("add-and-get", "c", 1) == [1, number]
            assert await second.call("read", "c", None) == 30

    run(body)


def test_a_stopped_node_comes_back_with_what_it_knew(tmp_path: Path) -> None:
    async def body() -> None:
        async with cluster(tmp_path) as (nodes, nursery):
            one = await client(nodes, nursery)
            for _ in range(5):
                await one.call("add", "c", 1)
            for name in ("n1", "n2", "n3"):  # each in turn, the leader among them
                node = nodes[name]
                node.scope.cancel()
                await node.stopped.wait()
                await one.call("add", "c", 10)
                nodes[name] = Node(name, node.directory, node.addresses, node.options)
                await nursery.start(nodes[name].run)
            assert await one.call("read", "c", None) == 35
            digests = set()
            for _ in range(100):
                digests = {node.server.inspect()["g0"]["digest"] for node in nodes.values()}
                if len(digests) == 1:
                    break
                await trio.sleep(0.05)
            assert len(digests) == 1

    run(body)


def test_frames_arrive_whole_and_in_order_whatever_their_size() -> None:
    async def body() -> None:
        received: list[tuple[str, bytes]] = []
        complete = trio.Event()

        def receive(source: str, frame: bytes) -> None:
            received.append((source, frame))
            if len(received) == len(frames) - 1:
                complete.set()

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses = {"b": listener.socket.getsockname()[:2], "a": ("127.0.0.1", 1)}
        a = Transport("a", addresses, lambda source, frame: None)
        b = Transport("b", addresses, receive)
        frames = [bytes([64 + number]) * size for number, size in enumerate((0, 1, 5, 70_000, 3, 1_000_000, 2))]
        async with trio.open_nursery() as nursery:
            await nursery.start(b.run, listener)
            await nursery.start(a.run, None)
            for frame in frames:
                a.send("b", frame)
            await complete.wait()
            nursery.cancel_scope.cancel()
        assert received == [("a", frame) for frame in frames if frame]  # an empty frame is a ping

    run(body)


def test_a_heartbeat_does_not_wait_behind_entries() -> None:
    """Megabytes on their way to a follower must not make it believe that its leader is gone."""

    async def body() -> None:
        received: list[bytes] = []
        complete = trio.Event()

        def receive(source: str, frame: bytes) -> None:
            received.append(frame)
            if len(received) == 3:
                complete.set()

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses = {"b": listener.socket.getsockname()[:2], "a": ("127.0.0.1", 1)}
        a = Transport("a", addresses, lambda source, frame: None)
        b = Transport("b", addresses, receive)
        entry = Entry(Index(1), Term(1), EntryKind.COMMAND, bytes(40_000_000))
        large = encode("g0", Append(Term(1), Index(0), Term(0), Index(0), (entry,), 0))
        small = encode("g0", Append(Term(1), Index(1), Term(1), Index(0), (), 0))
        heartbeat = encode("g0", Heartbeat(Term(1), 1, Index(0)))
        async with trio.open_nursery() as nursery:
            await nursery.start(b.run, listener)
            await nursery.start(a.run, None)
            for frame in (large, small, heartbeat):
                a.send("b", frame)
            await complete.wait()
            nursery.cancel_scope.cancel()
        assert received == [heartbeat, large, small]

    run(body)


def test_an_actor_without_address_is_answered_over_its_own_connection() -> None:
    async def body() -> None:
        answers: list[tuple[str, bytes]] = []
        answered = trio.Event()

        def take(source: str, frame: bytes) -> None:
            answers.append((source, frame))
            answered.set()

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses = {"server": listener.socket.getsockname()[:2]}
        server = Transport("server", addresses, lambda source, frame: server.send(source, frame + b"!"))
        caller = Transport("caller", addresses, take)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run, listener)
            await nursery.start(caller.run, None)
            caller.send("server", b"hello")
            await answered.wait()
            nursery.cancel_scope.cancel()
        assert answers == [("server", b"hello!")]

    run(body)


def test_what_cannot_be_sent_is_dropped_and_counted() -> None:
    async def body() -> None:
        lonely = Transport("lonely", {}, lambda source, frame: None)
        lonely.send("stranger", b"x")
        assert lonely.dropped_count == 1

    run(body)


def test_an_actor_that_does_not_look_is_given_only_so_much() -> None:
    chunk = bytes(1024 * 1024)

    async def body() -> None:
        busy = RealEnvironment("busy", {})
        for number in range(INBOX_BYTES_MAX // len(chunk) + 2):
            busy._deliver("peer", b"%03d" % number + chunk)

        taken = [await busy.recv(0) for _ in range(INBOX_BYTES_MAX // len(chunk))]
        busy._deliver("peer", b"later")

        assert busy.inbox.dropped_count == 3
        assert [found[1][:3] for found in taken if found is not None] == [b"%03d" % n for n in range(len(taken) - 1)]
        assert taken[-1] is None
        assert await busy.recv(0) == ("peer", b"later")

    run(body)


def test_a_peer_that_sends_garbage_is_hung_up_on() -> None:
    async def body() -> None:
        received: list[bytes] = []
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        target = Transport("target", {}, lambda source, frame: received.append(frame))
        async with trio.open_nursery() as nursery:
            await nursery.start(target.run, listener)
            async with await trio.open_tcp_stream(*listener.socket.getsockname()[:2]) as stream:
                await stream.send_all(b"\xff" * 100)
                assert await stream.receive_some(10) == b""
            nursery.cancel_scope.cancel()
        assert received == []

    run(body)


def test_files_that_were_finished_do_not_stay_open(tmp_path: Path) -> None:
    """A log of 1,000 segments holds no more descriptors than one of ten."""

    async def body() -> None:
        disk = RealDisk(tmp_path)
        for number in range(100):
            disk.append(f"segment-{number}", b"x")
            await disk.fsync(f"segment-{number}")
        disk.append("segment-0", b"y")
        await disk.fsync("segment-0")
        opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)]
        assert disk.read("segment-0") == b"xy"
        assert len([path for path in opened if path.startswith(str(tmp_path / "segment"))]) <= 8
        disk.close()

    run(body)


def _is_open(descriptor: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{descriptor}")
