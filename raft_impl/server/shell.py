"""`foreshock client --shell`: counters of a running cluster by hand, in the manner of the JGroups Raft demo.

    create NAME [VALUE]    make a counter, or show the one there is
    increment NAME [BY]    and decrement NAME [BY]
    get NAME
    dump log [COUNT]       the end of the leader's log
    snapshot               have every server take one
    help, exit

Before each prompt stands a line about the leader's log. New leaders, and commands that were applied, are printed as
they are seen. Nothing is done while no server leads, and that is said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio

from ..client import Cluster, Counter, connect
from ..errors import Negative, RaftError, Refused, Unknown
from ..runtime.questions import DumpLog, NodeStatus, StatusNow
from .access import access_of, add_access_arguments
from .administrator import Administrator, Asker
from .arguments import Address, parse_nodes
from .transport import Access

_WATCH_S: Final = 0.3
_NO_LEADER: Final = "no server leads"
_PATIENCE_S: Final = 5.0
_DUMPED_COUNT: Final = 20
_SHOWN_COUNT_MAX: Final = 10
"""Applied commands shown at once; a busy cluster has more than a person reads."""
_HELP: Final = (
    "commands: create NAME [VALUE], increment NAME [BY], decrement NAME [BY], get NAME, dump log [COUNT], snapshot, "
    "help, exit"
)


def add_shell(commands: Any, options_of: Callable[[argparse.Namespace], Mapping[str, Any]]) -> None:
    """Add `shell` to the command line. `options_of` reads `-o`."""
    parser = commands.add_parser("shell", help="use the counters of a cluster by hand")
    parser.add_argument("--node", dest="nodes", action="append", required=True, metavar="NAME=HOST:PORT")
    parser.add_argument("--group", default="g0")
    add_access_arguments(parser)
    parser.add_argument("-o", dest="options", action="append", default=[], metavar="NAME=VALUE")
    parser.set_defaults(run=lambda parsed: _run(parsed, options_of(parsed)))


def _run(parsed: argparse.Namespace, options: Mapping[str, Any]) -> int:
    return trio.run(_main, parsed, parse_nodes(parsed.nodes), options, access_of(parsed))


async def _main(
    parsed: argparse.Namespace, nodes: dict[str, Address], options: Mapping[str, Any], access: Access
) -> int:
    group, cluster_id = parsed.group, parsed.cluster or ""
    asker = Asker(nodes, group, options, access=access, cluster=cluster_id)
    connecting = connect(
        nodes, group=group, timeout_s=_PATIENCE_S, options=options, access=access, cluster_id=cluster_id
    )
    async with connecting as cluster:
        shell = Shell(cluster, Administrator(asker, patience_s=_PATIENCE_S))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shell.watch)
            await shell.read_commands()
            nursery.cancel_scope.cancel()
    return 0


class Shell:
    """One person's session."""

    def __init__(self, cluster: Cluster, administrator: Administrator) -> None:
        self._cluster = cluster
        self._administrator = administrator
        self._leader: NodeStatus | None = None  # as it was last seen
        self._why_none = _NO_LEADER
        self._looks = 0  # that were begun
        self._newest = 0  # the latest begun of those that are over
        self._shown = -1  # the last index whose command was shown; -1 before there was a leader

    async def read_commands(self) -> None:
        """Carry out what is typed, until `exit` or the end of the input."""
        print(_HELP)
        while True:
            await self._refresh_leader()
            print(self._status_line(), flush=True)
            line = await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
            words = line.split()
            if not line or words == ["exit"]:
                return
            if words:
                print(await self._carry_out(words), flush=True)

    async def watch(self) -> None:
        """Print new leaders and applied commands as they are seen."""
        while True:
            await trio.sleep(_WATCH_S)
            await self._refresh_state()

    async def _refresh_leader(self) -> None:
        """Ask who led last, and everybody only if it leads no more: a server that is down answers after a second."""
        leader, look = self._leader, self._begin_look()
        if leader is not None:
            try:
                status = (await self._administrator.ask_one(leader.node, StatusNow())).status
            except RaftError:
                status = None
            if status is not None and status.role == "leader":
                await self._take_in(look, status)
                return
        await self._refresh_state()

    async def _refresh_state(self) -> None:
        look = self._begin_look()
        listing = await self._administrator.status()
        if listing.shut_out is None:
            self._why_none = _NO_LEADER
        else:
            self._why_none = "no server lets this client in, {}: {}".format(*listing.shut_out)
        await self._take_in(look, listing.leader)

    def _begin_look(self) -> int:
        self._looks += 1
        return self._looks

    async def _take_in(self, look: int, leader: NodeStatus | None) -> None:
        """Tell what is new in what a look found. Two overlap: what was asked before the last one is not believed."""
        if look < self._newest:
            return
        self._newest = look
        before = self._leader
        if leader is None:
            self._leader = None
            if before is not None:
                print(self._why_none, flush=True)
            return
        if before is not None and (leader.term, leader.log.applied) < (before.term, before.log.applied):
            return
        self._leader = leader
        if before is None or (before.node, before.term) != (leader.node, leader.term):
            print(f"{leader.node} leads in term {leader.term}", flush=True)
        if self._shown < 0:
            self._shown = leader.log.applied
        if leader.log.applied > self._shown:
            await self._show_applied(leader)

    async def _show_applied(self, leader: NodeStatus) -> None:
        first, last = self._shown + 1, leader.log.applied
        self._shown = last
        begin = max(first, last - _SHOWN_COUNT_MAX + 1)
        if begin > first:
            print(f"applied {first} to {begin - 1}", flush=True)
        try:
            question = DumpLog(first=begin, count_max=last - begin + 1)
            dumped = (await self._administrator.ask_one(leader.node, question)).dumped
        except RaftError:
            return  # it has gone; the next look says so
        for line in dumped.lines if dumped is not None else ():
            print(f"applied {line}", flush=True)

    def _status_line(self) -> str:
        leader = self._leader
        if leader is None:
            return f"[{self._why_none}]"
        log = leader.log
        return (
            f"[{leader.node} leads in term {leader.term}; first-applied={log.first}, last-applied={log.applied}, "
            f"commit-index={log.commit}, log size={log.entry_count} entries]"
        )

    async def _carry_out(self, words: list[str]) -> str:
        """One command. Returns what to say."""
        commands: dict[str, Callable[..., Awaitable[str]]] = {
            "create": self._create,
            "increment": self._increment,
            "decrement": self._decrement,
            "get": self._get,
            "dump": self._dump,
            "snapshot": self._snapshot,
        }
        if words == ["help"]:
            return _HELP
        name, *arguments = words
        if name == "dump" and arguments[:1] == ["log"]:
            del arguments[0]
        command = commands.get(name)
        numbers_at = 0 if name == "dump" else 1
        bounds = {"get": (1, 1), "dump": (0, 1), "snapshot": (0, 0)}.get(name, (1, 2))
        if command is None or not bounds[0] <= len(arguments) <= bounds[1]:
            return f"found {' '.join(words)!r}; {_HELP}"
        try:
            numbers = [int(text) for text in arguments[numbers_at:]]
        except ValueError:
            return f"found {arguments[numbers_at]!r}; expected a whole number"
        await self._refresh_leader()
        if self._leader is None:
            return f"refused: {self._why_none}; nothing was done"
        try:
            return await command(*arguments[:numbers_at], *numbers)
        except Negative as error:
            return f"no: {error.word}"
        except Refused as error:
            return f"refused: {error.word}; nothing was done"
        except Unknown as error:
            return f"unknown: {error.word}; it may have happened"

    async def _create(self, name: str, value: int = 0) -> str:
        try:
            await self._cluster.call("create", name, value)
        except Negative:
            return f"{name} is {await Counter(self._cluster, name).get()}, as before"
        return f"{name} is {value}"

    async def _increment(self, name: str, by: int = 1) -> str:
        return f"{name} is {await Counter(self._cluster, name).increment(by)}"

    async def _decrement(self, name: str, by: int = 1) -> str:
        return f"{name} is {await Counter(self._cluster, name).decrement(by)}"

    async def _get(self, name: str) -> str:
        return f"{name} is {await Counter(self._cluster, name).get()}"

    async def _dump(self, count: int = _DUMPED_COUNT) -> str:
        leader = self._leader
        assert leader is not None, "looked for before"
        first = max(leader.log.first, leader.log.last - max(1, count) + 1)
        return "\n".join(await self._administrator.dump(leader.node, first, None))

    async def _snapshot(self) -> str:
        said = []
        for name in (await self._administrator.status()).nodes:
            try:
                said.append(f"{name}: snapshot at {await self._administrator.snapshot(name)}")
            except Refused as error:
                said.append(f"{name}: {error.word}")
        return "\n".join(said)
