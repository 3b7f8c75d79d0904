"""What a partial heal leaves broken."""

from __future__ import annotations

from harness.faults.crashes import Crash
from harness.faults.fault import FOREVER, Fault
from harness.faults.packets import Clog
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.rng import Stream

from .ground import Ground


def lasting(stream: Stream, ground: Ground, outsider: str, kinds: tuple[str, ...]) -> tuple[Fault, ...]:
    """One fault that a partial heal does not end, for an actor outside the healed set.

    It cuts the outsider off for good, altogether or one way. A leader that is merely slow or lossy may stay in office
    for as long as it likes, and one that reaches all but a single node, too: then no bound on recovery would be
    fair.
    """
    span_ns = (ground.end_ns - ground.begin_ns) // 3
    at_ns = ground.end_ns - 1 - stream.below(max(1, span_ns))
    ways = ("partition", "partition", "partition", "partition", "crash", "pause", "clog")
    match stream.choice([way for way in ways if way in kinds] or ["none"]):
        case "partition":
            cut = Partition(
                id="",
                begin_ns=at_ns,
                end_ns=FOREVER,
                shape=stream.choice(("one", "one-way-in", "one-way-out")),
                order=(outsider, *(name for name in ground.nodes if name != outsider)),
                clients=None if stream.chance_ppm(500_000) else (),
            )
            return (cut,)
        case "crash":
            return (Crash(id="", begin_ns=at_ns, end_ns=FOREVER, targets=(outsider,)),)
        case "pause":
            return (Pause(id="", begin_ns=at_ns, end_ns=FOREVER, targets=(outsider,)),)
        case "clog":
            return (Clog(id="", begin_ns=at_ns, end_ns=FOREVER, targets=(outsider,)),)
        case _:
            return ()
