"""The programs of the clients: what each thread calls, and when."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from workloads.generator import Call, evaluate, stagger, time_limit
from workloads.workload import Workload

from .draws import Draws
from .participants import Participants
from .plan import Phases, PlannedOp, Program
from .profiles import SECOND


def draw_programs(
    draws: Draws,
    work: Workload,
    variant: str,
    who: Participants,
    phases: Phases,
    *,
    begin_ns: int,
    rate: float | None,
) -> tuple[Program, ...]:
    """Evaluate the workload's generator into the ops of each thread; then come the recovery ops and the final reads.

    Clients begin at `begin_ns` and stop as long before the heal as that is after the start. Recovery ops and final
    reads repeat until they are ok, so only clients that can reach the healed set have any.
    """
    ops_per_second = Fraction(rate or draws.choose("rate", draws.profile.rates))
    stream = draws.streams("program")
    traffic = stagger(max(1, round(SECOND / ops_per_second)), work.generator(variant, stream))
    limited = time_limit(phases.heal_ns - begin_ns, traffic)
    ops: list[list[PlannedOp]] = [[] for _ in who.clients]
    keys: dict[str, None] = {}  # in the order of their first use
    count = 0
    for event in evaluate(limited, threads=len(who.clients), stream=stream, start_ns=begin_ns):
        for call in event.calls:
            ops[event.thread].append(_op(count, event.due_ns, call))
            if call.key is not None:
                keys[call.key] = None
            count += 1
    healed = phases.healed or who.clients
    able = tuple(thread for thread, client in enumerate(who.clients) if client in healed)
    final = _final_reads(work, list(keys), able, phases.horizon_ns - phases.final_ns, count)
    count += sum(map(len, final.values()))
    return tuple(
        Program(
            thread=thread,
            client=client,
            ops=tuple(ops[thread]),
            recovery=_op(count + thread, phases.heal_ns, work.recovery(thread)) if thread in able else None,
            final=tuple(final.get(thread, ())),
        )
        for thread, client in enumerate(who.clients)
    )


def _op(id_: int, due_ns: int, call: Call) -> PlannedOp:
    return PlannedOp(id=id_, due_ns=due_ns, f=call.f, key=call.key, value=call.value)


def _final_reads(
    work: Workload, keys: Sequence[str], able: Sequence[int], due_ns: int, first_id: int
) -> dict[int, list[PlannedOp]]:
    """Share the keys that were used among the threads that can read; each thread reads at least one."""
    final: dict[int, list[PlannedOp]] = {}
    if work.final is None or not keys:
        return final
    for number in range(max(len(keys), len(able))):
        op = _op(first_id + number, due_ns, work.final(keys[number % len(keys)]))
        final.setdefault(able[number % len(able)], []).append(op)
    return final
