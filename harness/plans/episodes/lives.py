"""Lives that end and begin again: crashes and pauses, of nodes and of clients."""

from __future__ import annotations

from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.pauses import Pause
from harness.plans.rng import Stream

from .ground import Ground, a_node, in_time, some_clients, some_nodes


def crash(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Kill one or several nodes, at once or in the middle of a write, with or without power."""
    fault = Crash(
        id="",
        begin_ns=at_ns,
        end_ns=ground.until(at_ns, ground.span(stream, 1, 100)),
        targets=some_nodes(stream, ground),
        aim="write" if stream.chance_ppm(400_000) else "",
        power=stream.chance_ppm(700_000),
    )
    return (fault,)


def crash_loop(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """One victim, or whoever leads, killed again as soon as it is back."""
    victim = a_node(stream, ground)
    power = stream.chance_ppm(700_000)
    faults: list[Fault] = []
    for _ in range(stream.between(3, 6)):
        end_ns = ground.until(at_ns, ground.span(stream, 1, 10))
        faults.append(Crash(id="", begin_ns=at_ns, end_ns=end_ns, targets=(victim,), power=power))
        at_ns = end_ns + ground.span(stream, 2, 30)
    return in_time(faults, ground)


def rolling_restart(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Every node once, one after another, cleanly or not."""
    power = stream.chance_ppm(300_000)
    faults: list[Fault] = []
    for name in stream.shuffled(ground.nodes):
        end_ns = ground.until(at_ns, ground.span(stream, 1, 15))
        faults.append(Crash(id="", begin_ns=at_ns, end_ns=end_ns, targets=(name,), power=power))
        at_ns = end_ns + ground.span(stream, 1, 15)
    return in_time(faults, ground)


def power_loss(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """All at once, as when a building loses power."""
    end_ns = ground.until(at_ns, ground.span(stream, 1, 30))
    return (Crash(id="", begin_ns=at_ns, end_ns=end_ns, targets=ground.nodes),)


def client_crash(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Kill up to half of the clients."""
    end_ns = ground.until(at_ns, ground.span(stream, 1, 30))
    return (Crash(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_clients(stream, ground)),)


def client_pause(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Stop up to half of the clients."""
    end_ns = ground.until(at_ns, ground.span(stream, 10, 100))
    return (Pause(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_clients(stream, ground)),)


def pause(stream: Stream, ground: Ground, at_ns: int) -> tuple[Fault, ...]:
    """Stop one or several nodes, for less than a heartbeat or for many timeouts."""
    end_ns = ground.until(at_ns, ground.span(stream, 5, 120))
    return (Pause(id="", begin_ns=at_ns, end_ns=end_ns, targets=some_nodes(stream, ground)),)
