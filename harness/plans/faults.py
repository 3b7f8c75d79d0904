"""Faults as frozen values: what breaks, from when to when, for whom.

A fault has a begin **and** an end; no entry of the timetable heals another, so removing one leaves the rest
meaningful. Times are virtual nanoseconds since the start of the run. `FOREVER` as an end means that only the heal
ends it, and, where the heal is partial and the target is outside the healed set, nothing does.

Targets are actors by name, or a role that is resolved when the fault begins: `@leader` (the newest leader known to the
observer), `@voter` (a node that granted its vote in the last election), `@follower` (any other node),
`@majority` (so many other nodes that they are a majority without the leader). A role that
nobody holds at that moment is waited for, until half of the fault's time is over; then the fault is moot. A pause, a
slow node or another clock rate waits for a node that is down until the heal, and keeps half of its time.

Parts are given in parts per million (`*_ppm`), so that a plan holds integers only.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

FOREVER: Final = 2**62
ROLES: Final = ("@leader", "@voter", "@follower", "@majority")

Edge = tuple[str, str]
"""(source, target): what is sent from the first to the second."""


class _Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    id: str
    begin_ns: int
    end_ns: int

    @property
    def kind(self) -> str:
        """The word under which this fault is drawn, counted and reported."""
        return str(self.__struct_config__.tag)


class Partition(_Fault, frozen=True, kw_only=True, tag="partition"):
    """Some actors refuse to hear others. `shape` with `order` and `clients` gives the directed edges that are cut.

    `order` is a drawn permutation of the nodes (a role may stand first); shapes read it from the left, e.g. `one`
    cuts `order[0]` from all others. `clients` are the client actors that sit with the first side; the others sit with
    the rest. None leaves every link of a client alone.
    """

    shape: Literal[
        "one", "halves", "majority-minority", "minority-third", "majorities-ring", "bridge", "one-way-in", "one-way-out"
    ]
    order: tuple[str, ...]
    clients: tuple[str, ...] | None = ()


class Loss(_Fault, frozen=True, kw_only=True, tag="loss"):
    """Drop a part of the messages on the links to and from the targets (all links when there are none)."""

    targets: tuple[str, ...] = ()
    loss_ppm: int


class Duplicate(_Fault, frozen=True, kw_only=True, tag="duplicate"):
    """Deliver a part of the messages twice, the copy after a further delay of up to `spread_ns`."""

    targets: tuple[str, ...] = ()
    duplicate_ppm: int
    spread_ns: int


class Delay(_Fault, frozen=True, kw_only=True, tag="delay"):
    """Add `extra_ns` plus up to `jitter_ns` to every message, which also reorders as far as the jitter reaches."""

    targets: tuple[str, ...] = ()
    extra_ns: int
    jitter_ns: int


class Reorder(_Fault, frozen=True, kw_only=True, tag="reorder"):
    """Hold back a part of the messages for up to `hold_ns`, so that later ones overtake them."""

    targets: tuple[str, ...] = ()
    reorder_ppm: int
    hold_ns: int


class Corrupt(_Fault, frozen=True, kw_only=True, tag="corrupt"):
    """Flip a bit in a part of the messages. A checksum must catch it: to the receiver it is a loss."""

    targets: tuple[str, ...] = ()
    corrupt_ppm: int


class Clog(_Fault, frozen=True, kw_only=True, tag="clog"):
    """Hold everything sent to and from the targets, and release it in order when the fault ends."""

    targets: tuple[str, ...]


class SlowNode(_Fault, frozen=True, kw_only=True, tag="slow-node"):
    """Add `processing_ns` between the arrival of a message and its processing, and to each disk completion."""

    targets: tuple[str, ...]
    processing_ns: int


class Bandwidth(_Fault, frozen=True, kw_only=True, tag="bandwidth"):
    """Limit each link of the targets to `bytes_per_s`; what does not fit waits its turn."""

    targets: tuple[str, ...]
    bytes_per_s: int


class Crash(_Fault, frozen=True, kw_only=True, tag="crash"):
    """Kill the targets (nodes or clients) and restart them at the end with what their disks kept.

    `aim` = "write" arms the crash at `begin_ns` and fires it within the target's next write in flight, or after a
    quarter of the fault's time when none came. `power` also loses what was written and not synced as a drawn,
    dependency-closed subset with a torn tail; without it the operating system survives and everything written is
    kept. `code` restarts the target with another code label.
    """

    targets: tuple[str, ...]
    aim: Literal["", "write"] = ""
    power: bool = True
    code: str | None = None


class Pause(_Fault, frozen=True, kw_only=True, tag="pause"):
    """Stop the targets (nodes or clients): deliveries, timers and disk completions are held until the end.

    The monotonic clock runs on, or stops with the actor as when a virtual machine is suspended.
    """

    targets: tuple[str, ...]
    clock: Literal["runs", "stops"] = "runs"


class ClockRate(_Fault, frozen=True, kw_only=True, tag="clock-rate"):
    """Let both clocks of the targets run at `rate_ppm` of true time."""

    targets: tuple[str, ...]
    rate_ppm: int


class ClockStep(_Fault, frozen=True, kw_only=True, tag="clock-step"):
    """Move the wall clock by `step_ns` at the begin, and back by as much at the end when `back` is set."""

    targets: tuple[str, ...]
    step_ns: int
    back: bool = False


class ClockStrobe(_Fault, frozen=True, kw_only=True, tag="clock-strobe"):
    """Move the wall clock to and fro by `step_ns` every `period_ns`."""

    targets: tuple[str, ...]
    step_ns: int
    period_ns: int


class Transfer(_Fault, frozen=True, kw_only=True, tag="transfer"):
    """Ask the leader to hand over to `target` at the begin. Instantaneous; the end is when it is judged."""

    group: str = "g0"
    target: str


class ForcedElection(_Fault, frozen=True, kw_only=True, tag="forced-election"):
    """Make the targets campaign at the begin, whatever their timers say."""

    group: str = "g0"
    targets: tuple[str, ...]


class Compact(_Fault, frozen=True, kw_only=True, tag="compact"):
    """Make the targets take a snapshot and cut their logs at the begin."""

    group: str = "g0"
    targets: tuple[str, ...]


class Membership(_Fault, frozen=True, kw_only=True, tag="membership"):
    """Ask the leader, until it takes, for other voters and learners; at the end ask for the initial ones again."""

    group: str = "g0"
    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()


Fault = (
    Partition
    | Loss
    | Duplicate
    | Delay
    | Reorder
    | Corrupt
    | Clog
    | SlowNode
    | Bandwidth
    | Crash
    | Pause
    | ClockRate
    | ClockStep
    | ClockStrobe
    | Transfer
    | ForcedElection
    | Compact
    | Membership
)
KINDS: Final[dict[str, type[_Fault]]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        Partition,
        Loss,
        Duplicate,
        Delay,
        Reorder,
        Corrupt,
        Clog,
        SlowNode,
        Bandwidth,
        Crash,
        Pause,
        ClockRate,
        ClockStep,
        ClockStrobe,
        Transfer,
        ForcedElection,
        Compact,
        Membership,
    )
}
"""Every kind of fault by its word, in the order in which the reference lists them."""
