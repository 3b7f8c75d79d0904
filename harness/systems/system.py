"""What the harness needs of a system under test, and nothing more.

An adapter (one file in this folder each) turns `f, key, value` into calls, and the system's own notes into trace rows.
Its code part may come from any git ref: the loader gives it the package to use. Workloads never see an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from harness.errors import BadInput
from harness.options import OptionSpec, OptionValues
from harness.plans.plan import Actor, Group


class Completion(msgspec.Struct, frozen=True):
    """How an op ended: `ok` with a value, `fail` or `info` with an error code."""

    type: str
    value: Any = None
    error: str | None = None


class SystemClient(Protocol):
    """One client session of the system, used by one thread at a time.

    It awaits nothing but its environment's `recv`: the simulator runs it in the callbacks of events. It is kept after a
    `fail`; one that answered `no-session` opens another session by itself before its next write.
    """

    async def open(self) -> str | None:
        """Open a session. Returns None when it is open, else the error code of the op that needed it."""
        ...

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op. Never raises for what a system can do; cancellation passes through."""
        ...


class SystemServer(Protocol):
    """One replica process of the system, behind its environment (`raft_impl.runtime.env.Served` and more)."""

    deadline_ns: int
    notes: list[tuple[Any, ...]]

    async def start(self) -> None:
        """Recover from the disk."""
        ...

    def process(self, messages: list[tuple[str, bytes]]) -> bool: ...

    @property
    def must_sync(self) -> bool:
        """Whether something waits for `sync`."""
        ...

    async def sync(self) -> None:
        """Make durable what was written. Awaits nothing but its disk."""
        ...

    def post(self) -> None: ...

    def inspect(self) -> dict[str, Any]:
        """State for people and scenarios, per group."""
        ...

    def command(self, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        """Run an administrator's command (transfer, campaign, compact, change). True when it was taken."""
        ...


@runtime_checkable
class Portrayed(Protocol):
    """A server that shows more of itself than `inspect`, for pictures; earlier versions and other systems need not."""

    def portrait(self, group: str) -> Mapping[str, Any]:
        """`entries` of the log in words, `machine`'s records, and who has `granted` a vote in a running election."""
        ...


@runtime_checkable
class Leased(Protocol):
    """A server that says whether it would answer a read by a lease; earlier versions and other systems need not."""

    def reads_by_lease(self, group: str) -> bool:
        """Whether a read that is asked now would be answered at once, as nobody else can have been elected."""
        ...


class DurableReader(Protocol):
    """Reads what became durable from the bytes on one disk: a node's own report is not evidence."""

    def synced(self, name: str, content: bytearray, unchanged: int) -> tuple[tuple[Any, ...], ...]: ...

    def renamed(self, source: str, target: str) -> None: ...

    def removed(self, name: str) -> None: ...


class Refusal(Exception):
    """A replica refuses to start, for a reason given as an error code."""


CAPABILITIES: Final = (
    "background",
    "checksums",
    "disk",
    "leader",
    "lies",
    "majority",
    "membership",
    "snapshots",
    "wall-clock",
)
"""What a system may say that it has."""


class System(Protocol):
    """A system under test, bound to one version of its code."""

    name: str
    workloads: tuple[str, ...]
    capabilities: tuple[str, ...]
    """What it offers to faults beyond running on nodes that exchange messages: `disk` (what it must remember is there,
    and it stops when that fails), `checksums` (it notices damage there), `leader`, `majority` (a majority of the nodes
    serves for good without the others), `membership`, `snapshots`, `wall-clock` (it reads that). A fault of which it
    lacks the capability is not drawn, and without `majority` every node is healed."""
    options: tuple[OptionSpec, ...]
    marks: tuple[str, ...]
    """Coverage marks: the rare events that its servers note when they happen."""

    def resolve(self, options: Mapping[str, Any]) -> OptionValues:
        """Fill defaults and validate. Raises ValueError with one line."""
        ...

    def kind_of(self, frame: bytes) -> str:
        """The kind of a message, from its header."""
        ...

    def server(
        self, env: Any, actor: Actor, groups: Mapping[str, Group], options: Mapping[str, Any]
    ) -> SystemServer: ...

    async def start(self, server: SystemServer) -> None:
        """Let a server recover from its disk. Raises `Refusal` when it rightly refuses."""
        ...

    def is_disk_failure(self, error: Exception) -> bool:
        """Whether this error of a server says that its disk failed it. It is no excuse where no disk did."""
        ...

    def command(self, server: SystemServer, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        """Run an administrator's command on a server. True when it was taken."""
        ...

    def client(
        self, env: Any, actor: Actor, group: str, servers: tuple[str, ...], options: Mapping[str, Any]
    ) -> SystemClient: ...

    def durable_reader(self) -> DurableReader | None:
        """What reads each disk to learn what became durable; None for a system whose log the invariants do not know."""
        ...

    def disk_regions(self, name: str, content: bytes) -> tuple[tuple[str, str, int, int], ...]:
        """The regions of a file on a disk: (`log`, `hard-state` or `snapshot`; `header` or `body`; begin; end)."""
        ...

    def describe_frame(self, frame: bytes) -> str:
        """A message in words, for transcripts."""
        ...

    async def prepare_disk(self, disk: Any, group: str, *, term: int, vote: str | None, terms: Sequence[int]) -> None:
        """Write a given log and hard state to a disk, as a server would have. Awaits nothing but the disk."""
        ...


def require_members(found: object, protocol: type, where: str) -> None:
    """Raise BadInput that names what an object lacks of a protocol."""
    wanted = {*protocol.__annotations__, *(name for name in vars(protocol) if not name.startswith("_"))}
    missing = sorted(name for name in wanted if not hasattr(found, name))
    if missing:
        name = getattr(found, "__name__", type(found).__name__)
        raise BadInput(
            f"{name} without {', '.join(missing)}", f"what {protocol.__module__}.{protocol.__name__} lists", where
        )
