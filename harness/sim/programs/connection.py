"""One end of a TCP connection over the simulated network.

The links below lose, delay, double, reorder and damage datagrams, and a cut swallows them, so that every fault on a
link is felt as a stream feels it: a lost segment comes again after a retransmission timeout, a partition stalls the
stream, and one that outlasts the patience of an end, which is drawn, ends it with ETIMEDOUT.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

import trio

from .segments import Segment
from .streams import WINDOW_BYTES, Incoming, Outgoing

_TIMEOUT_MIN_NS: Final = 200_000_000
"""The first retransmission timeout: the least that Linux has."""

_TIMEOUT_MAX_NS: Final = 1_600_000_000
"""The longest one, after three doublings. Linux goes up to two minutes, which is longer than a run."""

_PATIENCE_NS: Final = (6_000_000_000, 15_000_000_000)
"""Bounds of the time without an answer after which an end gives up. Linux waits for minutes."""

_SEGMENT_BYTES_MAX: Final = 1_400


class Below(Protocol):
    """What a connection needs of the stack that it is part of."""

    def now_ns(self) -> int: ...

    def draw(self, low: int, high: int, purpose: str) -> int: ...

    def call_at(self, time_ns: int, call: Callable[[Any], None], argument: Any) -> None: ...

    def transmit(self, target: str, segment: Segment) -> None: ...

    def refuse(self, target: str, segment: Segment) -> None: ...

    def established(self, connection: Connection) -> bool: ...

    def forget(self, connection: Connection) -> None: ...

    def wake(self, task: trio.lowlevel.Task) -> None: ...


class Waiters:
    """Tasks that wait for one thing."""

    def __init__(self, wake: Callable[[trio.lowlevel.Task], None]) -> None:
        self._wake = wake
        self._tasks: list[trio.lowlevel.Task] = []

    async def wait(self) -> None:
        """Wait for the next `wake`."""
        task = trio.lowlevel.current_task()
        self._tasks.append(task)

        def abort(_: Any) -> trio.lowlevel.Abort:
            self._tasks.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self) -> None:
        """Let all of them look again."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            self._wake(task)


def error_of(code: int) -> OSError:
    """The exception of an error number."""
    return OSError(code, os.strerror(code))


