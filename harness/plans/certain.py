"""Certain hits: one fault of each kind that a plan uses repeatedly and that might all miss.

A run in which a kind of fault that its plan uses at least twice never had an effect does not count
(`harness.run.gates`). Most kinds meet something wherever they lie. Three do not, in plans full of other faults:

* what only a leader can take, a transfer or a change of membership: in some plans hardly anybody leads;
* what is aimed at a role that nobody may hold, or at nodes that may be down, stopped by an error of their disk, or
  felled by damage;
* damage, when the node that holds it was down, or had removed the file, at the restart that should have shown it.

So the first of such a kind is drawn once more for the beginning of the phase, when the group is as healthy as it will
ever be, and damage once more for the end of the phase, in what every node has and reads at its next start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from harness.faults.crashes import Crash
from harness.faults.disk_damage import BitRot, Region
from harness.faults.fault import FOREVER, Fault
from harness.faults.nodes import NodeFault
from harness.faults.snapshots import Compact
from harness.faults.wipes import WipedDisk

from .atlas import Atlas
from .patterns import FaultContext
from .rng import Stream, Streams

_ASKED_OF_A_LEADER: Final = ("transfer", "membership")
_WITHIN_TENTHS: Final = {"transfer": (0, 2), "membership": (3, 8)}
_LATER_TENTHS: Final = (10, 20)
"""How soon after the begin of the phase it comes, in tenths of the election timeout. A leader that was asked for other
members may have no one left to hand over to, and what breaks something comes after what needs a leader."""
_LENGTH_TIMEOUTS: Final = (3, 30)
"""The shortest and the longest time that such a fault lasts: enough to meet something, and not half of the phase."""
_STOPPED_NS: Final = 1_000_000_000
"""How long a node stays down that stopped by itself, as it does at an error of its disk."""
_MANY: Final = 30
"""Faults from which on they hide each other's effects. Errors of disks and damage do so always: they stop nodes."""
_TRIES: Final = 8
"""Moments that are tried for a crash at which its node is not down anyway."""
_MILLISECOND: Final = 1_000_000


def with_certain_hits(
    streams: Streams, context: FaultContext, faults: Sequence[Fault], atlas: Atlas, kinds: Sequence[str]
) -> tuple[Fault, ...]:
    """Add such faults to those of a plan, sorted by begin. `kinds` are those that may be drawn at all.

    They are numbered behind the others, which keep their ids and with them what chance does to them.
    """
    early = _at_the_beginning(streams, context, faults)
    added = [*early, *_at_the_end(streams, context, [*faults, *early], atlas, kinds)]
    named = (msgspec.structs.replace(fault, id=f"f{number}") for number, fault in enumerate(added, len(faults) + 1))
    return tuple(sorted((*faults, *named), key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind)))


def _at_the_beginning(streams: Streams, context: FaultContext, faults: Sequence[Fault]) -> list[Fault]:
    """The first of each kind that might miss, each at a moment of its own; in a plan of few faults none is hidden."""
    found: list[Fault] = []
    if len(faults) < _MANY and not any(fault.counts_with for fault in faults):
        return found
    for kind in dict.fromkeys((*_ASKED_OF_A_LEADER, *(fault.kind for fault in faults))):
        alike = [fault for fault in faults if fault.kind == kind]
        if len(alike) < 2 or alike[0].counts_with:
            continue
        if kind not in _ASKED_OF_A_LEADER and not all(_may_miss(fault, faults) for fault in alike):
            continue
        stream = streams(f"faults/certain/{kind}")
        earliest, latest = _WITHIN_TENTHS.get(kind, _LATER_TENTHS)
        begin_ns = context.begin_ns + stream.between(earliest, latest) * context.timeout_ns // 10
        begin_ns -= begin_ns % _MILLISECOND
        shortest_ns, longest_ns = (count * context.timeout_ns for count in _LENGTH_TIMEOUTS)
        length_ns = max(shortest_ns, min(alike[0].end_ns - alike[0].begin_ns, longest_ns))
        end_ns = min(begin_ns + length_ns, context.end_ns)
        order = stream.shuffled(context.nodes)
        again = msgspec.structs.replace(alike[0], begin_ns=begin_ns, end_ns=end_ns)
        choices = (again.with_named_target((name, *(other for other in order if other != name))) for name in order)
        free = next((choice for choice in choices if not _is_halted_twice(choice, [*faults, *found])), None)
        if begin_ns < end_ns and free is not None:
            found.append(free)
    return found


