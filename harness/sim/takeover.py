"""Handing a run over to a script: from here on time stands still, and messages between nodes wait.

What was on its way is neither lost nor invented. Messages between nodes wait where a script can deliver or drop them;
those of clients, completions of disks and held events happen at once, in their order, because nothing takes time any
more. What a plan had in store (faults, the heal, the end) does not happen. Faults in force end, but for two that a
script can undo itself: what is cut stays cut, and what is down stays down.

Clients stop where they are. What they were doing has an unknown outcome, as if they had been killed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .device import DiskDevice
from .drivers import ServerDriver
from .host import SimHost
from .network import Network
from .process import SimProcess
from .world import SimWorld

SCRIPT: Final = "script"
"""The name under which links are cut and mended from now on."""

_GO_ON: Final = (DiskDevice, ServerDriver, SimHost, SimProcess, Network, SimWorld)
"""Whose events happen all the same: what devices, processes and messages of clients had begun."""
_NOT: Final = ("start", "_on_alarm")
"""Which of theirs do not: a supervisor that starts a server again, and clients that wait for a time."""


def hand_over(world: SimWorld, entrypoints: dict[str, Callable[[SimProcess], Any]]) -> list[str]:
    """Hand the world over at this instant; `entrypoints` are what clients do from now on.

    Returns lines for people, on what becomes of the faults that are in force.
    """
    kernel, network = world.kernel, world.network
    faults = _faults_in_force(world)
    pending = kernel.withdraw()
    for host in world.hosts.values():
        pending += host.pauses.take()
    world.observer.on_leader = lambda group: None
    for name in entrypoints:
        world.crash(name, power=False, reason=SCRIPT)
    pending += kernel.withdraw()  # that the clients' tasks are gone
    nodes = frozenset(world.plan.nodes)
    held = network.hand_to_script(lambda source, target: source in nodes and target in nodes, SCRIPT)
    for host in world.hosts.values():
        _calm(host)
    for argument in held:
        _arrive(world, argument, nodes)
    for callback, argument in pending:
        owner, name = getattr(callback, "__self__", None), getattr(callback, "__name__", "")
        if isinstance(owner, Network):
            _arrive(world, argument, nodes)
        elif isinstance(owner, _GO_ON) and name not in _NOT:
            kernel.exactly(kernel.now, callback, argument)
    for name, entrypoint in entrypoints.items():
        world.on_client_crash.pop(name, None)
        world.entrypoints[name] = entrypoint
        kernel.exactly(kernel.now + 1, world.start, name)
    return faults


def _arrive(world: SimWorld, argument: tuple[Any, int, bytes], nodes: frozenset[str]) -> None:
    """Let a message that is on its way wait, or, of a client, arrive."""
    link, message, data = argument
    if link.source in nodes and link.target.name in nodes:
        world.network.hold_now(link, message, data)
    else:
        world.kernel.exactly(world.kernel.now, world.network.arrive, argument)


def _calm(host: SimHost) -> None:
    """End the faults that lie on a machine, and stop its clock."""
    for fault in list(host.pauses.in_force):
        host.unpause(fault)
    for fault in list(host.slowness.in_force):
        host.speed_up(fault)
    host.background.in_force.clear()
    host.disarm_all()
    host.disk.end_all()
    host.device.be_instant()
    if not host.clock.stopped:
        host.clock.stop()


def _faults_in_force(world: SimWorld) -> list[str]:
    cuts = {fault for links in world.network.links.values() for link in links.values() for fault in link.cuts}
    faults = world.nemesis.in_force()
    stay = ", ".join(f"{kind} {fault}" for fault, kind in faults if fault in cuts)
    end = ", ".join(f"{kind} {fault}" for fault, kind in faults if fault not in cuts)
    return [*([f"cut until `mend`: {stay}"] if stay else []), *([f"over: {end}"] if end else [])]
