"""Our node as a live system: `python -m raft_impl serve`, asked by the native client or over HTTP.

What runs may be any version of the package: the node's process imports it from where the spec led to, so that a planted
bug (`patch:FILE`) is tested live as it is in simulation. The client is the one of this installation; it is part of what
is tested, not of what is planted.

Nodes log their roles, terms, votes and configurations as JSON lines, which become rows of the trace.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from harness.errors import BadInput, InternalError
from harness.live.addresses import spelled
from harness.live.control import Control
from harness.live.fault_world import KINDS
from harness.live.supervisor import Launch
from harness.options import OptionSpec, OptionValues
from harness.plans.plan import Actor, Plan
from harness.systems.binding import Code
from harness.systems.raft_impl import ORDERS, Caller, RaftImpl
from harness.systems.system import Completion
from raft_impl import errors
from raft_impl.runtime.options import resolve_real
from raft_impl.runtime.questions import ChangeMembers, Question, SnapshotNow, Transfer
from raft_impl.server.administrator import Asker
from raft_impl.server.handshake import Party
from raft_impl.server.real_env import RealEnvironment
from raft_impl.server.transport import ping_ms
from raft_impl.surface import make_client

from .system import LiveClient, Site, Tell

CLIENTS: Final = OptionSpec(
    name="clients",
    type="word",
    default="native",
    neutral="native",
    words=("native", "http"),
    help="how clients ask: in the cluster's own protocol, or over HTTP, which has fewer operations",
)
"""An option of the live world only: it is nothing that a node would know."""

_INSIDE: Final = ("clock-rate", "write-error", "read-error", "fsync-error", "disk-full", "slow-disk")
"""The kinds of faults that happen inside of a node, over the channel that it opens to the test."""
_ADMINISTERED: Final = ("membership", "transfer", "compact")
"""The kinds of faults that are a request of an administrator."""
_ASK_SECONDS_MAX: Final = 1.0
_DISK_WORDS: Final = ("io-error", "disk-full")
"""How a node ends whose disk failed a call."""
_TOLD: Final = frozenset({"role", "term", "vote", "config", "snapshot", "mark"})
_LOOK_SECONDS: Final = 0.05
_HTTP_WORKLOADS: Final = ("register", "counter", "map")


class _Line(msgspec.Struct, frozen=True):
    """A line of a node's log."""

    event: str = ""
    fields: tuple[Any, ...] = ()
    word: str = ""


