"""The TCP proxy before each node: every connection to a node goes through it, and it knows between whom.

A proxy listens where others reach the node and passes on to where the node's process listens. Who called is found by
`callers`; one from elsewhere is refused. What is passed on, when and whether, is for `network` to say.

Both ends see what they would see without a proxy: an end of the stream is passed on behind what was sent before it, a
reset is a reset, and whoever does not read is not sent more, for a proxy holds a bounded number of pieces. There is one
difference: a connection to a node that is down is accepted and reset, where it would have been refused.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

import trio

from .network import Connected, Link, Network

_PIECES_MAX: Final = 64
"""Pieces on their way in one direction of a connection; a sender of more waits."""
_PIECE_BYTES: Final = 65_536
_BACKLOG: Final = 128
_RESET: Final = struct.pack("ii", 1, 0)

Address = tuple[str, int]
Caller = Callable[[Address, Address], str | None]
"""(where the caller calls from, the proxy's own address) -> who that is."""


class Proxy:
    """What stands before one port of one node."""

    def __init__(self, node: str, own: Address, told: Address, network: Network, caller: Caller) -> None:
        """`own` is where the node listens, `told` where the proxy does."""
        self._node, self._own, self._told = node, own, told
        self._network = network
        self._caller = caller

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept and pass on, until cancelled."""
        host, port = self._told
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
        task_status.started()
        await trio.serve_listeners(self._accept, listeners)

    async def _accept(self, stream: trio.SocketStream) -> None:
        network, node = self._network, self._node
        try:
            caller = self._caller(stream.socket.getpeername(), stream.socket.getsockname())
        except OSError:  # it is gone already
            caller = None
        if caller is None:
            network.counts["unknown callers"] += 1
            await _abort(stream)
            return
        there, back = network.link(caller, node), network.link(node, caller)
        connection = _Connection(stream)
        network.opened(connection, caller, node)
        try:
            with connection.scope:
                await there.passage()
                await back.passage()
                await self._join(connection, there, back)
        finally:
            network.closed(connection)
            with trio.CancelScope(shield=True):
                await connection.close()

    async def _join(self, connection: _Connection, there: Link, back: Link) -> None:
        """Dial the node, and pass on what both ends send."""
        try:
            connection.far = far = await trio.open_tcp_stream(*self._own)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_on, there, connection.near, far)
                nursery.start_soon(self._pass_on, back, far, connection.near)
            connection.is_reset = False  # both ends said that they are done
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _pass_on(self, link: Link, source: trio.SocketStream, target: trio.SocketStream) -> None:
        """Pass on what one end sends, to the end of it."""
        give, take = trio.open_memory_channel[tuple[int, bytes]](_PIECES_MAX)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, link, take, target)
            before_ns = 0
            async with give:
                while piece := await source.receive_some(_PIECE_BYTES):
                    at_ns = link.arrival_ns(len(piece), time.monotonic_ns(), before_ns)
                    if at_ns is None:
                        self._network.counts["resets"] += 1
                        raise trio.BrokenResourceError("lost for good")
                    await give.send((at_ns, piece))
                    before_ns = at_ns

    async def _deliver(
        self, link: Link, take: trio.MemoryReceiveChannel[tuple[int, bytes]], target: trio.SocketStream
    ) -> None:
        async for at_ns, piece in take:
            if (left_ns := at_ns - time.monotonic_ns()) > 0:
                await trio.sleep(left_ns / 1e9)
            await link.passage()
            self._network.counts["pieces"] += 1
            await target.send_all(piece)
            link.delivered += 1
        await link.passage()
        await target.send_eof()


class _Connection(Connected):
    """The two streams of one connection."""

    def __init__(self, near: trio.SocketStream) -> None:
        self.scope = trio.CancelScope()
        self.near = near
        self.far: trio.SocketStream | None = None
        self.is_reset = True  # unless both ends have ended it in order

    def reset(self) -> None:
        self.scope.cancel()

    async def close(self) -> None:
        """Close both ends: in order, or abruptly."""
        for stream in (self.near, self.far):
            if stream is not None:
                if self.is_reset:
                    await _abort(stream)
                else:
                    await trio.aclose_forcefully(stream)


async def _abort(stream: trio.SocketStream) -> None:
    """Close with a reset."""
    with contextlib.suppress(OSError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    await trio.aclose_forcefully(stream)
