"""Power cuts at moments of a write, also of voters while several candidates ask."""

from __future__ import annotations

from typing import Final, Literal

from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.leadership import ForcedElection
from harness.faults.packets import Delay
from harness.faults.power import PowerCut
from harness.plans.rng import Stream

from .context import FaultContext, in_phase, some_nodes

_MILLISECOND: Final = 1_000_000


def power_cut(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Cut the power of one or several nodes at a moment of a write, again and again in some cases."""
    targets = context.nodes if stream.chance_ppm(300_000) else some_nodes(stream, context)
    faults: list[Fault] = []
    for _ in range(stream.between(1, 4)):
        end_ns = context.until(at_ns, context.span(stream, 3, 30))
        faults.append(cut(stream, at_ns, end_ns, targets))
        at_ns = end_ns + context.span(stream, 1, 20)
    return in_phase(faults, context)


def cut(stream: Stream, at_ns: int, end_ns: int, targets: tuple[str, ...]) -> Fault:
    """One cut: its moment and what it leaves are drawn."""
    return PowerCut(
        id="",
        begin_ns=at_ns,
        end_ns=end_ns,
        targets=targets,
        moment=_moment(stream),
        keeps=_keeps(stream),
        down_ns=stream.log_uniform(_MILLISECOND, max(2 * _MILLISECOND, (end_ns - at_ns) // 2)),
    )


def _moment(stream: Stream) -> Literal["in-flight", "between", "answered"]:
    moment: Literal["in-flight", "between", "answered"] = stream.choice(("in-flight", "between", "answered"))
    return moment


def _keeps(stream: Stream) -> Literal["prefix", "sectors", "nothing"]:
    kept: Literal["prefix", "sectors", "nothing"] = stream.choice(("prefix", "sectors", "nothing"))
    return kept


def voters_power_cut_between_candidates(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Let several nodes campaign over links of different speed, and cut the voters' power while they write their vote.

    They are back before the other candidate's request arrives. What a voter told the first one must hold then.
    """
    # Votes are neither asked for nor granted before the leader has been silent for a whole timeout.
    silence_ns = at_ns + context.timeout_ns + context.span(stream, 1, 5)
    over_ns = context.until(silence_ns, context.span(stream, 10, 30))
    candidates = tuple(sorted(stream.sample(context.voters, 2)))
    voters = tuple(name for name in context.voters if name not in candidates) or candidates
    late_ns = context.span(stream, 1, 4)
    faults: list[Fault] = [
        Crash(id="", begin_ns=at_ns, end_ns=over_ns, targets=("@leader",)),
        Delay(id="", begin_ns=silence_ns, end_ns=over_ns, targets=(candidates[0],), extra_ns=late_ns, jitter_ns=0),
        ForcedElection(id="", begin_ns=silence_ns, end_ns=over_ns, targets=candidates),
        PowerCut(
            id="",
            begin_ns=silence_ns,
            end_ns=context.until(silence_ns, 4 * late_ns),
            targets=voters,
            moment=_moment(stream),
            keeps=_keeps(stream),
            down_ns=stream.log_uniform(_MILLISECOND, max(2 * _MILLISECOND, late_ns // 2)),
        ),
    ]
    return in_phase(faults, context)
