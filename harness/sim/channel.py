"""A channel: the messages of one kind on one link, and what chance does to each of them.

Draws are keyed by (link, kind of message, ordinal of that kind on that link), so a message that is added or removed
elsewhere does not change what happens to this one. A healthy link needs one draw a message, for its delay; they are
drawn for a block of 16 messages at a time, together with the messages that the healthy link loses or duplicates.
"""

from __future__ import annotations

from harness.faults.world import MILLION, Effect
from harness.plans.plan import LinkSpec

from .kernel.draws import BLOCK_SHIFT, EXPONENTIAL_MILLIONTHS, Chance, Draws


class Channel:
    """The delays of the next messages. The channel knows nothing of faults: they are the link's."""

    __slots__ = (
        "_block",
        "_chance",
        "_delays",
        "_key",
        "_processing_ns",
        "_spec",
        "_streams",
        "affected",
        "base",
        "delays",
    )

    def __init__(
        self,
        chance: Chance,
        key: tuple[str, ...],
        spec: LinkSpec,
        processing_ns: tuple[int, int],
        base: tuple[Effect, ...],
    ) -> None:
        self._chance, self._key, self._spec, self._processing_ns = chance, key, spec, processing_ns
        self.base = base  # what a healthy link does
        self._block = -1
        self.delays: list[int] = []
        """The delays of the messages of the block that are still to come, the next one last."""
        self.affected: set[int] = set()
        """The messages of the block to which something of `base` happens, by how many delays are left after them."""
        self._delays = Draws(chance, "delay", *key)
        self._streams: dict[tuple[str, str], Draws] = {}  # by (id, what) of the effect
        if chance.ahead is not None:
            chance.ahead.append(self._redrawn)

    @property
    def ordinal(self) -> int:
        """Of the message whose delay was taken last: how many of its kind went over this link before it."""
        return (self._block + 1 << BLOCK_SHIFT) - len(self.delays) - 1

    def refill(self) -> list[int]:
        """Draw and return the delays of the next block of messages: the link's own, and the receiver's processing."""
        self._block = block = self._block + 1
        spec = self._spec
        low, span = spec.delay_min_ns + self._processing_ns[0], spec.delay_max_ns - spec.delay_min_ns
        processing_span = self._processing_ns[1] - self._processing_ns[0] + 1
        values = self._delays.block(block)
        if spec.shape == "uniform":
            span += 1
            delays = [low + ((v >> 32) * span >> 32) + ((v & 0xFFFFFFFF) * processing_span >> 32) for v in values]
        else:
            # `delay_max_ns` is then the mean of the exponential part plus the minimum
            delays = [
                low + span * EXPONENTIAL_MILLIONTHS[v >> 54] // 1_000_000 + ((v & 0xFFFFFFFF) * processing_span >> 32)
                for v in values
            ]
        last = len(delays) - 1
        self.affected = {last - slot for effect in self.base for slot in self._hit_by(effect, block)}
        delays.reverse()
        self.delays = delays
        return delays

    def draw(self, effect: Effect, ordinal: int, which: int) -> int:
        """The keyed draw of one message under one effect; there are two (`which`)."""
        return self._stream(effect).at(2 * ordinal + which)

    def forget(self, effect: Effect) -> None:
        """Forget the draws of an effect that is over; whoever asks for them again gets the same ones."""
        self._streams.pop((effect.id, effect.what), None)

    def _hit_by(self, effect: Effect, block: int) -> list[int]:
        """The places in a block of messages to which an effect happens: `links.happens` of each one's first draw."""
        stream = self._stream(effect)
        firsts = (stream.block(2 * block) + stream.block(2 * block + 1))[::2]
        bound = -(-(effect.ppm << 64) // MILLION)
        return [slot for slot, value in enumerate(firsts) if value < bound]

    def _redrawn(self) -> None:
        """Draw the messages of the block anew that are still to come."""
        left = len(self.delays)
        if left:
            self._block -= 1
            self.delays = self.refill()[:left]

    def _stream(self, effect: Effect) -> Draws:
        name = effect.id, effect.what
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Draws(self._chance, "fate", effect.id, effect.what, *self._key)
        return stream
