"""Proxies pass on what is sent, and do to it what faults say; who calls is known."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from harness.faults.world import MILLION, Effect
from harness.live.addresses import Addresses
from harness.live.callers import Sockets, caller, calling_from
from harness.live.network import RETRANSMISSION_NS, Network
from harness.live.proxies import Proxy

TO, BACK = ("c1", "n1"), ("n1", "c1")


class World:
    """A node that answers every line with itself, a proxy before it, and a client."""

    def __init__(self, seed: int = 1) -> None:
        self.addresses = Addresses(["n1"], ["c1"], ["line"])
        self.network = Network(seed)
        self._streams: list[trio.SocketStream] = []

    @asynccontextmanager
    async def running(self, *, is_up: bool = True) -> AsyncIterator[World]:
        trio.socket.set_custom_socket_factory(Sockets())
        own, told = self.addresses.own("n1", "line"), self.addresses.told("n1", "line")
        async with trio.open_nursery() as nursery:
            if is_up:
                listeners = await trio.open_tcp_listeners(own[1], host=own[0])
                nursery.start_soon(trio.serve_listeners, echo, listeners)
            proxy = Proxy("n1", own, told, self.network, lambda local, _: self.addresses.client_at(local[0]))
            await nursery.start(proxy.run)
            calling_from(self.addresses.of_client("c1"))
            yield self
            for stream in self._streams:
                stream.socket.close()
            nursery.cancel_scope.cancel()

    async def connect(self) -> trio.SocketStream:
        self._streams.append(await trio.open_tcp_stream(*self.addresses.told("n1", "line")))
        return self._streams[-1]


async def echo(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)


async def say(stream: trio.SocketStream, word: bytes) -> bytes:
    await stream.send_all(word)
    return await stream.receive_some(100)


def in_world(test: Callable[[World], Awaitable[None]], seed: int = 1, *, is_up: bool = True) -> None:
    """Run a test in a world of its own."""

    async def main() -> None:
        with trio.fail_after(10):
            async with World(seed).running(is_up=is_up) as world:
                await test(world)

    trio.run(main)


def test_what_is_sent_arrives_and_the_end_is_passed_on() -> None:
    async def test(world: World) -> None:
        stream = await world.connect()
        assert await say(stream, b"hello") == b"hello"
        await stream.send_eof()

        assert await stream.receive_some(100) == b""
        assert world.network.counts["pieces"] == 2

    in_world(test)


@pytest.mark.parametrize("edges", [(TO,), (BACK,), (TO, BACK)])
def test_a_clog_holds_what_is_sent_in_one_direction_or_both_and_releases_it(edges: tuple[tuple[str, str], ...]) -> None:
    async def test(world: World) -> None:
        stream = await world.connect()
        assert await say(stream, b"before") == b"before"
        world.network.clog("f1", edges)
        await stream.send_all(b"held")
        with trio.move_on_after(0.1) as waited:
            await stream.receive_some(100)
        world.network.mend("f1")

        assert waited.cancelled_caught
        assert world.network.hits["f1"] == 1
        assert await stream.receive_some(100) == b"held"

    in_world(test)


def test_after_a_partition_a_connection_is_reset_or_goes_on_by_chance() -> None:
    ends = set()

    async def test(world: World) -> None:
        streams = [await world.connect() for _ in range(6)]
        for stream in streams:
            assert await say(stream, b"before") == b"before"
        world.network.cut("f1", (TO, BACK))
        world.network.mend("f1")
        for stream in streams:
            try:
                ends.add(await say(stream, b"after"))
            except trio.BrokenResourceError:
                ends.add(b"reset")
        assert world.network.hits["f1"] == world.network.counts["resets"] > 0

    in_world(test)

    assert ends == {b"after", b"reset"}


def test_a_new_connection_waits_until_the_partition_is_mended() -> None:
    async def test(world: World) -> None:
        world.network.cut("f1", (BACK,))
        stream = await world.connect()
        await stream.send_all(b"hello")
        await trio.sleep(0.05)
        assert world.network.hits["f1"] == 1
        world.network.mend("f1")
        if world.network.counts["resets"]:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(100)
        else:
            assert await stream.receive_some(100) == b"hello"

    for seed in (1, 2, 3):
        in_world(test, seed)


def test_a_partition_that_nothing_met_did_not_bite() -> None:
    async def test(world: World) -> None:
        world.network.cut("f1", (TO, BACK))
        world.network.mend("f1")

        assert world.network.hits["f1"] == 0

    in_world(test)


def test_pieces_of_a_delayed_link_arrive_later_and_in_their_order() -> None:
    async def test(world: World) -> None:
        stream = await world.connect()
        effect = Effect(id="f1", what="delay", base_ns=20_000_000, span_ns=60_000_000)
        world.network.affect("f1", effect, (TO,))
        began = trio.current_time()
        for number in range(8):
            await stream.send_all(b"%d" % number)
            await trio.sleep(0.005)
        received = b""
        while len(received) < 8:
            received += await stream.receive_some(100)

        assert received == b"01234567"
        assert 0.02 <= trio.current_time() - began < 0.5, "delays do not add up"
        assert world.network.hits["f1"] >= 1

    in_world(test)


def test_a_lost_piece_comes_after_a_retransmission_or_ends_its_connection() -> None:
    ends = set()

    async def test(world: World) -> None:
        world.network.affect("f1", Effect(id="f1", what="loss", ppm=MILLION), (TO,))
        for _ in range(30):
            stream = await world.connect()
            began = trio.current_time()
            try:
                answer = await say(stream, b"x")
                assert trio.current_time() - began >= RETRANSMISSION_NS / 1e9
            except trio.BrokenResourceError:
                answer = b"reset"
            ends.add(answer)
            if len(ends) == 2:
                return

    in_world(test)

    assert ends == {b"x", b"reset"}


def test_a_limited_link_takes_its_time() -> None:
    async def test(world: World) -> None:
        world.network.limit("f1", 10_000, (TO,))
        stream = await world.connect()
        began = trio.current_time()
        assert await say(stream, bytes(1000)) == bytes(100)

        assert trio.current_time() - began >= 0.1
        assert world.network.hits["f1"] == 1

    in_world(test)


def test_a_stranger_is_refused() -> None:
    async def test(world: World) -> None:
        calling_from("")
        stream = await world.connect()
        with pytest.raises(trio.BrokenResourceError):
            await say(stream, b"hello")

        assert world.network.counts["unknown callers"] == 1
        assert world.network.counts["connections"] == 0

    in_world(test)


def test_a_node_that_is_down_resets_who_calls() -> None:
    async def test(world: World) -> None:
        stream = await world.connect()
        with pytest.raises(trio.BrokenResourceError):
            await say(stream, b"hello")

    in_world(test, is_up=False)


def test_the_process_that_opened_a_connection_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as mine:
        local, remote = mine.getsockname(), mine.getpeername()

        assert caller(local, remote, {"n1": os.getpid()}) == "n1"
        assert caller(local, remote, {"init": 1}) is None or Path("/proc/1").stat().st_uid == os.getuid()
        assert caller(("127.0.0.1", 1), remote, {"n1": os.getpid()}) is None
