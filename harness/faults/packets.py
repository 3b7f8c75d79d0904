"""Packets: what networks do to messages, on the links of some actors or on all links."""

from __future__ import annotations

from typing import ClassVar

from .fault import FaultState
from .links import LinkFault
from .world import Edge, Effect, FaultWorld


class _MessageFault(LinkFault, frozen=True, kw_only=True):
    """A fault that is one effect on the messages of its links."""

    @property
    def effect(self) -> Effect:
        """What happens to the messages."""
        raise NotImplementedError(self.kind)

    def begin_on(self, world: FaultWorld, state: FaultState, edges: tuple[Edge, ...]) -> None:
        """Put the effect on the links."""
        world.network.affect(self.id, self.effect, edges)


class Loss(_MessageFault, frozen=True, kw_only=True, tag="loss"):
    """Drop a part of the messages on the links to and from the targets (all links when there are none)."""

    loss_ppm: int

    effective_when: ClassVar[str] = "it dropped a message"

    @property
    def effect(self) -> Effect:
        """The loss."""
        return Effect(id=self.id, what="loss", ppm=self.loss_ppm)


class Duplicate(_MessageFault, frozen=True, kw_only=True, tag="duplicate"):
    """Deliver a part of the messages twice, the copy after a further delay of up to `spread_ns`."""

    duplicate_ppm: int
    spread_ns: int

    effective_when: ClassVar[str] = "it copied a message"

    @property
    def effect(self) -> Effect:
        """The copies."""
        return Effect(id=self.id, what="duplicate", ppm=self.duplicate_ppm, span_ns=self.spread_ns)


class Delay(_MessageFault, frozen=True, kw_only=True, tag="delay"):
    """Add `extra_ns` plus up to `jitter_ns` to every message, which also reorders as far as the jitter reaches."""

    extra_ns: int
    jitter_ns: int

    effective_when: ClassVar[str] = "it delayed a message"

    @property
    def effect(self) -> Effect:
        """The delay."""
        return Effect(id=self.id, what="delay", base_ns=self.extra_ns, span_ns=self.jitter_ns)


class Reorder(_MessageFault, frozen=True, kw_only=True, tag="reorder"):
    """Hold back a part of the messages for up to `hold_ns`, so that later ones overtake them."""

    reorder_ppm: int
    hold_ns: int

    effective_when: ClassVar[str] = "it held a message back"

    @property
    def effect(self) -> Effect:
        """The holds."""
        return Effect(id=self.id, what="reorder", ppm=self.reorder_ppm, span_ns=self.hold_ns)


class Corrupt(_MessageFault, frozen=True, kw_only=True, tag="corrupt"):
    """Flip a bit in a part of the messages. A checksum must catch it: to the receiver it is a loss."""

    corrupt_ppm: int

    effective_when: ClassVar[str] = "it flipped a bit of a message"

    @property
    def effect(self) -> Effect:
        """The flips."""
        return Effect(id=self.id, what="corrupt", ppm=self.corrupt_ppm)


class Clog(LinkFault, frozen=True, kw_only=True, tag="clog"):
    """Hold everything sent to and from the targets, and release it in order when the fault ends."""

    targets: tuple[str, ...]

    effective_when: ClassVar[str] = "it held a message"

    def begin_on(self, world: FaultWorld, state: FaultState, edges: tuple[Edge, ...]) -> None:
        """Hold what arrives over these links."""
        world.network.clog(self.id, edges)


class Bandwidth(LinkFault, frozen=True, kw_only=True, tag="bandwidth"):
    """Limit each link of the targets to `bytes_per_s`; what does not fit waits its turn."""

    targets: tuple[str, ...]
    bytes_per_s: int

    effective_when: ClassVar[str] = "a message passed a limited link"

    def begin_on(self, world: FaultWorld, state: FaultState, edges: tuple[Edge, ...]) -> None:
        """Limit these links."""
        world.network.limit(self.id, self.bytes_per_s, edges)
