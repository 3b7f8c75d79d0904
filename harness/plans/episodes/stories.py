"""Stories: several faults with one point."""

from __future__ import annotations

from typing import Final

from harness.faults.clocks import ClockRate
from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.leadership import ForcedElection
from harness.faults.packets import Delay
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.rng import Stream

from .ground import Ground, half_of, in_time
from .links import isolate_leader

_MILLISECOND: Final = 1_000_000


def leader_hops(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Let a leader reach a minority only, kill it, let the next one lead, and so on (paper, figure 8)."""
    faults: list[Fault] = []
    for _ in range(stream.between(2, 5)):
        (cut,) = isolate_leader(stream, ground, at_ns, 3, 20)
        down_ns = max(at_ns, cut.end_ns - ground.span(stream, 1, 5))
        end_ns = ground.until(down_ns, ground.span(stream, 3, 40))
        faults += [cut, Crash(id="", begin_ns=down_ns, end_ns=end_ns, targets=("@leader",))]
        at_ns = cut.end_ns + ground.span(stream, 5, 40)
    return in_time(faults, ground)


def duel(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Several campaign at once over slow links, and who has just voted restarts before the next request arrives."""
    # Nobody asks for votes, or is granted any, before the leader has been silent for a whole timeout.
    silence_ns = at_ns + ground.timeout_ns + ground.span(stream, 1, 5)
    over_ns = ground.until(silence_ns, ground.span(stream, 10, 30))
    candidates = stream.sample(ground.voters, stream.between(2, max(2, len(ground.voters) - 1)))
    faults: list[Fault] = [
        Crash(id="", begin_ns=at_ns, end_ns=over_ns, targets=("@leader",)),
        Delay(id="", begin_ns=silence_ns, end_ns=over_ns, extra_ns=0, jitter_ns=ground.span(stream, 1, 6)),
        ForcedElection(id="", begin_ns=silence_ns, end_ns=over_ns, targets=tuple(sorted(candidates))),
    ]
    when_ns = silence_ns
    for _ in range(stream.between(1, 3)):
        when_ns += ground.span(stream, 1, 4)
        end_ns = ground.until(when_ns, stream.log_uniform(_MILLISECOND, ground.timeout_ns // 5))
        faults.append(Crash(id="", begin_ns=when_ns, end_ns=end_ns, targets=("@voter",)))
        when_ns = end_ns
    return in_time(faults, ground)


def amnesia(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Cut a leader off that holds a lease, restart a majority of the others at once, and call an election there.

    All of them have every entry, and owe the leader a promise not to vote for a while, which they must not forget.
    """
    back_ns = ground.until(at_ns, stream.log_uniform(_MILLISECOND, ground.timeout_ns // 15))
    call_ns = back_ns + stream.log_uniform(_MILLISECOND, ground.timeout_ns // 8)
    over_ns = ground.until(call_ns, ground.span(stream, 8, 30))
    faults: list[Fault] = [
        Partition(
            id="",
            begin_ns=at_ns,
            end_ns=over_ns,
            shape="one",
            order=("@leader", *stream.shuffled(ground.voters)),
            clients=half_of(stream, ground.clients),
        ),
        Crash(id="", begin_ns=at_ns, end_ns=back_ns, targets=("@majority",), power=stream.chance_ppm(500_000)),
        ForcedElection(id="", begin_ns=call_ns, end_ns=over_ns, targets=("@follower",)),
    ]
    return in_time(faults, ground)


def lease_trap(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Slow the leader's clock, speed up the others', and cut it off with clients beside it."""
    length_ns = ground.span(stream, 40, 150)
    end_ns = ground.until(at_ns, length_ns)
    # The leader is resolved last, so that the slow rate beats the fast one that it got among all.
    fast = ClockRate(id="", begin_ns=at_ns, end_ns=end_ns, targets=ground.nodes, rate_ppm=ground.fastest_ppm)
    slow = ClockRate(
        id="", begin_ns=at_ns + _MILLISECOND, end_ns=end_ns, targets=("@leader",), rate_ppm=ground.slowest_ppm
    )
    cut = Partition(
        id="",
        begin_ns=at_ns + ground.span(stream, 2, 10),
        end_ns=end_ns,
        shape="one" if stream.chance_ppm(700_000) else "halves",
        order=("@leader", *stream.shuffled(ground.nodes)),
        clients=half_of(stream, ground.clients),
    )
    return in_time([slow, cut] if stream.chance_ppm(300_000) else [fast, slow, cut], ground)


def frozen_leader(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Cut the leader off and stop it with its clock; when it goes on, its lease has not aged."""
    asleep_ns = at_ns + _MILLISECOND
    awake_ns = ground.until(asleep_ns, ground.span(stream, 30, 100))
    cut = Partition(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(awake_ns, ground.span(stream, 10, 40)),
        shape="one",
        order=("@leader", *stream.shuffled(ground.nodes)),
        clients=half_of(stream, ground.clients),
    )
    return in_time(
        [cut, Pause(id="", begin_ns=asleep_ns, end_ns=awake_ns, targets=("@leader",), clock="stops")], ground
    )