class Node:
    """A cluster of our nodes."""

    name: str = "node"
    ports: tuple[str, ...] = ("raft", "http")
    tells_terms: bool = True
    has_leader: bool = True

    def __init__(self, code: Code, adapter: RaftImpl) -> None:
        self._code = code
        self._adapter = adapter
        self.workloads: tuple[str, ...] = tuple(name for name in adapter.workloads if name != ORDERS)
        self.options: tuple[OptionSpec, ...] = (*adapter.options, CLIENTS)
        has_channel = (code.path / "server" / "control.py").exists()  # versions before it have none
        self.fault_kinds: tuple[str, ...] = (*KINDS, *_ADMINISTERED, *(_INSIDE if has_channel else ()))
        self._read: dict[str, int] = {}  # bytes of each node's log that were read

    @property
    def code(self) -> Code:
        """The version that the nodes run."""
        return self._code

    def resolve(self, options: Mapping[str, Any]) -> OptionValues:
        """Fill the defaults of real nodes. Raises ValueError."""
        own = _own(options)
        self._adapter.resolve(own)  # what this version does not know is refused
        return {**resolve_real(own), CLIENTS.name: options.get(CLIENTS.name, CLIENTS.default)}

    def inside(self, plan: Plan, folder: Path) -> Control | None:
        """The channels to the nodes."""
        if any(fault.kind in _INSIDE for fault in plan.faults):
            return Control(folder, plan.nodes)
        return None

    def ended_rightly(self, site: Site, node: str) -> str:
        """Whether it said so, and its disk has been disturbed."""
        if not isinstance(site.inside, Control) or not site.inside.has_failed_disk(node):
            return ""
        lines = [_line(text.encode()) for text in site.supervisor.last_lines(node)]
        died = [line for line in lines if line is not None and line.event == "died"]
        return "disk" if died and died[-1].word in _DISK_WORDS else ""

    def is_out(self, site: Site, node: str) -> bool:
        """A node that is no member goes on to run, and waits."""
        return False

    def launch(self, site: Site, node: str) -> Launch:
        """The command line of a node; it is the same for every start."""
        addresses = site.addresses
        words = ["serve", "--name", node, "--data", str(site.data / node), "--machine", site.machine]
        words += [f"--node={name}={spelled(addresses.told(name, 'raft'))}" for name in addresses.nodes]
        words += ["--listen", spelled(addresses.own(node, "raft"))]
        group = next(iter(site.plan.groups.values()))
        words += ["--voters", ",".join(group.voters)]
        if group.learners:
            words += ["--learners", ",".join(group.learners)]
        if addresses.has_namespaces:  # a network that nobody else is in
            words += ["--insecure"]
        if isinstance(site.inside, Control):
            words += ["--test-control", site.inside.socket, "--test-secret-file", str(site.inside.secret_file)]
        if site.options[CLIENTS.name] == "http":
            words += ["--http", spelled(addresses.own(node, "http"))]
        for name, value in _own(site.plan.options).items():
            words += ["-o", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
        return Launch(
            command=(sys.executable, "-m", "raft_impl", *words),
            environment={"PYTHONPATH": str(self._code.path.parent)},
        )

    async def is_ready(self, site: Site) -> bool:
        """Whether a node has said that it leads."""
        leads = b'"leader"'
        logs = [site.supervisor.log(name) for name in site.addresses.nodes]
        return any(leads in log.read_bytes() for log in logs if log.exists())

    async def watch(self, site: Site, tell: Tell) -> None:
        """Tell what nodes write into their logs."""
        while True:
            for node in site.addresses.nodes:
                self.last_words(site, node, tell)
            await trio.sleep(_LOOK_SECONDS)

    def last_words(self, site: Site, node: str, tell: Tell) -> None:
        """Tell what a node has written into its log since it was looked at last."""
        path, begin = site.supervisor.log(node), self._read.get(node, 0)
        with contextlib.suppress(FileNotFoundError), path.open("rb") as log:
            log.seek(begin)
            whole, end, _ = log.read().rpartition(b"\n")
            self._read[node] = begin + len(whole) + len(end)
            if rows := [row for line in whole.splitlines() if (row := _row(line)) is not None]:
                tell(node, rows)

    async def administer(self, site: Site, node: str, command: str, arguments: Mapping[str, Any]) -> bool:
        """Ask a node, where it listens."""
        options = _own(site.options)
        asker = Asker({node: site.addresses.own(node, "raft")}, next(iter(site.plan.groups)), options)
        try:
            await asker.ask((node,), _question(site, command, arguments), _ASK_SECONDS_MAX)
        except errors.RaftError:
            return False
        return True

    def client(self, site: Site, name: str, actor: Actor, nursery: trio.Nursery) -> LiveClient:
        """A client that asks as the option says."""
        if site.options[CLIENTS.name] == "http":
            if site.plan.drawn.workload not in _HTTP_WORKLOADS:
                raise BadInput("clients=http", f"a workload of {', '.join(_HTTP_WORKLOADS)}", "-o clients")
            from .node_http import HttpClient  # needs h11, an extra

            return HttpClient(site, actor)
        return _NativeClient(site, actor, nursery)


def _own(options: Mapping[str, Any]) -> OptionValues:
    """The options that a node knows."""
    return {name: value for name, value in options.items() if name != CLIENTS.name}


def _question(site: Site, command: str, arguments: Mapping[str, Any]) -> Question:
    """What an administrator asks for."""
    match command:
        case "change":
            voters, learners = arguments["voters"], arguments["learners"]
            return ChangeMembers(
                vote=voters,
                listen=learners,
                leave=tuple(name for name in site.addresses.nodes if name not in (*voters, *learners)),
                addresses={name: spelled(site.addresses.told(name, "raft")) for name in (*voters, *learners)},
            )
        case "transfer":
            return Transfer(target=arguments["target"])
        case "compact":
            return SnapshotNow()
        case _:
            raise InternalError(f"a fault asked a live world for the command {command}")


def _row(line: bytes) -> tuple[Any, ...] | None:
    """A row of the trace, if a line of a node's log is one."""
    record = _line(line)
    if record is None or record.event not in _TOLD or not record.fields:
        return None
    return (record.event, *(tuple(field) if isinstance(field, list) else field for field in record.fields))


def _line(line: bytes) -> _Line | None:
    """A line of a node's log; None of a traceback, say."""
    try:
        return msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError:
        return None


class _NativeClient:
    """The cluster's own client, in tasks of its own."""

    def __init__(self, site: Site, actor: Actor, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._scope = trio.CancelScope()
        addresses = site.addresses
        group, spec = next(iter(site.plan.groups.items()))
        options = _own(site.options)
        name = f"client-{id(self):x}-{trio.current_time():.6f}".replace(".", "")
        party = Party(name=name, role="client", cluster="", ping_ms=ping_ms(options))
        book = {node: addresses.told(node, "raft") for node in addresses.nodes}
        self._env = RealEnvironment(name, book, party=party)
        client = make_client(
            self._env, group=group, servers=spec.voters, home=actor.home, routing=actor.routing, options=options
        )
        self._caller = Caller(client, errors)

    async def open(self) -> str | None:
        """Begin to connect; the first write opens a session."""
        await self._nursery.start(self._run)
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op."""
        return await self._caller.invoke(f, key, value)

    def close(self) -> None:
        """End the connections."""
        self._scope.cancel()

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._env.network.run, None)
                task_status.started()
