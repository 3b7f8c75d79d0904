"""Sockets of TCP: what `trio.socket.socket` gives to a program, over the connections of its stack."""

from __future__ import annotations

import errno
import socket
from typing import Any

import trio

from .connection import Connection, error_of
from .sockets import SimSocket
from .stack import Listener, Stack


class StreamSocket(SimSocket):
    """A socket that listens, or is one end of a connection."""

    def __init__(self, stack: Stack, connection: Connection | None = None) -> None:
        super().__init__(stack, connection.port if connection is not None else 0)
        self._connection = connection
        self._listener: Listener | None = None
        self._wrote_end = False

    # -- what is known of it --------------------------------------------------------------------------------------

    @property
    def type(self) -> socket.SocketKind:
        """Always a stream."""
        return socket.SOCK_STREAM

    @property
    def proto(self) -> int:
        """Always TCP."""
        return socket.IPPROTO_TCP

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        """Whether the program wrote the end of its stream."""
        return self._wrote_end

    def __repr__(self) -> str:
        peer = f" to {self._connection.peer}:{self._connection.peer_port}" if self._connection is not None else ""
        return f"<StreamSocket {self._stack.actor}:{self._port}{peer}>"

    def getpeername(self) -> Any:
        """Address and port of the other end. Raises OSError."""
        connection = self._connection
        if connection is None or connection.state == "calling":
            raise error_of(errno.ENOTCONN)
        return (self._stack.names.address(connection.peer), connection.peer_port)

    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> Any:
        """Whether it listens, and for all else that it is not set."""
        if (level, optname) == (socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return int(self._listener is not None)
        return 0 if buflen is None else bytes(buflen)

    def is_readable(self) -> bool:
        """Whether a read would not wait."""
        if self._listener is not None:
            return bool(self._listener.waiting)
        connection = self._connection
        return connection is not None and bool(
            connection.incoming.unread or connection.incoming.is_ended or connection.error
        )

    # -- calls ----------------------------------------------------------------------------------------------------

    def _take_port(self, port: int) -> None:
        if port in self._stack.listeners:
            raise error_of(errno.EADDRINUSE)
        self._port = port

    def listen(self, backlog: int = 128) -> None:
        """Await calls on the port. Raises OSError."""
        if self._port in self._stack.listeners:
            raise error_of(errno.EADDRINUSE)
        self._port = self._port or self._stack.free_port()
        self._listener = self._stack.listeners[self._port] = Listener(backlog, self._stack.wake)

    async def accept(self) -> tuple[trio.socket.SocketType, Any]:
        """The next call. Raises OSError."""
        await self._begin()
        listener = self._listener
        if listener is None:
            raise error_of(errno.EINVAL)
        while not listener.waiting:
            await listener.readable.wait()
            self._require_open()
        connection = listener.waiting.pop(0)
        accepted = StreamSocket(self._stack, connection)
        return accepted, (self._stack.names.address(connection.peer), connection.peer_port)

    async def connect(self, address: Any) -> None:
        """Call another actor. Raises OSError."""
        await self._begin()
        stack = self._stack
        if self._connection is not None:
            raise error_of(errno.EISCONN)
        peer = self._peer(address[0])
        self._port = self._port or stack.free_port()
        connection = self._connection = stack.call(peer, int(address[1]), self._port)
        try:
            while connection.state == "calling" and connection.error is None:
                await connection.writable.wait()
                self._require_open()
        except BaseException:
            connection.close()  # Trio: a socket whose connect was cancelled can only be closed
            raise
        if connection.error is not None:
            self._connection = None
            raise connection.error

    # -- streams --------------------------------------------------------------------------------------------------

    async def send(self, data: Any, flags: int = 0, /) -> int:
        """Write as many bytes as there is room for. Raises OSError."""
        await self._begin()
        connection = self._connected()
        if self._wrote_end:
            raise error_of(errno.EPIPE)
        while connection.error is None and not connection.outgoing.room:
            await connection.writable.wait()
            self._require_open()
        if connection.error is not None:
            raise connection.error
        chunk = bytes(memoryview(data)[: connection.outgoing.room])
        if not self._stack.is_dead:
            connection.write(chunk)
        return len(chunk)

    async def wait_writable(self) -> None:
        """Wait until there is room. Raises OSError."""
        await self._begin()
        connection = self._connected()
        while connection.error is None and not connection.outgoing.room:
            await connection.writable.wait()
            self._require_open()

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """Read what is there, at least one byte; nothing at the end of the stream. Raises OSError."""
        await self._begin()
        connection = self._connected()
        incoming = connection.incoming
        while not incoming.unread and not incoming.is_ended:
            if connection.error is not None:
                raise connection.error
            await connection.readable.wait()
            self._require_open()
        if flags & socket.MSG_PEEK:
            return bytes(incoming.unread[:buflen])
        return connection.read(buflen)

    async def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Read into a buffer. Raises OSError."""
        view = memoryview(buffer).cast("B")
        data = await self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def shutdown(self, flag: int) -> None:
        """Close one direction. Raises OSError."""
        connection = self._connected()
        if flag in (socket.SHUT_WR, socket.SHUT_RDWR) and not self._wrote_end:
            self._wrote_end = True
            connection.end_writing()

    def close(self) -> None:
        """Close it; tasks that wait for it learn that."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._listener is not None:
            self._stack.listeners.pop(self._port, None)
            for connection in self._listener.waiting:
                connection.reset()
            self._listener.readable.wake()
        if self._connection is not None and not self._stack.is_dead:
            self._connection.close()

    def _connected(self) -> Connection:
        if self._connection is None:
            raise error_of(errno.ENOTCONN)
        return self._connection
