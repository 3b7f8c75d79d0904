"""Processes of your own as a live system: `--world live --system FILE.py:NAME`, a class based on `Processes`.

It says how a node is started and how it is asked; everything else is here. Any program will do that listens where it is
told and finds the others where it is told: before each node stands a proxy, so the address at which a node listens is
not the one at which others reach it.

    class Store(Processes):
        workloads = ("register",)

        def command(self, node):
            return ("/usr/bin/store", "--listen", node.listens, "--data", node.data, *node.others.values())

        async def perform(self, address, f, key, value):
            found = await ask(address, [f, key, value])
            return Completion("ok", value=found if f == "read" else value)

Such nodes are killed, stopped, and cut off. It is not known which of them leads, so no fault is aimed at a leader.
"""

from __future__ import annotations

import inspect
import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import trio

from checkers.located import NotLocated, is_located, locate
from harness.errors import BadInput
from harness.faults.catalog import KINDS as FAULTS
from harness.live.addresses import spelled
from harness.live.fault_world import KINDS
from harness.live.supervisor import Launch
from harness.options import OptionSpec, OptionValues
from harness.plans.plan import Actor
from harness.systems.binding import Code
from harness.systems.loader import first_line_of
from harness.systems.located import locate as locate_code
from harness.systems.requirements import (
    is_async,
    parameters_of,
    require_callable,
    require_known,
    require_options,
    require_words,
)
from harness.systems.system import Completion

from .polling import Polled
from .system import LiveClient, Site, Tell

__all__ = ["Completion", "NodeSite", "OptionSpec", "Processes", "Unanswered", "ask"]

_PORT: Final = "main"
_TIMEOUT: Final = "client_timeout_ms"
_COMMAND_LINE: Final = '`command` to return a command line, such as ("/usr/bin/store", "--listen", node.listens)'
_LINE_BYTES: Final = 65_536
_CONNECT_SECONDS_MAX: Final = 0.5
_TYPES: Final = ("ok", "fail", "info")
_BROKEN: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class NodeSite(msgspec.Struct, frozen=True, kw_only=True):
    """What a node must be told."""

    name: str
    listens: str
    """HOST:PORT where it is to listen."""
    data: str
    """A folder of its own, which it finds again when it is started again."""
    others: dict[str, str]
    """HOST:PORT at which it reaches each other node."""
    options: OptionValues


class Unanswered(Exception):
    """No answer came. `was_sent`: the request, or a part of it, may have arrived."""

    def __init__(self, *, was_sent: bool) -> None:
        super().__init__("sent and not answered" if was_sent else "not sent")
        self.was_sent = was_sent


async def ask(address: tuple[str, int], document: Any) -> Any:
    """Send a line of JSON on a connection of its own, and return the line of JSON that answers. Raises Unanswered."""
    was_sent, answer = False, b""
    try:
        async with await trio.open_tcp_stream(*address) as stream:
            was_sent = True
            await stream.send_all(json.dumps(document).encode() + b"\n")
            while not answer.endswith(b"\n") and (more := await stream.receive_some(_LINE_BYTES)):
                answer += more
        return json.loads(answer)
    except (*_BROKEN, ValueError):
        raise Unanswered(was_sent=was_sent) from None


class Processes(Polled):
    """What systems of other people have in common. A subclass is made without arguments."""

    workloads: tuple[str, ...]
    """What clients may do; `perform` knows its operations."""
    ports: tuple[str, ...] = (_PORT,)
    fault_kinds: tuple[str, ...] = KINDS
    tells_terms: bool = False
    has_leader: bool = False
    runs_live: bool = True
    """What the simulated world refuses it by."""
    options: tuple[OptionSpec, ...] = (
        OptionSpec(name=_TIMEOUT, type="int", default=2000, neutral=2000, minimum=1, unit="ms"),
    )
    """How long a client waits for an operation. A subclass adds its own behind this one."""

    name: str = "processes"
    spec: str = "a class based on Processes"
    """What a person typed to name it."""

    @abstractmethod
    def command(self, node: NodeSite) -> Sequence[str]:
        """The command line of a node: the same program for the first start and after each kill."""

    @abstractmethod
    async def perform(self, address: tuple[str, int], f: str, key: str | None, value: Any) -> Completion:
        """Perform one operation at a node. Raises Unanswered, or what Trio raises when a connection breaks."""

    @property
    def code(self) -> Code:
        """The file of the class, or the package that it is in: what it starts may stand anywhere."""
        return locate_code(self.spec)

    def launch(self, site: Site, node: str) -> Launch:
        """The command line of a node, which has its folder."""
        addresses, data = site.addresses, site.data / node
        data.mkdir(exist_ok=True)
        told = {name: spelled(addresses.told(name, _PORT)) for name in addresses.nodes if name != node}
        listens = spelled(addresses.own(node, _PORT))
        spec = NodeSite(name=node, listens=listens, data=str(data), others=told, options=site.options)
        try:
            command = self.command(spec)
            words = () if isinstance(command, str | bytes) else tuple(map(str, command))
        except Exception as error:
            raise BadInput(first_line_of(error), _COMMAND_LINE, self.spec) from error
        if not words:
            raise BadInput(f"{command!r}", _COMMAND_LINE, self.spec)
        return Launch(command=words)

    def client(self, site: Site, name: str, actor: Actor, nursery: trio.Nursery) -> LiveClient:
        """A client that opens what an operation needs."""
        return _Client(self, site, actor)

    async def is_ready(self, site: Site) -> bool:
        """Whether every node takes connections."""
        return all([await _listens(site.addresses.own(node, _PORT)) for node in site.addresses.nodes])

    async def status(self, site: Site, node: str) -> tuple[str, int] | None:
        """Nobody asks who leads."""
        return None

    async def watch(self, site: Site, tell: Tell) -> None:
        """Nothing is told."""
        await trio.sleep_forever()

    def last_words(self, site: Site, node: str, tell: Tell) -> None:
        """Nothing is told."""


