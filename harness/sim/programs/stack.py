"""The network stack of one incarnation: ports, listeners, connections, and the names of other actors.

It ends with its incarnation. A kill resets the connections, as an operating system does for a process that dies; a
power loss leaves the other ends to find out.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import trio

from harness.sim.kernel.events import Kernel
from harness.sim.process import SimProcess

from .connection import Connection, Waiters
from .segments import Segment, decode, encode

_LOOPBACK_NS: Final = 20_000
_FIRST_PORT: Final = 40_000
_PORT_COUNT: Final = 20_000
_MAILBOX_BYTES_MAX: Final = 212_992
"""Linux' default for what may wait in a socket."""


class Names:
    """Names and addresses of all actors of a plan."""

    def __init__(self, actors: Sequence[str]) -> None:
        self._addresses = {name: f"10.0.{number >> 8}.{number & 255}" for number, name in enumerate(actors, 1)}
        self._names = {address: name for name, address in self._addresses.items()}

    def address(self, name: str) -> str:
        """The address of an actor. Raises socket.gaierror."""
        try:
            return self._addresses[name]
        except KeyError:
            raise socket.gaierror(socket.EAI_NONAME, f"no actor {name!r}") from None

    def actor(self, host: str, own: str) -> str | None:
        """Who is at an address, or has a name, as seen by an actor."""
        if host in ("127.0.0.1", "localhost", "0.0.0.0", ""):
            return own
        return self._names.get(host) or (host if host in self._addresses else None)


class Listener:
    """A port on which calls are awaited."""

    def __init__(self, backlog: int, wake: Callable[[trio.lowlevel.Task], None]) -> None:
        self.backlog = max(1, backlog)
        self.waiting: list[Connection] = []
        self.readable = Waiters(wake)


class Mailbox:
    """A port on which datagrams are awaited; what finds no room is lost."""

    def __init__(self, wake: Callable[[trio.lowlevel.Task], None]) -> None:
        self.waiting: deque[tuple[str, int, bytes]] = deque()
        self.readable = Waiters(wake)

    def put(self, source: str, port: int, data: bytes) -> None:
        """A datagram arrived."""
        if sum(len(data) for _, _, data in self.waiting) < _MAILBOX_BYTES_MAX:
            self.waiting.append((source, port, data))
            self.readable.wake()


