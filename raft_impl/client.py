"""The client library: maps and counters of a running cluster, for programs that are no members of it.

    async with connect({"n1": "127.0.0.1:7101", "n2": "127.0.0.1:7102"}) as cluster:
        table = Map(cluster)
        await table.put("a", 1)
        cluster.soon(table.put, "b", 2, on_done=print)

The addresses are those to begin with: one server that runs suffices. It names the leader and the other members, so a
connection finds the new leader when the old one dies, and outlives all the servers that it began with. Which they are
is asked again from time to time while the connection is idle; `health` says whether the cluster can serve.

All operations of one connection share one session, so each takes effect at most once however often it had to be sent,
and what is begun with `soon` happens in that order. A program that wants operations side by side opens more
connections. Who leads is watched with `roles`, and `singleton` runs something only where the leader is.

An operation ends in one of four ways (`raft_impl.errors`): a value; `Negative`, the machine's own no; `Refused`, it
surely did not happen; `Unknown`, it may have happened, or may yet. It takes no longer than `timeout_s`.

Each connection is for one Trio run. What is begun with `soon` is finished before `connect` is left.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import msgspec
import trio

from .errors import Negative, RaftError, Refused
from .machines.sessions import NO_SESSION
from .runtime.client import Client
from .runtime.options import resolve_real
from .runtime.questions import NodeStatus, Outcome, Question, StatusNow
from .server.arguments import parse_address
from .server.handshake import Party
from .server.real_env import RealEnvironment
from .server.transport import Access, ping_ms
from .surface import make_client

REFRESH_S: Final = 10.0
"""How often an idle connection asks who the members are, when it was not told otherwise."""
WAITING_MAX: Final = 10_000
"""Operations begun with `soon` that may wait; more are refused at once, since a queue without bound only adds delay."""

Address = tuple[str, int] | str
"""Host and port, or both as HOST:PORT."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a cluster can serve."""

    is_healthy: bool
    leader: str = ""
    reason: str = ""
    """Why not: `no-leader`, or how the question failed."""


class Completion(msgspec.Struct, frozen=True):
    """How an operation that was begun with `soon` ended: a value, or an error."""

    value: Any = None
    error: RaftError | None = None


_Begun = tuple[Callable[..., Awaitable[Any]], tuple[Any, ...], Callable[[Completion], object] | None]
"""An operation, its arguments, and whom to tell."""


class Cluster:
    """A connection to one group of a cluster; made by `connect`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turn = trio.Lock()  # one operation at a time: a session has one outstanding
        self._begun, self._to_do = trio.open_memory_channel[_Begun](WAITING_MAX)
        self._waiting = 0
        self._idle = trio.Event()
        self._idle.set()

    async def call(self, f: str, key: Any = None, value: Any = None) -> Any:
        """Execute one command of the group's machine. Raises Negative, Refused or Unknown."""
        async with self._turn:
            try:
                return await self._client.call(f, key, value)
            except Refused as error:
                if error.word != NO_SESSION:
                    raise
            # The session was idle for too long, and the command did nothing: it goes into a new one.
            return await self._client.call(f, key, value)

    async def administer(self, question: Question, server: str | None = None) -> Outcome:
        """Ask a question of `runtime.questions`, of one server if it is named. Raises Refused or Unknown."""
        async with self._turn:
            return await self._client.administer(question, server)

    async def health(self) -> Health:
        """Whether the cluster can serve: whether a server answers, and the leader that it names leads."""
        try:
            here = await self.status()
            leader = here if here.leader in (None, here.node) else await self.status(here.leader)
        except RaftError as error:
            return Health(is_healthy=False, reason=error.word)
        if leader.role != "leader":
            return Health(is_healthy=False, reason="no-leader")
        return Health(is_healthy=True, leader=leader.node)

    def soon(
        self,
        operation: Callable[..., Awaitable[Any]],
        *arguments: Any,
        on_done: Callable[[Completion], object] | None = None,
    ) -> None:
        """Begin an operation and go on; `on_done` is told how it ended. Raises Refused when too many wait."""
        try:
            self._begun.send_nowait((operation, arguments, on_done))
        except trio.WouldBlock:
            raise Refused("busy") from None
        self._waiting += 1
        if self._idle.is_set():
            self._idle = trio.Event()

    async def drain(self) -> None:
        """Wait until everything that was begun with `soon` has ended."""
        await self._idle.wait()

    async def status(self, server: str | None = None) -> NodeStatus:
        """What a server says of itself: its role, its leader, the members. Raises Refused or Unknown.

        It is the server that is named, or whichever answers.
        """
        found = (await self.administer(StatusNow(), server)).status
        assert found is not None, "a status was asked for"
        self._client.learn(found.members.addresses)
        return found

    async def refresh(self, interval_s: float) -> None:
        """Ask now and then who the members are, until cancelled."""
        while True:
            await trio.sleep(interval_s)
            with suppress(RaftError):
                await self.status()

    async def work(self) -> None:
        """Carry out what is begun with `soon`, in that order, until cancelled."""
        async for operation, arguments, on_done in self._to_do:
            try:
                completion = Completion(value=await operation(*arguments))
            except RaftError as error:
                completion = Completion(error=error)
            if on_done is not None:
                on_done(completion)
            self._waiting -= 1
            if not self._waiting:
                self._idle.set()


