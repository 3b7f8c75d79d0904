"""The network between nodes, clients and services: the harness is all of it.

Whether a message between nodes is lost, doubled, and how long it takes is drawn from the seed by its source, its target
and its number on that link. So delays reorder messages, as each has its own. Messages of clients arrive at once, and
those of services take time but are never lost: both would make answers late and say nothing about the nodes. What a
partition cuts is looked at when a message arrives, as Maelstrom does, so that it also takes what is on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

import trio

from harness.faults.world import Edge
from harness.live.maelstrom_protocol import NODE_NOT_FOUND, Body, Message, error
from harness.plans.plan import LinkSpec
from harness.plans.rng import Stream

from .drawing import LATENCY_TAIL
from .services import Service

JOURNAL_MAX: Final = 100_000
"""Messages that are kept for people."""


class Network:
    """Carries messages, and cuts links. `deliver` has each that arrives at a node or client."""

    def __init__(
        self,
        seed: int,
        link: LinkSpec,
        nodes: Collection[str],
        services: dict[str, Service],
        deliver: Callable[[Message], bool],
        elapsed_ns: Callable[[], int],
        nursery: trio.Nursery,
    ) -> None:
        self._seed = seed
        self._link = link
        self._nodes = nodes
        self._services = services
        self._deliver = deliver
        self._elapsed_ns = elapsed_ns
        self._nursery = nursery
        self._ordinals: Counter[Edge] = Counter()
        self._cut: dict[str, frozenset[Edge]] = {}
        self.counts: Counter[str] = Counter()  # sent, lost, doubled, cut off, and "cut by FAULT"
        self.journal: list[tuple[int, Message]] = []

    def send(self, message: Message) -> None:
        """Take a message over; it arrives later, once, twice or never."""
        self.counts["sent"] += 1
        source, target = message.src, message.dest
        if source in self._nodes and target in self._nodes:
            self._between_nodes(message)
        elif source in self._services or target in self._services:
            self._later(self._delay_ns(self._draws(source, target)), message)
        else:
            self._arrive(message)

    def cut(self, fault: str, edges: Collection[Edge]) -> None:
        """Let nothing arrive over these links, until `mend`."""
        self._cut[fault] = frozenset(edges)

    def mend(self, fault: str) -> None:
        """Take back what a fault has cut."""
        self._cut.pop(fault, None)

    def _between_nodes(self, message: Message) -> None:
        draws, link = self._draws(message.src, message.dest), self._link
        delay_ns = self._delay_ns(draws)
        if draws.chance_ppm(link.loss_ppm):
            self.counts["lost"] += 1
            return
        self._later(delay_ns, message)
        if draws.chance_ppm(link.duplicate_ppm):
            self.counts["doubled"] += 1
            self._later(self._delay_ns(draws), message)

    def _draws(self, source: str, target: str) -> Stream:
        self._ordinals[source, target] += 1
        return Stream(self._seed, f"maelstrom/{source}/{target}/{self._ordinals[source, target]}")

    def _delay_ns(self, draws: Stream) -> int:
        link = self._link
        if link.delay_max_ns == 0:
            return 0
        if link.shape == "exponential":
            return min(draws.exponential(link.delay_max_ns // LATENCY_TAIL), link.delay_max_ns)
        return draws.between(link.delay_min_ns, link.delay_max_ns)

    def _later(self, delay_ns: int, message: Message) -> None:
        if delay_ns == 0:
            self._arrive(message)
        else:
            self._nursery.start_soon(self._wait, delay_ns / 1e9, message)

    async def _wait(self, seconds: float, message: Message) -> None:
        await trio.sleep(seconds)
        self._arrive(message)

    def _arrive(self, message: Message) -> None:
        edge = (message.src, message.dest)
        for fault, edges in self._cut.items():
            if edge in edges:
                self.counts["cut off"] += 1
                self.counts[f"cut by {fault}"] += 1
                return
        if len(self.journal) < JOURNAL_MAX:
            self.journal.append((self._elapsed_ns(), message))
        if service := self._services.get(message.dest):
            self._answer(message, service(message.src, message.body))
        elif not self._deliver(message):
            self._answer(message, error(NODE_NOT_FOUND, f"there is no {message.dest}"))

    def _answer(self, message: Message, body: Body) -> None:
        if "msg_id" in message.body:
            self.send(Message(message.dest, message.src, {**body, "in_reply_to": message.body["msg_id"]}))
