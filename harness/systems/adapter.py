"""What most systems need not write: base classes of an adapter, of its servers and of its clients.

    class MyServer(Server):           # one replica: synchronous steps between two waits for its disk
        def process(self, messages): ...

    class MyClient(Client):           # one session: turns an op into datagrams, and the answer into a Completion
        async def invoke(self, f, key, value): ...

    class MySystem(Adapter):          # --system my/module.py:MySystem
        name = "mine"
        workloads = ("register",)
        server_class, client_class = MyServer, MyClient

`harness.systems.system` says what each method means; docs/adapters.md walks through an example. A class that offers the
same methods without these bases is as good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness import options as option_values
from harness.options import OptionSpec, OptionValues
from harness.plans.plan import Actor, Group

from .environment import Environment
from .system import Completion, DurableReader, SystemClient, SystemServer

NEVER_NS: Final = 1 << 62
"""The `deadline_ns` of a server that waits for messages only."""

ADAPTER_VERSION: Final = 1
"""The version of these classes and of the protocols in `harness.systems.system`. A change that breaks an adapter raises
it; an adapter that names another one (`adapter_version = N`) is refused."""


class Server:
    """One replica process of a system: a step for every batch of messages and every deadline.

    `process` must not await. What it wrote becomes durable when it answers True: then `sync` is awaited, and after it
    comes `post`, where answers that had to wait for the disk are sent. Whatever is in memory only is lost with a kill.
    """

    storage: ClassVar[str] = "sync"

    def __init__(self, env: Environment, actor: Actor, groups: Mapping[str, Group], options: Mapping[str, Any]) -> None:
        self.env, self.actor, self.groups, self.options = env, actor, groups, options
        self.peers = tuple(name for name in next(iter(groups.values())).voters if name != env.actor)
        """The other nodes of the (first) group."""
        self.deadline_ns = NEVER_NS
        """When, on the monotonic clock, `process` is to be called even without messages."""
        self.notes: list[tuple[Any, ...]] = []
        """Trace rows, such as `("mark", NAME)` for a coverage mark; emptied by the harness after every step."""
        self.must_sync = False
        """Whether something waits for `sync`."""

    async def start(self) -> None:
        """Recover from `env.disk`; awaits nothing but that. Raises `Refusal` to stay down with damaged data."""

    def process(self, messages: list[tuple[str, bytes]]) -> bool:
        """Handle datagrams, as (source, data), and the deadline if it has come. True when `sync` must follow."""
        raise NotImplementedError

    async def sync(self) -> None:
        """Make durable what `process` wrote; awaits nothing but `env.disk`."""

    def post(self) -> None:
        """Send what had to wait for `sync`."""

    def inspect(self) -> dict[str, Any]:
        """State for people, by group: what `replay --until` shows."""
        return {}

    def command(self, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        """Carry out a command of an administrator's fault (`transfer`, `compact`, ...). True when it was taken."""
        return False


class Client:
    """One session of the system, used by one thread at a time; it awaits nothing but `env.recv`."""

    def __init__(
        self, env: Environment, actor: Actor, group: str, servers: tuple[str, ...], options: Mapping[str, Any]
    ) -> None:
        self.env, self.actor, self.group, self.servers, self.options = env, actor, group, servers, options
        self.home = actor.home or servers[0]
        """The server that is nearest to this client."""

    async def open(self) -> str | None:
        """Open a session. None when it is open, else the error code of the op that needed it."""
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op: `ok` with what was learnt, `fail` if it surely did nothing, `info` if nobody can know."""
        raise NotImplementedError


class Adapter:
    """A system under test. A subclass names its workloads, its server and its client."""

    adapter_version: ClassVar[int] = ADAPTER_VERSION
    name: str = ""
    workloads: tuple[str, ...] = ()
    """Workloads (`foreshock run --workload`) whose ops its clients understand; docs/workloads.md lists the ops."""
    capabilities: tuple[str, ...] = ()
    """Any of those that `System` names. Faults that need another one are not drawn, and liveness asks a system without
    `leader` for progress only."""
    options: tuple[OptionSpec, ...] = ()
    marks: tuple[str, ...] = ()
    server_class: type[Server] = Server
    client_class: type[Client] = Client

    def resolve(self, options: Mapping[str, Any]) -> OptionValues:
        """Fill defaults and validate. Raises BadInput, a ValueError."""
        return option_values.resolve(options, self.options)

    def kind_of(self, frame: bytes) -> str:
        """The kind of a message, as the trace calls it; each kind has delays of its own. Here there is one kind."""
        return "message"

    def server(
        self, env: Environment, actor: Actor, groups: Mapping[str, Group], options: Mapping[str, Any]
    ) -> SystemServer:
        """A replica's server, not yet started."""
        return self.server_class(env, actor, groups, self.resolve(options))

    async def start(self, server: SystemServer) -> None:
        """Let a server recover from its disk. Raises `Refusal` when it rightly refuses."""
        await server.start()

    def is_disk_failure(self, error: Exception) -> bool:
        """Whether a server was right to stop with this error, because its disk had failed."""
        return isinstance(error, OSError)

    def command(self, server: SystemServer, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        """Carry out an administrator's command on a server. True when it was taken."""
        return server.command(group, name, arguments)

    def client(
        self, env: Environment, actor: Actor, group: str, servers: tuple[str, ...], options: Mapping[str, Any]
    ) -> SystemClient:
        """A client with a session of its own, not yet opened."""
        return self.client_class(env, actor, group, servers, self.resolve(options))

    def durable_reader(self) -> DurableReader | None:
        """What reads a disk to learn what became durable; None where no invariant asks."""
        return None

    def disk_regions(self, name: str, content: bytes) -> tuple[tuple[str, str, int, int], ...]:
        """Where in a file damage may be done within the budget; nowhere, unless the system says where."""
        return ()

    def describe_frame(self, frame: bytes) -> str:
        """A message in words."""
        return f"{self.kind_of(frame)}, {len(frame)} bytes"

    async def prepare_disk(self, disk: Any, group: str, *, term: int, vote: str | None, terms: Sequence[int]) -> None:
        """Write a given log to a disk: for scripted scenarios of Raft only."""
        raise NotImplementedError(f"{self.name} has no log that a scenario could prepare")
