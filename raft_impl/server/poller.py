"""One task that waits for all plain connections of a process, and calls who reads from those that have something.

A task a connection, as Trio means it, is right for what happens once: handshakes, ends. But to register a socket anew
and to switch to a task for every frame costs more than to decode and handle it, so frames are read from here.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

import trio

from .framing import RECEIVE_BYTES, FrameReader, PeerFault


class Poller:
    """Sockets, and what to call when there is something to read from them. `run` must run."""

    def __init__(self, after_reading: Callable[[], None]) -> None:
        self.after_reading = after_reading
        """Is called when all that could be read was taken, and does not raise."""
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}

    async def read(self, descriptor: int, reader: FrameReader, take: Callable[[list[bytes]], None]) -> None:
        """Read from a socket until its end, and let `take` have the frames. Raises the PeerFault that ended it."""
        is_over = trio.Event()
        found: list[PeerFault] = []

        def on_readable() -> None:
            try:
                take(reader.feed(os.read(descriptor, RECEIVE_BYTES)))
            except BlockingIOError:
                return
            except PeerFault as fault:
                found.append(fault)
            except OSError:
                found.append(PeerFault("closed", "the connection broke"))
            if found:
                self.remove(descriptor)
                is_over.set()

        take(reader.cut())  # what came with the handshake
        self.after_reading()
        self.add(descriptor, on_readable)
        try:
            await is_over.wait()
        finally:
            self.remove(descriptor)
        raise found[0]

    def add(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """From now on call this whenever something can be read, again and again until it was."""
        self._calls[descriptor] = on_readable
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        """Call no more, before the socket is closed. Harmless when that was done."""
        if self._calls.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    async def run(self) -> None:
        """Wait and call until cancelled."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for descriptor, _ in self._epoll.poll(0):
                    call = self._calls.get(descriptor)
                    if call is not None:
                        call()
                self.after_reading()
        finally:
            self._epoll.close()
            self._calls.clear()
