"""What a system's code is given in place of the world: clocks, a network, a disk, randomness.

One object for each incarnation of an actor. The code of a system reaches time, chance, other actors and storage through
it and in no other way: that is what makes a simulated run a function of its plan. All times are integer nanoseconds,
and nothing but bytes leaves an actor.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol


class Clock(Protocol):
    """The actor's own clocks, which faults make drift; the wall clock may also jump."""

    def monotonic_ns(self) -> int:
        """Never goes backwards within one incarnation; `deadline_ns` of a server and of `recv` are on this clock."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970. A system that reads it says so: capability `wall-clock`."""
        ...


class Network(Protocol):
    """Datagrams between actors: unordered, lossy, at times duplicated or damaged."""

    def send(self, target: str, data: bytes) -> None:
        """Hand one datagram to the network. Never blocks, never raises, promises nothing."""
        ...


class Disk(Protocol):
    """A flat directory of files. Only what an fsync covered is sure to survive the loss of power.

    All but the two fsync calls are immediate, and any call may raise `OSError`.
    """

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """The whole content. Raises FileNotFoundError."""
        ...

    def append(self, name: str, data: bytes) -> None:
        """Add at the end, creating the file if it is absent."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Replace the whole content, creating the file if it is absent."""
        ...

    def truncate(self, name: str, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Replace `target` atomically; durable after `fsync_directory`."""
        ...

    def unlink(self, name: str) -> None:
        """Remove; durable after `fsync_directory`."""
        ...

    def fsync(self, name: str) -> Awaitable[None]:
        """Wait until the content of the file is durable. Its name is durable only after `fsync_directory`."""
        ...

    def fsync_directory(self) -> Awaitable[None]:
        """Wait until creations, renames and removals so far are durable."""
        ...


class Randomness(Protocol):
    """Draws that are keyed by the plan, the actor, its incarnation and the purpose."""

    def below(self, bound: int, purpose: str) -> int:
        """A uniform integer in [0, bound). Draws for one purpose do not shift those for another."""
        ...


class Environment(Protocol):
    """Everything that an actor can see."""

    @property
    def actor(self) -> str:
        """The actor's name, which is its address."""
        ...

    @property
    def clock(self) -> Clock: ...

    @property
    def network(self) -> Network: ...

    @property
    def disk(self) -> Disk: ...

    @property
    def randomness(self) -> Randomness: ...

    async def recv(self, deadline_ns: int | None) -> tuple[str, bytes] | None:
        """For clients: the next datagram as (source, data), or None when the monotonic clock reached the deadline."""
        ...
