"""Crashes and pauses, of nodes and of clients."""

from __future__ import annotations

from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.pauses import Pause
from harness.plans.rng import Stream

from .context import FaultContext, a_node, in_phase, some_clients, some_nodes


def crash(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Kill one or several nodes, at once or in the middle of a write, as a process crash or as a power loss."""
    fault = Crash(
        id="",
        begin_ns=at_ns,
        end_ns=context.until(at_ns, context.span(stream, 1, 100)),
        targets=some_nodes(stream, context),
        aim="write" if stream.chance_ppm(400_000) else "",
        power=stream.chance_ppm(700_000),
    )
    return (fault,)


def crash_loop(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Kill one node, or the leader of the moment, again and again soon after each restart."""
    target = a_node(stream, context)
    power = stream.chance_ppm(700_000)
    faults: list[Fault] = []
    for _ in range(stream.between(3, 6)):
        end_ns = context.until(at_ns, context.span(stream, 1, 10))
        faults.append(Crash(id="", begin_ns=at_ns, end_ns=end_ns, targets=(target,), power=power))
        at_ns = end_ns + context.span(stream, 2, 30)
    return in_phase(faults, context)


def rolling_restart(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Restart every node once, one after another."""
    power = stream.chance_ppm(300_000)
    faults: list[Fault] = []
    for name in stream.shuffled(context.nodes):
        end_ns = context.until(at_ns, context.span(stream, 1, 15))
        faults.append(Crash(id="", begin_ns=at_ns, end_ns=end_ns, targets=(name,), power=power))
        at_ns = end_ns + context.span(stream, 1, 15)
    return in_phase(faults, context)


def power_loss(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Cut the power of all nodes at once."""
    end_ns = context.until(at_ns, context.span(stream, 1, 30))
    return (Crash(id="", begin_ns=at_ns, end_ns=end_ns, targets=context.nodes),)


def client_crash(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Kill up to half of the clients."""
    end_ns = context.until(at_ns, context.span(stream, 1, 30))
    return (Crash(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_clients(stream, context)),)


def client_pause(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Pause up to half of the clients."""
    end_ns = context.until(at_ns, context.span(stream, 10, 100))
    return (Pause(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_clients(stream, context)),)


def pause(stream: Stream, context: FaultContext, at_ns: int) -> tuple[Fault, ...]:
    """Pause one or several nodes, for less than a heartbeat or for many timeouts."""
    end_ns = context.until(at_ns, context.span(stream, 5, 120))
    return (Pause(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_nodes(stream, context)),)
