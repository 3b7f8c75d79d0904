"""Stories of offices that change hands: what a leader may still believe, and what its successor does not know yet."""

from __future__ import annotations

from typing import Final, Literal

from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.leadership import ForcedElection, Transfer
from harness.faults.packets import Delay
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.rng import Stream

from .ground import Ground, half_of, in_time

_MILLISECOND: Final = 1_000_000

_Shape = Literal["one", "one-way-in", "one-way-out"]


def dozing_leader(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Stop a leader while answers to its heartbeats are on their way, cut it off, and elect another.

    It is mute from when it falls asleep and deaf from when it wakes, for what waits for it must not be lost. When it
    wakes it finds confirmations that are nearly a timeout old; a lease counts from when they were asked for. A transfer
    before makes known by name who leads, and so who does not; slow links between nodes see to it that something is
    on its way at any time.
    """
    leader, *others = stream.shuffled(ground.voters)
    slow_ns = at_ns + ground.span(stream, 10, 30)
    asleep_ns = slow_ns + ground.timeout_ns
    doze_ns = ground.span(stream, 7, 9)
    call_ns = asleep_ns + ground.timeout_ns + ground.span(stream, 2, 4)
    over_ns = ground.until(call_ns, ground.span(stream, 8, 20))
    transit_ns = ground.span(stream, 2, 3)
    beside = half_of(stream, ground.clients)
    faults: list[Fault] = [
        Transfer(id="", begin_ns=at_ns, end_ns=ground.until(at_ns, ground.timeout_ns), target=leader),
        Delay(
            id="",
            begin_ns=slow_ns,
            end_ns=ground.until(slow_ns, ground.timeout_ns),
            targets=tuple(sorted(others)),
            extra_ns=transit_ns,
            jitter_ns=0,
        ),
        Pause(id="", begin_ns=asleep_ns, end_ns=ground.until(asleep_ns, doze_ns), targets=(leader,)),
        _cut_off(ground, asleep_ns, over_ns, "one-way-out", leader, beside),
        _cut_off(ground, asleep_ns + doze_ns + _MILLISECOND, over_ns, "one", leader, beside),
        ForcedElection(id="", begin_ns=call_ns, end_ns=over_ns, targets=(others[0],)),
    ]
    return in_time(faults, ground)


def deaf_handover(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Hand over, with a leader that is heard and hears nothing: it does not learn that its successor has won.

    The successor's election overrides the promise on which the leader's lease stands.
    """
    ask_ns = at_ns + stream.between(0, 3) * _MILLISECOND
    over_ns = ground.until(ask_ns, ground.span(stream, 9, 25))
    faults: list[Fault] = [
        _cut_off(ground, at_ns, over_ns, "one-way-in", "@leader", half_of(stream, ground.clients)),
        Transfer(id="", begin_ns=ask_ns, end_ns=over_ns, target="@follower"),
    ]
    return in_time(faults, ground)


def laggards(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Let a bare majority go on with its leader, kill that, and let those who lag behind elect the next one.

    The successor cannot commit its first entry before a laggard has caught up, and until then does not know how much
    was committed: not the time to answer reads (dissertation 6.4).
    """
    cut_ns = ground.until(at_ns, ground.span(stream, 8, 40))
    down_ns = max(at_ns, cut_ns - stream.between(0, 5) * _MILLISECOND)
    faults: list[Fault] = [
        Partition(
            id="",
            begin_ns=at_ns,
            end_ns=cut_ns,
            shape="majority-minority",
            order=("@leader", *stream.shuffled(ground.nodes)),
            clients=None,
        ),
        Crash(id="", begin_ns=down_ns, end_ns=ground.until(down_ns, ground.span(stream, 20, 40)), targets=("@leader",)),
    ]
    return in_time(faults, ground)


def recount(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Let the same candidates campaign again and again over links so slow that old answers meet new elections."""
    silence_ns = at_ns + ground.timeout_ns + ground.span(stream, 1, 5)
    over_ns = ground.until(silence_ns, ground.span(stream, 20, 50))
    candidates = _some_voters(stream, ground)
    faults: list[Fault] = [
        Crash(id="", begin_ns=at_ns, end_ns=over_ns, targets=("@leader",)),
        Delay(id="", begin_ns=silence_ns, end_ns=over_ns, extra_ns=0, jitter_ns=ground.span(stream, 3, 15)),
    ]
    call_ns = silence_ns
    for _ in range(stream.between(2, 4)):
        faults.append(ForcedElection(id="", begin_ns=call_ns, end_ns=over_ns, targets=candidates))
        call_ns += ground.span(stream, 2, 10)
    return in_time(faults, ground)


def relay(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Bring a node back that missed much, and change the leader again and again while its image is on the way."""
    absent, *others = stream.shuffled(ground.voters)
    back_ns = ground.until(at_ns, ground.span(stream, 15, 60))
    faults: list[Fault] = [
        Partition(id="", begin_ns=at_ns, end_ns=back_ns, shape="one", order=(absent, *others), clients=()),
    ]
    ask_ns = back_ns
    for target in others[: stream.between(1, 3)]:
        ask_ns += stream.log_uniform(_MILLISECOND, ground.timeout_ns // 2)
        faults.append(
            Transfer(id="", begin_ns=ask_ns, end_ns=ground.until(ask_ns, 2 * ground.timeout_ns), target=target)
        )
    return in_time(faults, ground)


def _cut_off(
    ground: Ground, begin_ns: int, end_ns: int, shape: _Shape, leader: str, clients: tuple[str, ...] | None
) -> Partition:
    """Cut a leader off, these clients beside it."""
    return Partition(
        id="", begin_ns=begin_ns, end_ns=end_ns, shape=shape, order=(leader, *ground.nodes), clients=clients
    )


def _some_voters(stream: Stream, ground: Ground) -> tuple[str, ...]:
    """Enough of the voters that one of them is not the leader."""
    count = stream.between(2, max(2, len(ground.voters) - 1))
    return tuple(sorted(stream.sample(ground.voters, min(count, len(ground.voters)))))
