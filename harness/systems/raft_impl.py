"""The adapter for our own Raft: the only file of the harness that knows `raft_impl`, and only its surface.

The package may come from any git ref or folder; the loader brought it under an alias, and nothing here imports it by
name. An adapter turns `f, key, value` into calls and the answers into completions of a history.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

import msgspec

from harness.plans.faults import KINDS
from harness.plans.plan import Actor, Group
from .system import Completion, DurableReader, OptionSpec, Refusal, SystemClient, SystemServer

WORKLOADS: Final = ("register", "counter", "map", "set", "queue", "list", "lock")


class RaftImpl:
    """One version of raft_impl as a system under test."""

    name: str = "raft_impl"
    worlds: tuple[str, ...] = ("sim",)
    workloads: tuple[str, ...] = WORKLOADS
    fault_kinds: tuple[str, ...] = tuple(KINDS)

    def __init__(self, package: ModuleType) -> None:
        self._surface = package.surface
        self._errors = package.errors
        self.options: tuple[OptionSpec, ...] = tuple(
            msgspec.convert(option, OptionSpec, from_attributes=True) for option in self._surface.OPTIONS
        )
        self.kind_of = self._surface.kind_of
        """The kind of a message, from its header; bound as it is, because every message asks."""

    def resolve(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Fill defaults and validate. Raises ValueError with one line."""
        resolved: dict[str, Any] = self._surface.resolve(options)
        return resolved

    def server(
        self, env: Any, actor: Actor, groups: Mapping[str, Group], options: Mapping[str, Any]
    ) -> SystemServer:
        """A replica's server, not yet started."""
        specs = {
            name: self._surface.GroupSpec(machine=group.machine, voters=group.voters, learners=group.learners)
            for name, group in groups.items()
        }
        server = self._surface.make_server(env, groups=specs, options=options)
        return _Server(server, self._errors.Corrupt)

    def client(
        self, env: Any, actor: Actor, group: str, servers: tuple[str, ...], options: Mapping[str, Any]
    ) -> SystemClient:
        """A client with a session of its own, not yet opened."""
        client = self._surface.make_client(
            env, group=group, servers=servers, home=actor.home, routing=actor.routing, options=options
        )
        return _Client(client, self._errors)

    def durable_reader(self) -> DurableReader:
        """Decodes what became durable on one disk."""
        reader: DurableReader = self._surface.durable_reader()
        return reader


def _Server(server: Any, corrupt: type[Exception]) -> SystemServer:  # noqa: N802 - reads as a type where it is used
    """The surface's server with its refusal in our words. The hot methods stay the system's own."""
    start = server.start

    async def start_or_refuse() -> None:
        try:
            await start()
        except corrupt as error:
            raise Refusal(getattr(error, "word", "corrupt")) from error

    return _Wrapped(server, start_or_refuse)  # type: ignore[return-value]


class _Wrapped:
    """Passes everything through to the system's server but `start`."""

    def __init__(self, server: Any, start: Any) -> None:
        self._server = server
        self.start = start
        self.process = server.process
        self.sync = server.sync
        self.post = server.post
        self.inspect = server.inspect

    @property
    def deadline_ns(self) -> int:
        deadline: int = self._server.deadline_ns
        return deadline

    @property
    def notes(self) -> list[tuple[Any, ...]]:
        notes: list[tuple[Any, ...]] = self._server.notes
        return notes

    @notes.setter
    def notes(self, notes: list[tuple[Any, ...]]) -> None:
        self._server.notes = notes

    def command(self, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        if name == "change":
            arguments = self._as_change(group, arguments)
        return bool(self._server.command(group, name, arguments))

    def _as_change(self, group: str, wanted: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """The surface speaks of differences: who shall vote, listen or leave."""
        voters, learners = tuple(wanted["voters"]), tuple(wanted["learners"])
        now_voters, outgoing, now_learners = self._server.inspect()[group]["membership"]
        members = (*now_voters, *outgoing, *now_learners)
        return {
            "vote": tuple(name for name in voters if name not in now_voters),
            "listen": tuple(name for name in learners if name not in now_learners),
            "leave": tuple(sorted({name for name in members if name not in voters and name not in learners})),
        }


class _Client:
    """Turns ops into calls, and results and errors into completions."""

    def __init__(self, client: Any, errors: ModuleType) -> None:
        self._client = client
        self._errors = errors

    async def open(self) -> str | None:
        """Open a session; None, or the error word."""
        try:
            await self._client.open()
        except self._errors.NoClient:
            return "no-client"
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


def _ok_value(f: str, value: Any, result: Any) -> Any:
    """The value on the `ok` line (DESIGN.md section 7): what was learnt, beside what was asked where the op changes state."""
    if f in ("read", "size", "dequeue", "replace", "remove", "txn", "add-and-get"):
        return result
    return value
