"""The adapter for our own Raft: the only file of the harness that knows `raft_impl`, and only its surface.

The package may come from any git ref or folder; the loader brought it under an alias, and nothing here imports it by
name. An adapter turns `f, key, value` into calls and the answers into completions of a history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import msgspec

from harness.options import OptionSpec, OptionValues
from harness.plans.plan import Actor, Group

from .system import CAPABILITIES, Completion, DurableReader, Refusal, SystemClient, SystemServer

WORKLOADS: Final = ("register", "counter", "map", "set", "queue", "list", "list-append", "lock", "orders")

ORDERS: Final = "orders"
"""The workload whose operations span several groups."""


class RaftImpl:
    """One version of raft_impl as a system under test."""

    name: str = "raft_impl"
    capabilities: tuple[str, ...] = tuple(word for word in CAPABILITIES if word != "wall-clock")
    """No version reads a wall clock."""

    def __init__(self, package: ModuleType) -> None:
        self._surface = package.surface
        self._errors = package.errors
        # What a version says of its frames and its log; those that say nothing have the first.
        self.format_version: int = getattr(self._surface, "FORMAT_VERSION", 1)
        spans_groups = hasattr(self._surface, "make_coordinator")  # versions before two-phase commit have none
        # Versions before addresses travelled in the log know members by name alone.
        self._has_addresses = "addresses" in self._surface.GroupSpec.__struct_fields__
        self.workloads: tuple[str, ...] = tuple(name for name in WORKLOADS if name != ORDERS or spans_groups)
        self._given: Mapping[str, Any] = {}  # the latest options, and what they resolve to
        self._resolved: Mapping[str, Any] = {}
        self.options: tuple[OptionSpec, ...] = tuple(
            msgspec.convert(option, OptionSpec, from_attributes=True) for option in self._surface.OPTIONS
        )
        self.marks: tuple[str, ...] = tuple(self._surface.MARKS)
        self._regions = getattr(self._surface, "disk_regions", None)  # earlier versions do not tell
        self.kind_of = self._surface.kind_of
        """The kind of a message, from its header; bound as it is, because every message asks."""

        # What nodes promise each other, for the invariants; earlier versions do not tell.
        self.promises: Mapping[str, int] = getattr(self._surface, "PROMISES", {})
        self.promise_of: Callable[[bytes], tuple[str, int, int] | None] = getattr(
            self._surface, "promise_of", lambda frame: None
        )

        self.lie_of: Callable[[bytes], bytes | None] = getattr(self._surface, "lie_of", lambda frame: None)

    def resolve(self, options: Mapping[str, Any]) -> OptionValues:
        """Fill defaults and validate. Raises ValueError with one line."""
        return dict(self._surface.resolve(options))  # a plain one: it goes to other processes, which lack this version

    def server(self, env: Any, actor: Actor, groups: Mapping[str, Group], options: Mapping[str, Any]) -> SystemServer:
        """A replica's server, not yet started."""
        specs = {
            name: self._surface.GroupSpec(
                machine=group.machine,
                voters=group.voters,
                learners=group.learners,
                **({"addresses": _addresses(*group.voters, *group.learners)} if self._has_addresses else {}),
            )
            for name, group in groups.items()
        }
        server: SystemServer = self._surface.make_server(env, groups=specs, options=self._checked(options))
        return server

    async def start(self, server: SystemServer) -> None:
        """Let a server recover from its disk. Raises Refusal when it rightly refuses."""
        try:
            await server.start()
        except self._errors.Corrupt as error:
            raise Refusal(error.word) from error

    def is_outdated(self, error: Exception) -> bool:
        """A server stops where its group has agreed on something that its code does not know."""
        return isinstance(error, self._errors.TooNew)

    def is_disk_failure(self, error: Exception) -> bool:
        """A server stops at the first error of its disk."""
        return isinstance(error, self._errors.DiskFailed)

    def command(self, server: SystemServer, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        """Run an administrator's command. True when it was taken."""
        if name == "change":
            arguments = _as_change(server.inspect()[group]["membership"], arguments)
            if self._has_addresses:
                arguments["addresses"] = _addresses(*arguments["vote"], *arguments["listen"])
        return server.command(group, name, arguments)

    def client(
        self, env: Any, actor: Actor, group: str, servers: tuple[str, ...], options: Mapping[str, Any]
    ) -> SystemClient:
        """A client with a session of its own, not yet opened; one of several groups has a session in each."""
        if len(actor.groups) > 1:
            coordinator = self._surface.make_coordinator(
                env,
                groups=actor.groups,
                servers=servers,
                home=actor.home,
                routing=actor.routing,
                options=self._checked(options),
            )
            return Caller(_Orders(coordinator, actor.groups), self._errors)
        client = self._surface.make_client(
            env,
            group=group,
            servers=servers,
            home=actor.home,
            routing=actor.routing,
            options=self._checked(options),
        )
        return Caller(client, self._errors)

    def _checked(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options resolved once a plan, not once an incarnation."""
        if options is not self._given:
            self._given, self._resolved = options, self._surface.resolve(options)
        return self._resolved

    def disk_regions(self, name: str, content: bytes) -> tuple[tuple[str, str, int, int], ...]:
        """Where a file has its records, and what they are."""
        regions: tuple[tuple[str, str, int, int], ...] = self._regions(name, content) if self._regions else ()
        return regions

    def describe_frame(self, frame: bytes) -> str:
        """A message in words."""
        words: str = self._surface.describe_frame(frame)
        return words

    async def prepare_disk(self, disk: Any, group: str, *, term: int, vote: str | None, terms: Sequence[int]) -> None:
        """Write a given log and hard state to a disk, as a server would have."""
        await self._surface.prepare_disk(disk, group, term=term, vote=vote, terms=terms)

    def durable_reader(self) -> DurableReader:
        """Decodes what became durable on one disk."""
        reader: DurableReader = self._surface.durable_reader()
        return reader


class Caller:
    """Turns ops into calls, and results and errors into completions."""

    def __init__(self, client: Any, errors: ModuleType) -> None:
        self._client = client
        self._errors = errors

    async def open(self) -> str | None:
        """Nothing to do: the first write opens a session (and fails with "no-client" if it cannot); reads need none."""
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Perform one op."""
        errors = self._errors
        try:
            result = await self._client.call(f, key, value)
        except (errors.Negative, errors.Refused) as error:
            return Completion("fail", error=error.word)
        except errors.Unknown as error:
            return Completion("info", error=error.word)
        return Completion("ok", value=_ok_value(f, value, result))


class _Orders:
    """Turns orders and reads of them into transactions and looks at several groups."""

    def __init__(self, coordinator: Any, groups: tuple[str, ...]) -> None:
        self._coordinator = coordinator
        self._groups = groups
        self.open = coordinator.open

    async def call(self, f: str, key: Any, value: Any) -> Any:
        """`order` [number, shards], the first of which decides; `read` of all shards."""
        if f == "read":
            found = await self._coordinator.look(key, self._groups)
            return [[shard, found[shard]] for shard in self._groups]
        number, shards = value
        await self._coordinator.append(number, home=shards[0], key=key, element=number, shards=shards)
        return value


def _addresses(*names: str) -> dict[str, str]:
    """In a simulation actors are reached by their names."""
    return {name: name for name in names}


def _as_change(membership: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The surface speaks of differences: who shall vote, listen or leave."""
    voters, learners = tuple(wanted["voters"]), tuple(wanted["learners"])
    now_voters, outgoing, now_learners = membership[:3]
    members = (*now_voters, *outgoing, *now_learners)
    return {
        "vote": tuple(name for name in voters if name not in now_voters),
        "listen": tuple(name for name in learners if name not in now_learners),
        "leave": tuple(sorted({name for name in members if name not in voters and name not in learners})),
    }


def _ok_value(f: str, value: Any, result: Any) -> Any:
    """The value on the `ok` line: what was learnt, and where nothing was, what was asked."""
    if f in ("read", "size", "dequeue", "replace", "remove", "txn", "add-and-get"):
        return result
    return value
