"""Disks that fail calls, fill up or are slow, also together with a power loss that shows what they forgot."""

from __future__ import annotations

from typing import Final, Literal

from harness.faults.crashes import Crash
from harness.faults.disk_damage import REGIONS, BitRot, LostWrite, MisdirectedWrite, Region
from harness.faults.disk_errors import DiskFull, FsyncError, LyingFsync, ReadError, SlowDisk, WriteError
from harness.faults.fault import Fault
from harness.faults.membership import Membership
from harness.faults.partitions import Partition
from harness.faults.wipes import WipedDisk
from harness.plans.rng import Stream

from .context import FaultContext, half_of, in_phase, some_nodes
from .power import cut

_MILLISECOND: Final = 1_000_000
_ROOM_BYTES_MAX: Final = 600
_RESTART_NS: Final = 1_000_000_000
"""How long it takes until a node that stopped by itself is started again."""


def disk_error(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let writes or fsyncs fail at some nodes, briefly or for many timeouts; in some cases reads at a start, too."""
    targets = some_nodes(stream, context)
    end_ns = context.until(at_ns, context.span(stream, 5, 60))
    if stream.chance_ppm(600_000):
        return (_fsync_error(stream, at_ns, end_ns, targets),)
    faults: list[Fault] = [WriteError(id="", begin_ns=at_ns, end_ns=end_ns, targets=targets)]
    if stream.chance_ppm(200_000):
        # Files are read at a start, and a node that its disk stopped is started a second later.
        start_ns = context.until(at_ns, _RESTART_NS + context.span(stream, 5, 30))
        faults.append(ReadError(id="", begin_ns=at_ns, end_ns=start_ns, targets=targets))
    return tuple(faults)


def _fsync_error(stream: Stream, at_ns: int, end_ns: int, targets: tuple[str, ...]) -> Fault:
    clean = stream.chance_ppm(700_000)
    return FsyncError(id="", begin_ns=at_ns, end_ns=end_ns, targets=targets, pages="clean" if clean else "gone")


def fsync_error_before_power_loss(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let fsyncs fail at a majority or at all nodes, and cut the power soon after the disks work again.

    What was written to pages that the failed fsyncs dropped, and was acknowledged after a second try, is gone then.
    """
    count = stream.between(len(context.nodes) // 2 + 1, len(context.nodes))
    targets = tuple(sorted(stream.sample(context.nodes, count)))
    mended_ns = context.until(at_ns, context.span(stream, 1, 10))
    down_ns = mended_ns + stream.choice((0, _RESTART_NS)) + context.span(stream, 2, 30)
    back_ns = context.until(down_ns, context.span(stream, 1, 10))
    faults = [
        _fsync_error(stream, at_ns, mended_ns, targets),
        Crash(id="", begin_ns=down_ns, end_ns=back_ns, targets=targets),
    ]
    return in_phase(faults, context)


def disk_full(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let disks run full, soon or at once."""
    fault = DiskFull(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 20, 120)),
        targets=some_nodes(stream, context),
        room_bytes=stream.below(_ROOM_BYTES_MAX),
    )
    return (fault,)


def slow_disk(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let fsyncs take a good part of an election timeout, or several."""
    fault = SlowDisk(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 20, 200)),
        targets=some_nodes(stream, context),
        late_ns=context.span(stream, 1, 30),
    )
    return (fault,)


def isolated_leader_slow_disk(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Slow down the leader's disk, isolate it with some clients, and let it back while it still writes what they sent.

    By then another leader has other entries at the same indexes. The fsync that began before the cut is over by then,
    and the one behind it is not.
    """
    cut_ns = context.span(stream, 20, 50)
    late_ns = cut_ns * stream.between(5, 9) // 10
    back_ns = context.until(at_ns + _MILLISECOND, cut_ns)
    faults: list[Fault] = [
        SlowDisk(
            id="",
            begin_ns=at_ns,
            end_ns=context.until(at_ns + 2 * late_ns, context.span(stream, 2, 10)),
            targets=("@leader",),
            late_ns=late_ns,
        ),
        Partition(
            id="",
            begin_ns=at_ns + _MILLISECOND,
            end_ns=back_ns,
            shape="one",
            order=("@leader", *stream.shuffled(context.nodes)),
            clients=half_of(stream, context.clients),
        ),
    ]
    return in_phase(faults, context)


def lie_before_power_loss(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let the fsyncs of a majority or of all nodes lie, and cut their power meanwhile (`beyond-*` only)."""
    count = stream.between(len(context.nodes) // 2 + 1, len(context.nodes))
    targets = tuple(sorted(stream.sample(context.nodes, count)))
    down_ns = at_ns + context.span(stream, 5, 40)
    back_ns = context.until(down_ns, context.span(stream, 1, 10))
    faults: list[Fault] = [
        LyingFsync(id="", begin_ns=at_ns, end_ns=back_ns, targets=targets),
        Crash(id="", begin_ns=down_ns, end_ns=back_ns, targets=targets),
    ]
    return in_phase(faults, context)


def bit_rot(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Flip a bit of what one node holds, in a header or in a body, and restart it so that it reads it."""
    region = stream.choice(REGIONS)
    if not context.atlas.get(region):
        return ()
    name = stream.choice(context.atlas[region])
    part: Literal["header", "body"] = "body" if stream.chance_ppm(600_000) else "header"
    rot = BitRot(id="", begin_ns=at_ns, end_ns=context.end_ns, targets=(name,), region=region, part=part)
    return in_phase([rot, _restart(stream, context, at_ns, name)], context)


def damaged_write(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let a write of one node have landed elsewhere or nowhere, and cut its power so that it reads the platter."""
    region = stream.choice(REGIONS)
    if not context.atlas.get(region):
        return ()
    name = stream.choice(context.atlas[region])
    kind = MisdirectedWrite if region != "snapshot" and stream.chance_ppm(500_000) else LostWrite
    damage = kind(id="", begin_ns=at_ns, end_ns=context.end_ns, targets=(name,), region=region)
    return in_phase([damage, _restart(stream, context, at_ns, name)], context)


def last_write_lost(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let the latest write that a node's disk confirmed be lost, and cut its power (`beyond-*` only)."""
    region: Region = stream.choice(("log", "hard-state"))
    if not context.atlas.get(region):
        return ()
    name = stream.choice(context.atlas[region])
    lost = LostWrite(id="", begin_ns=at_ns, end_ns=context.end_ns, targets=(name,), region=region, where="last")
    down_ns = at_ns + stream.log_uniform(1_000_000, context.timeout_ns // 4)
    end_ns = context.until(down_ns, context.span(stream, 2, 10))
    return in_phase([lost, Crash(id="", begin_ns=down_ns, end_ns=end_ns, targets=(name,))], context)


def wiped_disk(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Empty one node's disk for good; a node without data, if there is one, takes its place, as a learner first."""
    held = [set(names) for names in context.atlas.values()]
    names = [name for name in context.voters if held and all(name in some for some in held)]
    if not names:
        return ()
    name = stream.choice(names)
    end_ns = context.until(at_ns, context.span(stream, 10, 60))
    faults: list[Fault] = [WipedDisk(id="", begin_ns=at_ns, end_ns=end_ns, targets=(name,))]
    spares = [spare for spare in context.nodes if spare not in context.voters]
    if spares:
        spare = stream.choice(spares)
        voters = tuple(sorted({*context.voters, spare} - {name}))
        late_ns = context.until(end_ns, context.span(stream, 60, 200))
        faults.append(Membership(id="", begin_ns=at_ns, end_ns=end_ns, voters=context.voters, learners=(spare,)))
        faults.append(Membership(id="", begin_ns=end_ns, end_ns=late_ns, voters=voters))
    return in_phase(faults, context)


def wiped_under_its_name(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Empty the disks of nearly a majority, one after the other, under their own names (`beyond-*` only)."""
    faults: list[Fault] = []
    for name in stream.sample(context.nodes, stream.between(1, len(context.nodes))):
        end_ns = context.until(at_ns, context.span(stream, 1, 5))
        faults.append(WipedDisk(id="", begin_ns=at_ns, end_ns=end_ns, targets=(name,), identity="same"))
        at_ns = end_ns + context.span(stream, 1, 10)
    return in_phase(faults, context)


def _restart(stream: Stream, context: FaultContext, at_ns: int, name: str) -> Fault:
    """A power loss soon after the damage, which shows it to the next start."""
    down_ns = at_ns + context.span(stream, 2, 40)
    end_ns = context.until(down_ns, context.span(stream, 2, 20))
    if stream.chance_ppm(500_000):
        return cut(stream, down_ns, end_ns, (name,))
    return Crash(id="", begin_ns=down_ns, end_ns=end_ns, targets=(name,))
