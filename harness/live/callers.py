"""Who opened a connection: a proxy must know between whom it stands.

A client of the plan calls from an address of its own: `calling_from` lets every socket of the current task and of its
children begin there. A process of a node cannot be told to, so its connection is looked up: the kernel says which
socket has a pair of addresses, and lists the files that each process has open (/proc/PID/fd). That needs no privilege,
and works for programs in any language. Addresses that members tell each other can then be the same for all.
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
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST: Final = 1
_ANY: Final = 0xFFFFFFFF
_HEAD: Final = 16
_INODE: Final = 68
"""Where the inode is in `struct inet_diag_msg`."""
_ANSWER_BYTES: Final = 4096
_ANSWER_SECONDS_MAX: Final = 1.0

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
    """What a descriptor of the connection's socket links to, as the kernel says (sock_diag(7)); None: it is closed."""
    ends = struct.pack("!HH", local[1], remote[1]) + _packed(local) + _packed(remote)
    question = (
        struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY)
        + ends
        + struct.pack("=III", 0, _ANY, _ANY)
    )
    head = struct.pack("=IHHII", _HEAD + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_ANSWER_SECONDS_MAX)
        kernel.send(head + question)
        answer = kernel.recv(_ANSWER_BYTES)
    (kind,) = struct.unpack_from("=H", answer, 4)
    if kind != _SOCK_DIAG_BY_FAMILY:  # an error: there is no such socket
        return None
    (inode,) = struct.unpack_from("=I", answer, _HEAD + _INODE)
    return f"socket:[{inode}]" if inode else None


def _packed(address: Address) -> bytes:
    """An address in a field that would hold one of IPv6."""
    return socket.inet_aton(address[0]).ljust(16, b"\0")


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