class Stack:
    """The stack."""

    def __init__(self, process: SimProcess, kernel: Kernel, names: Names, incarnation: int) -> None:
        self.names, self.actor = names, process.actor
        self.listeners: dict[int, Listener] = {}
        self.mailboxes: dict[int, Mailbox] = {}
        self.wake = kernel.wake
        self._process, self._kernel = process, kernel
        self._connections: dict[tuple[str, int, int], Connection] = {}
        self._calls: dict[tuple[str, int, int], int] = {}  # the token of the latest call that was taken
        self._port = 0
        self._token = incarnation << 32

    # -- what sockets use -----------------------------------------------------------------------------------------

    @property
    def is_dead(self) -> bool:
        """Whether the incarnation is over, and nothing that its code does has an effect."""
        return self._process.lifetime.dead

    def free_port(self) -> int:
        """A port that nobody uses."""
        used = {port for _, _, port in self._connections} | self.listeners.keys() | self.mailboxes.keys()
        for _ in range(_PORT_COUNT):
            self._port = (self._port + 1) % _PORT_COUNT
            if _FIRST_PORT + self._port not in used:
                break
        return _FIRST_PORT + self._port

    def call(self, peer: str, peer_port: int, port: int) -> Connection:
        """Begin to open a connection."""
        connection = Connection(self, peer, peer_port, port, self._new_token())
        self._connections[peer, peer_port, port] = connection
        connection.begin()
        return connection

    def send_datagram(self, peer: str, peer_port: int, port: int, data: bytes) -> None:
        """Send a datagram, and hear no more of it."""
        self.transmit(peer, Segment("datagram", port, peer_port, 0, data=data))

    def reset_all(self) -> None:
        """Reset every connection: the process dies, and its operating system goes on."""
        self.listeners.clear()
        self.mailboxes.clear()
        for connection in list(self._connections.values()):
            connection.reset()

    # -- what connections use -------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """Virtual time."""
        return self._kernel.now

    def draw(self, low: int, high: int, purpose: str) -> int:
        """A drawn integer from `low` to `high`."""
        return low + self._process.randomness.below(high - low + 1, purpose)

    def rouse(self) -> None:
        """Let Trio look for what can run."""
        self._kernel.rouse()

    def call_at(self, time_ns: int, call: Callable[[Any], None], argument: Any) -> None:
        """Call at a time, unless the incarnation is over; a pause holds it."""
        self._kernel.at(time_ns, self._process.ordinal, self._on_time, (call, argument))

    def transmit(self, target: str, segment: Segment) -> None:
        """Send a segment. To itself an actor needs no network."""
        if target == self.actor:
            self.call_at(self._kernel.now + _LOOPBACK_NS, self._receive_own, segment)
        else:
            self._process.network.send(target, encode(segment))

    def refuse(self, target: str, segment: Segment) -> None:
        """Answer a segment of no connection: whoever sent it has one that is over."""
        self._answer(target, segment, "reset", 0)

    def established(self, connection: Connection) -> bool:
        """A call was completed: let it be accepted. False when nobody accepts calls on its port any more."""
        listener = self.listeners.get(connection.port)
        if listener is None or len(listener.waiting) >= listener.backlog:
            return False
        listener.waiting.append(connection)
        listener.readable.wake()
        return True

    def forget(self, connection: Connection) -> None:
        """A connection is over."""
        key = connection.peer, connection.peer_port, connection.port
        if self._connections.get(key) is connection:
            del self._connections[key]

    # -- what arrives ---------------------------------------------------------------------------------------------

    def receive(self, source: str, frame: bytes) -> None:
        """A datagram arrived; a damaged one is dropped, and will be sent again."""
        segment = decode(frame)
        if segment is not None:
            self._receive(source, segment)

    def _receive_own(self, segment: Segment) -> None:
        self._receive(self.actor, segment)

    def _receive(self, source: str, segment: Segment) -> None:
        if segment.kind == "datagram":
            mailbox = self.mailboxes.get(segment.target_port)
            if mailbox is not None:
                mailbox.put(source, segment.source_port, segment.data)
            return
        key = source, segment.source_port, segment.target_port
        connection = self._connections.get(key)
        if connection is not None and connection.token == segment.token:
            connection.receive(segment)
        elif segment.kind == "syn":
            self._receive_call(source, segment, connection)
        elif segment.kind == "data" and segment.fin and not segment.data:
            self._answer(source, segment, "ack", segment.sequence + 1)  # the last word, again, of one that is over
        elif segment.kind in ("syn-ack", "data", "probe"):
            self.refuse(source, segment)

    def _receive_call(self, source: str, segment: Segment, before: Connection | None) -> None:
        key = source, segment.source_port, segment.target_port
        if segment.token <= self._calls.get(key, 0):
            return  # a late copy of a call that was taken, or of an older one
        if before is not None:
            before.reset()
        if segment.target_port not in self.listeners:
            self.refuse(source, segment)
            return
        self._calls[key] = segment.token
        self._connections[key] = connection = Connection(self, *key, segment.token, self._new_token())
        connection.begin()

    def _new_token(self) -> int:
        self._token += 1
        return self._token

    def _answer(self, source: str, segment: Segment, kind: Any, acknowledged: int) -> None:
        answer = Segment(
            kind, segment.target_port, segment.source_port, segment.token, segment.answer, acknowledged=acknowledged
        )
        self.transmit(source, answer)

    def _on_time(self, order: tuple[Callable[[Any], None], Any]) -> None:
        process = self._process
        if process.lifetime.dead:
            return
        if process.pauses.in_force:
            process.pauses.hold(self._on_time, order)
            return
        call, argument = order
        call(argument)