class Connection:
    """One end: its state, the streams of both directions, and the timer that sends again."""

    def __init__(self, below: Below, peer: str, peer_port: int, port: int, token: int, answer: int = 0) -> None:
        self.peer, self.peer_port, self.port = peer, peer_port, port
        self.token, self.answer = token, answer  # the numbers of who calls and of who was called, 0 while not known
        self.state: Literal["calling", "called", "open"] = "called" if answer else "calling"
        self.error: OSError | None = None
        self.outgoing, self.incoming = Outgoing(), Incoming()
        self.readable, self.writable = Waiters(below.wake), Waiters(below.wake)
        self.is_closed = False  # by the program; what it wrote may still be on its way
        self._below = below
        self._patience_ns = below.draw(*_PATIENCE_NS, "tcp-patience")
        self._heard_ns = below.now_ns()  # when the other end last said something new, or something began to wait for it
        self._timeout_ns = _TIMEOUT_MIN_NS
        self._timer = 0  # the number of the one in force; 0 while none is
        self._timers = 0

    # -- what the program does ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Say the first word: of a caller that it calls, of who was called that it heard."""
        self._send_first()
        self._arm()

    def write(self, data: bytes) -> None:
        """Send bytes; the caller has looked at the room."""
        self.outgoing.write(data)
        self._push()

    def read(self, size: int) -> bytes:
        """Take bytes that arrived; the other end is told when a window that was small has room again."""
        before = self.incoming.window
        data = self.incoming.read(size)
        if before < WINDOW_BYTES // 2 <= self.incoming.window:
            self._send("ack")
        return data

    def end_writing(self) -> None:
        """Half close: the other end will read to the end."""
        self.outgoing.end()
        self._push()

    def close(self) -> None:
        """Close. Bytes that were never read make it a reset, as on Linux."""
        self.is_closed = True
        if self.error is None:
            if self.state == "calling" or self.incoming.unread:
                self.reset()
            else:
                self.end_writing()
                self._forget_if_done()
        self.readable.wake()
        self.writable.wake()

    def reset(self) -> None:
        """End it at once, at both ends."""
        self._send("reset")
        self.fail(errno.ECONNRESET)

    def fail(self, code: int) -> None:
        """The connection is over, and the program learns it where it waits or asks next."""
        self.error = self.error or error_of(code)
        self._timer = 0
        self._below.forget(self)
        self.readable.wake()
        self.writable.wake()

    # -- what arrives ---------------------------------------------------------------------------------------------

    def receive(self, segment: Segment) -> None:
        """Act on a segment of this connection."""
        match segment.kind:
            case "reset":
                self.fail(errno.ECONNREFUSED if self.state == "calling" else errno.ECONNRESET)
            case "syn":
                self._send_first()
            case "syn-ack":
                if self.state == "calling":
                    self.state, self.answer = "open", segment.answer
                    self._heard()
                    self._timer = 0
                    self.writable.wake()
                self._send("ack")
            case _:
                self._receive_in_stream(segment)

    def _receive_in_stream(self, segment: Segment) -> None:
        if self.state == "calling":
            return
        if segment.answer != self.answer:  # of another connection with this caller: one of the two has to end
            self._below.refuse(self.peer, segment)
            return
        if self.state == "called":
            self.state = "open"
            self._timer = 0
            if not self._below.established(self):
                self.reset()
                return
        if self.outgoing.acknowledge(segment.acknowledged, segment.window):
            self._heard()
            self._timer = 0
            self.writable.wake()
        if segment.kind == "data":
            if self.is_closed and segment.data:
                self.reset()
                return
            self.incoming.take(segment.sequence, segment.data, segment.fin)
            self.readable.wake()
        if segment.kind != "ack":
            self._send("ack")
        self._push()
        self._forget_if_done()

    # -- sending, and sending again -------------------------------------------------------------------------------

    def _push(self) -> None:
        """Send what the window allows."""
        if self.state != "open" or self.error is not None:
            return
        if not self.outgoing.is_on_its_way:
            self._heard_ns = self._below.now_ns()
        while (piece := self.outgoing.next_piece(self._draw_size)) is not None:
            self._send("data", *piece)
        if self.outgoing.waits and not self._timer:
            self._arm()

    def _draw_size(self) -> int:
        """Segments are cut anywhere: a program that takes one read for one message finds out."""
        return self._below.draw(1, _SEGMENT_BYTES_MAX, "tcp-segment")

    def _send_first(self) -> None:
        self._send("syn" if self.state == "calling" else "syn-ack")

    def _send(
        self,
        kind: Literal["syn", "syn-ack", "data", "ack", "probe", "reset"],
        sequence: int = 0,
        data: bytes = b"",
        fin: bool = False,
    ) -> None:
        incoming = self.incoming
        segment = Segment(
            kind,
            self.port,
            self.peer_port,
            self.token,
            self.answer,
            sequence,
            incoming.expected,
            incoming.window,
            fin,
            data,
        )
        self._below.transmit(self.peer, segment)

    def _arm(self) -> None:
        self._timers += 1
        self._timer = self._timers
        self._below.call_at(self._below.now_ns() + self._timeout_ns, self._on_timeout, self._timer)

    def _heard(self) -> None:
        self._heard_ns = self._below.now_ns()
        self._timeout_ns = _TIMEOUT_MIN_NS

    def _on_timeout(self, timer: int) -> None:
        if timer != self._timer:
            return
        self._timer = 0
        if self._below.now_ns() - self._heard_ns > self._patience_ns:
            self.fail(errno.ETIMEDOUT)
            return
        if self.state != "open":
            self._send_first()
        elif (piece := self.outgoing.first_piece()) is not None:
            self._send("data", *piece)
        elif self.outgoing.waits:
            self._send("probe")  # the window is closed, and the news that it opened may be lost
        else:
            return
        self._timeout_ns = min(2 * self._timeout_ns, _TIMEOUT_MAX_NS)
        self._arm()

    def _forget_if_done(self) -> None:
        if self.is_closed and self.outgoing.is_finished:
            self._timer = 0
            self._below.forget(self)
