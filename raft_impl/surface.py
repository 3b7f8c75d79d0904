"""The interface through which a harness uses this package, the same for every version of it.

`SURFACE_VERSION` is raised when something here changes its meaning; additions leave it. Everything that a caller needs
is a value of plain types, or an object with the methods named here:

* a *server* satisfies `runtime.env.Served`, and has `await start()`, `command(group, name, arguments)` and `inspect()`;
  `start` raises `Corrupt` when the data on disk cannot be trusted, and `DiskFailed` comes out of `start` or `sync`;
* a *client* has `await open()`, `await call(f, key, value)` and `close()`, with the outcomes of `errors`;
* a *coordinator* has `await open()`, `await append(...)` and `await look(...)`, with the same outcomes;
* notes of a server are trace rows without time and actor: `(kind, group, *fields)`, or `("mark", name)` with a name
  of `MARKS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .machines import CATALOG
from .machines.features import LEVEL, LOWEST_LEVEL
from .protocol.state import FORMAT_VERSION
from .runtime.client import Client
from .runtime.durable import DurableReader
from .runtime.env import Environment
from .runtime.group_spec import GroupSpec
from .runtime.logfiles import disk_regions
from .runtime.marks import MARKS
from .runtime.node import REQUEST_BYTES_MAX, Server
from .runtime.options import OPTIONS, Option, resolve
from .runtime.scenario_support import describe_frame, lie_of, prepare_disk
from .runtime.two_phase import Coordinator
from .runtime.wire import PROMISES, kind_of, promise_of

SURFACE_VERSION: Final = 2

FEATURE_LEVELS: Final = (LOWEST_LEVEL, LEVEL)
"""The lowest and the highest feature level of a group that this code can be a member of."""

MACHINES: Final[tuple[str, ...]] = tuple(CATALOG)
"""Names of the machines a group can replicate."""

ROUTINGS: Final[tuple[str, ...]] = ("leader", "home", "any")


def make_server(
    env: Environment,
    *,
    groups: Mapping[str, GroupSpec],
    options: Mapping[str, Any],
    request_bytes_max: int = REQUEST_BYTES_MAX,
) -> Server:
    """A server that hosts a replica of each group, named like its actor. Nothing happens before `start`.

    A request of more than `request_bytes_max` is refused as `too-large`.
    """
    if not groups:
        raise ValueError("groups is empty; a server hosts at least 1 group")
    for name, spec in groups.items():
        if spec.machine not in CATALOG:
            raise ValueError(f"machine of group {name} is {spec.machine!r}; expected one of {', '.join(MACHINES)}")
    return Server(env, groups, resolve(options), request_bytes_max=request_bytes_max)


def make_client(
    env: Environment,
    *,
    group: str,
    servers: Sequence[str],
    home: str | None = None,
    routing: str = "leader",
    options: Mapping[str, Any],
) -> Client:
    """A client of one group. Nothing is sent before `open` or `call`."""
    if not servers:
        raise ValueError("servers is empty; a client needs at least 1 server")
    if routing not in ROUTINGS:
        raise ValueError(f"routing is {routing!r}; expected one of {', '.join(ROUTINGS)}")
    return Client(env, group=group, servers=servers, home=home, routing=routing, options=resolve(options))


def make_coordinator(
    env: Environment,
    *,
    groups: Sequence[str],
    servers: Sequence[str],
    home: str | None = None,
    routing: str = "leader",
    options: Mapping[str, Any],
) -> Coordinator:
    """A client of several groups on the same servers, whose transactions span them. Their machine is `participant`."""
    if len(groups) < 2:
        raise ValueError(f"groups is {list(groups)}; a transaction spans at least 2")
    if not servers:
        raise ValueError("servers is empty; a coordinator needs at least 1 server")
    if routing not in ROUTINGS:
        raise ValueError(f"routing is {routing!r}; expected one of {', '.join(ROUTINGS)}")
    return Coordinator(env, groups=groups, servers=servers, home=home, routing=routing, options=resolve(options))


def durable_reader() -> DurableReader:
    """A reader of what is durable on one disk."""
    return DurableReader()


__all__ = [
    "FEATURE_LEVELS",
    "FORMAT_VERSION",
    "MACHINES",
    "MARKS",
    "OPTIONS",
    "PROMISES",
    "ROUTINGS",
    "SURFACE_VERSION",
    "Client",
    "Coordinator",
    "DurableReader",
    "GroupSpec",
    "Option",
    "Server",
    "describe_frame",
    "disk_regions",
    "durable_reader",
    "kind_of",
    "lie_of",
    "make_client",
    "make_coordinator",
    "make_server",
    "prepare_disk",
    "promise_of",
    "resolve",
]
