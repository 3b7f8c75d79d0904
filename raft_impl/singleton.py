"""A service that runs in one place: beside the server that leads, with a token by which a late one is refused.

    async def serve(token: Token) -> None:
        ...                                      # while this runs, n1 leads, as far as it knows

    await run_while_leading("n1", "127.0.0.1:7101", serve)

Each server has such a program beside it, which asks its own server again and again. It begins `serve` when that server
leads, with the term as the *fencing token*, and cancels it when the server leads no more, leads in another term, or
does not answer in time.

This alone does not make two services impossible: a server that is cut off, or a program that was stopped and goes on,
believes for a while in what is past. So every write of the service carries its token to the resource, and the resource
refuses a token that is smaller than one it has seen. There is one leader a term, and a later leader has a higher one
(election safety, section 5.2 of the paper), so no write of an earlier service comes behind one of a later service.
`Fenced` is such a resource, one key of a replicated map; any store with a conditional write can be one.
(Chubby calls these tokens sequencers: Burrows, OSDI 2006, 2.4.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio

from .client import Address, Cluster, Map, connect
from .errors import RaftError
from .server.transport import Access

Token = int
"""The term of the leader beside which a service runs."""

INTERVAL_S: Final = 0.1
PATIENCE_S: Final = 0.5
"""Of a server that does not answer for so long nobody knows whether it still leads."""


class Stale(Exception):
    """The token is smaller than one that the resource has seen: another service has taken over."""

    def __init__(self, token: Token, newest: Token) -> None:
        super().__init__(f"the token is {token}; {newest} was seen already")
        self.token = token
        self.newest = newest


async def run_while_leading(
    node: str,
    address: Address,
    service: Callable[[Token], Awaitable[object]],
    *,
    group: str = "g0",
    interval_s: float = INTERVAL_S,
    patience_s: float = PATIENCE_S,
    options: Mapping[str, Any] | None = None,
    access: Access | None = None,
    cluster_id: str = "",
) -> None:
    """Run a service whenever this node leads, until cancelled. What the service raises comes through.

    A service that returns is not begun again in the same term.
    """
    connecting = connect(
        {node: address},
        group=group,
        timeout_s=patience_s,
        options=options,
        access=access,
        cluster_id=cluster_id,
        refresh_s=float("inf"),
    )
    async with connecting as cluster:
        done: Token | None = None
        while True:
            token = await _leading_term(cluster, node)
            if token is not None and token != done:
                done = token
                await _serve(service, token, cluster, node, interval_s)
            await trio.sleep(interval_s)


async def _serve(
    service: Callable[[Token], Awaitable[object]], token: Token, cluster: Cluster, node: str, interval_s: float
) -> None:
    """Run the service until it returns, or the node does not lead in this term any more."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:

        async def look() -> None:
            while await _leading_term(cluster, node) == token:  # noqa: ASYNC110 - nobody else could set an event
                await trio.sleep(interval_s)
            nursery.cancel_scope.cancel()

        nursery.start_soon(look)
        try:
            await service(token)
        except Exception as error:  # the caller's own, which no group of ours shall wrap
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _leading_term(cluster: Cluster, node: str) -> Token | None:
    """The term in which a node says that it leads; None when it does not, or does not answer."""
    try:
        status = await cluster.status(node)
    except RaftError:
        return None
    return status.term if status.role == "leader" and status.node == node else None


class Fenced:
    """One key of a map, written only by who has the newest token."""

    def __init__(self, table: Map, key: Any) -> None:
        self._table = table
        self._key = key

    async def get(self) -> Any:
        """The latest value, None before the first."""
        found = await self._table.get(self._key)
        return found[1] if found is not None else None

    async def put(self, token: Token, value: Any) -> None:
        """Set the value. Raises Stale when a higher token was seen, and Refused or Unknown as every operation.

        Comparing and setting are one command of the map, so that nothing comes in between.
        """
        while True:
            found = await self._table.get(self._key)
            if found is None:
                if await self._table.put_if_absent(self._key, [token, value]):
                    return
            elif found[0] > token:
                raise Stale(token, found[0])
            elif await self._table.replace(self._key, found, [token, value]):
                return
