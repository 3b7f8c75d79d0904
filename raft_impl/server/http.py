"""HTTP beside a node, so that curl and load balancers reach it.

    curl 'http://127.0.0.1:7001/set?key=a&value=b'
    curl 'http://127.0.0.1:7001/get?key=a'

Any node answers for the whole cluster: it passes an operation on to the leader, or, when it was told where its peers
speak HTTP, redirects to the leader's. `/status`, `/members`, `/health` and `/metrics` are about this node alone.

| status | says |
| --- | --- |
| 200 | done |
| 400 | the request makes no sense, or the group's machine has no such operation |
| 404, 409 | the machine says no: the key is absent; anything else. 409 also of what contradicts the membership |
| 307 | ask the leader, there |
| 503 | `outcome` is refused (it surely did not happen: no quorum, say) or unknown (it may have happened) |

HTTP carries no secret, so it listens on loopback only, unless the node is `--insecure`. With `--http-tls` it is HTTPS
under the node's certificates, and asks for one of the same authority: then it may listen anywhere. How the gateway
itself speaks with the cluster (secret, TLS) is another matter, and as every client does. `http_server` bounds what
others may take.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

import msgspec
import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..client import Cluster, connect
from ..errors import Negative, RaftError, Unknown
from ..runtime.node import Server
from ..runtime.questions import NodeStatus, Transfer
from .arguments import Address
from .hints import HINTS
from .http_server import CONNECTIONS_MAX, HttpServer
from .reports import OnEvent
from .transport import Access

POOL_SIZE: Final = 16
"""Operations under way at once: one session does one at a time."""
_REASONS: Final = {
    "no-client": "no quorum: no leader could open a session in time",
    "not-leader": "no quorum: no server leads",
    "not-ready": "the leader has just begun, and does not know yet what is committed",
    "unreachable": "no quorum: no server was reached",
    "timeout": "no quorum: no answer in time",
    "busy": "too many operations are under way",
}
_NO_QUORUM: Final = frozenset({"no-client", "not-leader", "unreachable"})
"""Words of one server or one attempt, which after all attempts say this."""
_NOT_NOW: Final = frozenset({"not-member", "nothing-new", "no-other-voter"})
"""The cluster is well, but what was asked contradicts its state."""
_NO_SENSE: Final = frozenset({"malformed", "unsupported", "too-large", "bad-change"})


class Gateway:
    """The routes of one node. `peers` are HTTP addresses by node name; empty: operations are forwarded."""

    def __init__(
        self,
        server: Server,
        group: str,
        machine: str,
        peers: Mapping[str, Address],
        pool: trio.MemoryReceiveChannel[Cluster],
        give_back: Callable[[Cluster], None],
        *,
        scheme: str = "http",
    ) -> None:
        self._scheme = scheme
        self._server = server
        self._group = group
        self._is_counter = machine.startswith("counter")
        self._peers = peers
        self._pool = pool
        self._give_back = give_back

    def app(self) -> Starlette:
        """The application."""
        acting = {
            "/set": self._set,
            "/get": self._get,
            "/increment": self._increment,
            "/decrement": self._decrement,
        }
        commanding = {"/transfer": self._transfer, "/snapshot": self._snapshot}
        looking = {
            "/status": self._status,
            "/members": self._members,
            "/health": self._health,
            "/metrics": self._metrics,
        }
        paths = ", ".join((*acting, *(f"{path} (POST)" for path in commanding), *looking))

        async def refuse(request: Request, error: Exception) -> Response:
            code = error.status_code if isinstance(error, HTTPException) else 404
            found = f"{request.method} {request.url.path}"
            return _json({"error": "no-such-path", "reason": f"found {found}; expected one of {paths}"}, code)

        return Starlette(
            exception_handlers={404: refuse, 405: refuse},
            routes=[
                *(Route(path, self._guarded(act), methods=["GET", "POST"]) for path, act in acting.items()),
                *(Route(path, self._guarded(act), methods=["POST"]) for path, act in commanding.items()),
                *(Route(path, look, methods=["GET"]) for path, look in looking.items()),
            ],
        )

    # Operations.

    async def _set(self, cluster: Cluster, request: Request) -> Response:
        key, text = _parameter(request, "key"), _parameter(request, "value")
        value = _integer("value", text) if self._is_counter else text
        await cluster.call("set" if self._is_counter else "write", key, value)
        return _json({"key": key, "value": value})

    async def _get(self, cluster: Cluster, request: Request) -> Response:
        key = _parameter(request, "key")
        value = await cluster.call("read", key)
        if value is None:
            raise Negative("absent")
        return _json({"key": key, "value": value})

    async def _increment(self, cluster: Cluster, request: Request, sign: int = 1) -> Response:
        key, by = _parameter(request, "key"), _integer("by", request.query_params.get("by", "1"))
        _, value = await cluster.call("add-and-get", key, sign * by)
        return _json({"key": key, "value": value})

    async def _decrement(self, cluster: Cluster, request: Request) -> Response:
        return await self._increment(cluster, request, -1)

    async def _transfer(self, cluster: Cluster, request: Request) -> Response:
        outcome = await cluster.administer(Transfer(target=request.query_params.get("to")))
        return _json({"begun": True, "target": outcome.target})

    async def _snapshot(self, cluster: Cluster, request: Request) -> Response:
        taken = self._server.command(self._group, "compact", {})
        return _json({"taken": taken, "index": self._here().log.snapshot})

    def _guarded(
        self, act: Callable[[Cluster, Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Redirect, or act with a free session, and answer errors with their status."""

        async def respond(request: Request) -> Response:
            here = self._here()
            peer = self._peers.get(here.leader) if here.leader is not None and here.leader != here.node else None
            if peer is not None:
                host, port = peer
                return RedirectResponse(str(request.url.replace(scheme=self._scheme, netloc=f"{host}:{port}")))
            cluster = await self._pool.receive()
            try:
                return await act(cluster, request)
            except _BadParameter as error:
                return _json({"error": "malformed", "reason": str(error)}, 400)
            except Negative as error:
                return _json({"error": error.word}, 404 if error.word == "absent" else 409)
            except RaftError as error:
                return _failed(error)
            finally:
                self._give_back(cluster)

        return respond

    # About this node.

    def _here(self) -> NodeStatus:
        return self._server.status(self._group)

    async def _status(self, request: Request) -> Response:
        return _json(self._here())

    async def _members(self, request: Request) -> Response:
        here = self._here()
        return _json({"leader": here.leader, "members": here.members})

    async def _health(self, request: Request) -> Response:
        leader = self._here().leader
        if leader is None:
            return _json({"healthy": False, "reason": "no quorum: this node knows no leader"}, 503)
        return _json({"healthy": True, "leader": leader})

    async def _metrics(self, request: Request) -> Response:
        return Response(metrics(self._here()), media_type="text/plain; version=0.0.4")


