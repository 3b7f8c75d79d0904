"""Datagrams over TCP: frames between named actors, with connections that come and go by themselves.

    | length 4 | frame |       the first frame of a connection is the dialler's name

Every actor dials the actors whose address it knows, on its first message to them, and again after each failure with a
growing pause. An actor without an address (a client) is answered over the connection that it dialled. What cannot be
sent is dropped: the layers above expect datagrams, and a queue that grows without bound only adds delay. A connection
carries frames in order, but a new one may overtake an old one, so no more order than that of datagrams is promised.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Mapping
from typing import Final

import trio

Address = tuple[str, int]
Deliver = Callable[[str, bytes], None]

_LENGTH: Final = struct.Struct(">I")
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""A longer frame is taken for garbage, and its connection is closed."""
QUEUE_BYTES_MAX: Final = 64 * 1024 * 1024
"""What may wait for one slow peer before frames to it are dropped."""
_RECEIVE_BYTES: Final = 256 * 1024
_PAUSE_MIN_S: Final = 0.02
_PAUSE_MAX_S: Final = 1.0
_DIAL_TIMEOUT_S: Final = 2.0


class Transport:
    """All connections of one actor. `run` serves them until it is cancelled; `send` never waits and never raises."""

    def __init__(self, name: str, addresses: Mapping[str, Address], deliver: Deliver) -> None:
        self.dropped_count = 0
        """Frames that were not sent: no way to the target, or too many waiting for it."""
        self._name = name
        self._addresses = dict(addresses)
        self._deliver = deliver
        self._queues: dict[str, _Queue] = {}  # of targets that we dial
        self._answering: dict[str, _Queue] = {}  # of actors that dialled us and have no address
        self._nursery: trio.Nursery | None = None

    def send(self, target: str, frame: bytes) -> None:
        """Queue one frame, or drop it."""
        queue = self._queues.get(target) or self._answering.get(target)
        if queue is None:
            if target not in self._addresses or self._nursery is None:
                self.dropped_count += 1
                return
            queue = self._queues[target] = _Queue()
            self._nursery.start_soon(self._keep_dialling, target, queue)
        if not queue.put(frame):
            self.dropped_count += 1

    async def run(
        self, listener: trio.SocketListener | None, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept (with a listener) and dial until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                if listener is not None:
                    await trio.serve_listeners(self._accept, [listener])
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def _keep_dialling(self, target: str, queue: _Queue) -> None:
        pause_s = _PAUSE_MIN_S
        while True:
            try:
                with trio.fail_after(_DIAL_TIMEOUT_S):
                    stream = await trio.open_tcp_stream(*self._addresses[target])
            except (OSError, trio.TooSlowError):
                queue.clear()
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_MAX_S)
                continue
            pause_s = _PAUSE_MIN_S
            queue.put_first(self._name.encode())
            await self._converse(stream, target, queue)
            queue.clear()

    async def _accept(self, stream: trio.SocketStream) -> None:
        reader = _Reader(stream)
        try:
            frames = await reader.some()
        except (trio.BrokenResourceError, _Garbage):
            frames = []
        if not frames:
            return
        source = frames[0].decode(errors="replace")
        queue = _Queue()
        if source not in self._addresses:
            self._answering[source] = queue
        for frame in frames[1:]:
            self._deliver(source, frame)
        await self._converse(stream, source, queue, reader)
        if self._answering.get(source) is queue:
            del self._answering[source]

    async def _converse(
        self, stream: trio.SocketStream, peer: str, queue: _Queue, reader: _Reader | None = None
    ) -> None:
        """Write what is queued and deliver what arrives, until the connection ends."""
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(self._write, stream, queue, nursery.cancel_scope)
            with contextlib.suppress(trio.BrokenResourceError, _Garbage):
                await self._read(reader or _Reader(stream), peer)
            nursery.cancel_scope.cancel()

    async def _write(self, stream: trio.SocketStream, queue: _Queue, scope: trio.CancelScope) -> None:
        try:
            while True:
                await stream.send_all(await queue.take())
        except trio.BrokenResourceError:
            scope.cancel()

    async def _read(self, reader: _Reader, peer: str) -> None:
        deliver = self._deliver
        while frames := await reader.some():
            for frame in frames:
                deliver(peer, frame)


class _Garbage(Exception):
    """A peer sent what is no frame."""


class _Queue:
    """Frames that wait for one connection, bounded in bytes."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._size = 0
        self._taker: trio.lowlevel.Task | None = None

    def put(self, frame: bytes) -> bool:
        """Add a frame at the end. False: there is no room."""
        if self._size + len(frame) > QUEUE_BYTES_MAX:
            return False
        self._frames += (_LENGTH.pack(len(frame)), frame)
        self._size += len(frame)
        if self._taker is not None:
            trio.lowlevel.reschedule(self._taker)
            self._taker = None
        return True

    def put_first(self, frame: bytes) -> None:
        """Add a frame before all others."""
        self._frames[:0] = (_LENGTH.pack(len(frame)), frame)

    def clear(self) -> None:
        """Drop all frames."""
        self._frames = []
        self._size = 0

    async def take(self) -> bytes:
        """Wait until there is something, and take all of it."""
        if not self._frames:
            self._taker = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._forget_taker)
        data = b"".join(self._frames)
        self.clear()
        return data

    def _forget_taker(self, _: object) -> trio.lowlevel.Abort:
        self._taker = None
        return trio.lowlevel.Abort.SUCCEEDED


class _Reader:
    """Cuts a stream of bytes into frames."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def some(self) -> list[bytes]:
        """Wait for at least one frame and give all that are there; an empty list at the end of the stream."""
        while True:
            data = await self._stream.receive_some(_RECEIVE_BYTES)
            if not data:
                return []
            self._buffer += data
            frames = self._cut()
            if frames:
                return frames

    def _cut(self) -> list[bytes]:
        buffer, frames, offset = self._buffer, [], 0
        while offset + 4 <= len(buffer):
            (length,) = _LENGTH.unpack_from(buffer, offset)
            if length > FRAME_BYTES_MAX:
                raise _Garbage
            if offset + 4 + length > len(buffer):
                break
            frames.append(bytes(buffer[offset + 4 : offset + 4 + length]))
            offset += 4 + length
        del buffer[:offset]
        return frames
