"""Links that fail: partitions, and what networks do to messages."""

from __future__ import annotations

from typing import Final

from harness.faults.fault import Fault
from harness.faults.packets import Bandwidth, Clog, Corrupt, Delay, Duplicate, Loss, Reorder
from harness.faults.partitions import Partition
from harness.faults.pauses import SlowNode
from harness.faults.topologies import shapes_for
from harness.plans.rng import Stream

from .ground import Ground, an_order, clients_beside, in_time, some_links, some_nodes

_MILLISECOND: Final = 1_000_000


def partition(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Any shape, in any order, at times with the leader on the first seat."""
    fault = Partition(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 5, 200)),
        shape=stream.choice(shapes_for(len(ground.nodes))),  # type: ignore[arg-type]  # a Literal, spelled elsewhere
        order=an_order(stream, ground, 350_000),
        clients=clients_beside(stream, ground),
    )
    return (fault,)


def nested_partitions(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """A partition, and one or two more that begin while it lasts."""
    (outer,) = partition(stream, ground, at_ns)
    inner = [
        partition(stream, ground, stream.between(outer.begin_ns, outer.end_ns))[0] for _ in range(stream.between(1, 2))
    ]
    return (outer, *inner)


def isolate_leader(
    stream: Stream, ground: Ground, at_ns: int, low_tenths: int = 10, high_tenths: int = 150
) -> tuple[Fault, ...]:
    """Cut the leader off, alone or with a minority, some clients beside it."""
    shape = stream.weighted((("one", 5), ("halves", 3), ("one-way-in", 1), ("one-way-out", 1)))
    some = stream.sample(ground.clients, stream.between(1, max(1, len(ground.clients) // 2)))
    fault = Partition(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, low_tenths, high_tenths)),
        shape=shape,  # type: ignore[arg-type]  # a Literal, spelled in the weights
        order=("@leader", *stream.shuffled(ground.nodes)),
        clients=None if stream.chance_ppm(250_000) else tuple(sorted(some)),
    )
    return (fault,)


def loss(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Lose from five to sixty of a hundred messages, on all links or on those of some nodes."""
    end_ns = ground.until(at_ns, ground.span(stream, 20, 200))
    ppm = stream.log_uniform(50_000, 600_000)
    return (Loss(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_links(stream, ground), loss_ppm=ppm),)


def duplicate(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Deliver messages twice, the copy up to three timeouts late."""
    fault = Duplicate(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 20, 200)),
        targets=some_links(stream, ground),
        duplicate_ppm=stream.log_uniform(50_000, 800_000),
        spread_ns=ground.span(stream, 1, 30),
    )
    return (fault,)


def delay(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Make links slow, up to about two election timeouts."""
    fault = Delay(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 10, 150)),
        targets=some_links(stream, ground),
        extra_ns=ground.span(stream, 1, 15) // 2,
        jitter_ns=ground.span(stream, 1, 15),
    )
    return (fault,)


def reorder(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Hold messages back, up to three timeouts."""
    fault = Reorder(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 20, 200)),
        targets=some_links(stream, ground),
        reorder_ppm=stream.log_uniform(100_000, 600_000),
        hold_ns=ground.span(stream, 1, 30),
    )
    return (fault,)


def corrupt(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Flip bits."""
    fault = Corrupt(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 20, 200)),
        targets=some_links(stream, ground),
        corrupt_ppm=stream.log_uniform(20_000, 400_000),
    )
    return (fault,)


def clog(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Hold all messages of one or several nodes, and let them go at once."""
    end_ns = ground.until(at_ns, ground.span(stream, 5, 60))
    return (Clog(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_nodes(stream, ground)),)


def swizzle_clog(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Clog one node after another, and release them in another order."""
    chosen = stream.sample(ground.nodes, stream.between(2, len(ground.nodes)))
    step_ns = ground.span(stream, 3, 20)
    released_ns = at_ns + step_ns * len(chosen)
    ends = stream.shuffled(range(1, len(chosen) + 1))
    clogs: list[Fault] = []
    for place, (name, end) in enumerate(zip(chosen, ends, strict=True)):
        begin_ns = at_ns + place * step_ns
        end_ns = ground.until(begin_ns, released_ns + end * step_ns - begin_ns)
        clogs.append(Clog(id="", begin_ns=begin_ns, end_ns=end_ns, targets=(name,)))
    return in_time(clogs, ground)


def slow_node(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Make nodes slow to process anything, up to a quarter of a timeout each."""
    fault = SlowNode(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 20, 200)),
        targets=some_nodes(stream, ground),
        processing_ns=stream.log_uniform(_MILLISECOND, max(_MILLISECOND, ground.timeout_ns // 4)),
    )
    return (fault,)


def bandwidth(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Squeeze the links of nodes down to a few kilobytes a second."""
    fault = Bandwidth(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 10, 150)),
        targets=some_nodes(stream, ground),
        bytes_per_s=stream.log_uniform(1_000, 50_000),
    )
    return (fault,)
