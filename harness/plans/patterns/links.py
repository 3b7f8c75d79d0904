"""Network faults: partitions, and what networks do to messages."""

from __future__ import annotations

from typing import Final

from harness.faults.fault import Fault
from harness.faults.packets import Bandwidth, Clog, Corrupt, Delay, Duplicate, Loss, Reorder
from harness.faults.partitions import Partition
from harness.faults.pauses import SlowBackground, SlowNode
from harness.faults.snapshots import Compact
from harness.faults.topologies import shapes_for
from harness.plans.rng import Stream

from .context import FaultContext, an_order, clients_beside, in_phase, some_links, some_nodes

_MILLISECOND: Final = 1_000_000


def partition(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Partition the nodes in any shape and order, in a third of the cases with the leader in the first place."""
    fault = Partition(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 5, 200)),
        shape=stream.choice(shapes_for(len(context.nodes))),  # type: ignore[arg-type]  # a Literal, spelled elsewhere
        order=an_order(stream, context, 350_000),
        clients=clients_beside(stream, context),
    )
    return (fault,)


def nested_partitions(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """A partition, and one or two more that begin while it lasts."""
    (outer,) = partition(stream, context, at_ns)
    inner = [
        partition(stream, context, stream.between(outer.begin_ns, outer.end_ns))[0] for _ in range(stream.between(1, 2))
    ]
    return (outer, *inner)


def isolate_leader(
    stream: Stream, context: FaultContext, at_ns: int, low_tenths: int = 10, high_tenths: int = 150
) -> tuple[Fault, ...]:
    """Isolate the leader, alone or with a minority, with some clients on its side."""
    shape = stream.weighted((("one", 5), ("halves", 3), ("one-way-in", 1), ("one-way-out", 1)))
    some = stream.sample(context.clients, stream.between(1, max(1, len(context.clients) // 2)))
    fault = Partition(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, low_tenths, high_tenths)),
        shape=shape,  # type: ignore[arg-type]  # a Literal, spelled in the weights
        order=("@leader", *stream.shuffled(context.nodes)),
        clients=None if stream.chance_ppm(250_000) else tuple(sorted(some)),
    )
    return (fault,)


def loss(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Lose from five to sixty of a hundred messages, on all links or on those of some nodes."""
    end_ns = context.until(at_ns, context.span(stream, 20, 200))
    ppm = stream.log_uniform(50_000, 600_000)
    return (Loss(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_links(stream, context), loss_ppm=ppm),)


def duplicate(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Deliver messages twice, the copy up to three timeouts late."""
    fault = Duplicate(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 20, 200)),
        targets=some_links(stream, context),
        duplicate_ppm=stream.log_uniform(50_000, 800_000),
        spread_ns=context.span(stream, 1, 30),
    )
    return (fault,)


def delay(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Make links slow, up to about two election timeouts."""
    fault = Delay(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 10, 150)),
        targets=some_links(stream, context),
        extra_ns=context.span(stream, 1, 15) // 2,
        jitter_ns=context.span(stream, 1, 15),
    )
    return (fault,)


def reorder(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Hold some messages back, up to three timeouts."""
    fault = Reorder(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 20, 200)),
        targets=some_links(stream, context),
        reorder_ppm=stream.log_uniform(100_000, 600_000),
        hold_ns=context.span(stream, 1, 30),
    )
    return (fault,)


def corrupt(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Flip bits of messages."""
    fault = Corrupt(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 20, 200)),
        targets=some_links(stream, context),
        corrupt_ppm=stream.log_uniform(20_000, 400_000),
    )
    return (fault,)


def clog(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Hold all messages of one or several nodes, and let them go at once."""
    end_ns = context.until(at_ns, context.span(stream, 5, 60))
    return (Clog(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_nodes(stream, context)),)


def swizzle_clog(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Clog one node after another, and release them in another order."""
    chosen = stream.sample(context.nodes, stream.between(2, len(context.nodes)))
    step_ns = context.span(stream, 3, 20)
    released_ns = at_ns + step_ns * len(chosen)
    ends = stream.shuffled(range(1, len(chosen) + 1))
    clogs: list[Fault] = []
    for place, (name, end) in enumerate(zip(chosen, ends, strict=True)):
        begin_ns = at_ns + place * step_ns
        end_ns = context.until(begin_ns, released_ns + end * step_ns - begin_ns)
        clogs.append(Clog(id="", begin_ns=begin_ns, end_ns=end_ns, targets=(name,)))
    return in_phase(clogs, context)


def slow_node(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Make nodes slow to process anything, up to a quarter of a timeout each."""
    fault = SlowNode(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 20, 200)),
        targets=some_nodes(stream, context),
        processing_ns=stream.log_uniform(_MILLISECOND, max(_MILLISECOND, context.timeout_ns // 4)),
    )
    return (fault,)


def slow_background(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let nodes encode and load snapshots for up to several timeouts, and make them take some meanwhile."""
    targets = some_nodes(stream, context)
    end_ns = context.until(at_ns, context.span(stream, 20, 200))
    late_ns = context.span(stream, 1, 60)
    faults: list[Fault] = [SlowBackground(id="", begin_ns=at_ns, end_ns=end_ns, targets=targets, late_ns=late_ns)]
    when_ns = at_ns
    for _ in range(stream.between(1, 3)):
        when_ns += context.span(stream, 1, 20)
        over_ns = context.until(when_ns, context.timeout_ns)
        faults.append(Compact(id="", begin_ns=when_ns, end_ns=over_ns, targets=targets))
    return in_phase(faults, context)


def bandwidth(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Squeeze the links of nodes down to a few kilobytes a second."""
    fault = Bandwidth(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 10, 150)),
        targets=some_nodes(stream, context),
        bytes_per_s=stream.log_uniform(1_000, 50_000),
    )
    return (fault,)
