"""What administrators do, at a bad moment: hand over, campaign, compact, change the members."""

from __future__ import annotations

from harness.faults.fault import Fault
from harness.faults.leadership import ForcedElection, Transfer
from harness.faults.membership import Membership
from harness.faults.snapshots import Compact
from harness.plans.rng import Stream

from .ground import Ground, some_nodes


def transfer(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Ask the leader to hand over."""
    target = "@follower" if stream.chance_ppm(600_000) else stream.choice(ground.voters)
    return (Transfer(id="", begin_ns=at_ns, end_ns=ground.until(at_ns, 2 * ground.timeout_ns), target=target),)


def forced_election(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Make one or two nodes campaign."""
    targets = stream.sample(ground.voters, stream.between(1, min(2, len(ground.voters))))
    end_ns = ground.until(at_ns, 2 * ground.timeout_ns)
    return (ForcedElection(id="", begin_ns=at_ns, end_ns=end_ns, targets=tuple(sorted(targets))),)


def compact(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Make nodes take a snapshot now."""
    end_ns = ground.until(at_ns, ground.timeout_ns)
    return (Compact(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_nodes(stream, ground)),)


def membership(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Another set of voters for a while: smaller, larger or exchanged; who is left out may learn."""
    most = len(ground.nodes) - (len(ground.nodes) == len(ground.voters))
    chosen = stream.sample(ground.nodes, stream.between(max(1, len(ground.voters) - 2), most))
    others = [name for name in ground.nodes if name not in chosen]
    fault = Membership(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 40, 300)),
        voters=tuple(sorted(chosen)),
        learners=tuple(stream.subset(others, 300_000)),
    )
    return (fault,)
