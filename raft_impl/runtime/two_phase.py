"""The coordinator of two-phase commit: a client of several groups, which may die at any time.

`raft_impl.machines.participant` says what the protocol is and why it is safe. This is the program that runs it, for its
own transactions and for those of coordinators that are gone:

* `append` runs one transaction. Its outcome is exact. Returning means committed; `Refused` that it will never be
  committed (as long as no commit was on its way to the home, no other client sends one); `Unknown` that the home may
  have decided, or may yet.
* `look` reads one list of each shard as they were at one instant, without locks: it looks at the first shards, then at
  the last one, then at the first ones again. When those have not changed (lists only grow), all were as they were told
  at the instant of the last shard's answer; and when no lock was seen in the second look nor at the last shard, no
  transaction was committed in one of them and not yet in another. Otherwise it looks again.

Both finish what is in their way. The lock of another client is left alone for `client_attempt_timeout_ms`, the time in
which an answer is given up; then its transaction is aborted at its home, and what the home says to that (it may have
been committed) is carried to the other shards.

Nothing but the groups' logs is remembered anywhere. Whoever crashes in between leaves locks, and the next one who meets
them finds in the log what became of their transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import RaftError, Refused, Unknown
from ..machines.base import MALFORMED, UNSUPPORTED
from ..machines.calls import TOO_LARGE
from ..machines.participant import ABORTED, COMMITTED, HELD, PREPARED, UNKNOWN
from .client import Client
from .env import Environment

_MILLISECOND_NS: Final = 1_000_000
_PAUSE_MIN_NS: Final = 5 * _MILLISECOND_NS
_PAUSE_MAX_NS: Final = 50 * _MILLISECOND_NS

_SENSELESS: Final = frozenset({MALFORMED, UNSUPPORTED, TOO_LARGE})
"""Words with which a repeated command would be refused again."""

REQUESTS: Final = 4
"""Requests that a transaction makes one after another when nothing is in its way: two to prepare, two to commit. An
operation has as much time as this number of calls has."""

Holder = Sequence[Any]
"""[name, home, shards] of a transaction that has a lock."""


class Coordinator:
    """One logical process: one transaction or look at a time, a session in each group."""

    def __init__(
        self,
        env: Environment,
        *,
        groups: Sequence[str],
        servers: Sequence[str],
        home: str | None,
        routing: str,
        options: Mapping[str, Any],
    ) -> None:
        self._env = env
        self._clients = {
            group: Client(env, group=group, servers=servers, home=home, routing=routing, options=options)
            for group in sorted(groups)
        }
        self._timeout_ns: int = REQUESTS * options["client_timeout_ms"] * _MILLISECOND_NS
        self._patience_ns: int = options["client_attempt_timeout_ms"] * _MILLISECOND_NS
        # Without sessions a call is one attempt, whose loss only time tells; here it may be repeated all the same.
        self._call_ns = self._timeout_ns if options["sessions"] == "on" else self._patience_ns
        self._deadline_ns = 0  # of the operation that runs
        self._met: dict[tuple[Any, str], int] = {}  # (name, shard) of a lock -> when this operation met it first

    async def open(self) -> None:
        """Open a session in each group, if sessions are in use. Raises NoClient when that fails."""
        for client in self._clients.values():
            await client.open()

    async def append(self, name: Any, *, home: str, key: Any, element: Any, shards: Sequence[str]) -> None:
        """Append an element to the list `key` of every shard, or of none. `name` is the transaction's, and unique.

        Raises Refused or Unknown. Asking again under the same name is the same transaction.
        """
        self._begin()
        prepare_until_ns = self._deadline_ns - self._timeout_ns // 4  # the rest is for the decision
        if not await self._prepare_all(name, [home, sorted(shards), key, element], prepare_until_ns):
            if await self._abort(name, home, shards) != COMMITTED:
                raise Refused(ABORTED)
            return
        if await self._commit(name, home) != COMMITTED:
            raise Refused(ABORTED)
        await self._carry("commit", name, home, shards)

    async def look(self, key: Any, shards: Sequence[str]) -> dict[str, list[Any]]:
        """The list `key` of every shard, at one instant. Raises Refused or Unknown."""
        self._begin()
        *first, last = sorted(shards)
        before: dict[str, list[Any]] = {}
        while True:
            again = {shard: await self._ask(shard, "look", key) for shard in first}
            now = {shard: elements for shard, (elements, _) in again.items()}
            if before and now == {shard: before[shard] for shard in first}:
                holders = [(shard, holder) for shard, (_, holder) in again.items() if holder is not None]
                if not holders:
                    return before
                await self._meet(*holders[0])
            elements, holder = await self._ask(last, "look", key)
            if holder is None:
                before = {**now, last: elements}
            else:
                before = {}
                await self._meet(last, holder)

    # -- the two phases -------------------------------------------------------------------------------------------

    async def _prepare_all(self, name: Any, branch: list[Any], until_ns: int) -> bool:
        """Whether all shards are prepared, asked in one order of shards: no clients wait in a circle."""
        for shard in branch[1]:
            while True:
                try:
                    state, holder = await self._ask(shard, "prepare", name, branch, until_ns)
                    if state != HELD:
                        break
                    await self._meet(shard, holder)
                except RaftError:
                    return False
                if self._env.clock.monotonic_ns() >= until_ns:
                    return False
            if state == ABORTED:
                return False
        return True

    async def _commit(self, name: Any, home: str) -> str:
        """Decide. Once a commit may be on its way, only the home can say that there will be none."""
        may_be_on_its_way = False
        while True:
            try:
                return str(await self._call(home, "commit", name, None, self._deadline_ns))
            except Unknown:
                may_be_on_its_way = True
            except Refused:
                pass
            if self._is_late():
                break
            await self._pause()
        raise Unknown("timeout") if may_be_on_its_way else Refused(ABORTED)

    async def _abort(self, name: Any, home: str, shards: Sequence[str]) -> str:
        """Give up. Where the home cannot be asked there is no commit on its way either, so that it is aborted."""
        try:
            state = str(await self._ask(home, "abort", name))
        except RaftError:
            return ABORTED
        await self._carry("commit" if state == COMMITTED else "abort", name, home, shards)
        return state

    async def _carry(self, f: str, name: Any, home: str, shards: Sequence[str]) -> None:
        """Tell the other shards what the home decided, as far as time allows; the next one who meets a lock will."""
        try:
            for shard in sorted(shards):
                if shard != home:
                    await self._ask(shard, f, name)
        except RaftError:
            pass

    # -- what is in the way ---------------------------------------------------------------------------------------

    async def _meet(self, shard: str, holder: Holder) -> None:
        """Finish the transaction that has a lock: at once if it is decided, else when it has had its time."""
        name, home, shards = holder
        state = await self._ask(home, "outcome", name)
        if state in (PREPARED, UNKNOWN):
            now = self._env.clock.monotonic_ns()
            if now < self._met.setdefault((name, shard), now) + self._patience_ns:
                await self._pause()
                return
            state = await self._ask(home, "abort", name)
        await self._carry("commit" if state == COMMITTED else "abort", name, home, shards)

    # -- asking ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._deadline_ns = self._env.clock.monotonic_ns() + self._timeout_ns
        self._met = {}

    def _is_late(self) -> bool:
        return self._env.clock.monotonic_ns() >= self._deadline_ns

    async def _ask(self, shard: str, f: str, key: Any, value: Any = None, until_ns: int | None = None) -> Any:
        """Ask until there is an answer: everything that is asked here may be repeated."""
        until_ns = self._deadline_ns if until_ns is None else until_ns
        while True:
            try:
                return await self._call(shard, f, key, value, until_ns)
            except RaftError as error:
                if error.word in _SENSELESS or self._env.clock.monotonic_ns() >= until_ns:
                    raise
            await self._pause()

    async def _call(self, shard: str, f: str, key: Any, value: Any, until_ns: int) -> Any:
        now = self._env.clock.monotonic_ns()
        return await self._clients[shard].call(f, key, value, min(until_ns, now + self._call_ns))

    async def _pause(self) -> None:
        """Wait a drawn time. Late replies that come meanwhile say nothing that is still asked."""
        drawn_ns = self._env.randomness.below(_PAUSE_MAX_NS - _PAUSE_MIN_NS, "two-phase")
        until_ns = self._env.clock.monotonic_ns() + _PAUSE_MIN_NS + drawn_ns
        while await self._env.recv(until_ns) is not None:
            pass
