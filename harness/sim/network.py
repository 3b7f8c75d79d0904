"""The simulated network: datagrams between hosts, over links that can be cut, slowed, and made to lie.

The network owns what happens to a message between `send` and `receive`: its id, its delay, and for each copy a
`deliver` row, or a `drop` row with the reason. Delays and the losses of a healthy link come from a `Channel`
(channel.py); what faults do to a message is decided by `fate` (links.py). When a host is paused, slow or down is the
host's business: a message to a paused host is given to `host.pauses`, and one to a host that is down is dropped.

A cut is checked when a message is sent and again when it would arrive: a partition also swallows what is in flight.

On a manual link nothing moves unless a script says so: messages wait in `waiting` until `deliver_now` or `drop_now`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.faults.world import Effect
from harness.plans.plan import LinkSpec, Override

from .channel import Channel
from .host import SimHost
from .kernel.events import Kernel
from .lifetime import Lifetime
from .links import fate, flip_bit

Record = Callable[..., None]

Awaited = dict[int, tuple[bytes, Callable[[bool], None]]]
"""By number, messages under way of which it matters that they arrive: as they were sent, and whom to tell. Who is told
learns whether the target is slow now, and reads the message later than what comes when it is not."""


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
        "lies",
        "manual",
        "overridden",
        "plain",
        "processing_ns",
        "source",
        "spec",
        "target",
    )

    def __init__(
        self,
        source: str,
        target: SimHost,
        spec: LinkSpec,
        processing_ns: tuple[int, int],
        *,
        manual: bool,
        overridden: bool,
    ) -> None:
        self.source, self.target = source, target
        self.spec = spec
        self.processing_ns = processing_ns  # bounds of the receiver's processing delay
        self.manual = manual  # messages wait for a script
        self.overridden = overridden  # the plan says what becomes of some of its messages
        self.base = _healthy_effects(spec)
        self.channels: dict[str, Channel] = {}  # by kind of message
        self.cuts: set[str] = set()  # faults that let nothing through
        self.effects: dict[str, Effect] = {}  # by fault id
        self.clogs: set[str] = set()
        self.clogged: list[tuple[int, bytes]] = []
        self.bytes_per_s: dict[str, int] = {}
        self.lies: set[str] = set()  # faults that turn round what is sent
        self.free_ns = 0  # when a limited link is free again
        self.plain = True  # no fault is on it: nothing but what a healthy link does can happen to a message
        self.recompute_plain()

    def recompute_plain(self) -> None:
        """Recompute `plain` after a change."""
        faults = self.cuts or self.effects or self.clogs or self.bytes_per_s or self.lies
        self.plain = not (self.manual or self.overridden or faults)


class Network:
    """All links, and the way from `send` to `receive`."""

    def __init__(
        self,
        kernel: Kernel,
        record: Record,
        kind_of: Callable[[bytes], str],
        *,
        overrides: tuple[Override, ...] = (),
        watched: Mapping[str, int] | None = None,
        watch: Callable[[str, str, str, int, bytes], None] | None = None,
        awaited: Awaited | None = None,
        lie_of: Callable[[bytes], bytes | None] = lambda frame: None,
    ) -> None:
        """`watch` is called with (source, target, kind, number, data) of one message in `watched[kind]`.

        `lie_of` gives what a liar says in the place of a message, if it has a reason to.
        """
        self._lie_of = lie_of
        self._watched, self._watch = watched or {}, watch
        self.awaited = {} if awaited is None else awaited
        self._kernel = kernel
        self._append = kernel.log.append
        self._record = record
        self._kind_of = kind_of
        self.links: dict[str, dict[str, Link]] = {}
        self.messages = 0
        self.delivered = 0
        self.hits: dict[str, int] = {}  # fault id -> messages it touched
        self.waiting: dict[int, tuple[Link, str, bytes]] = {}  # on manual links, by message id
        self._touched: dict[str, list[Link]] = {}  # fault id -> links that it is on
        self._overrides = {(o.source, o.target, o.message, o.ordinal): o for o in overrides}
        self._overridden = {(o.source, o.target) for o in overrides}

    def connect(
        self, source: str, target: SimHost, spec: LinkSpec, processing_ns: tuple[int, int], *, manual: bool = False
    ) -> None:
        """Make one direction between two actors; on a manual link nothing moves unless a script says so."""
        overridden = (source, target.name) in self._overridden
        link = Link(source, target, spec, processing_ns, manual=manual, overridden=overridden)
        self.links.setdefault(source, {})[target.name] = link

    def sender(self, source: str, lifetime: Lifetime) -> Callable[[str, bytes], None]:
        """The function with which one incarnation of `source` sends: the hot path of a run."""
        kernel, append, kind_of = self._kernel, self._append, self._kind_of
        links = self.links.setdefault(source, {})
        arrive, at = self.arrive, kernel.at
        watched, watch = self._watched, self._watch

        def send(target: str, data: bytes) -> None:
            if lifetime.dead:
                return
            try:
                link = links[target]
            except KeyError:
                self._record("note", source, "", "sent to an unknown actor")
                return
            kind = kind_of(data)
            try:
                channel = link.channels[kind]
            except KeyError:
                channel = self._open_channel(link, kind)
            delays = channel.delays or channel.refill()
            delay_ns = delays.pop()
            self.messages = message = self.messages + 1
            now = kernel.now
            append((now, "send", source, message, target, kind, len(data)))
            if kind in watched and not message % watched[kind] and watch is not None:
                watch(source, target, kind, message, data)
            if link.plain and len(delays) not in channel.affected:
                at(now + delay_ns, link.target.ordinal, arrive, (link, message, data))
            else:
                self._decide(link, kind, delay_ns, message, data)

        return send

    def _open_channel(self, link: Link, kind: str) -> Channel:
        """Make the channel of a kind of messages that this link has not carried yet."""
        key = (link.source, link.target.name, kind)
        channel = link.channels[kind] = Channel(self._kernel.chance, key, link.spec, link.processing_ns, link.base)
        return channel

    def _decide(self, link: Link, kind: str, delay_ns: int, message: int, data: bytes) -> None:
        """The slow path of sending: something may be wrong with the link."""
        kernel = self._kernel
        if link.lies:
            data = self._turned_round(link, message, data)
        if link.manual:
            self.waiting[message] = (link, kind, data)
            return
        if link.cuts:
            self._swallow(link, message)
            return
        channel = link.channels[kind]
        ordinal = channel.ordinal
        override = self._overrides.get((link.source, link.target.name, kind, ordinal))
        if override is not None:
            self._obey(override, link, message, data, override.delay_ns or delay_ns)
            return
        for fault, limit in link.bytes_per_s.items():
            start = max(kernel.now, link.free_ns)
            link.free_ns = start + len(data) * 1_000_000_000 // limit
            self.hits[fault] = self.hits.get(fault, 0) + 1
            delay_ns += link.free_ns - kernel.now
        effects = (*link.base, *link.effects.values())
        decided = fate(delay_ns, effects, lambda effect, which: channel.draw(effect, ordinal, which))
        for fault in decided.hit:
            self.hits[fault] = self.hits.get(fault, 0) + 1
        if not decided.arrivals:
            self._drop(link, message, "loss")
        for arrival in decided.arrivals:
            copy = data if arrival.flip is None else flip_bit(data, arrival.flip)
            if arrival.is_copy:
                self._copy(link, message, copy, arrival.delay_ns)
            else:
                kernel.at(kernel.now + arrival.delay_ns, link.target.ordinal, self.arrive, (link, message, copy))

    def _turned_round(self, link: Link, message: int, data: bytes) -> bytes:
        """What a liar says instead; a lie binds it like any other word."""
        lie = self._lie_of(data)
        if lie is None:
            return data
        for fault in link.lies:
            self.hits[fault] = self.hits.get(fault, 0) + 1
        if self._watch is not None:
            self._watch(link.source, link.target.name, self._kind_of(lie), message, lie)
        return lie

    def _obey(self, override: Override, link: Link, message: int, data: bytes, delay_ns: int) -> None:
        """Do with a message what the plan says: no draw has a say, and only what may be in its way later does."""
        if override.fate == "drop":
            self._drop(link, message, "override")
            return
        if override.fate == "duplicate":
            self._copy(link, message, data, delay_ns)
        self._kernel.at(self._kernel.now + delay_ns, link.target.ordinal, self.arrive, (link, message, data))

    def _copy(self, link: Link, message: int, data: bytes, delay_ns: int) -> None:
        self.messages += 1
        if message in self.awaited:
            self.awaited[self.messages] = self.awaited[message]
        self._record("duplicate", link.source, message, self.messages)
        self._kernel.at(self._kernel.now + delay_ns, link.target.ordinal, self.arrive, (link, self.messages, data))

    def _swallow(self, link: Link, message: int) -> None:
        hits = self.hits
        for fault in link.cuts:
            hits[fault] = hits.get(fault, 0) + 1
        self._drop(link, message, "cut")

    def _drop(self, link: Link, message: int, why: str) -> None:
        if message in self.awaited:
            del self.awaited[message]
        self._append((self._kernel.now, "drop", link.target.name, message, why))

    def arrive(self, argument: tuple[Link, int, bytes]) -> None:
        """Let a message arrive now: its link, its number, and its bytes."""
        link, message, data = argument
        target, source = link.target, link.source
        if link.cuts:
            self._swallow(link, message)
        elif not target.is_up:
            self._drop(link, message, "down")
        elif link.clogs:
            for fault in link.clogs:
                self.hits[fault] = self.hits.get(fault, 0) + 1
            link.clogged.append((message, data))
        elif target.pauses.in_force:
            target.pauses.hold(self.arrive, argument)
        else:
            self.delivered += 1
            self._append((self._kernel.now, "deliver", target.name, message, source))
            if message in self.awaited:
                sent, tell = self.awaited.pop(message)
                if sent == data:
                    tell(bool(target.slowness.in_force))
            target.receive(source, data)

    # -- what faults do -------------------------------------------------------------------------------------------

    def cut(self, fault: str, edges: tuple[tuple[str, str], ...]) -> None:
        """Cut directed edges until `mend` with the same fault."""
        for link in self._touch(fault, edges):
            link.cuts.add(fault)
            link.recompute_plain()

    def affect(self, fault: str, effect: Effect, edges: tuple[tuple[str, str], ...]) -> None:
        """Put an effect on directed edges until `mend`."""
        for link in self._touch(fault, edges):
            link.effects[fault] = effect
            link.recompute_plain()

    def lie(self, fault: str, edges: tuple[tuple[str, str], ...]) -> None:
        """Turn round what is sent over directed edges until `mend`, as far as the system can say how."""
        for link in self._touch(fault, edges):
            link.lies.add(fault)
            link.recompute_plain()

    def limit(self, fault: str, bytes_per_s: int, edges: tuple[tuple[str, str], ...]) -> None:
        """Limit the bandwidth of directed edges until `mend`."""
        for link in self._touch(fault, edges):
            link.bytes_per_s[fault] = bytes_per_s
            link.recompute_plain()

    def clog(self, fault: str, edges: tuple[tuple[str, str], ...]) -> None:
        """Hold what arrives over directed edges until `mend`."""
        for link in self._touch(fault, edges):
            link.clogs.add(fault)
            link.recompute_plain()

    def mend(self, fault: str, keep: Callable[[str, str], bool] = lambda source, target: False) -> None:
        """Undo a fault on all links but those to keep, and release what it held there."""
        for link in self._touched.pop(fault, []):
            if keep(link.source, link.target.name):
                self._touched.setdefault(fault, []).append(link)
                continue
            link.cuts.discard(fault)
            effect = link.effects.pop(fault, None)
            if effect is not None:
                for channel in link.channels.values():
                    channel.forget(effect)
            link.bytes_per_s.pop(fault, None)
            link.clogs.discard(fault)
            link.lies.discard(fault)
            link.recompute_plain()
            if link.clogged and not link.clogs:
                released, link.clogged = link.clogged, []
                for message, data in released:  # in this order, whatever the policy
                    self._kernel.exactly(self._kernel.now, self.arrive, (link, message, data))

    def _touch(self, fault: str, edges: tuple[tuple[str, str], ...]) -> list[Link]:
        """The links of directed edges, remembered for `mend`. Between clients there are none."""
        links = [link for source, target in edges if (link := self.links.get(source, {}).get(target)) is not None]
        self._touched.setdefault(fault, []).extend(links)
        return links

    def hand_to_script(self, manual: Callable[[str, str], bool], script: str) -> list[tuple[Link, int, bytes]]:
        """From now on no link loses, delays or alters anything, and on manual ones messages wait for a script.

        What is cut stays cut, until `mend(script)`. Returns what clogged links held back.
        """
        held = []
        for source, links in self.links.items():
            for target, link in links.items():
                link.spec, link.processing_ns = LinkSpec(delay_min_ns=0, delay_max_ns=0), (0, 0)
                link.base, link.overridden = (), False
                link.channels.clear()
                for table in (link.effects, link.bytes_per_s, link.clogs, link.lies):
                    table.clear()
                held += [(link, message, data) for message, data in link.clogged]
                link.clogged.clear()
                if link.cuts:
                    link.cuts = {script}
                    self._touched.setdefault(script, []).append(link)
                link.manual = manual(source, target)
                link.recompute_plain()
        self._overrides.clear()
        return held

    def hold_now(self, link: Link, message: int, data: bytes) -> None:
        """Let a message that is on its way wait for a script."""
        self.waiting[message] = (link, self._kind_of(data), data)

    # -- manual mode ----------------------------------------------------------------------------------------------

    def deliver_now(self, message: int, *, again: bool = False) -> bool:
        """Deliver a waiting message (and keep it waiting, to be delivered again). False when there is none."""
        entry = self.waiting.get(message) if again else self.waiting.pop(message, None)
        if entry is None:
            return False
        self.arrive((entry[0], message, entry[2]))
        return True

    def drop_now(self, message: int) -> bool:
        """Drop a waiting message. False when there is none."""
        entry = self.waiting.pop(message, None)
        if entry is None:
            return False
        self._drop(entry[0], message, "script")
        return True


def _healthy_effects(spec: LinkSpec) -> tuple[Effect, ...]:
    """What a link does to messages while no fault is on it."""
    effects = []
    if spec.loss_ppm:
        effects.append(Effect(id="link", what="loss", ppm=spec.loss_ppm))
    if spec.duplicate_ppm:
        effects.append(Effect(id="link", what="duplicate", ppm=spec.duplicate_ppm, span_ns=2 * spec.delay_max_ns))
    return tuple(effects)
