"""What a partial heal leaves broken."""

from __future__ import annotations

from harness.faults.crashes import Crash
from harness.faults.fault import FOREVER, Fault
from harness.faults.packets import Clog
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.rng import Stream

from .context import FaultContext


def lasting(stream: Stream, context: FaultContext, outsider: str, kinds: tuple[str, ...]) -> tuple[Fault, ...]:
    """One fault that a partial heal does not end, for an actor outside the healed set.

    It cuts the outsider off permanently, in both directions or in one. A leader whose links are only slow or lossy may
    keep leading, and so may one that reaches all nodes but one: then no bound on recovery would be fair.
    """
    span_ns = (context.end_ns - context.begin_ns) // 3
    at_ns = context.end_ns - 1 - stream.below(max(1, span_ns))
    ways = ("partition", "partition", "partition", "partition", "crash", "pause", "clog")
    match stream.choice([way for way in ways if way in kinds] or ["none"]):
        case "partition":
            cut = Partition(
                id="",
                begin_ns=at_ns,
                end_ns=FOREVER,
                shape=stream.choice(("one", "one-way-in", "one-way-out")),
                order=(outsider, *(name for name in context.nodes if name != outsider)),
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
