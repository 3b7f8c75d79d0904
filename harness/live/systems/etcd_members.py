"""Members of etcd that come and go: the API for members, one step at a time, until the members are those wanted.

Etcd changes one member at a time, and promotes a learner only once it has caught up. It would also refuse any change
until all members had been connected for five seconds, which is longer than most faults: members are started with
`--strict-reconfig-check=false` in runs that change them.

A member that was removed can come back only as a new one: its process is ended, its data is deleted, it is added, and
started with the word that the cluster exists. So a voter becomes a learner by leaving and coming back as one.

An answer may be lost. That a member came shows in the list, later. That one left does not: etcd 3.4 lists what the
member that is asked knows, which may be old. So who may have been removed counts as out: it may end, is not started, is
removed until that is certain, and is added again where it is wanted.

A new member is told who the members are, and etcd refuses to begin if they are others by then. So what it is told is
the latest list that has it; and one that ends for that reason before it is a member by name is started again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from harness.live.addresses import spelled

from .http_exchange import Broken, Document, HttpConnection
from .system import Site

_SECONDS_MAX: Final = 1.0
_STEPS_MAX: Final = 20
_OK: Final = 200
_CERTAIN: Final = (3, 5, 9)
"""Codes of gRPC with which etcd refuses what it has not begun: INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION."""


class Listed(NamedTuple):
    """What the list says of a member."""

    number: str
    learns: bool
    has_begun: bool
    """It was started once, and said its name since."""


class Members:
    """The members of one run, as far as they were changed by it."""

    def __init__(self, voters: Sequence[str], nodes: Sequence[str]) -> None:
        """The first members are `voters`; the other nodes are not started before they are added."""
        self._first = tuple(voters)
        self._out = {name for name in nodes if name not in voters}
        self._told: dict[str, tuple[str, ...]] = {}  # node that was added -> the members, as far as is known
        self._begun = set(self._first)  # nodes that the list has shown by name since they were added

    def is_out(self, node: str) -> bool:
        """Whether it is no member now."""
        return node in self._out

    def told(self, node: str) -> tuple[tuple[str, ...], bool]:
        """What a node is told of the members when it begins, and whether the cluster exists then."""
        return self._told.get(node, self._first), node in self._told

    def is_joining(self, node: str) -> bool:
        """Whether it was added, and may not have begun yet."""
        return node in self._told and node not in self._begun

    async def change(self, site: Site, asked: str, voters: Sequence[str], learners: Sequence[str]) -> bool:
        """Go on to change the members. Whether they are those that are wanted."""
        wanted = {**dict.fromkeys(voters, False), **dict.fromkeys(learners, True)}  # node -> whether it learns
        connection = HttpConnection(site.addresses.own(asked, "client"))
        try:
            for _ in range(_STEPS_MAX):
                found = await _members(connection, site)
                self._out -= self._told.keys() & found.keys()  # those whose addition was not answered
                self._begun |= {name for name, member in found.items() if member.has_begun}
                self._tell(found)
                are = {name: member.learns for name, member in found.items()}
                if are == wanted and not self._out & wanted.keys():
                    return True
                if not await self._step(connection, site, found, wanted):
                    return False
        except (Broken, _RefusedError):
            pass
        finally:
            connection.close()
        return False

    async def _step(
        self,
        connection: HttpConnection,
        site: Site,
        found: Mapping[str, Listed],
        wanted: Mapping[str, bool],
    ) -> bool:
        """Take one step. Whether another may follow at once: a member that was added has to be started first.

        Who asks starts those who were out before and are not any more. So a member that left and is wanted back is
        added by the next one who asks.
        """
        for name, (number, learns, _) in found.items():
            if name not in wanted or (wanted[name] and not learns) or name in self._out:
                await self._remove(connection, site, name, number)
                return name not in wanted
            if learns and not wanted[name]:
                await _ask(connection, "/v3/cluster/member/promote", {"ID": number})
                return True
        name = next(name for name in wanted if name not in found)
        await self._add(connection, site, name, (*found, name), learns=wanted[name])
        return False

    async def _remove(self, connection: HttpConnection, site: Site, name: str, number: str) -> None:
        """Remove a member. It is out from when this is asked: it may end before the answer is here, or without one."""
        was_out, told = name in self._out, self._told.pop(name, None)
        self._out.add(name)
        try:
            await _ask(connection, "/v3/cluster/member/remove", {"ID": number})
        except (Broken, _RefusedError) as error:
            if not _may_have_happened(error):
                if not was_out:
                    self._out.discard(name)
                if told is not None:
                    self._told[name] = told
            raise
        self._end(site, name)

    async def _add(
        self, connection: HttpConnection, site: Site, name: str, members: tuple[str, ...], *, learns: bool
    ) -> None:
        """Add a member that begins with no data; until that is answered, or it is in the list, it is not started."""
        if name in self._out:  # perhaps it left unanswered
            self._end(site, name)
        told = self._told.get(name)
        self._told[name] = members
        self._begun.discard(name)
        address = f"http://{spelled(site.addresses.told(name, 'peer'))}"
        try:
            answer = await _ask(connection, "/v3/cluster/member/add", {"peerURLs": [address], "isLearner": learns})
        except (Broken, _RefusedError) as error:
            if not _may_have_happened(error):
                if told is None:
                    del self._told[name]
                else:
                    self._told[name] = told
            raise
        self._tell(_listed(answer, site))
        self._out.discard(name)

    def _tell(self, members: Iterable[str]) -> None:
        """Members that are in a list are told of it when they begin."""
        listed = tuple(members)
        for name in self._told.keys() & set(listed):
            self._told[name] = listed

    def _end(self, site: Site, name: str) -> None:
        """End the process of a node that is out, and delete its data."""
        if site.supervisor.kill(name):
            site.supervisor.on_death(name, "removed")
        shutil.rmtree(site.data / name, ignore_errors=True)


class _RefusedError(Exception):
    """Etcd says that it did not do it, but for one who leads no more that is no proof."""

    def __init__(self, answer: Document) -> None:
        super().__init__(answer.get("error"))
        self.is_certain = answer.get("code") in _CERTAIN


def _may_have_happened(error: Broken | _RefusedError) -> bool:
    return error.was_sent if isinstance(error, Broken) else not error.is_certain


async def _members(connection: HttpConnection, site: Site) -> dict[str, Listed]:
    return _listed(await _ask(connection, "/v3/cluster/member/list", {}), site)


def _listed(answer: Document, site: Site) -> dict[str, Listed]:
    """The members of an answer. One that was never started has no name yet, so they are known by their addresses."""
    of_address = {f"http://{spelled(site.addresses.told(name, 'peer'))}": name for name in site.addresses.nodes}
    listed: list[Any] = answer.get("members", [])
    return {
        of_address[member["peerURLs"][0]]: Listed(
            str(member["ID"]), bool(member.get("isLearner", False)), has_begun=bool(member.get("name"))
        )
        for member in listed
    }


async def _ask(connection: HttpConnection, path: str, document: Document) -> Document:
    status, answer = await connection.post(path, document, _SECONDS_MAX)
    if status != _OK:
        raise _RefusedError(answer)
    return answer
