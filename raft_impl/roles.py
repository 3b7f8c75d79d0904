"""A watch of roles, for programs that are no members: who leads, who follows, who is silent, as it changes.

    async with watch({"n1": "127.0.0.1:7101"}) as changes:
        async for roles in changes:
            print(roles.leader, roles.term)

Each server is asked over a connection of its own, again and again; members that were not named are found by those that
were. What is told is what servers say of themselves at that moment: a leader that is cut off from the others says that
it leads until its own election timeout has passed. Who must not act on that uses a fencing token (`singleton`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self

import msgspec
import trio

from .client import Address, Cluster, connect
from .errors import RaftError
from .runtime.questions import NodeStatus
from .server.arguments import BadArguments, parse_address
from .server.transport import Access

INTERVAL_S: Final = 0.2
PATIENCE_S: Final = 1.0
"""Who does not answer for so long is silent."""
SILENT: Final = "silent"


class Roles(msgspec.Struct, frozen=True, kw_only=True):
    """Who is what, as the servers say. `leader` is the one with the highest term of those that say they lead."""

    leader: str | None
    term: int
    """Of that leader; without one, the highest term that anybody knows."""
    roles: Mapping[str, str]
    """leader, follower, candidate, pre-candidate or silent, by server."""


@asynccontextmanager
async def watch(
    nodes: Mapping[str, Address],
    *,
    group: str = "g0",
    interval_s: float = INTERVAL_S,
    patience_s: float = PATIENCE_S,
    options: Mapping[str, Any] | None = None,
    access: Access | None = None,
    cluster_id: str = "",
) -> AsyncIterator[Changes]:
    """Watch roles: what is given yields the present ones, and then again whenever something has changed.

    Changes that come and go between two looks are not seen; a reader that is slow sees the latest.
    """
    watcher = Changes(interval_s)

    def connecting(name: str, address: Address) -> Any:
        return connect(
            {name: address},
            group=group,
            timeout_s=patience_s,
            options=options,
            access=access,
            cluster_id=cluster_id,
            refresh_s=float("inf"),
        )

    async with trio.open_nursery() as nursery:

        async def follow(name: str, address: Address) -> None:
            async with connecting(name, address) as cluster:
                await watcher.follow(name, cluster, begin)

        def begin(name: str, address: Address) -> None:
            if watcher.expects(name):
                nursery.start_soon(follow, name, address)

        for name, address in nodes.items():
            begin(name, address)
        yield watcher
        nursery.cancel_scope.cancel()


class Changes:
    """The roles when everybody was asked once, and after each change; made by `watch`, for one reader."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._heard: dict[str, NodeStatus | None] = {}
        self._unheard: set[str] = set()  # not answered and not given up yet
        self._news = trio.Event()
        self._told: Roles | None = None

    def expects(self, name: str) -> bool:
        """Take a server to be followed. Returns whether it is a new one."""
        if name in self._heard or name in self._unheard:
            return False
        self._unheard.add(name)
        return True

    async def follow(self, name: str, cluster: Cluster, begin: Any) -> None:
        """Ask one server again and again."""
        while True:
            began_s = trio.current_time()
            status: NodeStatus | None = None
            with suppress(RaftError):
                status = await cluster.status(name)
            self._unheard.discard(name)
            self._heard[name] = status
            for member, text in status.members.addresses.items() if status is not None else ():
                try:
                    begin(member, parse_address(member, text))
                except BadArguments:
                    continue  # it stands in the log, and whoever put it there was told
            self._news.set()
            await trio.sleep_until(began_s + self._interval_s)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Roles:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            roles = self._roles()
            if not self._unheard and roles != self._told:
                self._told = roles
                return roles

    def _roles(self) -> Roles:
        statuses = [status for status in self._heard.values() if status is not None]
        leading = [status for status in statuses if status.role == "leader"]
        leader = max(leading, key=lambda status: status.term, default=None)
        term = leader.term if leader is not None else max((status.term for status in statuses), default=0)
        roles = {name: status.role if status is not None else SILENT for name, status in sorted(self._heard.items())}
        return Roles(leader=leader.node if leader is not None else None, term=term, roles=roles)
