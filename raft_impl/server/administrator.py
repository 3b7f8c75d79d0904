"""Administers a running cluster from outside: asks its servers, and waits until what was begun is done.

A question to one server, or to each, goes to that server alone, over connections of its own; a question to the leader
goes where hints lead. A server that does not answer in time is reported as silent, never left out; one that refuses us,
or that we refuse, is reported with the reason, since that is no matter of waiting.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import trio

from ..errors import RaftError, Refused, Unknown
from ..runtime.questions import (
    DUMPED_COUNT_MAX,
    ChangeMembers,
    DumpLog,
    NodeStatus,
    Outcome,
    Question,
    SnapshotNow,
    StatusNow,
    Transfer,
)
from ..surface import make_client
from .arguments import Address, BadArguments, parse_address
from .handshake import Party
from .real_env import RealEnvironment
from .transport import Access, ping_ms

_POLL_S: Final = 0.1
_STATUS_TIMEOUT_S: Final = 1.0
"""A server that runs says what it is at once."""


class NotLetIn(Refused):
    """The servers that were asked do not want us, or are not those that we want: `word`, and a sentence for people."""

    def __init__(self, word: str, sentence: str) -> None:
        super().__init__(word)
        self.sentence = sentence


class Asker:
    """Puts single questions to the servers of one group, each over connections of its own."""

    def __init__(
        self,
        nodes: Mapping[str, Address],
        group: str,
        options: Mapping[str, Any],
        *,
        access: Access | None = None,
        cluster: str = "",
    ) -> None:
        self.nodes = dict(nodes)
        self._group = group
        self._options = options
        self._access = access
        self._cluster = cluster
        self._count = 0

    async def ask(self, servers: Sequence[str], question: Question, timeout_s: float) -> Outcome:
        """The answer of one of these servers, or of whom they name as their leader. Raises Refused or Unknown."""
        self._count += 1
        nodes = {name: self.nodes[name] for name in servers}
        name = f"admin-{secrets.token_hex(4)}-{self._count}"
        party = Party(name=name, role="client", cluster=self._cluster, ping_ms=ping_ms(self._options))
        env = RealEnvironment(name, nodes, party=party, access=self._access)
        options = {**self._options, "client_timeout_ms": max(1, round(timeout_s * 1000))}
        contacts = env.network.contacts
        failure: RaftError | None = None
        outcome = Outcome()
        async with trio.open_nursery() as nursery:

            async def give_up_when_refused() -> None:
                nonlocal failure
                while contacts.peers or not contacts.refusals.keys() >= nodes.keys():
                    await contacts.news()
                failure = NotLetIn(*contacts.refusals[servers[0]])
                nursery.cancel_scope.cancel()

            await nursery.start(env.network.run, None)
            nursery.start_soon(give_up_when_refused)
            try:
                client = make_client(env, group=self._group, servers=servers, options=options)
                outcome = await client.administer(question)
            except RaftError as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return outcome


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What each server says of itself; `silent` ones said nothing, and `refused` ones why they do not let us in."""

    nodes: dict[str, NodeStatus]
    silent: tuple[str, ...]
    refused: dict[str, tuple[str, str]] = {}
    """Word and sentence."""

    @property
    def leader(self) -> NodeStatus | None:
        """Who leads in the latest term."""
        leaders = [status for status in self.nodes.values() if status.role == "leader"]
        return max(leaders, key=lambda status: status.term, default=None)

    @property
    def shut_out(self) -> tuple[str, str] | None:
        """Word and sentence of one refusal, if every server refuses us: then nothing is known of who leads."""
        return None if self.nodes or self.silent else next(iter(self.refused.values()), None)


