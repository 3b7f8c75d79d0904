"""Changes of leadership: what a deposed leader may still believe, and what its successor does not know yet."""

from __future__ import annotations

from typing import Final, Literal

from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.leadership import ForcedElection, Transfer
from harness.faults.packets import Delay
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.rng import Stream

from .context import FaultContext, half_of, in_phase

_MILLISECOND: Final = 1_000_000

_Shape = Literal["one", "one-way-in", "one-way-out"]


def paused_leader_stale_acks(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Pause a leader while acknowledgements of its heartbeats are in flight, isolate it, and elect another.

    Its outgoing links are cut when the pause begins, its incoming links only after it resumes, so that queued
    acknowledgements are still delivered. They are nearly a timeout old by then; a lease must count from when they were
    asked for. The transfer at the beginning fixes by name which node leads; slow links between the nodes keep
    acknowledgements in flight at any time.
    """
    leader, *others = stream.shuffled(context.voters)
    slow_ns = at_ns + context.span(stream, 10, 30)
    paused_ns = slow_ns + context.timeout_ns
    pause_ns = context.span(stream, 7, 9)
    election_ns = paused_ns + context.timeout_ns + context.span(stream, 2, 4)
    over_ns = context.until(election_ns, context.span(stream, 8, 20))
    transit_ns = context.span(stream, 2, 3)
    beside = half_of(stream, context.clients)
    faults: list[Fault] = [
        Transfer(id="", begin_ns=at_ns, end_ns=context.until(at_ns, context.timeout_ns), target=leader),
        Delay(
            id="",
            begin_ns=slow_ns,
            end_ns=context.until(slow_ns, context.timeout_ns),
            targets=tuple(sorted(others)),
            extra_ns=transit_ns,
            jitter_ns=0,
        ),
        Pause(id="", begin_ns=paused_ns, end_ns=context.until(paused_ns, pause_ns), targets=(leader,)),
        _cut_off(context, paused_ns, over_ns, "one-way-out", leader, beside),
        _cut_off(context, paused_ns + pause_ns + _MILLISECOND, over_ns, "one", leader, beside),
        ForcedElection(id="", begin_ns=election_ns, end_ns=over_ns, targets=(others[0],)),
    ]
    return in_phase(faults, context)


def one_way_cut_during_transfer(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Transfer leadership from a leader that is heard but cannot hear: it does not learn that its successor has won.

    The election of a transfer target overrides the promise on which the leader's lease relies.
    """
    transfer_ns = at_ns + stream.between(0, 3) * _MILLISECOND
    over_ns = context.until(transfer_ns, context.span(stream, 9, 25))
    faults: list[Fault] = [
        _cut_off(context, at_ns, over_ns, "one-way-in", "@leader", half_of(stream, context.clients)),
        Transfer(id="", begin_ns=transfer_ns, end_ns=over_ns, target="@follower"),
    ]
    return in_phase(faults, context)


def order_to_campaign_arrives_late(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Delay the order to campaign until the transfer is given up, and cut the leader off from hearing when it arrives.

    The leader leads on, and its followers have promised to vote for nobody else. The late successor overrides that
    promise, and the leader does not learn that it has won. The first transfer fixes by name which node leads.
    """
    leader, successor, *_ = stream.shuffled(context.voters)
    asked_ns = at_ns + context.span(stream, 8, 15)
    slow_ns = context.span(stream, 11, 14)  # longer than a transfer may take
    arrives_ns = asked_ns + slow_ns
    cut_ns = arrives_ns - stream.log_uniform(_MILLISECOND, context.timeout_ns // 10)
    over_ns = context.until(arrives_ns, context.span(stream, 8, 20))
    faults: list[Fault] = [
        Transfer(id="", begin_ns=at_ns, end_ns=context.until(at_ns, context.timeout_ns), target=leader),
        Delay(
            id="",
            begin_ns=asked_ns - _MILLISECOND,
            end_ns=context.until(asked_ns, context.span(stream, 1, 3)),
            targets=(successor,),
            extra_ns=slow_ns,
            jitter_ns=0,
        ),
        Transfer(id="", begin_ns=asked_ns, end_ns=over_ns, target=successor),
        _cut_off(context, cut_ns, over_ns, "one-way-in", leader, half_of(stream, context.clients)),
    ]
    return in_phase(faults, context)


def lagging_follower_elected(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let a bare majority go on with its leader, crash the leader, and let the followers that lag elect another.

    The successor cannot commit its first entry before a lagging follower has caught up. Until then it does not know how
    much was committed, and must not answer reads (dissertation 6.4).
    """
    cut_ns = context.until(at_ns, context.span(stream, 8, 40))
    down_ns = max(at_ns, cut_ns - stream.between(0, 5) * _MILLISECOND)
    faults: list[Fault] = [
        Partition(
            id="",
            begin_ns=at_ns,
            end_ns=cut_ns,
            shape="majority-minority",
            order=("@leader", *stream.shuffled(context.nodes)),
            clients=None,
        ),
        Crash(
            id="", begin_ns=down_ns, end_ns=context.until(down_ns, context.span(stream, 20, 40)), targets=("@leader",)
        ),
    ]
    return in_phase(faults, context)


def stale_votes(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let the same candidates campaign repeatedly over links so slow that old answers arrive in new elections."""
    silence_ns = at_ns + context.timeout_ns + context.span(stream, 1, 5)
    over_ns = context.until(silence_ns, context.span(stream, 20, 50))
    candidates = _some_voters(stream, context)
    faults: list[Fault] = [
        Crash(id="", begin_ns=at_ns, end_ns=over_ns, targets=("@leader",)),
        Delay(id="", begin_ns=silence_ns, end_ns=over_ns, extra_ns=0, jitter_ns=context.span(stream, 3, 15)),
    ]
    election_ns = silence_ns
    for _ in range(stream.between(2, 4)):
        faults.append(ForcedElection(id="", begin_ns=election_ns, end_ns=over_ns, targets=candidates))
        election_ns += context.span(stream, 2, 10)
    return in_phase(faults, context)


def snapshot_across_leaders(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Reconnect a node that missed much, and change the leader repeatedly while its snapshot is being sent."""
    absent, *others = stream.shuffled(context.voters)
    reconnected_ns = context.until(at_ns, context.span(stream, 15, 60))
    faults: list[Fault] = [
        Partition(id="", begin_ns=at_ns, end_ns=reconnected_ns, shape="one", order=(absent, *others), clients=()),
    ]
    transfer_ns = reconnected_ns
    for target in others[: stream.between(1, 3)]:
        transfer_ns += stream.log_uniform(_MILLISECOND, context.timeout_ns // 2)
        faults.append(
            Transfer(
                id="", begin_ns=transfer_ns, end_ns=context.until(transfer_ns, 2 * context.timeout_ns), target=target
            )
        )
    return in_phase(faults, context)


def snapshot_cut_off_half_way(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Reconnect a node that missed much over slow links, and end the transfer of the snapshot again and again.

    The links are so slow that some chunks are always on their way. The receiver restarts and has lost what came so far,
    the sender is lost, or the links between them are cut for longer than it waits for an answer.
    """
    absent, *others = stream.shuffled(context.voters)
    reconnected_ns = context.until(at_ns, context.span(stream, 20, 60))
    over_ns = context.until(reconnected_ns, context.span(stream, 20, 60))
    faults: list[Fault] = [
        Partition(id="", begin_ns=at_ns, end_ns=reconnected_ns, shape="one", order=(absent, *others), clients=()),
        Delay(
            id="",
            begin_ns=reconnected_ns,
            end_ns=over_ns,
            targets=(absent,),
            extra_ns=context.span(stream, 2, 5),
            jitter_ns=0,
        ),
    ]
    when_ns = reconnected_ns
    for _ in range(stream.between(2, 4)):
        when_ns += context.span(stream, 4, 20)
        end_ns = context.until(when_ns, stream.log_uniform(_MILLISECOND, context.timeout_ns))
        match stream.weighted((("receiver", 3), ("sender", 1), ("link", 2))):
            case "receiver":
                is_sudden = stream.chance_ppm(300_000)
                faults.append(Crash(id="", begin_ns=when_ns, end_ns=end_ns, targets=(absent,), power=is_sudden))
            case "sender":
                faults.append(Crash(id="", begin_ns=when_ns, end_ns=end_ns, targets=("@leader",)))
            case _:
                faults.append(_cut_off(context, when_ns, end_ns, "one", absent, ()))
        when_ns = end_ns
    return in_phase(faults, context)


def _cut_off(
    context: FaultContext, begin_ns: int, end_ns: int, shape: _Shape, leader: str, clients: tuple[str, ...] | None
) -> Partition:
    """Cut a leader off, with these clients on its side."""
    return Partition(
        id="", begin_ns=begin_ns, end_ns=end_ns, shape=shape, order=(leader, *context.nodes), clients=clients
    )


def _some_voters(stream: Stream, context: FaultContext) -> tuple[str, ...]:
    """Two voters at least, so that one of them is not the leader."""
    count = stream.between(2, max(2, len(context.voters) - 1))
    return tuple(sorted(stream.sample(context.voters, min(count, len(context.voters)))))