class _Client:
    """A client of its home, or of one node after the other."""

    def __init__(self, system: Processes, site: Site, actor: Actor) -> None:
        nodes = site.addresses.nodes
        self._system = system
        self._addresses = [site.addresses.told(node, _PORT) for node in nodes]
        self._next = nodes.index(actor.home) if actor.home in nodes else 0
        self._routing = actor.routing
        self._timeout_s = int(site.options[_TIMEOUT]) / 1000

    async def open(self) -> str | None:
        """Nothing: an operation opens what it needs."""
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op. A read that was not answered changed nothing, and is `fail`."""
        address = self._addresses[self._next]
        if self._routing == "any":
            self._go_on()
        unclear = "fail" if f == "read" else "info"
        try:
            with trio.fail_after(self._timeout_s):
                return _checked(await self._system.perform(address, f, key, value), self._system.spec)
        except Unanswered as error:
            completion = Completion(unclear if error.was_sent else "fail", error="unreachable")
        except trio.TooSlowError:
            completion = Completion(unclear, error="timeout")
        except _BROKEN:
            completion = Completion(unclear, error="unreachable")
        except BadInput:
            raise
        except Exception as error:
            expected = f"`perform` to return a Completion of {f}"
            raise BadInput(first_line_of(error), expected, self._system.spec) from error
        if self._routing == "leader":
            self._go_on()
        return completion

    def close(self) -> None:
        """Nothing is open between operations."""

    def _go_on(self) -> None:
        self._next = (self._next + 1) % len(self._addresses)


def _checked(completion: Any, spec: str) -> Completion:
    if not isinstance(completion, Completion) or completion.type not in _TYPES:
        raise BadInput(f"{completion!r}", f"`perform` to return a Completion of {', '.join(_TYPES)}", spec)
    return completion


async def _listens(address: tuple[str, int]) -> bool:
    with trio.move_on_after(_CONNECT_SECONDS_MAX):
        try:
            await (await trio.open_tcp_stream(*address)).aclose()
        except OSError:
            return False
        return True
    return False


def located(spec: str) -> Processes | None:
    """The system of a file, if the spec names one. Raises BadInput."""
    if not is_located(spec):
        return None
    try:
        found = locate(spec, type)
    except NotLocated as error:
        raise BadInput(error.found, error.expected, error.where) from error
    if not issubclass(found, Processes):
        raise BadInput(f"{found.__name__}, which is no Processes", "a class based on it, see docs/live.md", spec)
    try:
        system = found()
        system.name, system.spec = found.__name__, spec
    except (Exception, SystemExit) as error:  # a method is missing, arguments are wanted, or it does what fails
        raise BadInput(
            first_line_of(error), "a class with `command` and `perform`, made without arguments", spec
        ) from error
    _require_complete(system, spec)
    return system


def _require_same_methods(kind: type[Processes], spec: str) -> None:
    """Raise BadInput for a method of theirs that is not called as the one in its place, or not awaited as that is."""
    for name, theirs in inspect.getmembers(Processes, inspect.isfunction):
        method = getattr(kind, name, None)
        if name.startswith("_") or method is theirs:
            continue
        written = f"{'async ' * is_async(theirs)}def {name}({', '.join(inspect.signature(theirs).parameters)})"
        if not callable(method):
            raise BadInput(f"{kind.__name__}.{name} {method!r}", written, spec)
        if is_async(method) != is_async(theirs):
            raise BadInput(f"{kind.__name__}.{name}, which is {'not ' * is_async(theirs)}async", written, spec)
        wanted = parameters_of(kind, name, tuple(inspect.signature(theirs).parameters)[1:])
        require_callable(method, f"{kind.__name__}.{name}", wanted, spec, written)


def _require_complete(system: Processes, spec: str) -> None:
    """Raise BadInput for what a person gave another form than it is used in."""
    kind = type(system)
    if not getattr(system, "workloads", ()):
        raise BadInput(f"{kind.__name__} without workloads", 'what its clients can do: ("register",)', spec)
    require_words(system.workloads, "workloads", spec, least=1)
    require_known(system.fault_kinds, "fault_kinds", "fault", FAULTS, f"{spec}: fault_kinds")
    ports = require_words(system.ports, "ports", f"{spec}: ports")
    if kind.launch is Processes.launch and _PORT not in ports:
        raise BadInput(f"no port {_PORT!r}", "the port at which a node listens", f"{spec}: ports")
    require_options(system.options, f"{spec}: options")
    _require_same_methods(kind, spec)
    timeouts = [option for option in system.options if option.name == _TIMEOUT and option.type == "int"]
    if kind.client is Processes.client and not timeouts:
        raise BadInput(f"no option {_TIMEOUT} of type int", "options = (*Processes.options, ...)", f"{spec}: options")