class Administrator:
    """Administers one group. `patience_s` bounds each wait for something to be done.

    A few addresses suffice: the members are asked for the others.
    """

    def __init__(self, asker: Asker, *, patience_s: float) -> None:
        self._asker = asker
        self._nodes = asker.nodes
        self._patience_s = patience_s

    async def status(self) -> Listing:
        """Ask every server at once, and then the members that these name and that were not known before."""
        found: dict[str, NodeStatus] = {}
        refused: dict[str, tuple[str, str]] = {}
        asked: set[tuple[str, Address]] = set()
        while new := [name for name, address in self._nodes.items() if (name, address) not in asked]:
            asked.update((name, self._nodes[name]) for name in new)
            await self._ask_all(new, found, refused)
            self._learn(found)
        nodes = {name: found[name] for name in self._nodes if name in found}
        silent = tuple(name for name in self._nodes if name not in found and name not in refused)
        return Listing(nodes=nodes, silent=silent, refused=refused)

    async def _ask_all(
        self, names: Sequence[str], found: dict[str, NodeStatus], refused: dict[str, tuple[str, str]]
    ) -> None:

        async def ask(name: str) -> None:
            try:
                outcome = await self._asker.ask((name,), StatusNow(), _STATUS_TIMEOUT_S)
            except NotLetIn as error:
                refused[name] = (error.word, error.sentence)
                return
            except RaftError:
                return
            if outcome.status is not None:
                found[name] = outcome.status

        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(ask, name)

    def _learn(self, found: Mapping[str, NodeStatus]) -> None:
        """Take the addresses of members from who knows most."""
        for status in sorted(found.values(), key=lambda status: (status.term, status.members_index)):
            for name, text in status.members.addresses.items():
                try:
                    address = parse_address(name, text)
                except BadArguments:
                    continue
                if name not in found:
                    self._nodes[name] = address

    async def names(self) -> Sequence[str]:
        """Every server whose address is known, also of those that are silent."""
        await self.status()
        return tuple(self._nodes)

    async def ask_one(self, name: str, question: Question) -> Outcome:
        """Ask one server. Raises Refused or Unknown."""
        if name not in self._nodes and name not in await self.names():
            raise Refused("no-member")
        return await self._asker.ask((name,), question, self._patience_s)

    async def transfer(self, target: str | None) -> NodeStatus:
        """Hand leadership over, and wait until another node leads. Raises Refused or Unknown."""
        before = await self._leader()
        outcome = await self._ask_leader(Transfer(target=target))

        async def new_leader() -> NodeStatus | None:
            leader = (await self.status()).leader
            return leader if leader is not None and leader.term > before.term else None

        found = await self._wait_for(new_leader)
        if found is None or (target is not None and found.node != outcome.target):
            raise Unknown("not-transferred")
        return found

    async def change(self, change: ChangeMembers) -> NodeStatus:
        """Change the membership, and wait until that is committed. Raises Refused or Unknown."""
        await self._ask_leader(change)

        async def changed() -> NodeStatus | None:
            leader = (await self.status()).leader
            return leader if leader is not None and _is_done(leader, change) else None

        found = await self._wait_for(changed)
        if found is None:
            raise Unknown("not-caught-up" if change.vote else "not-committed")
        return found

    async def members(self) -> NodeStatus:
        """The leader's status, which says who the members are. Raises Refused."""
        return await self._leader()

    async def snapshot(self, name: str) -> int:
        """Have one server take a snapshot. Returns the last index in it. Raises Refused or Unknown."""
        return (await self.ask_one(name, SnapshotNow())).snapshot_index

    async def dump(self, name: str, first: int, count_max: int | None) -> list[str]:
        """The log of one server, a line an entry. Raises Refused or Unknown."""
        lines: list[str] = []
        while count_max is None or len(lines) < count_max:
            missing = DUMPED_COUNT_MAX if count_max is None else count_max - len(lines)
            wanted = DumpLog(first=first, count_max=missing)
            dumped = (await self.ask_one(name, wanted)).dumped
            if dumped is None or not dumped.lines:
                break
            lines += dumped.lines
            if not dumped.next:
                break
            first = dumped.next
        return lines

    async def _ask_leader(self, question: Question) -> Outcome:
        return await self._asker.ask(tuple(self._nodes), question, self._patience_s)

    async def _leader(self) -> NodeStatus:
        async def leader() -> NodeStatus | None:
            listing = await self.status()
            if listing.shut_out is not None:
                raise NotLetIn(*listing.shut_out)
            return listing.leader

        found = await self._wait_for(leader)
        if found is None:
            raise Refused("no-leader")
        return found

    async def _wait_for(self, ask: Callable[[], Any]) -> NodeStatus | None:
        """The first answer there is; None when there is none in time."""
        with trio.move_on_after(self._patience_s):
            while True:
                found: NodeStatus | None = await ask()
                if found is not None:
                    return found
                await trio.sleep(_POLL_S)
        return None


def _is_done(leader: NodeStatus, change: ChangeMembers) -> bool:
    """Whether a change is in force, for good."""
    members = leader.members
    return (
        not members.outgoing
        and leader.log.commit >= leader.members_index
        and set(change.vote) <= set(members.voters)
        and set(change.listen) <= set(members.learners)
        and not set(change.leave) & {*members.voters, *members.learners}
        and change.addresses.items() <= members.addresses.items()
    )
