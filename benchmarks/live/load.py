"""The load: clients with a connection each and one operation outstanding, in one loop over their sockets.

It is the same for every system that is reached over a socket, and does as little as it can between two operations, so
that the servers are measured: a request is bytes that are ready, and an answer is looked at only for whether it is
whole and good.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

_RECEIVE_BYTES: Final = 65536
_PERCENT: Final = 100


class Channel(Protocol):
    """One client of a system."""

    socket: socket.socket

    def request(self) -> bytes:
        """The next operation."""
        ...

    def take(self, data: bytes) -> bool:
        """Take what arrived. True when the operation is done. Raises NotReady when it failed."""
        ...


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What clients saw of one system in one window."""

    system: str
    clients: int
    ops_per_s: float
    p50_ms: float
    p99_ms: float
    server_cpu_us_per_op: float
    """Of all servers together."""


def drive(channels: Sequence[Channel], seconds: float) -> list[float]:
    """Keep every client busy for so long. The latency of each operation that was done, in seconds."""
    poll = select.epoll()
    by_descriptor = {channel.socket.fileno(): channel for channel in channels}
    began: dict[int, float] = {}
    latencies: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds
    for descriptor, channel in by_descriptor.items():
        poll.register(descriptor, select.EPOLLIN)
        began[descriptor] = clock()
        channel.socket.sendall(channel.request())
    try:
        while began:
            for descriptor, _ in poll.poll():
                channel = by_descriptor[descriptor]
                if not channel.take(channel.socket.recv(_RECEIVE_BYTES)):
                    continue
                now = clock()
                latencies.append(now - began[descriptor])
                if now < end:
                    began[descriptor] = now
                    channel.socket.sendall(channel.request())
                else:
                    del began[descriptor]
    finally:
        poll.close()
    return latencies


def summary(system: str, clients: int, latencies: Sequence[float], elapsed_s: float, processor_s: float) -> Measured:
    """Throughput, median and 99th percentile."""
    ordered = sorted(latencies) or [0.0]
    return Measured(
        system=system,
        clients=clients,
        ops_per_s=len(latencies) / elapsed_s,
        p50_ms=ordered[len(ordered) // 2] * 1000,
        p99_ms=ordered[len(ordered) * 99 // _PERCENT] * 1000,
        server_cpu_us_per_op=processor_s / max(1, len(latencies)) * 1e6,
    )