@asynccontextmanager
async def connect(
    nodes: Mapping[str, Address],
    *,
    group: str = "g0",
    timeout_s: float = 5.0,
    options: Mapping[str, Any] | None = None,
    access: Access | None = None,
    cluster_id: str = "",
    refresh_s: float = REFRESH_S,
) -> AsyncIterator[Cluster]:
    """Connect to a cluster through the given servers; nothing is sent before the first operation.

    Raises BadArguments for an address that is none.

    `options` are those of the cluster, as its servers have them. `access` (from `server.access.load_access`) is the
    secret, or the certificates, that the servers ask for; with a `cluster_id` no other cluster is spoken with.
    """
    name = f"client-{secrets.token_hex(8)}"
    book = {node: parse_address(node, text) if isinstance(text, str) else text for node, text in nodes.items()}
    resolved = resolve_real({**(options or {}), "client_timeout_ms": max(1, round(timeout_s * 1000))})
    party = Party(name=name, role="client", cluster=cluster_id, ping_ms=ping_ms(resolved))
    env = RealEnvironment(name, book, party=party, access=access)
    client = make_client(env, group=group, servers=tuple(book), options=resolved)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(env.network.run, None)
        cluster = Cluster(client)
        nursery.start_soon(cluster.work)
        nursery.start_soon(cluster.refresh, refresh_s)
        try:
            yield cluster
            await cluster.drain()
        except Exception as error:  # the caller's own, which no group of ours shall wrap
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Map:
    """The map of a group whose machine is `map`. Keys and values are what JSON can hold; a missing key has None."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def get(self, key: Any) -> Any:
        """The latest value of a key."""
        return await self._cluster.call("read", key)

    async def put(self, key: Any, value: Any) -> None:
        """Set the value of a key."""
        await self._cluster.call("write", key, value)

    async def put_if_absent(self, key: Any, value: Any) -> bool:
        """Set the value of a key that has none. Returns whether that was so."""
        return await _succeeds(self._cluster.call("put-if-absent", key, value))

    async def replace(self, key: Any, old: Any, new: Any) -> bool:
        """Set the value of a key that has the value `old`. Returns whether that was so."""
        return await _succeeds(self._cluster.call("cas", key, [old, new]))

    async def remove(self, key: Any) -> Any:
        """Remove a key. Returns the value that it had."""
        return await self._cluster.call("remove", key)

    async def size(self) -> int:
        """How many keys have a value."""
        return int(await self._cluster.call("size"))


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """A value from a local cache, or just read: with `age_s` 0 it is the latest, else it may be stale by so much."""

    value: Any
    age_s: float


class CachedMap(Map):
    """A map that remembers what this connection read and wrote, for reads that may be stale.

    `get` is as it was, the latest value. `get_cached` answers from memory and labels the answer with its age. What
    others write is not seen here until a value is read again; what is written here replaces what is remembered, and is
    forgotten when it is not known whether the write happened.
    """

    def __init__(self, cluster: Cluster, *, keys_max: int = 10_000) -> None:
        super().__init__(cluster)
        self._keys_max = keys_max
        self._remembered: dict[bytes, tuple[float, Any]] = {}  # when it was begun to be read, oldest first

    async def get_cached(self, key: Any, *, age_s_max: float) -> Remembered:
        """The value of a key as it was at most `age_s_max` seconds ago."""
        found = self._remembered.get(_packed(key))
        if found is not None:
            age_s = trio.current_time() - found[0]
            if age_s <= age_s_max:
                return Remembered(value=found[1], age_s=age_s)
        return Remembered(value=await self.get(key), age_s=0.0)

    async def get(self, key: Any) -> Any:
        """The latest value of a key."""
        began_s = trio.current_time()
        return self._remember(key, began_s, await super().get(key))

    async def put(self, key: Any, value: Any) -> None:
        """Set the value of a key."""
        with self._changing(key) as began_s:
            await super().put(key, value)
        self._remember(key, began_s, value)

    async def put_if_absent(self, key: Any, value: Any) -> bool:
        """Set the value of a key that has none. Returns whether that was so."""
        with self._changing(key):
            return await super().put_if_absent(key, value)

    async def replace(self, key: Any, old: Any, new: Any) -> bool:
        """Set the value of a key that has the value `old`. Returns whether that was so."""
        with self._changing(key):
            return await super().replace(key, old, new)

    async def remove(self, key: Any) -> Any:
        """Remove a key. Returns the value that it had."""
        with self._changing(key):
            return await super().remove(key)

    def forget(self) -> None:
        """Forget everything that is remembered."""
        self._remembered.clear()

    @contextmanager
    def _changing(self, key: Any) -> Iterator[float]:
        """Whatever becomes of a write, what was remembered before it is not the latest any more."""
        began_s = trio.current_time()
        try:
            yield began_s
        finally:
            self._remembered.pop(_packed(key), None)

    def _remember(self, key: Any, began_s: float, value: Any) -> Any:
        packed = _packed(key)
        self._remembered.pop(packed, None)
        self._remembered[packed] = (began_s, value)
        if len(self._remembered) > self._keys_max:
            del self._remembered[next(iter(self._remembered))]
        return value


class Counter:
    """One counter of a group whose machine is `counter`: a signed integer of 64 bits, 0 in the beginning."""

    def __init__(self, cluster: Cluster, name: Any) -> None:
        self._cluster = cluster
        self._name = name

    async def get(self) -> int:
        """The latest value."""
        return int(await self._cluster.call("read", self._name))

    async def set(self, value: int) -> None:
        """Set the value."""
        await self._cluster.call("set", self._name, value)

    async def increment(self, by: int = 1) -> int:
        """Add to the value. Returns the new one."""
        return int((await self._cluster.call("add-and-get", self._name, by))[1])

    async def decrement(self, by: int = 1) -> int:
        """Subtract from the value. Returns the new one."""
        return await self.increment(-by)

    async def compare_and_set(self, old: int, new: int) -> bool:
        """Set the value if it is `old`. Returns whether that was so."""
        return await _succeeds(self._cluster.call("cas", self._name, [old, new]))


def _packed(key: Any) -> bytes:
    """A key that any value may be the key of: maps take lists and objects for keys too."""
    return msgspec.msgpack.encode(key, order="deterministic")


async def _succeeds(operation: Awaitable[Any]) -> bool:
    try:
        await operation
    except Negative:
        return False
    return True
