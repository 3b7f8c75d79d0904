"""`socket.socket` of a program, as far as Trio programs need it: made, bound, set to listen, and given to Trio.

Hypercorn and anyio make their listening sockets so, and hand them to `trio.socket.from_stdlib_socket`.
"""

from __future__ import annotations

import socket
from typing import Any, Final

import trio

from .incarnation import current

_TAKEN_OVER: Final = frozenset(
    {"close", "family", "fileno", "getpeername", "getsockname", "getsockopt", "listen", "proto", "set_inheritable"}
    | {"setsockopt", "type"}
)


class PlainSocket:
    """A socket of the standard library. What it does is done by the one that Trio would make."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        if fileno is not None:
            current().refuse("a socket of a descriptor", "a socket of its own")
        self.taken: Any = trio.socket.socket(
            socket.AF_INET if family == -1 else family, socket.SOCK_STREAM if type == -1 else type
        )

    def bind(self, address: Any) -> None:
        """Take a port of the own address. Raises OSError."""
        self.taken.bind_now(address)

    def setblocking(self, flag: bool) -> None:
        """Nothing: Trio waits."""

    def settimeout(self, value: float | None) -> None:
        """Nothing: Trio waits."""

    def __enter__(self) -> PlainSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.taken.close()

    def __getattr__(self, name: str) -> Any:
        if name in _TAKEN_OVER:
            return getattr(self.taken, name)
        if hasattr(socket.socket, name):
            current().refuse(f"socket.socket.{name}, which waits without Trio", "trio.socket")
        raise AttributeError(name)


def taken(plain: Any) -> Any:
    """Trio's socket of a plain one, as `trio.socket.from_stdlib_socket` gives it."""
    return plain.taken if isinstance(plain, PlainSocket) else trio.socket.from_stdlib_socket(plain)
