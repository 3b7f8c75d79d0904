"""Changes of membership: asked of the wrong leader, for a member that is far behind, or beside a later term."""

from __future__ import annotations

from typing import Final

from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.leadership import ForcedElection, Transfer
from harness.faults.membership import Membership
from harness.faults.partitions import Partition
from harness.faults.snapshots import Compact
from harness.plans.rng import Stream

from .context import FaultContext, in_phase

_MILLISECOND: Final = 1_000_000


def change_asked_of_a_cut_off_leader(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Ask a leader for other members right after it was cut off, have it take a snapshot, and restart it in most cases.

    It appends the change and uses it, but can never commit it. Its snapshot is of committed state, and so must be the
    configuration in it. When it is back, its log is cut and the former configuration is in force again.
    """
    leader, *others = stream.shuffled(context.voters)
    cut_ns = at_ns + context.timeout_ns // 2
    asked_ns = cut_ns + stream.between(1, 10) * _MILLISECOND
    compacted_ns = asked_ns + stream.between(5, 30) * _MILLISECOND
    back_ns = context.until(cut_ns, context.span(stream, 15, 50))
    faults: list[Fault] = [
        Transfer(id="", begin_ns=at_ns, end_ns=context.until(at_ns, context.timeout_ns), target=leader),
        _cut_off(context, cut_ns, back_ns, leader),
        Membership(
            id="",
            begin_ns=asked_ns,
            end_ns=context.until(back_ns, context.span(stream, 5, 40)),
            voters=tuple(sorted((leader, *others[1:]))) if stream.chance_ppm(500_000) else tuple(sorted(others)),
        ),
        Compact(id="", begin_ns=compacted_ns, end_ns=back_ns, targets=(leader,)),
    ]
    if stream.chance_ppm(700_000):
        down_ns = max(compacted_ns, back_ns - context.span(stream, 1, 10))
        end_ns = context.until(down_ns, context.span(stream, 2, 20))
        faults.append(Crash(id="", begin_ns=down_ns, end_ns=end_ns, targets=(leader,)))
    return in_phase(faults, context)


def lagging_learner_promoted(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Make a voter a learner and cut it off for long; promote it, and cut the leader off, so that it has to vote."""
    learner, *others = stream.shuffled(context.voters)
    cut_ns = at_ns + context.timeout_ns
    back_ns = context.until(cut_ns, context.span(stream, 20, 80))
    promoted_ns = context.until(back_ns, stream.log_uniform(_MILLISECOND, context.timeout_ns))
    lost_ns = promoted_ns + stream.log_uniform(_MILLISECOND, context.timeout_ns)
    faults: list[Fault] = [
        # At its end the initial members are asked for again: that is the promotion.
        Membership(id="", begin_ns=at_ns, end_ns=promoted_ns, voters=tuple(sorted(others)), learners=(learner,)),
        _cut_off(context, cut_ns, back_ns, learner),
        _cut_off(context, lost_ns, context.until(lost_ns, context.span(stream, 10, 40)), "@leader"),
    ]
    return in_phase(faults, context)


def return_with_a_later_term(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let a node that missed entries come back with a later term at the moment at which the leader is lost.

    The others have the entries and an earlier term. With pre-votes neither side may refuse the other for ever. Where
    the heal is partial and leaves out the leader, what remains has to find a way out of this alone.
    """
    absent = stream.choice(context.voters)
    end_ns = context.end_ns if stream.chance_ppm(600_000) else context.until(at_ns, context.span(stream, 20, 60))
    begin_ns = max(at_ns, end_ns - context.span(stream, 15, 50))
    elections = sorted(stream.between(begin_ns, end_ns) for _ in range(stream.between(1, 3)))
    lost_ns = max(begin_ns, end_ns - stream.log_uniform(_MILLISECOND, context.timeout_ns // 2))
    faults: list[Fault] = [
        _cut_off(context, begin_ns, end_ns, absent),
        *(ForcedElection(id="", begin_ns=when_ns, end_ns=end_ns, targets=(absent,)) for when_ns in elections),
        Crash(
            id="", begin_ns=lost_ns, end_ns=context.until(lost_ns, context.span(stream, 10, 40)), targets=("@leader",)
        ),
    ]
    return in_phase(faults, context)


def _cut_off(context: FaultContext, begin_ns: int, end_ns: int, name: str) -> Partition:
    return Partition(id="", begin_ns=begin_ns, end_ns=end_ns, shape="one", order=(name, *context.nodes), clients=())
