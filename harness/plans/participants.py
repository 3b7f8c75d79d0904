"""Who takes part in a plan, and which of them a partial heal reaches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from harness.faults.fault import Fault

from .atlas import Atlas, all_of
from .draws import Draws
from .patterns import FaultContext, lasting
from .plan import Actor, Phases
from .rng import Stream


class Participants(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes, the clients, and how clients find the node that they ask."""

    nodes: tuple[str, ...]
    clients: tuple[str, ...]
    routing: Literal["leader", "home", "any"]

    def home(self, thread: int) -> str:
        """The node that the client of a thread turns to first."""
        return self.nodes[thread % len(self.nodes)]

    def actors(self, groups: tuple[str, ...]) -> dict[str, Actor]:
        """The actors of the plan. Every node has a replica of each group, every client asks all of them."""
        actors = {name: Actor(kind="node", groups=groups) for name in self.nodes}
        for thread, name in enumerate(self.clients):
            actors[name] = Actor(kind="client", groups=groups, home=self.home(thread), routing=self.routing)
        return actors

    def reached(self, healed: Sequence[str]) -> tuple[str, ...]:
        """The clients that can reach healed nodes. A client that sticks to its home needs that to be healed."""
        sticks = self.routing == "home"
        return tuple(name for thread, name in enumerate(self.clients) if not sticks or self.home(thread) in healed)


def draw_participants(draws: Draws, nodes: int | None, clients: int | None) -> Participants:
    """Draw who takes part; a number that is given replaces its draw."""
    node_count = nodes or draws.choose("nodes", draws.profile.nodes)
    client_count = clients or draws.choose("clients", draws.profile.clients)
    return Participants(
        nodes=tuple(f"n{number}" for number in range(1, node_count + 1)),
        clients=tuple(f"c{number}" for number in range(1, client_count + 1)),
        routing=draws.choose("routing", draws.profile.routing),
    )


def draw_heal(
    draws: Draws,
    who: Participants,
    context: FaultContext,
    phases: Phases,
    faults: Sequence[Fault],
    kinds: Sequence[str],
    atlas: Atlas,
) -> tuple[Phases, tuple[Fault, ...]]:
    """Decide what is healed; when it is not everything, give each node outside a fault that lasts. Number all
    faults.
    """
    stream = draws.streams("heal")
    partial = stream.chance_ppm(draws.profile.partial_heal_ppm)
    healed = _healed_nodes(stream, who, faults, all_of(atlas))
    outsiders = [name for name in who.nodes if name not in healed]
    if partial and faults and outsiders:
        phases = msgspec.structs.replace(phases, heal="partial", healed=(*healed, *who.reached(healed)))
        permanent = (
            fault
            for name in outsiders
            for fault in lasting(draws.streams(f"faults/lasting/{name}"), context, name, tuple(kinds))
        )
        faults = sorted((*faults, *permanent), key=lambda fault: (fault.begin_ns, fault.end_ns, fault.kind))
    return phases, tuple(msgspec.structs.replace(fault, id=f"f{number}") for number, fault in enumerate(faults, 1))


def _healed_nodes(
    stream: Stream, who: Participants, faults: Sequence[Fault], felled: Collection[str]
) -> tuple[str, ...]:
    """Nodes that hold a majority of every configuration that may be in force, and the home of one client.

    Those that damage may fell do not count.
    """
    size = len(who.nodes)
    count = stream.between(size // 2 + 1, max(size // 2 + 1, size - 1))
    order = stream.shuffled(who.nodes)
    healed = set(order[:count])
    if not who.reached(tuple(healed.difference(felled))):
        homes = [who.home(thread) for thread in range(len(who.clients))]
        healed.add(next((home for home in homes if home not in felled), homes[0]))
    configurations = [who.nodes, *(voters for fault in faults for voters in fault.configurations)]
    for name in order[count:]:
        standing = healed.difference(felled)
        if all(2 * len(standing.intersection(voters)) > len(voters) for voters in configurations):
            break
        healed.add(name)
    return tuple(name for name in who.nodes if name in healed)
