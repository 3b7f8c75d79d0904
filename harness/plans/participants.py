"""Who takes part in a plan, and which of them a partial heal reaches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal

import msgspec

from harness.faults.fault import Fault

from .atlas import Atlas, all_of
from .draws import Draws
from .patterns import FaultContext, lasting
from .plan import Actor, Phases
from .rng import Stream

_VOTERS_MIN: Final = 3
"""Initial voters that are left when some nodes begin otherwise."""


class Participants(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes, the clients, and how clients find the node that they ask.

    Nodes that are neither voters nor learners run beside the group, and may become members.
    """

    nodes: tuple[str, ...]
    voters: tuple[str, ...]
    learners: tuple[str, ...]
    clients: tuple[str, ...]
    routing: Literal["leader", "home", "any"]

    def home(self, thread: int) -> str:
        """The node that the client of a thread turns to first: a voter, for another node may never know who leads."""
        return self.voters[thread % len(self.voters)]

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
    names = tuple(f"n{number}" for number in range(1, node_count + 1))
    voters, learners = _draw_members(draws, names)
    return Participants(
        nodes=names,
        voters=voters,
        learners=learners,
        clients=tuple(f"c{number}" for number in range(1, client_count + 1)),
        routing=draws.choose("routing", draws.profile.routing),
    )


def _draw_members(draws: Draws, nodes: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The initial voters and learners. Of more than three nodes one or two may begin as learners or outside."""
    stream = draws.streams("members")
    has_outsiders = stream.chance_ppm(draws.profile.outsiders_ppm)
    count = stream.between(1, 2) if len(nodes) > _VOTERS_MIN + 1 else 1
    others = stream.sample(nodes, count) if len(nodes) > _VOTERS_MIN else []
    learners = stream.subset(others, 500_000)
    if not has_outsiders:
        return nodes, ()
    return tuple(name for name in nodes if name not in others), tuple(sorted(learners))


def draw_heal(
    draws: Draws,
    who: Participants,
    context: FaultContext,
    phases: Phases,
    faults: Sequence[Fault],
    kinds: Sequence[str],
    atlas: Atlas,
    *,
    may_be_partial: bool,
) -> tuple[Phases, tuple[Fault, ...]]:
    """Decide what is healed; when it is not everything, give each node outside a fault that lasts. Number all
    faults.
    """
    stream = draws.streams("heal")
    partial = stream.chance_ppm(draws.profile.partial_heal_ppm) and may_be_partial
    healed = _healed_nodes(stream, who, faults, all_of(atlas))
    outsiders = [name for name in who.nodes if name not in healed]
    # A partial heal leaves the members as they are; who sticks to a home that may have been removed is owed nothing.
    members = [name for name in healed if all(name in voters for fault in faults for voters in fault.configurations)]
    served = who.reached(members)
    if partial and faults and outsiders and served:
        phases = msgspec.structs.replace(phases, heal="partial", healed=(*healed, *served))
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
    configurations = [who.voters, *(voters for fault in faults for voters in fault.configurations)]
    for name in order[count:]:
        standing = healed.difference(felled)
        if all(2 * len(standing.intersection(voters)) > len(voters) for voters in configurations):
            break
        healed.add(name)
    return tuple(name for name in who.nodes if name in healed)
