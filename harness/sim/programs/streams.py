"""The two directions of a connection, without time: bytes that wait to be acknowledged, and bytes that wait to be read.

After RFC 9293: cumulative acknowledgements, a window of what the reader has room for, and segments that may arrive in
any order and more than once. A retransmitted segment has the bounds of the first one, so segments never overlap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW_BYTES: Final = 64 * 1024
"""What may be on its way or unread in one direction, and what may wait to be sent, before a writer must wait."""

Piece = tuple[int, bytes, bool]
"""Sequence number, bytes, and whether the end of the stream follows them."""


class Outgoing:
    """What one end writes, until the other one has acknowledged it."""

    def __init__(self) -> None:
        self.unacknowledged = 0  # sequence number of the first byte in `_bytes`
        self._bytes = bytearray()
        self._next = 0  # sequence number of the next byte that was never sent
        self._limit = WINDOW_BYTES  # up to where the reader has room
        self._sent: deque[tuple[int, bool]] = deque()  # where each piece on its way ends, and whether that is the end
        self._is_ended = False  # the writer will write no more
        self._end_was_sent = False

    @property
    def room(self) -> int:
        """How many bytes the writer may write now."""
        return WINDOW_BYTES - len(self._bytes)

    @property
    def is_on_its_way(self) -> bool:
        """Whether anything was sent and not acknowledged."""
        return bool(self._sent)

    @property
    def waits(self) -> bool:
        """Whether there is anything that the other end has not acknowledged, sent or not."""
        return bool(self._sent or self._bytes) or (self._is_ended and not self._end_was_sent)

    @property
    def is_finished(self) -> bool:
        """Whether the other end has everything, and knows that it is all."""
        return self._is_ended and not self.waits

    def write(self, data: bytes) -> None:
        """Add bytes; the caller has looked at `room`."""
        self._bytes += data

    def end(self) -> None:
        """Write no more."""
        self._is_ended = True

    def next_piece(self, size: Callable[[], int]) -> Piece | None:
        """Take what to send next within the window, of a drawn size, or None."""
        if self._end_was_sent:
            return None
        offset = self._next - self.unacknowledged
        left = len(self._bytes) - offset
        count = min(left, self._limit - self._next, size()) if left else 0
        ends = self._is_ended and count == left
        if count <= 0 and not ends:
            return None
        data = bytes(self._bytes[offset : offset + count])
        piece = (self._next, data, ends)
        self._next += count + ends
        self._end_was_sent = ends
        self._sent.append((self._next, ends))
        return piece

    def first_piece(self) -> Piece | None:
        """What was sent first and is not acknowledged, to be sent again."""
        if not self._sent:
            return None
        end, ends = self._sent[0]
        size = end - ends - self.unacknowledged
        return self.unacknowledged, bytes(self._bytes[:size]), ends

    def acknowledge(self, sequence: int, window: int) -> bool:
        """The other end has everything before `sequence`, and room behind it. True if that is news."""
        self._limit = max(self._limit, sequence + window)
        if sequence <= self.unacknowledged or sequence > self._next:
            return False
        while self._sent and self._sent[0][0] <= sequence:
            end, ends = self._sent.popleft()
            del self._bytes[: end - ends - self.unacknowledged]
            self.unacknowledged = end
        return True


class Incoming:
    """What arrived, in order and complete, until it is read."""

    def __init__(self) -> None:
        self.unread = bytearray()
        self.expected = 0  # the next sequence number that is missing
        self.is_ended = False
        self._pieces: dict[int, tuple[bytes, bool]] = {}  # what came too early, by sequence number

    @property
    def window(self) -> int:
        """How many bytes there is room for behind `expected`."""
        return max(0, WINDOW_BYTES - len(self.unread))

    def take(self, sequence: int, data: bytes, fin: bool) -> None:
        """A piece arrived; what was here before, or has no room, is dropped."""
        if sequence < self.expected or sequence + len(data) > self.expected + self.window:
            return
        self._pieces[sequence] = (data, fin)
        while (piece := self._pieces.pop(self.expected, None)) is not None:
            self.unread += piece[0]
            self.expected += len(piece[0])
            if piece[1]:
                self.expected += 1
                self.is_ended = True

    def read(self, size: int) -> bytes:
        """Take bytes."""
        data = bytes(self.unread[:size])
        del self.unread[:size]
        return data