def _is_halted_twice(fault: Fault, faults: Sequence[Fault]) -> bool:
    """Whether it halts a node that another fault has halted meanwhile."""
    if not isinstance(fault, NodeFault) or not fault.halts_targets:
        return False
    return any(
        other.begin_ns <= fault.end_ns and fault.begin_ns <= other.end_ns and set(other.targets) & set(fault.targets)
        for other in faults
        if isinstance(other, NodeFault) and other.halts_targets
    )


def _may_miss(fault: Fault, faults: Sequence[Fault]) -> bool:
    """Whether nobody may hold its role, or all of its targets may be down."""
    aimed_at = fault.aimed_at
    return fault.targets_role or (bool(aimed_at) and all(_may_be_down(name, fault, faults) for name in aimed_at))


def _may_be_down(name: str, when: Fault, faults: Sequence[Fault]) -> bool:
    for other in faults:
        if other is when or not isinstance(other, NodeFault) or name not in other.targets:
            continue
        if other.counts_with == "damage":
            until_ns = FOREVER
        elif other.counts_with == "disk-errors":
            until_ns = other.end_ns + _STOPPED_NS
        elif other.halts_targets:
            until_ns = other.end_ns
        else:
            continue
        if other.begin_ns < when.end_ns and when.begin_ns < until_ns:
            return True
    return False


def _at_the_end(
    streams: Streams, context: FaultContext, faults: Sequence[Fault], atlas: Atlas, kinds: Sequence[str]
) -> list[Fault]:
    """A bit that rots on a node of the atlas, and a restart of that node."""
    damage = [fault for fault in faults if fault.counts_with == "damage"]
    if len(damage) < 2 or "bit-rot" not in kinds or "crash" not in kinds:
        return []
    if any(isinstance(fault, WipedDisk) for fault in damage):  # which surely meets a disk that holds something
        return []
    stream = streams("faults/certain/damage")
    # Every node has log records, most have a term in its file and many a snapshot: the surest region comes first.
    regions: tuple[Region, ...] = ("log", "hard-state", "snapshot")
    region = next((one for one in regions if atlas.get(one)), None)
    if region is None:
        return []
    name = stream.choice(atlas[region])
    part: Literal["header", "body"] = "body" if stream.chance_ppm(600_000) else "header"
    crash = _late_crash(stream, context, name)
    for _ in range(_TRIES):
        if _is_halted_twice(crash, faults):
            crash = _late_crash(stream, context, name)
    if _is_halted_twice(crash, faults):
        return []
    rot_ns = crash.begin_ns - context.span(stream, 4, 10) // _MILLISECOND * _MILLISECOND
    rot = BitRot(id="", begin_ns=rot_ns, end_ns=context.end_ns, targets=(name,), region=region, part=part)
    found: list[Fault] = [rot, crash]
    if region == "snapshot" and "compact" in kinds:
        compact_ns = max(context.begin_ns, rot_ns - context.timeout_ns)
        found.append(Compact(id="", begin_ns=compact_ns, end_ns=rot_ns, targets=(name,)))
    return found if context.begin_ns <= rot_ns else []


def _late_crash(stream: Stream, context: FaultContext, name: str) -> Crash:
    """A crash near the end of the phase."""
    down_ns = (context.end_ns - context.span(stream, 12, 60)) // _MILLISECOND * _MILLISECOND
    back_ns = context.until(down_ns, context.span(stream, 2, 10)) // _MILLISECOND * _MILLISECOND
    return Crash(id="", begin_ns=down_ns, end_ns=back_ns, targets=(name,))
