"""What all sockets of an incarnation have in common: an address, options that mean nothing, and an end.

IPv4 only; what asks for more gets the error that a machine without it gives.
"""

from __future__ import annotations

import builtins
import errno
import socket
from abc import abstractmethod
from types import TracebackType
from typing import Any, Final, Self

import trio

from .connection import error_of
from .stack import Stack

_ANY: Final = "0.0.0.0"


class SimSocket(trio.socket.SocketType):
    """A socket of one incarnation."""

    def __init__(self, stack: Stack, port: int = 0) -> None:
        super().__init__()
        self._stack = stack
        self._port = port
        self._is_closed = False

    @property
    def family(self) -> socket.AddressFamily:
        """Always IPv4."""
        return socket.AF_INET

    def fileno(self) -> int:
        """No number that means anything, but for -1, which means closed."""
        return -1 if self._is_closed else 1_000

    def getsockname(self) -> Any:
        """Own address and port."""
        return (self._stack.names.address(self._stack.actor) if self._port else _ANY, self._port)

    def setsockopt(self, level: int, optname: int, value: Any, optlen: int | None = None) -> None:
        """Nothing: no option changes what is simulated."""

    def set_inheritable(self, inheritable: bool) -> None:
        """Nothing: there are no child processes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: builtins.type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def bind(self, address: Any) -> None:
        """Take a port of the own address. Raises OSError."""
        await trio.lowlevel.checkpoint()
        self.bind_now(address)

    def bind_now(self, address: Any) -> None:
        """Take a port without letting others run. Raises OSError."""
        stack, (host, port) = self._stack, address[:2]
        if stack.names.actor(host, stack.actor) != stack.actor:
            raise error_of(errno.EADDRNOTAVAIL)
        self._take_port(int(port) or stack.free_port())

    @abstractmethod
    def _take_port(self, port: int) -> None:
        """Be bound to a port. Raises OSError."""

    def _peer(self, host: str) -> str:
        peer = self._stack.names.actor(host, self._stack.actor)
        if peer is None:
            raise error_of(errno.EHOSTUNREACH)
        return peer

    async def _begin(self) -> None:
        await trio.lowlevel.checkpoint()
        self._require_open()

    def _require_open(self) -> None:
        if self._is_closed:
            raise error_of(errno.EBADF)
