"""What stands for the operating system behind `trio.socket`: it makes sockets, and finds the actors of the plan."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Final

import trio

from harness.systems.programs.incarnation import current

from .connection import error_of
from .datagram_sockets import DatagramSocket
from .sockets import SimSocket
from .stack import Stack
from .stream_sockets import StreamSocket

_FLAGS: Final = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_CLASSES: Final[dict[int, Callable[[Stack], SimSocket]]] = {
    socket.SOCK_STREAM: StreamSocket,
    socket.SOCK_DGRAM: DatagramSocket,
}
_KINDS: Final = ((socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP))


class Sockets(trio.abc.SocketFactory):
    """Makes the sockets of whichever incarnation asks."""

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> SimSocket:
        """A new socket. Raises OSError for what is not simulated."""
        if family != socket.AF_INET:
            raise error_of(errno.EAFNOSUPPORT)
        stack: Stack = current().host.stack
        kind = _CLASSES.get(type & ~_FLAGS)
        if kind is None:
            current().refuse("a socket that is neither a stream nor for datagrams", "TCP or UDP")
        return kind(stack)


class Resolver(trio.abc.HostnameResolver):
    """Finds the actors of the plan, and nobody else."""

    async def getaddrinfo(
        self, host: bytes | None, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """The address of an actor. Raises socket.gaierror."""
        await trio.lowlevel.checkpoint()
        stack: Stack = current().host.stack
        name = host.decode() if isinstance(host, bytes) else host or "localhost"
        actor = stack.actor if name == "localhost" else name
        number = int(port) if port is not None else 0
        address = (stack.names.address(actor), number)
        return [(socket.AF_INET, *kind, "", address) for kind in _KINDS if type in (0, kind[0])]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """The name of an actor."""
        stack: Stack = current().host.stack
        return stack.names.actor(sockaddr[0], stack.actor) or sockaddr[0], str(sockaddr[1])
