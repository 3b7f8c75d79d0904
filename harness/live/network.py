"""The links of a live world, and what faults do to them: the `FaultNetwork` of real connections.

A link is directed, from one actor to another. A connection has two: what the caller sends goes over one of them, the
answers over the other. What a fault does to *messages* in the simulated world happens here to pieces of a stream, since
TCP delivers everything, in order, or ends the connection:

| fault | a piece of the stream |
| --- | --- |
| partition | waits until the link is mended; then half of the connections are reset, as by a timeout of TCP |
| clog | waits until the fault ends |
| delay | arrives later, and what follows not before it |
| loss | comes late by some times of a retransmission, at times never: then the connection is reset |
| bandwidth | waits for its turn |

A new connection waits as long as one of its two directions is cut or clogged. Which piece is lost or late is a keyed
draw (`harness.sim.links.fate`), so that chance is that of the plan as far as the traffic is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, Literal, Protocol

import trio

from harness.errors import BadInput
from harness.faults.world import Edge, Effect
from harness.sim.kernel.draws import Chance, Draws
from harness.sim.links import fate

RETRANSMISSION_NS: Final = 200_000_000
"""What Linux waits at least before it sends a segment again."""
_RESET_PPM: Final = 60_000
"""Lost pieces in a million that end their connection: it was lost again and again."""
_SECOND_NS: Final = 1_000_000_000


class Connected(Protocol):
    """A connection through a proxy."""

    def reset(self) -> None:
        """End it abruptly, at both ends."""
        ...


class Link:
    """What one actor sends to another one."""

    def __init__(self, source: str, target: str, chance: Chance, hits: Counter[str]) -> None:
        self.source, self.target = source, target
        self.effects: dict[str, Effect] = {}  # by fault
        self.limits: dict[str, int] = {}  # bytes a second, by fault
        self._held: dict[str, Literal["cut", "clog"]] = {}  # faults that let nothing pass, by fault
        self._chance, self._hits = chance, hits
        self.delivered = 0
        """Pieces that have arrived."""
        self._draws: dict[str, Draws] = {}
        self._pieces = 0
        self._passable = trio.Event()
        self._passable.set()

    def hold(self, fault: str, why: Literal["cut", "clog"]) -> None:
        """Let nothing pass any more."""
        if not self._held:
            self._passable = trio.Event()
        self._held[fault] = why

    def release(self, fault: str) -> bool:
        """A fault is over here. Whether it had cut the link."""
        self.effects.pop(fault, None)
        self.limits.pop(fault, None)
        why = self._held.pop(fault, None)
        if not self._held:
            self._passable.set()
        return why == "cut"

    async def passage(self) -> None:
        """Wait until something may pass; the faults that hold it are hit."""
        while self._held:
            self._hits.update(dict.fromkeys(self._held, 1))
            await self._passable.wait()

    def arrival_ns(self, size: int, now_ns: int, before_ns: int) -> int | None:
        """When the next piece, of this many bytes, arrives; not before the piece before it. None: it never does."""
        ordinal, self._pieces = self._pieces, self._pieces + 1
        at_ns = now_ns
        for effect in self.effects.values():
            late_ns = self._lateness_ns(effect, ordinal)
            if late_ns is None:
                return None
            at_ns += late_ns
        at_ns = max(at_ns, before_ns)
        for fault, bytes_per_s in self.limits.items():
            self._hits[fault] += 1
            at_ns += size * _SECOND_NS // bytes_per_s
        return at_ns

    def _lateness_ns(self, effect: Effect, ordinal: int) -> int | None:
        stream = self._draws.get(effect.id)
        if stream is None:
            stream = self._draws[effect.id] = Draws(
                self._chance, "fate", effect.id, effect.what, self.source, self.target
            )
        found = fate(0, (effect,), lambda _, which: stream.at(2 * ordinal + which))
        self._hits.update(dict.fromkeys(found.hit, 1))
        if found.arrivals:
            return found.arrivals[0].delay_ns
        if stream.at(2 * ordinal + 1) * 1_000_000 >> 64 < _RESET_PPM:
            return None
        return RETRANSMISSION_NS


class Network:
    """All links, and the connections that go over them."""

    def __init__(self, seed: int) -> None:
        self.hits: Counter[str] = Counter()
        """What each fault has touched since it was asked last."""
        self.counts: Counter[str] = Counter()
        """Connections and pieces that were carried, and what befell them."""
        self._chance = Chance(seed)
        self._links: dict[Edge, Link] = {}
        self._connections: dict[Connected, tuple[Edge, int]] = {}  # with their numbers on the link of the caller

    def link(self, source: str, target: str) -> Link:
        """The link from one actor to another."""
        found = self._links.get((source, target))
        if found is None:
            found = self._links[source, target] = Link(source, target, self._chance, self.hits)
        return found

    def heard(self, actor: str) -> int:
        """How many pieces were sent to an actor and have arrived."""
        return sum(link.delivered for (_, target), link in self._links.items() if target == actor)

    def opened(self, connection: Connected, caller: str, target: str) -> None:
        """There is a connection."""
        self.counts["connections"] += 1
        self._connections[connection] = ((caller, target), self.counts["connections"])

    def closed(self, connection: Connected) -> None:
        """A connection is no more."""
        self._connections.pop(connection, None)

    def take_hits(self, fault: str) -> int:
        """What a fault has touched since this was asked last."""
        return self.hits.pop(fault, 0)

    # -- what faults do -----------------------------------------------------------------------------------------------

    def cut(self, fault: str, edges: tuple[Edge, ...]) -> None:
        """Let nothing pass over these links; connections may not survive it."""
        for edge in edges:
            self.link(*edge).hold(fault, "cut")

    def clog(self, fault: str, edges: tuple[Edge, ...]) -> None:
        """Let nothing pass over these links until the fault ends."""
        for edge in edges:
            self.link(*edge).hold(fault, "clog")

    def affect(self, fault: str, effect: Effect, edges: tuple[Edge, ...]) -> None:
        """Put an effect on these links: loss or delay."""
        for edge in edges:
            self.link(*edge).effects[fault] = effect

    def limit(self, fault: str, bytes_per_s: int, edges: tuple[Edge, ...]) -> None:
        """Let no more than this pass over each of these links."""
        for edge in edges:
            self.link(*edge).limits[fault] = bytes_per_s

    def lie(self, fault: str, edges: tuple[Edge, ...]) -> None:
        """Refuse: real processes say what they say, and what they send is theirs."""
        raise BadInput(f"fault {fault}, in which a node lies", "faults that real processes can have", "a live run")

    def mend(self, fault: str, keep: Callable[[str, str], bool] = lambda source, target: False) -> None:
        """Undo a fault on all links but those that `keep` chooses."""
        mended = {
            edge for edge, link in list(self._links.items()) if not keep(*edge) and link.release(fault)
        }  # those that were cut
        draws = Draws(self._chance, "reset", fault)
        for connection, ((caller, target), number) in list(self._connections.items()):
            was_cut = (caller, target) in mended or (target, caller) in mended
            if was_cut and draws.at(number) & 1:
                self.hits[fault] += 1
                self.counts["resets"] += 1
                connection.reset()
