"""PySyncObj as a live system: each node a process with replicated registers and counters (`pysyncobj_node`).

Its journal is on, and flushed, so that a node that is killed comes back with what it had acknowledged.

| option | means |
| --- | --- |
| `reads` | `log`: a read is a command like a write; `local`: from the state of the node that is asked |
| `election_timeout_ms` | least time without a leader after which an election begins; at most twice that |
| `snapshot_threshold` | entries after which the log is compacted |
| `client_timeout_ms` | how long a client waits for an operation |
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from harness.errors import BadInput
from harness.live.addresses import spelled
from harness.live.faketime import FakeTime, library
from harness.live.fault_world import KINDS
from harness.live.supervisor import Launch
from harness.options import OptionSpec
from harness.plans.plan import Actor, Plan
from harness.systems.binding import Code
from harness.systems.loader import code_digest
from harness.systems.system import Completion

from .http_exchange import Broken, HttpConnection
from .polling import Polled
from .programs import OUR_CODE
from .pysyncobj_node import Settings
from .system import LiveClient, Site

_NODE: Final = "harness.live.systems.pysyncobj_node"
_STATUS_SECONDS_MAX: Final = 0.5
_SLACK_SECONDS: Final = 1.0
"""A node answers by itself when the time of a client is over."""


class PySyncObj(Polled):
    """A cluster of PySyncObj."""

    name: str = "pysyncobj"
    ports: tuple[str, ...] = ("raft", "http")
    tells_terms: bool = False
    workloads: tuple[str, ...] = ("register", "counter")
    options: tuple[OptionSpec, ...] = (
        OptionSpec(name="reads", type="word", default="log", neutral="log", words=("log", "local")),
        OptionSpec(
            name="election_timeout_ms", type="int", default=500, neutral=500, minimum=50, maximum=50_000, unit="ms"
        ),
        OptionSpec(name="snapshot_threshold", type="int", default=200, neutral=5000, minimum=1),
        OptionSpec(name="client_timeout_ms", type="int", default=3000, neutral=3000, minimum=1, unit="ms"),
    )

    def __init__(self) -> None:
        """Raises BadInput where PySyncObj is not installed."""
        spec = importlib.util.find_spec("pysyncobj")
        if spec is None or spec.origin is None:
            raise BadInput("no package pysyncobj", "an installed one: pip install pysyncobj", "--system pysyncobj")
        self._faketime = library()
        has_clocks = self._faketime is not None
        self.fault_kinds: tuple[str, ...] = (*KINDS, "clock-rate") if has_clocks else KINDS
        self._package = Path(spec.origin).parent
        super().__init__()

    @property
    def code(self) -> Code:
        """The package that runs."""
        return Code(spec=self.name, directory=str(self._package), digest=code_digest(self._package), is_foreign=True)

    def inside(self, plan: Plan, folder: Path) -> FakeTime | None:
        """Their clocks, by libfaketime."""
        if self._faketime is not None and any(fault.kind == "clock-rate" for fault in plan.faults):
            return FakeTime(folder, plan.nodes, self._faketime)
        return None

    def launch(self, site: Site, node: str) -> Launch:
        """The command line of a node; it is the same for every start."""
        addresses, options = site.addresses, site.options
        data = site.data / node
        data.mkdir(exist_ok=True)
        settings = Settings(
            name=node,
            own=spelled(addresses.own(node, "raft")),
            told=spelled(addresses.told(node, "raft")),
            others=tuple(spelled(addresses.told(name, "raft")) for name in addresses.nodes if name != node),
            http=addresses.own(node, "http"),
            data=str(data),
            election_timeout_ms=options["election_timeout_ms"],
            snapshot_threshold=options["snapshot_threshold"],
            client_timeout_ms=options["client_timeout_ms"],
            reads=options["reads"],
        )
        return Launch(
            command=(sys.executable, "-m", _NODE, msgspec.json.encode(settings).decode()),
            environment={
                **OUR_CODE,
                **(site.inside.environment(node) if isinstance(site.inside, FakeTime) else {}),
            },
        )

    def client(self, site: Site, name: str, actor: Actor, nursery: trio.Nursery) -> LiveClient:
        """A client of the nodes over HTTP."""
        return _Client(site, actor)

    async def status(self, site: Site, node: str) -> tuple[str, int] | None:
        connection = HttpConnection(site.addresses.own(node, "http"))
        try:
            _, answer = await connection.post("/", {"f": "status"}, _STATUS_SECONDS_MAX)
        except Broken:
            return None
        finally:
            connection.close()
        role, term, monotonic_ns = answer["value"]
        if isinstance(site.inside, FakeTime):
            site.inside.shown(node, monotonic_ns)
        return role, term


class _Client:
    """A client of its home, or of one node after the other."""

    def __init__(self, site: Site, actor: Actor) -> None:
        nodes = site.addresses.nodes
        self._addresses = [site.addresses.told(node, "http") for node in nodes]
        self._next = nodes.index(actor.home) if actor.home in nodes else 0
        self._routing = actor.routing
        self._is_counter = site.machine.startswith("counter")
        self._timeout_s = int(site.options["client_timeout_ms"]) / 1000 + _SLACK_SECONDS
        self._connection: HttpConnection | None = None

    async def open(self) -> str | None:
        """Nothing: a request opens what it needs."""
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op. A read that was not answered changed nothing, and is `fail`."""
        if self._routing == "any":
            self.close()
        if self._connection is None or self._connection.is_broken:
            self._connection = HttpConnection(self._addresses[self._next])
            if self._routing != "home":
                self._next = (self._next + 1) % len(self._addresses)
        asked = {"f": "add" if f == "add-and-get" else f, "key": key, "value": value}
        try:
            status, answer = await self._connection.post("/", asked, self._timeout_s)
        except Broken as error:
            return Completion("info" if error.was_sent and f != "read" else "fail", error="unreachable")
        if status != 200 or "error" in answer:
            is_certain = f == "read" or (status == 200 and bool(answer.get("certain")))
            return Completion("fail" if is_certain else "info", error=str(answer.get("error", status)))
        return self._answered(f, value, answer["value"])

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _answered(self, f: str, asked: Any, found: Any) -> Completion:
        match f:
            case "read":
                return Completion("ok", value=found or 0 if self._is_counter else found)
            case "cas" if not found:
                return Completion("fail", error="precondition-failed")
            case "add-and-get":
                return Completion("ok", value=[asked, found])
            case _:
                return Completion("ok", value=asked)
