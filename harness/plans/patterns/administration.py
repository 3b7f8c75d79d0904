"""Administrative commands at a bad moment: transfer, forced election, compaction, change of membership."""

from __future__ import annotations

from harness.faults.fault import Fault
from harness.faults.leadership import ForcedElection, Transfer
from harness.faults.membership import Membership
from harness.faults.snapshots import Compact
from harness.plans.rng import Stream

from .context import FaultContext, some_nodes


def transfer(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Ask the leader to transfer leadership."""
    target = "@follower" if stream.chance_ppm(600_000) else stream.choice(context.voters)
    return (Transfer(id="", begin_ns=at_ns, end_ns=context.until(at_ns, 2 * context.timeout_ns), target=target),)


def forced_election(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Make one or two nodes campaign."""
    targets = stream.sample(context.voters, stream.between(1, min(2, len(context.voters))))
    end_ns = context.until(at_ns, 2 * context.timeout_ns)
    return (ForcedElection(id="", begin_ns=at_ns, end_ns=end_ns, targets=tuple(sorted(targets))),)


def compact(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Make nodes take a snapshot now."""
    end_ns = context.until(at_ns, context.timeout_ns)
    return (Compact(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_nodes(stream, context)),)


def membership(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Change the voters for a while, to fewer, more or others; a node left out may become a learner."""
    count_max = len(context.nodes) - (len(context.nodes) == len(context.voters))
    chosen = stream.sample(context.nodes, stream.between(max(1, len(context.voters) - 2), count_max))
    others = [name for name in context.nodes if name not in chosen]
    fault = Membership(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 40, 300)),
        voters=tuple(sorted(chosen)),
        learners=tuple(stream.subset(others, 300_000)),
    )
    return (fault,)
