"""What a fault can do to the world in which it happens.

The records of this package reach the world through these interfaces only. The simulated world implements them
(`harness.sim.fault_world`); a world of real processes can implement them as well, and then every fault works there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

MILLION = 1_000_000

Edge = tuple[str, str]
"""(source, target): what is sent from the first to the second."""


class Effect(msgspec.Struct, frozen=True, gc=False):
    """One thing wrong with a link; `id` is that of the fault, or "link" for what a healthy link does.

    `loss`, `duplicate`, `reorder` and `corrupt` happen to `ppm` millionths of the messages; `delay` to all.
    `span_ns` bounds the drawn part of a delay (jitter, lateness of a copy, hold).
    """

    id: str
    what: Literal["loss", "duplicate", "delay", "reorder", "corrupt"]
    ppm: int = MILLION
    base_ns: int = 0
    span_ns: int = 0


class FaultDisk(Protocol):
    """The disk of a machine. What is done under the id of a fault ends under the same id, but for damage."""

    def fail(
        self,
        fault: str,
        operation: Literal["read", "write", "fsync"],
        dropped: Literal["clean", "gone"] = "clean",
    ) -> None:
        """Let calls of a sort fail with EIO; `dropped` says what reads find of the pages that a failed fsync drops."""
        ...

    def fill(self, fault: str, room_bytes: int) -> None: ...

    def delay(self, fault: str, late_ns: int) -> None: ...

    def lie(self, fault: str) -> None: ...

    def end(self, fault: str) -> None: ...


class FaultDamage(Protocol):
    """What can be done to the bytes of a disk. False where there is nothing of that sort to damage."""

    def rot(self, fault: str, region: str, part: str) -> bool: ...

    def misdirect(self, fault: str, region: str) -> bool: ...

    def lose_write(self, fault: str, region: str, *, is_last: bool) -> bool: ...


class FaultHost(Protocol):
    """The machine of one actor. What is done under the id of a fault is undone under the same id."""

    @property
    def is_up(self) -> bool:
        """Whether a process runs here; it may be paused."""
        ...

    @property
    def refused(self) -> str:
        """Why the process refuses to start, or nothing."""
        ...

    @property
    def disk(self) -> FaultDisk: ...

    @property
    def damage(self) -> FaultDamage: ...

    armed: dict[str, Callable[[], None]]
    """Calls to make within the next write in flight, by fault."""

    def arm(self, fault: str, moment: Literal["in-flight", "between", "answered"], crash: Callable[[], None]) -> None:
        """Let a crash happen at a moment of the next write."""
        ...

    def disarm(self, fault: str) -> bool:
        """Take back a crash that has not happened. Whether there was one."""
        ...

    def pause(self, fault: str, *, stop_clock: bool) -> None: ...

    def unpause(self, fault: str) -> None: ...

    def slow_down(self, fault: str, processing_ns: int) -> None: ...

    def speed_up(self, fault: str) -> None: ...

    def slow_background(self, fault: str, late_ns: int) -> None: ...

    def hurry_background(self, fault: str) -> None: ...


class FaultNetwork(Protocol):
    """The links between actors. All effects of a fault on links end with `mend`."""

    def cut(self, fault: str, edges: tuple[Edge, ...]) -> None: ...

    def clog(self, fault: str, edges: tuple[Edge, ...]) -> None: ...

    def affect(self, fault: str, effect: Effect, edges: tuple[Edge, ...]) -> None: ...

    def limit(self, fault: str, bytes_per_s: int, edges: tuple[Edge, ...]) -> None: ...

    def lie(self, fault: str, edges: tuple[Edge, ...]) -> None: ...

    def mend(self, fault: str, keep: Callable[[str, str], bool] = ...) -> None:
        """Undo a fault on all links but those, given as (source, target), that `keep` chooses."""
        ...


class FaultWorld(Protocol):
    """The world, as faults see it. Times are nanoseconds since the start of the run."""

    healed: bool
    """Whether the heal has begun; set by the nemesis."""

    administered: bool
    """Whether an administrator asks for members himself now, after the heal: faults no longer do."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the server processes, sorted."""
        ...

    @property
    def clients(self) -> tuple[str, ...]:
        """Names of the clients, sorted."""
        ...

    @property
    def hosts(self) -> Mapping[str, FaultHost]: ...

    @property
    def network(self) -> FaultNetwork: ...

    @property
    def heal_ns(self) -> int:
        """When the heal happens."""
        ...

    @property
    def heals_all(self) -> bool:
        """Whether all nodes work after the heal: it is total, and no disk was damaged."""
        ...

    def now_ns(self) -> int: ...

    def call_at(self, time_ns: int, call: Callable[[Any], None], argument: Any) -> None:
        """Call once, at exactly this time; calls of one instant come in the order in which they were asked for."""
        ...

    # -- who is there ---------------------------------------------------------------------------------------------

    def resolve(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Names for targets; a role that no actor holds gives nothing."""
        ...

    def up(self, names: Sequence[str]) -> list[str]:
        """Those that are up."""
        ...

    def edges_of(self, names: Sequence[str]) -> tuple[Edge, ...]:
        """All links to and from these actors; all links when there are none."""
        ...

    def leader(self, group: str) -> str | None: ...

    def members(self, group: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The initial voters and learners of a group."""
        ...

    def is_in_force(self, group: str, node: str, voters: Sequence[str], learners: Sequence[str]) -> bool:
        """Whether a node's own configuration of a group is this one, and not joint."""
        ...

    # -- what is done ---------------------------------------------------------------------------------------------

    def start(self, name: str, code: str | None = None) -> None: ...

    def code_of(self, name: str) -> str:
        """The label of the code that an actor runs, or ran when it went down."""
        ...

    def install(self, name: str, code: str) -> None:
        """Let a node that is down run other code from its next start on."""
        ...

    def is_outdated(self, name: str) -> bool:
        """Whether a node is down because its code is too old for what its group has agreed on."""
        ...

    def crash(self, name: str, *, power: bool) -> None: ...

    def cut_power(self, name: str, *, keeps: Literal["prefix", "sectors", "nothing"]) -> None:
        """Cut the power of a machine, whether or not a process runs there."""
        ...

    def wipe(self, name: str, *, comes_back: bool) -> bool:
        """Kill a node and empty its disk; unless it `comes_back`, it starts never again. Whether anything was there."""
        ...

    def damageable(self, region: str) -> tuple[str, ...]:
        """The nodes that the plan's atlas has for a region of the disk."""
        ...

    def command(self, name: str, group: str, command: str, arguments: dict[str, Any]) -> bool:
        """Run an administrator's command on a node. True when it was taken."""
        ...

    def when_idle(self, name: str, call: Callable[[], None]) -> None:
        """Call when a node that is busy with its disk takes commands again, if it is still up then."""
        ...

    def set_rate(self, fault: str, name: str, rate_ppm: int | None) -> None:
        """Let an actor's clocks run at a rate, or end that; the latest rate in force wins."""
        ...

    def step_wall(self, fault: str, name: str, step_ns: int) -> None:
        """Move an actor's wall clock; from then on each time that the actor reads it is a hit of the fault."""
        ...

    def release_wall(self, fault: str, name: str) -> None:
        """Stop counting reads of an actor's wall clock as hits of the fault."""
        ...

    # -- for the nemesis ------------------------------------------------------------------------------------------

    def take_hits(self, fault: str, names: Sequence[str]) -> int:
        """How many events, on links or at these actors, a fault has touched since this was asked last."""
        ...

    def heal(self, within: Collection[str] | None) -> None:
        """Undo what is no fault's: wrong clock rates, lossy links, processes that are down. None: for all actors."""
        ...

    def record(self, kind: str, actor: str, *fields: Any) -> None:
        """Put a row into the trace."""
        ...
