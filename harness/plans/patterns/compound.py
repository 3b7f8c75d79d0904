"""Compound patterns: several faults with one purpose."""

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

from .context import FaultContext, half_of, in_phase
from .links import isolate_leader

_MILLISECOND: Final = 1_000_000


def leader_crash_after_minority_append(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let a leader reach only a minority, crash it, let another one lead, and repeat (paper, figure 8)."""
    faults: list[Fault] = []
    for _ in range(stream.between(2, 5)):
        (cut,) = isolate_leader(stream, context, at_ns, 3, 20)
        down_ns = max(at_ns, cut.end_ns - context.span(stream, 1, 5))
        end_ns = context.until(down_ns, context.span(stream, 3, 40))
        faults += [cut, Crash(id="", begin_ns=down_ns, end_ns=end_ns, targets=("@leader",))]
        at_ns = cut.end_ns + context.span(stream, 5, 40)
    return in_phase(faults, context)


def contending_candidates(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let several nodes campaign at once over slow links, and restart the voter before the next request arrives."""
    # Votes are neither asked for nor granted before the leader has been silent for a whole timeout.
    silence_ns = at_ns + context.timeout_ns + context.span(stream, 1, 5)
    over_ns = context.until(silence_ns, context.span(stream, 10, 30))
    candidates = stream.sample(context.voters, stream.between(2, max(2, len(context.voters) - 1)))
    faults: list[Fault] = [
        Crash(id="", begin_ns=at_ns, end_ns=over_ns, targets=("@leader",)),
        Delay(id="", begin_ns=silence_ns, end_ns=over_ns, extra_ns=0, jitter_ns=context.span(stream, 1, 6)),
        ForcedElection(id="", begin_ns=silence_ns, end_ns=over_ns, targets=tuple(sorted(candidates))),
    ]
    when_ns = silence_ns
    for _ in range(stream.between(1, 3)):
        when_ns += context.span(stream, 1, 4)
        end_ns = context.until(when_ns, stream.log_uniform(_MILLISECOND, context.timeout_ns // 5))
        faults.append(Crash(id="", begin_ns=when_ns, end_ns=end_ns, targets=("@voter",)))
        when_ns = end_ns
    return in_phase(faults, context)


def lease_forgotten_on_restart(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Isolate a leader that holds a lease, restart a majority of the others at once, and force an election there.

    They all have every entry, and have promised the leader not to vote for a while; a restart must not forget that.
    """
    back_ns = context.until(at_ns, stream.log_uniform(_MILLISECOND, context.timeout_ns // 15))
    call_ns = back_ns + stream.log_uniform(_MILLISECOND, context.timeout_ns // 8)
    over_ns = context.until(call_ns, context.span(stream, 8, 30))
    faults: list[Fault] = [
        Partition(
            id="",
            begin_ns=at_ns,
            end_ns=over_ns,
            shape="one",
            order=("@leader", *stream.shuffled(context.voters)),
            clients=half_of(stream, context.clients),
        ),
        Crash(id="", begin_ns=at_ns, end_ns=back_ns, targets=("@majority",), power=stream.chance_ppm(500_000)),
        ForcedElection(id="", begin_ns=call_ns, end_ns=over_ns, targets=("@follower",)),
    ]
    return in_phase(faults, context)


def isolated_leader_slow_clock(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Slow the leader's clock, speed up the others', and isolate the leader together with some clients."""
    length_ns = context.span(stream, 40, 150)
    end_ns = context.until(at_ns, length_ns)
    # The slow rate begins last, so that it replaces the fast one that the leader got with all others.
    fast = ClockRate(id="", begin_ns=at_ns, end_ns=end_ns, targets=context.nodes, rate_ppm=context.fastest_ppm)
    slow = ClockRate(
        id="", begin_ns=at_ns + _MILLISECOND, end_ns=end_ns, targets=("@leader",), rate_ppm=context.slowest_ppm
    )
    cut = Partition(
        id="",
        begin_ns=at_ns + context.span(stream, 2, 10),
        end_ns=end_ns,
        shape="one" if stream.chance_ppm(700_000) else "halves",
        order=("@leader", *stream.shuffled(context.nodes)),
        clients=half_of(stream, context.clients),
    )
    return in_phase([slow, cut] if stream.chance_ppm(300_000) else [fast, slow, cut], context)


def isolated_leader_stopped_clock(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Isolate the leader and pause it with its clock stopped; when it resumes, its lease has not aged."""
    paused_ns = at_ns + _MILLISECOND
    resumed_ns = context.until(paused_ns, context.span(stream, 30, 100))
    cut = Partition(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(resumed_ns, context.span(stream, 10, 40)),
        shape="one",
        order=("@leader", *stream.shuffled(context.nodes)),
        clients=half_of(stream, context.clients),
    )
    return in_phase(
        [cut, Pause(id="", begin_ns=paused_ns, end_ns=resumed_ns, targets=("@leader",), clock="stops")], context
    )
