"""Bytes into frames and frames into bytes, both bounded.

    | length 4 | frame |       a length of 0 is a ping: "I am here", and nothing else

Whatever a peer sends, a connection holds at most one unfinished frame, and all connections of a kind together at most
what their `Budget` allows. A peer that promises more is hung up on.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from typing import Final

import trio

FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""A longer frame is taken for garbage, and its connection is closed."""
QUEUE_BYTES_MAX: Final = 64 * 1024 * 1024
"""What may wait for one slow peer before frames to it are dropped."""
PING: Final = b"\0\0\0\0"
_LENGTH: Final = struct.Struct(">I")
RECEIVE_BYTES: Final = 256 * 1024
"""What is read from a connection at once."""
_JOINED_BYTES_MAX: Final = 64 * 1024
"""Small frames are sent together; to copy large ones for that would cost more than it saves."""


class PeerFault(Exception):
    """A peer does what none of ours does; its connection ends. `word` and one sentence about the peer."""

    def __init__(self, word: str, sentence: str) -> None:
        super().__init__(sentence)
        self.word = word


class Budget:
    """Bytes that unfinished frames may hold, over all connections of a kind."""

    def __init__(self, bytes_max: int) -> None:
        self.held = 0
        self._bytes_max = bytes_max

    def change(self, before: int, now: int) -> None:
        """A connection held `before` bytes and holds `now`. Raises PeerFault when that is too much for all."""
        self.held += now - before
        if now > before and self.held > self._bytes_max:
            raise PeerFault(
                "memory", f"unfinished frames hold {self.held} bytes; at most {self._bytes_max} may be held"
            )


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self, stream: trio.abc.ReceiveStream, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.heard_s = trio.current_time()
        """When something last arrived."""
        self.began_s: float | None = None
        """When the unfinished frame began to arrive; None if there is none."""
        self._stream = stream
        self._buffer = bytearray()
        self._frame_bytes_max = frame_bytes_max
        self._budget = Budget(FRAME_BYTES_MAX)
        self._held = 0

    def bound(self, frame_bytes_max: int, budget: Budget) -> None:
        """From now on frames have this bound, and unfinished ones count in this budget."""
        self._frame_bytes_max = frame_bytes_max
        self._budget = budget

    def close(self) -> None:
        """Give back what was held."""
        self._buffer.clear()
        self._hold(0)

    async def exactly(self, count: int) -> bytes:
        """The next bytes, before frames begin. Raises PeerFault when the stream ends first."""
        while len(self._buffer) < count:
            await self._receive()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def some(self) -> list[bytes]:
        """Wait for at least one frame and give all that are there. Raises PeerFault at the end of the stream."""
        while True:
            frames = self.cut()
            if frames:
                return frames
            await self._receive()

    async def _receive(self) -> None:
        self._add(await self._stream.receive_some(RECEIVE_BYTES))

    def feed(self, data: bytes) -> list[bytes]:
        """Take what the poller read from the stream; give the frames that are whole now. Raises PeerFault."""
        self._add(data)
        return self.cut()

    def _add(self, data: bytes | bytearray) -> None:
        if not data:
            raise PeerFault("closed", "it hung up")
        self.heard_s = trio.current_time()
        self._buffer += data

    def cut(self) -> list[bytes]:
        """The frames that are whole. Raises PeerFault."""
        buffer, frames, offset = self._buffer, [], 0
        while offset + 4 <= len(buffer):
            (length,) = _LENGTH.unpack_from(buffer, offset)
            if length > self._frame_bytes_max:
                raise PeerFault("garbage", f"a frame of {length} bytes; expected at most {self._frame_bytes_max}")
            if offset + 4 + length > len(buffer):
                break
            if length:
                frames.append(bytes(buffer[offset + 4 : offset + 4 + length]))
            offset += 4 + length
        del buffer[:offset]
        if not buffer:
            self.began_s = None
        elif offset or self.began_s is None:
            self.began_s = self.heard_s
        if self._held or len(buffer) > RECEIVE_BYTES:
            self._hold(len(buffer))
        return frames

    def _hold(self, size: int) -> None:
        before, self._held = self._held, size
        self._budget.change(before, size)


class FrameQueue:
    """Frames that wait for one connection, bounded in bytes.

    While nothing waits, a frame is written to the socket at once, as far as that takes it: a task that has to be woken
    for that comes late, and costs more than the write.
    """

    def __init__(self, bytes_max: int = QUEUE_BYTES_MAX) -> None:
        self.is_idle = True
        """Whether nothing was put since this was last set."""
        self._bytes_max = bytes_max
        self._parts: deque[bytes | memoryview] = deque()
        self._size = 0
        self._taker: trio.lowlevel.Task | None = None
        self._descriptor = -1  # of the socket that takes bytes now; -1 while there is none
        self._is_taken = False  # what was taken last may be on its way still

    def connect(self, descriptor: int) -> None:
        """From now on write to this socket, which does not block, whenever nothing waits."""
        self._descriptor = descriptor

    def disconnect(self) -> None:
        """Write no more, and drop all frames."""
        self._descriptor = -1
        self._is_taken = False
        self._parts.clear()
        self._size = 0

    def put(self, frame: bytes) -> bool:
        """Add a frame at the end. False: there is no room."""
        if self._size + len(frame) > self._bytes_max:
            return False
        self.is_idle = False
        parts: list[bytes | memoryview] = [_LENGTH.pack(len(frame)), frame]
        if self._descriptor >= 0 and not self._parts and not self._is_taken:
            parts = self._write(parts)
            if not parts:
                return True
        self._parts += parts
        self._size += sum(map(len, parts))
        if self._taker is not None:
            trio.lowlevel.reschedule(self._taker)
            self._taker = None
        return True

    def ping(self) -> None:
        """Say something if nothing was said since the last ping."""
        if self.is_idle and not self._parts:
            self.put(b"")
        self.is_idle = True

    async def take(self) -> bytes | memoryview:
        """Wait until there is something, and take what is to be sent next. Called again, that has been sent."""
        self._is_taken = False
        if not self._parts:
            self._taker = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._forget_taker)
        self._is_taken = True
        first = self._parts.popleft()
        taken = [first]
        size = len(first)
        while self._parts and size + len(self._parts[0]) <= _JOINED_BYTES_MAX:
            taken.append(self._parts.popleft())
            size += len(taken[-1])
        self._size -= size
        return first if len(taken) == 1 else b"".join(taken)

    def _write(self, parts: list[bytes | memoryview]) -> list[bytes | memoryview]:
        """Write what the socket takes now. Returns the rest."""
        try:
            written = os.writev(self._descriptor, parts)
        except (BlockingIOError, InterruptedError):
            return parts
        except OSError:
            self._descriptor = -1  # who reads from the connection sees that it ended
            return parts
        head, frame = parts
        if written >= len(head):
            rest = memoryview(frame)[written - len(head) :]
            return [rest] if rest else []
        return [memoryview(head)[written:], frame]

    def _forget_taker(self, _: object) -> trio.lowlevel.Abort:
        self._taker = None
        return trio.lowlevel.Abort.SUCCEEDED