def metrics(status: NodeStatus) -> str:
    """A replica in the text format of Prometheus."""
    log = status.log
    labels = f'node="{status.node}",group="{status.group}"'
    found = {
        ("raft_term", "gauge"): status.term,
        ("raft_is_leader", "gauge"): int(status.role == "leader"),
        ("raft_has_leader", "gauge"): int(status.leader is not None),
        ("raft_log_entries", "gauge"): log.entry_count,
        ("raft_last_index", "gauge"): log.last,
        ("raft_commit_index", "gauge"): log.commit,
        ("raft_applied_index", "gauge"): log.applied,
        ("raft_snapshot_index", "gauge"): log.snapshot,
        ("raft_sessions", "gauge"): status.sessions,
        ("raft_waiting_clients", "gauge"): status.waiting_clients,
        ("raft_elections_total", "counter"): status.election_count,
        ("raft_victories_total", "counter"): status.victory_count,
        ("raft_fsyncs_total", "counter"): status.fsync_count,
        ("raft_fsync_seconds_total", "counter"): status.fsync_ns / 1e9,
    }
    lines = [f"# TYPE {name} {kind}\n{name}{{{labels}}} {value}" for (name, kind), value in found.items()]
    lines.append("# TYPE raft_peer_match_index gauge")
    lines += [f'raft_peer_match_index{{{labels},peer="{name}"}} {peer.match}' for name, peer in status.peers.items()]
    return "\n".join(lines) + "\n"


async def run_http(
    listener: trio.SocketListener,
    server: Server,
    nodes: Mapping[str, Address],
    *,
    group: str,
    machine: str,
    options: Mapping[str, Any],
    peers: Mapping[str, Address],
    access: Access,
    cluster_id: str,
    is_secure: bool = False,
    connections_max: int = CONNECTIONS_MAX,
    on_event: OnEvent | None = None,
) -> None:
    """Answer HTTP, or with `is_secure` HTTPS under the certificates of `access`, until cancelled."""
    connecting = partial(connect, nodes, group=group, options=options, access=access, cluster_id=cluster_id)
    tls = access.tls.accepting if is_secure and access.tls is not None else None
    scheme = "https" if tls is not None else "http"
    async with _pool(connecting) as (free, give_back):
        app = Gateway(server, group, machine, peers, free, give_back, scheme=scheme).app()
        await HttpServer(app, connections_max=connections_max, on_event=on_event).run(listener, tls)


@asynccontextmanager
async def _pool(
    connecting: Callable[[], AbstractAsyncContextManager[Cluster]],
) -> AsyncIterator[tuple[trio.MemoryReceiveChannel[Cluster], Callable[[Cluster], None]]]:
    """Connections that are free, each with a session once it is used."""
    give, free = trio.open_memory_channel[Cluster](POOL_SIZE)
    async with AsyncExitStack() as stack:
        for _ in range(POOL_SIZE):
            give.send_nowait(await stack.enter_async_context(connecting()))
        yield free, give.send_nowait


class _BadParameter(ValueError):
    """What stands in the URL cannot be meant."""


def _parameter(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if value is None:
        raise _BadParameter(f"no {name}; expected {request.url.path}?{name}=...")
    return value


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _BadParameter(f"{name} is {text[:80]!r}; expected a whole number") from None


def _failed(error: RaftError) -> Response:
    if error.word in _NO_SENSE:
        return _json({"error": error.word, "reason": "the group's state machine has no such operation"}, 400)
    outcome = "unknown" if isinstance(error, Unknown) else "refused"
    reason = _REASONS.get(error.word) or HINTS.get(error.word, "try again, or look at /status")
    word = "no-quorum" if error.word in _NO_QUORUM else error.word
    return _json({"error": word, "outcome": outcome, "reason": reason}, 409 if error.word in _NOT_NOW else 503)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value) + b"\n", status, media_type="application/json")
