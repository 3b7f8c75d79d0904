"""The interface between a node or a client and its environment: clock, network, disk, randomness.

The same code runs in the simulator and as an OS process, which implement these protocols differently.
Nothing but bytes crosses between actors, or from an actor to its disk. All times are integer nanoseconds.

There are two ways to run. A client, or any code that awaits on its own, calls `recv(deadline)` in a loop. A server
passes itself to `serve`, so that the environment chooses how to run its synchronous steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Clock(Protocol):
    """The actor's own clocks, both of which may drift; the wall clock may also jump."""

    def monotonic_ns(self) -> int:
        """Never goes backwards within one incarnation of the actor; all timers are on this clock."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970; may jump either way at any time."""
        ...


class Network(Protocol):
    """Datagrams between actors: unordered, lossy, at times duplicated or corrupted."""

    def send(self, target: str, data: bytes) -> None:
        """Hand one datagram to the network. Never blocks, never raises, promises nothing."""
        ...

    def learn(self, group: str, addresses: Mapping[str, str]) -> None:
        """Take note of where the members of a group are reached, instead of what was said of that group before.

        In a simulation an address is the actor's name.
        """
        ...

    def distrust(self, source: str) -> None:
        """What came from there was no message. Where there are connections, that ends the one it came over."""
        ...


class Disk(Protocol):
    """A flat directory of files. Only what `fsync` covered is sure to survive a crash.

    All but the two `fsync` calls are immediate. Every call may raise `OSError`; after an error of an fsync the content
    of the file since its last good fsync is undefined.
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

    def compose(self, name: str, make: Callable[[], bytes]) -> None:
        """Replace the whole content by what `make` gives, which depends on nothing that changes.

        That may be done elsewhere, and later: at the latest when the file is next touched or awaited by `fsync`.
        """
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

    async def fsync(self, name: str) -> None:
        """Return when the content of the file is durable. The name is durable only after `fsync_directory`."""
        ...

    async def fsync_directory(self) -> None:
        """Return when creations, renames and removals so far are durable."""
        ...


class Randomness(Protocol):
    """Reproducible in the simulator, from the operating system elsewhere."""

    def below(self, bound: int, purpose: str) -> int:
        """A uniform integer in [0, bound). `purpose` keeps streams apart: draws for one do not shift another's."""
        ...


class Served(Protocol):
    """What `Environment.serve` runs: a server whose every step is synchronous but for the wait on its disk."""

    deadline_ns: int
    """When, on the monotonic clock, `process` wants to be called even without messages."""
    notes: list[tuple[Any, ...]]
    """Trace rows that it noted since the list was last emptied, which `serve` does."""

    def process(self, messages: list[tuple[str, bytes]]) -> bool:
        """Handle messages and due timers. True when `sync` and then `post` must follow before the next `process`."""
        ...

    async def sync(self) -> None:
        """Make durable what `process` wrote."""
        ...

    def post(self) -> None:
        """Send, apply and answer what had to wait for `sync`."""
        ...


class Environment(Protocol):
    """Everything an actor can see."""

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
        """The next datagram as (source, data), or None when the monotonic clock reached `deadline_ns` first."""
        ...

    async def serve(self, server: Served) -> None:
        """Run a server until the actor stops."""
        ...

    def background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do long work elsewhere, and call `done` with its result later, never before this returns.

        `work` depends on nothing that changes. `done` may be called while the server waits for its disk; the server is
        stepped after it.
        """
        ...
