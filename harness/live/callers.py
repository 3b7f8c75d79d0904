"""Who opened a connection: a proxy must know between whom it stands.

A client of the plan calls from an address of its own: `calling_from` lets every socket of the current task and of its
children begin there. A process of a node cannot be told to, so its connection is looked up: the kernel lists the socket
behind each pair of addresses (/proc/net/tcp), and the files that each process has open (/proc/PID/fd). That needs no
privilege, and works for programs in any language. Addresses that members tell each other can then be the same for all.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Final

import trio

_FROM: Final[ContextVar[str]] = ContextVar("calling-from", default="")
_INODE: Final = 9
"""The field of a line of /proc/net/tcp that holds the inode."""

Address = tuple[str, int]


def calling_from(host: str) -> None:
    """Let connections of this task and of tasks that it starts from now on begin at an address of this machine."""
    _FROM.set(host)


class Sockets(trio.abc.SocketFactory):
    """Makes sockets that begin where the current task calls from."""

    def socket(
        self,
        family: socket.AddressFamily | int = -1,
        type: socket.SocketKind | int = -1,
        proto: int = -1,
    ) -> trio.socket.SocketType:
        """A new socket."""
        plain = socket.socket(family, type, proto)
        host = _FROM.get()
        if host and plain.family == socket.AF_INET:
            # The port is chosen when the other end is known, so that they do not run out.
            plain.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            plain.bind((host, 0))
        return trio.socket.from_stdlib_socket(plain)


def caller(local: Address, remote: Address, pids: Mapping[str, int]) -> str | None:
    """Whose process opened the connection from `local` to `remote`, both as the caller sees them; None: of none."""
    link = _socket(local, remote)
    if link is None:
        return None
    return next((name for name, pid in pids.items() if any(link in _files(one) for one in _family(pid))), None)


def _socket(local: Address, remote: Address) -> str | None:
    """What a descriptor of the connection's socket links to."""
    ends = f" {_hexadecimal(local)} {_hexadecimal(remote)} "
    with open("/proc/net/tcp") as table:
        for line in table:
            if ends in line:
                inode = line.split()[_INODE]
                return f"socket:[{inode}]" if inode != "0" else None
    return None


def _hexadecimal(address: Address) -> str:
    host, port = address
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"


def _family(pid: int) -> Iterable[int]:
    """A process and all below it."""
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from _family(int(child))


def _files(pid: int) -> set[str]:
    """What the descriptors of a process link to."""
    found = set()
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(folder):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"{folder}/{descriptor}"))
    return found
