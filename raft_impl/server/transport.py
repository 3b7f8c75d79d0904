"""Datagrams over TCP or TLS: frames between named actors, over connections that come and go by themselves.

Every actor dials the actors whose address it knows (`address_book`), on its first message to them, and again after
each failure with a growing pause. An actor without an address (a client) is answered over the connection that it
dialled. What cannot be sent is dropped: the layers above expect datagrams, and a queue that grows without bound helps
nobody. A connection carries frames in order, but a new one may overtake an old one, so no more order than that of
datagrams is promised.

*Strangers.* A connection begins with a handshake (see `handshake`). Without a secret and without TLS a name proves
nothing, so then only names of the address book and of members are heard as nodes. What only nodes say to each other is
not taken from a client, whoever it is.

*Silence.* Each end pings when it has nothing to say, and says at the beginning how often. An end that is silent for
longer is hung up on and dialled anew: TCP alone would take up to a minute to notice that a cut has healed.

*Limits.* Connections without a finished handshake are few, and a new one ends the oldest; clients have a limit of their
own, so that they cannot keep the nodes apart; a node has four connections, since it may have lost two without a word.

*Large frames.* Entries and snapshots go to a node over a connection of their own, in their order. So heartbeats, votes
and answers never wait behind megabytes that a slow link still has to carry.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import trio

from ..runtime.wire import carries_log, is_between_nodes
from .address_book import AddressBook
from .arguments import Address
from .contacts import Contacts
from .framing import FRAME_BYTES_MAX, QUEUE_BYTES_MAX, Budget, FrameQueue, FrameReader, PeerFault
from .handshake import HandshakeRefused, Judge, Party, accept, dial
from .poller import Poller
from .reports import OnEvent, Reports
from .tls import Tls, check_name, wrap

Deliver = Callable[[str, bytes], None]
AnyStream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

PING_MS_MIN: Final = 100
PING_MS_MAX: Final = 10_000
_PAUSE_MIN_S: Final = 0.02
_SILENT_PINGS: Final = 4.5
"""Intervals between pings without a word after which a peer is taken for gone."""
_LOST: Final = (OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError)
_NODE_CONNECTIONS_MAX: Final = 4
_ENDED: Final = (7, 8)  # TCP_CLOSE, TCP_CLOSE_WAIT (linux/tcp_states.h)
ACCEPTED_LATER_MAX: Final = 64
"""Connections that the kernel keeps for a process that does not accept them: who comes later tries again."""
_NAME_LENGTH_MAX: Final = 64
_SEPARATOR: Final = "@"
"""In the name under which a client's frames are delivered; no node has it in its name."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What others may take of this process."""

    client_count_max: int = 800
    host_share: float = 0.75
    """Part of these that one address may have."""
    pending_count_max: int = 128
    """Connections whose handshake is not done."""
    handshake_s: float = 5.0
    frame_s: float = 30.0
    """How long one frame may take to arrive."""
    client_frame_bytes_max: int = 33 * 1024 * 1024
    client_bytes_max: int = 64 * 1024 * 1024
    """What unfinished frames of all clients may hold."""
    node_bytes_max: int = 256 * 1024 * 1024
    client_queue_bytes_max: int = QUEUE_BYTES_MAX


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets in, and how one gets in elsewhere."""

    secret: bytes | None = None
    tls: Tls | None = None

    @property
    def is_proof(self) -> bool:
        """Whether a name that got in is a fact."""
        return self.secret is not None or self.tls is not None


class Connection:
    """One connection after its handshake."""

    def __init__(self, stream: AnyStream, reader: FrameReader, queue: FrameQueue, peer: Party, source: str) -> None:
        self.stream = stream
        self.reader = reader
        self.queue = queue
        self.peer = peer
        self.source = source
        """The name under which its frames are delivered."""
        self.silence_s = _SILENT_PINGS * min(max(peer.ping_ms, PING_MS_MIN), PING_MS_MAX) / 1000
        self.scope = trio.CancelScope()


class Transport:
    """All connections of one actor. `run` serves them until it is cancelled; `send` never waits and never raises."""

    def __init__(
        self,
        name: str,
        addresses: Mapping[str, Address],
        deliver: Deliver,
        *,
        party: Party | None = None,
        access: Access | None = None,
        limits: Limits | None = None,
        judge: Judge | None = None,
        on_event: OnEvent | None = None,
        after_reading: Callable[[], None] = lambda: None,
    ) -> None:
        """`deliver` takes each frame, and `after_reading` is called when all frames that are there were delivered."""
        self.dropped_count = 0
        """Frames that were not sent: no way to the target, or too many waiting for it."""
        self.contacts = Contacts()
        self.is_member: Callable[[str], bool] = lambda name: False
        """Whether a node without an address here is known otherwise."""
        self._party = party or Party(name=name, role="node" if name in addresses else "client")
        self._book = AddressBook(addresses)
        self._deliver = deliver
        self._access = access or Access()
        self._limits = limits or Limits()
        self._judge = judge
        self._reports = Reports(on_event)
        self._queues: dict[tuple[str, bool], FrameQueue] = {}  # of targets that we dial; True: for log and snapshots
        self._answering: dict[str, FrameQueue] = {}  # of actors that dialled us and have no address
        self._pending: dict[trio.CancelScope, None] = {}  # handshakes under way with who dialled us, oldest first
        self._accepted: dict[Connection, None] = {}
        self._dialled: dict[Connection, None] = {}
        self._accept_count = 0
        self._client_budget = Budget(self._limits.client_bytes_max)
        self._node_budget = Budget(self._limits.node_bytes_max)
        self._poller = Poller(after_reading)
        self._nursery: trio.Nursery | None = None

    def send(self, target: str, frame: bytes) -> None:
        """Queue one frame, or drop it."""
        way = target, carries_log(frame)
        queue = self._queues.get(way) or self._answering.get(target) or self.dial(*way)
        if queue is None or not queue.put(frame):
            self.dropped_count += 1

    def distrust(self, source: str) -> None:
        """End the connections over which frames come from there: one of them was no message."""
        for connection in (*self._dialled, *self._accepted):
            if connection.source == source:
                self._hang_up(connection, "garbage", "a frame came that is no message")

    def dial(self, target: str, for_log: bool = False) -> FrameQueue | None:
        """Keep a connection to a target from now on. None if there is no address."""
        way = target, for_log
        if way in self._queues:
            return self._queues[way]
        if target not in self._book or self._nursery is None:
            return None
        queue = self._queues[way] = FrameQueue()
        self._nursery.start_soon(self._keep_dialling, way, queue)
        return queue

    def learn(self, group: str, addresses: Mapping[str, str]) -> None:
        """Take where the members of a group are reached. Who is no member any more is not dialled again."""
        for sentence in self._book.learn(group, addresses):
            self._reports.report("bad-address", peer=group, word="bad-address", why=sentence)

    async def run(
        self, listener: trio.SocketListener | None, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept (with a listener) and dial until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._poller.run)
            nursery.start_soon(self._sweep)
            task_status.started()
            try:
                if listener is not None:
                    await trio.serve_listeners(self._accept, [listener])
                await trio.sleep_forever()
            finally:
                self._nursery = None

    # Dialling.

    async def _keep_dialling(self, way: tuple[str, bool], queue: FrameQueue) -> None:
        target, _ = way
        pause_s = _PAUSE_MIN_S
        pause_max_s = self._party.ping_ms / 1000
        attempt = 0
        while addresses := self._book.of(target):
            connection = await self._try_dialling(target, queue, addresses[attempt % len(addresses)])
            attempt += connection is None
            if connection is not None:
                pause_s = _PAUSE_MIN_S
                await self._converse(connection, self._dialled)
            queue.disconnect()
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s, pause_max_s)
        del self._queues[way]

    async def _try_dialling(self, target: str, queue: FrameQueue, address: Address) -> Connection | None:
        ping_s = self._party.ping_ms / 1000
        stream: AnyStream | None = None
        try:
            with trio.fail_after(2 * ping_s):  # a cut may have healed meanwhile: ask again rather than wait
                plain = stream = await trio.open_tcp_stream(*address)
            with trio.fail_after(max(3 * ping_s, 1.0)):
                if self._access.tls is not None:
                    stream = wrap(self._access.tls, plain, dials=True)
                    await stream.do_handshake()
                reader = FrameReader(stream)
                secret = self._access.secret
                peer = await dial(reader, stream.send_all, self._party, target, secret, self._judging(stream))
        except HandshakeRefused as refused:
            self.contacts.refused(target, refused.word, str(refused))
            side = "refused-by-peer" if refused.by_peer else "refused"
            self._reports.report(side, peer=target, word=refused.word, why=str(refused))
        except PeerFault as fault:
            if fault.word != "closed":
                self._reports.report("peer-fault", peer=target, word=fault.word, why=str(fault))
        except _LOST as error:
            if isinstance(error.__cause__, ssl.SSLError):
                why = f"no TLS with {target}: {error.__cause__.reason or error.__cause__}"
                self.contacts.refused(target, "tls", why)
                self._reports.report("refused", peer=target, word="tls", why=why)
        except trio.Cancelled:
            if stream is not None:
                await trio.aclose_forcefully(stream)
            raise
        else:
            self.contacts.welcomed(target, peer)
            reader.bound(FRAME_BYTES_MAX, self._node_budget)
            if not self._party.cluster:
                self._party = msgspec.structs.replace(self._party, cluster=peer.cluster)
            return Connection(stream, reader, queue, peer, target)
        if stream is not None:
            await trio.aclose_forcefully(stream)
        return None

    # Accepting.

    async def _accept(self, plain: trio.SocketStream) -> None:
        if _has_hung_up(plain):
            await trio.aclose_forcefully(plain)
            return
        stream: AnyStream = plain
        if len(self._pending) >= self._limits.pending_count_max:
            next(iter(self._pending)).cancel()
        connection = None
        with trio.move_on_after(self._limits.handshake_s) as scope:
            self._pending[scope] = None
            try:
                if self._access.tls is not None:
                    stream = wrap(self._access.tls, plain, dials=False)
                    await stream.do_handshake()
                connection = await self._welcome(plain, stream)
            except HandshakeRefused as refused:
                self._reports.report("refused", peer=refused.peer, word=refused.word, why=str(refused))
            except PeerFault as fault:
                if fault.word != "closed":
                    self._reports.report("peer-fault", peer=_host(plain), word=fault.word, why=str(fault))
            except _LOST as error:
                if isinstance(error.__cause__, ssl.SSLError):
                    why = f"no TLS: {error.__cause__.reason or error.__cause__}"
                    self._reports.report("refused", peer=_host(plain), word="tls", why=why)
            finally:
                del self._pending[scope]
        if connection is None:
            await trio.aclose_forcefully(stream)
            return
        if connection.peer.role == "client" or connection.source not in self._book:
            self._answering[connection.source] = connection.queue
        await self._converse(connection, self._accepted)
        if self._answering.get(connection.source) is connection.queue:
            del self._answering[connection.source]

    async def _welcome(self, plain: trio.SocketStream, stream: AnyStream) -> Connection:
        """The handshake with who dialled us. Raises HandshakeRefused or PeerFault."""
        reader = FrameReader(stream)
        host = _host(plain)
        peer = await accept(reader, stream.send_all, self._party, self._access.secret, self._judging(stream, host))
        if peer.role == "client":
            self._accept_count += 1
            reader.bound(self._limits.client_frame_bytes_max, self._client_budget)
            queue = FrameQueue(self._limits.client_queue_bytes_max)
            return Connection(stream, reader, queue, peer, _SEPARATOR.join((peer.name, host, str(self._accept_count))))
        reader.bound(FRAME_BYTES_MAX, self._node_budget)
        earlier = [one for one in self._accepted if one.source == peer.name]
        for one in earlier[: len(earlier) - _NODE_CONNECTIONS_MAX + 1]:
            one.scope.cancel()
        return Connection(stream, reader, FrameQueue(), peer, peer.name)

    def _judging(self, stream: AnyStream, host: str | None = None) -> Judge:
        """Who is unwelcome although it knows the secret; `host` is that of who dialled us."""

        async def judge(peer: Party) -> None:
            if not 0 < len(peer.name) <= _NAME_LENGTH_MAX or not peer.name.isprintable() or is_client(peer.name):
                raise HandshakeRefused("bad-name", "its name is none", peer="")
            if isinstance(stream, trio.SSLStream):
                check_name(stream, peer)
            if peer.role == "client":
                clients = [one.source for one in self._accepted if one.peer.role == "client"]
                _check_client_count(self._limits, self._party.name, clients, peer, host or "")
                return
            if peer.name == self._party.name:
                raise HandshakeRefused("own-name", f"there is a second {peer.name}", peer=peer.name)
            if not (self._access.is_proof or peer.name in self._book or self.is_member(peer.name)):
                sentence = f"{peer.name} is no member of the cluster, as far as {self._party.name} knows"
                raise HandshakeRefused("stranger", sentence, peer=peer.name)
            if self._judge is not None:
                await self._judge(peer)

        return judge

    # Conversing.

    async def _converse(self, connection: Connection, kept: dict[Connection, None]) -> None:
        """Write what is queued and deliver what arrives, until the connection ends."""
        kept[connection] = None
        try:
            async with trio.open_nursery() as nursery:
                connection.scope = nursery.cancel_scope
                nursery.start_soon(self._write, connection)
                try:
                    if isinstance(connection.stream, trio.SocketStream):
                        descriptor = connection.stream.socket.fileno()
                        connection.queue.connect(descriptor)
                        await self._poller.read(descriptor, connection.reader, partial(self._take, connection))
                    else:
                        await self._read(connection)
                except PeerFault as fault:
                    if fault.word != "closed":
                        self._reports.report("peer-fault", peer=connection.source, word=fault.word, why=str(fault))
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass
                nursery.cancel_scope.cancel()
        finally:
            del kept[connection]
            connection.reader.close()
            connection.queue.disconnect()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(connection.stream)

    async def _write(self, connection: Connection) -> None:
        stream, queue = connection.stream, connection.queue
        try:
            while True:
                await stream.send_all(await queue.take())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            connection.scope.cancel()

    async def _read(self, connection: Connection) -> None:
        while True:
            self._take(connection, await connection.reader.some())
            self._poller.after_reading()

    def _take(self, connection: Connection, frames: list[bytes]) -> None:
        deliver, source = self._deliver, connection.source
        is_client = connection.peer.role == "client"
        for frame in frames:
            if is_client and is_between_nodes(frame):
                raise PeerFault("not-a-node", "a client said what only nodes say to each other")
            deliver(source, frame)

    async def _sweep(self) -> None:
        """Ping, and end what is silent or too slow."""
        interval_s = self._party.ping_ms / 1000
        before_s = trio.current_time()
        while True:
            await trio.sleep(interval_s)
            now_s = trio.current_time()
            was_stopped = now_s - before_s > 2 * interval_s  # then what has arrived was not looked at yet
            before_s = now_s
            for connection in (*self._dialled, *self._accepted):
                connection.queue.ping()
                reader = connection.reader
                if was_stopped:
                    reader.heard_s = now_s
                elif now_s - reader.heard_s > connection.silence_s:
                    self._hang_up(connection, "silent", f"nothing came for {now_s - reader.heard_s:.1f} s")
                elif reader.began_s is not None and now_s - reader.began_s > self._limits.frame_s:
                    self._hang_up(connection, "slow", f"one frame took longer than {self._limits.frame_s:g} s")

    def _hang_up(self, connection: Connection, word: str, why: str) -> None:
        self._reports.report("hung-up", peer=connection.source, word=word, why=why)
        connection.scope.cancel()


def ping_ms(options: Mapping[str, Any]) -> int:
    """Three pings an election timeout, so that a peer is missed after one and a half of these."""
    return int(min(max(options["election_timeout_ms"] // 3, PING_MS_MIN), PING_MS_MAX))


def is_client(source: str) -> bool:
    """Whether a frame was delivered under the name of a client's connection."""
    return _SEPARATOR in source


def _check_client_count(limits: Limits, me: str, clients: Sequence[str], peer: Party, host: str) -> None:
    """Raise HandshakeRefused for one client too many, of all or of its host. `clients` are sources of frames."""
    of_host = [source.split(_SEPARATOR)[-2] for source in clients].count(host)
    if len(clients) >= limits.client_count_max or of_host >= limits.client_count_max * limits.host_share:
        sentence = f"{me} has {len(clients)} clients already, {of_host} of them from {host}"
        raise HandshakeRefused("too-many-clients", sentence, peer=peer.name)


def _has_hung_up(stream: trio.SocketStream) -> bool:
    """Whether who dialled us did not wait.

    While a process is stopped, connections pile up before it, all given up by the others in turn. A handshake with each
    of them would take so long that those which are still wanted are given up meanwhile.
    """
    state: int = stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state in _ENDED


def _host(stream: trio.SocketStream) -> str:
    try:
        address: Any = stream.socket.getpeername()
    except OSError:
        return "gone"
    return str(address[0])
