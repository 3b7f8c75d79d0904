"""Frames over a socket that takes and gives as much as it likes: nothing is lost, doubled or out of order."""

from __future__ import annotations

import random
import socket

import trio

from raft_impl.server.framing import FrameQueue, FrameReader


def test_frames_of_every_size_arrive_whole_and_in_order_through_a_socket_that_is_often_full() -> None:
    """Some are written at once, some in part, and some wait for the task that writes."""
    rng = random.Random(1)
    frames = [rng.randbytes(rng.choice((1, 3, 100, 5_000, 70_000, 900_000))) for _ in range(120)]
    ours, theirs = socket.socketpair()
    for one in (ours, theirs):
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    received: list[bytes] = []

    async def main() -> None:
        stream, other = (trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in (ours, theirs))
        queue, reader = FrameQueue(1 << 30), FrameReader(other)
        queue.connect(stream.socket.fileno())

        async def write() -> None:
            while True:
                await stream.send_all(await queue.take())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            for frame in frames:
                assert queue.put(frame)
                if rng.random() < 0.3:
                    received.extend(await reader.some())
            with trio.fail_after(10):
                while len(received) < len(frames):
                    received.extend(await reader.some())
            nursery.cancel_scope.cancel()
        await stream.aclose()
        await other.aclose()

    # A pair of Unix sockets has no Nagle to turn off, which a SocketStream would do.
    trio.run(main)

    assert received == frames


def test_what_is_put_after_the_connection_broke_waits_and_is_dropped_with_it() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.close()

    async def main() -> None:
        queue = FrameQueue()
        queue.connect(ours.fileno())
        assert queue.put(b"lost")
        assert bytes(await queue.take()) == b"\0\0\0\4lost"  # the writing task meets the error, and ends the connection
        queue.disconnect()
        with trio.move_on_after(0.01) as scope:
            await queue.take()
        assert scope.cancelled_caught

    trio.run(main)

    ours.close()


def test_a_full_queue_drops_and_takes_again_when_it_has_room() -> None:
    async def main() -> None:
        queue = FrameQueue(100)

        assert queue.put(bytes(90))
        assert not queue.put(bytes(20))
        await queue.take()
        assert queue.put(bytes(90))

    trio.run(main)
