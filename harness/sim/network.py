"""The simulated network: datagrams between seats, over links that can be cut, slowed, and made to lie.

Every message has an id, a send event, and for each copy a deliver or a drop event with its reason. What a link does
is decided by `harness.links.fate` from the effects in force and from keyed draws by (link, kind of message, ordinal
of that kind on that link); a healthy link needs one draw, for its delay.

A cut is checked when a message is sent and again when it would arrive: a partition also swallows what is in flight.

On a manual link nothing moves unless a script says so: messages wait in `waiting` until `deliver_now` or `drop_now`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from harness.links import MILLION, Effect, fate, flip_bit
from harness.plans.plan import LinkSpec, Override

from .kernel.draws import BLOCK_MASK, BLOCK_SHIFT, EXPONENTIAL_MILLIONTHS, Draws
from .kernel.events import Kernel

Record = Callable[..., None]


class Receiver(Protocol):
    """Where a link ends."""

    name: str
    ordinal: int
    paused: bool
    is_up: bool

    receive: Callable[[str, bytes], None]

    def hold(self, callback: Callable[[Any], None], argument: Any) -> None: ...


class Mortal(Protocol):
    """One incarnation of an actor."""

    dead: bool


class Channel:
    """The messages of one kind on one link: their ordinal, and what is drawn for the next block of them.

    `odd` holds the places in the block of messages that a healthy link loses or duplicates: all others need nothing but
    their delay.
    """

    __slots__ = ("base", "delays", "handling_ns", "key", "odd", "ordinal", "seed", "spec", "streams", "word")

    def __init__(
        self,
        seed: int,
        key: tuple[str, ...],
        word: str,
        spec: LinkSpec,
        handling_ns: tuple[int, int],
        base: tuple[Effect, ...],
    ) -> None:
        self.seed, self.key, self.word, self.spec, self.handling_ns = seed, key, word, spec, handling_ns
        self.base = base
        self.ordinal = 0
        self.odd: frozenset[int] = frozenset()
        self.delays: list[int] = []
        self.streams: dict[str, Draws] = {"": Draws(seed, "delay", *key)}

    def refill(self, block: int) -> None:
        """Draw the delays of a block of messages: the link's own, and the receiver's handling."""
        spec = self.spec
        low, span = spec.delay_min_ns + self.handling_ns[0], spec.delay_max_ns - spec.delay_min_ns
        handling_span = self.handling_ns[1] - self.handling_ns[0] + 1
        values = self.streams[""].block(block)
        if spec.shape == "uniform":
            span += 1
            self.delays = [low + ((v >> 32) * span >> 32) + ((v & 0xFFFFFFFF) * handling_span >> 32) for v in values]
        else:
            # `delay_max_ns` is then the mean of the exponential part plus the minimum
            self.delays = [
                low + span * EXPONENTIAL_MILLIONTHS[v >> 54] // 1_000_000 + ((v & 0xFFFFFFFF) * handling_span >> 32)
                for v in values
            ]
        self.odd = frozenset(slot for effect in self.base for slot in self._hit_by(effect, block))

    def _hit_by(self, effect: Effect, block: int) -> list[int]:
        """The places in a block of messages to which an effect happens: `links.happens` of each one's first draw."""
        stream = self._stream(effect)
        firsts = (stream.block(2 * block) + stream.block(2 * block + 1))[::2]
        bound = -(-(effect.ppm << 64) // MILLION)
        return [slot for slot, value in enumerate(firsts) if value < bound]

    def draws_for(self, effect: Effect, ordinal: int) -> Callable[[Effect, int], int]:
        """Keyed draws for one message under one effect (two a message)."""
        stream = self._stream(effect)
        return lambda _, which: stream.at(2 * ordinal + which)

    def _stream(self, effect: Effect) -> Draws:
        name = f"{effect.id} {effect.what}"
        stream = self.streams.get(name)
        if stream is None:
            stream = self.streams[name] = Draws(self.seed, "fate", effect.id, effect.what, *self.key)
        return stream


class Link:
    """One direction between two actors."""

    __slots__ = (
        "base",
        "bytes_per_s",
        "channels",
        "clogged",
        "clogs",
        "cuts",
        "effects",
        "free_ns",
        "manual",
        "ordinal",
        "plain",
        "source",
        "target",
    )

    def __init__(self, source: str, target: Receiver, base: tuple[Effect, ...], *, manual: bool = False) -> None:
        self.source, self.target = source, target
        self.ordinal = target.ordinal
        self.manual = manual  # messages wait for a script
        self.base = base  # what a healthy link does
        self.channels: dict[str, Channel] = {}
        self.cuts: dict[str, int] = {}  # fault id -> messages it swallowed
        self.effects: dict[str, Effect] = {}  # by fault id
        self.clogs: set[str] = set()
        self.clogged: list[tuple[int, bytes]] = []
        self.bytes_per_s: dict[str, int] = {}
        self.free_ns = 0  # when a limited link is free again
        self.plain = not manual  # no fault is on it: nothing but what a healthy link does can happen to a message

    def settle(self) -> None:
        """Work out `plain` after a change."""
        self.plain = not (self.manual or self.cuts or self.effects or self.clogs or self.bytes_per_s)


class Network:
    """All links, and the way from `send` to `receive`."""

    def __init__(
        self,
        kernel: Kernel,
        record: Record,
        kind_of: Callable[[bytes], str],
        *,
        overrides: tuple[Override, ...] = (),
    ) -> None:
        self._kernel = kernel
        self._record = record
        self._kind_of = kind_of
        self.links: dict[str, dict[str, Link]] = {}
        self.messages = 0
        self.delivered = 0
        self.hits: dict[str, int] = {}  # fault id -> messages it touched
        self.waiting: dict[int, tuple[Link, str, bytes]] = {}  # on manual links, by message id
        self._touched: dict[str, list[Link]] = {}  # fault id -> links that it is on
        self._specs: dict[tuple[str, str], tuple[LinkSpec, tuple[int, int]]] = {}
        self._overrides = {(o.source, o.target, o.message, o.ordinal): o for o in overrides}

    def connect(
        self, source: str, target: Receiver, spec: LinkSpec, handling_ns: tuple[int, int], *, manual: bool = False
    ) -> None:
        """Make one direction between two actors; on a manual link nothing moves unless a script says so."""
        base = []
        if spec.loss_ppm:
            base.append(Effect(id="link", what="loss", ppm=spec.loss_ppm))
        if spec.duplicate_ppm:
            base.append(Effect(id="link", what="duplicate", ppm=spec.duplicate_ppm, span_ns=2 * spec.delay_max_ns))
        self.links.setdefault(source, {})[target.name] = Link(source, target, tuple(base), manual=manual)
        self._specs[source, target.name] = (spec, handling_ns)

    def sender(self, source: str, life: Mortal) -> Callable[[str, bytes], None]:
        """The function with which one incarnation of `source` sends: the hot path of a run. The dead send nothing."""
        kernel, log, kind_of = self._kernel, self._kernel.log, self._kind_of
        links = self.links.setdefault(source, {})
        arrive, at = self._arrive, kernel.at
        special = bool(self._overrides)

        def send(target: str, data: bytes) -> None:
            if life.dead:
                return
            try:
                link = links[target]
            except KeyError:
                self._record("note", source, "", "sent to an unknown actor")
                return
            word = kind_of(data)
            try:
                channel = link.channels[word]
            except KeyError:
                spec, handling_ns = self._specs[source, target]
                channel = Channel(kernel.seed, (source, target, word), word, spec, handling_ns, link.base)
                link.channels[word] = channel
            ordinal = channel.ordinal
            channel.ordinal = ordinal + 1
            slot = ordinal & BLOCK_MASK
            if not slot:
                channel.refill(ordinal >> BLOCK_SHIFT)
            self.messages = message = self.messages + 1
            now = kernel.now
            log.append((now, "send", source, message, target, word, len(data)))
            if link.plain and slot not in channel.odd and not special:
                at(now + channel.delays[slot], link.ordinal, arrive, (link, message, data))
            else:
                self._decide(link, channel, ordinal, message, data)

        return send

    def _decide(self, link: Link, channel: Channel, ordinal: int, message: int, data: bytes) -> None:
        """The slow path of sending: something may be wrong with the link."""
        kernel = self._kernel
        if link.manual:
            self.waiting[message] = (link, channel.word, data)
            return
        if link.cuts:
            self._swallow(link, message)
            return
        delay_ns = channel.delays[ordinal & BLOCK_MASK]
        override = self._overrides.get((link.source, link.target.name, channel.word, ordinal))
        if override is not None:
            self._obey(override, link, message, data, override.delay_ns or delay_ns)
            return
        for fault, limit in link.bytes_per_s.items():
            start = max(kernel.now, link.free_ns)
            link.free_ns = start + len(data) * 1_000_000_000 // limit
            self.hits[fault] = self.hits.get(fault, 0) + 1
            delay_ns += link.free_ns - kernel.now
        effects = (*link.base, *link.effects.values())
        decided = fate(delay_ns, effects, lambda effect, which: channel.draws_for(effect, ordinal)(effect, which))
        for fault in decided.hit:
            self.hits[fault] = self.hits.get(fault, 0) + 1
        if not decided.arrivals:
            self._record("drop", link.target.name, message, "loss")
        for arrival in decided.arrivals:
            copy = data if arrival.flip is None else flip_bit(data, arrival.flip)
            if arrival.is_copy:
                self._copy(link, message, copy, arrival.delay_ns)
            else:
                kernel.at(kernel.now + arrival.delay_ns, link.target.ordinal, self._arrive, (link, message, copy))

    def _obey(self, override: Override, link: Link, message: int, data: bytes, delay_ns: int) -> None:
        """Do with a message what the plan says: no draw has a say, and only what may be in its way later does."""
        if override.fate == "drop":
            self._record("drop", link.target.name, message, "override")
            return
        if override.fate == "duplicate":
            self._copy(link, message, data, delay_ns)
        self._kernel.at(self._kernel.now + delay_ns, link.target.ordinal, self._arrive, (link, message, data))

    def _copy(self, link: Link, message: int, data: bytes, delay_ns: int) -> None:
        self.messages += 1
        self._record("duplicate", link.source, message, self.messages)
        self._kernel.at(self._kernel.now + delay_ns, link.target.ordinal, self._arrive, (link, self.messages, data))

    def _swallow(self, link: Link, message: int) -> None:
        for fault in link.cuts:
            link.cuts[fault] += 1
            self.hits[fault] = self.hits.get(fault, 0) + 1
        self._record("drop", link.target.name, message, "cut")

    def _arrive(self, argument: tuple[Link, int, bytes]) -> None:
        link, message, data = argument
        target, source = link.target, link.source
        if link.plain and target.is_up and not target.paused:
            self.delivered += 1
            kernel = self._kernel
            kernel.log.append((kernel.now, "deliver", target.name, message, source))
            target.receive(source, data)
        elif link.cuts:
            self._swallow(link, message)
        elif not target.is_up:
            self._record("drop", target.name, message, "down")
        elif link.clogs:
            for fault in link.clogs:
                self.hits[fault] = self.hits.get(fault, 0) + 1
            link.clogged.append((message, data))
        elif target.paused:
            target.hold(self._arrive, argument)
        else:
            self.delivered += 1
            kernel = self._kernel
            kernel.log.append((kernel.now, "deliver", target.name, message, source))
            target.receive(source, data)

    # -- what faults do -------------------------------------------------------------------------------------------

    def cut(self, fault: str, edges: tuple[tuple[str, str], ...]) -> None:
        """Cut directed edges until `mend` with the same fault."""
        for link in self._touch(fault, edges):
            link.cuts[fault] = 0
            link.settle()

    def affect(self, fault: str, effect: Effect, edges: tuple[tuple[str, str], ...]) -> None:
        """Put an effect on directed edges until `mend`."""
        for link in self._touch(fault, edges):
            link.effects[fault] = effect
            link.settle()

    def limit(self, fault: str, bytes_per_s: int, edges: tuple[tuple[str, str], ...]) -> None:
        """Limit the bandwidth of directed edges until `mend`."""
        for link in self._touch(fault, edges):
            link.bytes_per_s[fault] = bytes_per_s
            link.settle()

    def clog(self, fault: str, edges: tuple[tuple[str, str], ...]) -> None:
        """Hold what arrives over directed edges until `mend`."""
        for link in self._touch(fault, edges):
            link.clogs.add(fault)
            link.settle()

    def mend(self, fault: str, keep: Callable[[str, str], bool] = lambda source, target: False) -> None:
        """Undo a fault on all links but those to keep, and release what it held there."""
        for link in self._touched.pop(fault, []):
            if keep(link.source, link.target.name):
                self._touched.setdefault(fault, []).append(link)
                continue
            link.cuts.pop(fault, None)
            link.effects.pop(fault, None)
            link.bytes_per_s.pop(fault, None)
            link.clogs.discard(fault)
            link.settle()
            if link.clogged and not link.clogs:
                released, link.clogged = link.clogged, []
                for message, data in released:  # in this order, whatever the policy
                    self._kernel.exactly(self._kernel.now, self._arrive, (link, message, data))

    def _touch(self, fault: str, edges: tuple[tuple[str, str], ...]) -> list[Link]:
        """The links of directed edges, remembered for `mend`. Between clients there are none."""
        links = [link for source, target in edges if (link := self.links.get(source, {}).get(target)) is not None]
        self._touched.setdefault(fault, []).extend(links)
        return links

    # -- manual mode ----------------------------------------------------------------------------------------------

    def deliver_now(self, message: int, *, again: bool = False) -> bool:
        """Deliver a waiting message (and keep it waiting, to be delivered again). False when there is none."""
        entry = self.waiting.get(message) if again else self.waiting.pop(message, None)
        if entry is None:
            return False
        self._arrive((entry[0], message, entry[2]))
        return True

    def drop_now(self, message: int) -> bool:
        """Drop a waiting message. False when there is none."""
        entry = self.waiting.pop(message, None)
        if entry is None:
            return False
        self._record("drop", entry[0].target.name, message, "script")
        return True
