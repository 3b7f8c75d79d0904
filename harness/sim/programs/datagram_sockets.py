"""Sockets of UDP: datagrams over the links of the plan, which lose, delay, double and reorder them."""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

from .connection import error_of
from .sockets import SimSocket
from .stack import Mailbox, Stack

_DATAGRAM_BYTES_MAX: Final = 65_507
"""What an IPv4 packet has room for."""


class DatagramSocket(SimSocket):
    """A socket that sends datagrams, and gets those that are sent to its port."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self._mailbox: Mailbox | None = None
        self._connected: tuple[str, int] | None = None  # the only peer, if it has one

    @property
    def type(self) -> socket.SocketKind:
        """Always datagrams."""
        return socket.SOCK_DGRAM

    @property
    def proto(self) -> int:
        """Always UDP."""
        return socket.IPPROTO_UDP

    def __repr__(self) -> str:
        return f"<DatagramSocket {self._stack.actor}:{self._port}>"

    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> Any:
        """Not set, whatever the option."""
        return 0 if buflen is None else bytes(buflen)

    def getpeername(self) -> Any:
        """Address and port of the only peer. Raises OSError."""
        if self._connected is None:
            raise error_of(errno.ENOTCONN)
        return (self._stack.names.address(self._connected[0]), self._connected[1])

    def is_readable(self) -> bool:
        """Whether a read would not wait."""
        return self._mailbox is not None and bool(self._mailbox.waiting)

    async def connect(self, address: Any) -> None:
        """Send to one peer, and hear nobody else. Raises OSError."""
        await self._begin()
        self._connected = self._peer(address[0]), int(address[1])
        self._bound()

    async def sendto(self, *arguments: Any) -> int:
        """Send `(data, address)`, or `(data, flags, address)`. Raises OSError."""
        await self._begin()
        data, address = arguments[0], arguments[-1]
        return self._send(bytes(data), self._peer(address[0]), int(address[1]))

    async def send(self, data: Any, flags: int = 0, /) -> int:
        """Send to the only peer. Raises OSError."""
        await self._begin()
        if self._connected is None:
            raise error_of(errno.EDESTADDRREQ)
        return self._send(bytes(data), *self._connected)

    async def recvfrom(self, buflen: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """The next datagram, cut to a size, and who sent it. Raises OSError."""
        await self._begin()
        mailbox = self._bound()
        while True:
            while mailbox.waiting:
                peer, port, data = datagram = mailbox.waiting.popleft()
                if self._connected not in (None, (peer, port)):
                    continue
                if flags & socket.MSG_PEEK:
                    mailbox.waiting.appendleft(datagram)
                return data[:buflen], (self._stack.names.address(peer), port)
            await mailbox.readable.wait()
            self._require_open()

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """The next datagram, cut to a size. Raises OSError."""
        return (await self.recvfrom(buflen, flags))[0]

    def close(self) -> None:
        """Close it; tasks that wait for it learn that."""
        self._is_closed = True
        if self._mailbox is not None:
            self._stack.mailboxes.pop(self._port, None)
            self._mailbox.readable.wake()

    def _take_port(self, port: int) -> None:
        if port in self._stack.mailboxes:
            raise error_of(errno.EADDRINUSE)
        self._port = port
        self._mailbox = self._stack.mailboxes[port] = Mailbox(self._stack.wake)

    def _bound(self) -> Mailbox:
        if self._mailbox is None:
            self._take_port(self._stack.free_port())
        assert self._mailbox is not None
        return self._mailbox

    def _send(self, data: bytes, peer: str, port: int) -> int:
        if len(data) > _DATAGRAM_BYTES_MAX:
            raise error_of(errno.EMSGSIZE)
        self._bound()
        self._stack.send_datagram(peer, port, self._port, data)
        return len(data)
