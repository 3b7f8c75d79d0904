"""How a leader raises the feature level of its group (see `machines.features`).

It asks the members which levels they know, at most once per election timeout, and proposes the highest that all of them
know if that is above the group's level, up to the level that the option `feature_level` allows. Losing or repeating
such a proposal does no harm: a level only rises, and the leader asks again until it has.
"""

from __future__ import annotations

from collections.abc import Callable

from ..machines.base import pack
from ..machines.features import LOWEST_LEVEL
from ..protocol.core import Raft
from ..protocol.membership import members
from ..protocol.ready import FAR_NS, Ready
from ..protocol.state import EntryKind, NodeId
from .driver_messages import LevelAsk, LevelTell


class FeatureLevels:
    """What this code knows, and what the members told this leader. `send` takes a message to a member."""

    def __init__(
        self,
        node: str,
        known: int,
        send: Callable[[str, LevelAsk | LevelTell], None],
        *,
        allowed: int,
        interval_ns: int,
    ) -> None:
        self.known = known
        """The highest level that this code knows."""
        self.wanted = min(known, allowed)
        """The level to which it raises its group when it leads."""
        self._node = node
        self._send = send
        self._interval_ns = interval_ns
        self._told: dict[str, LevelTell] = {}  # by member
        self._asked_ns = -FAR_NS

    def answer(self, source: str, ask: LevelAsk) -> None:
        """Answer a leader's question."""
        self._send(source, LevelTell(ask.term, self.known, LOWEST_LEVEL))

    def ask(self, now: int, core: Raft) -> Ready | None:
        """Ask the other members, if that is due. A leader that is alone proposes what it wants."""
        if now - self._asked_ns < self._interval_ns:
            return None
        self._asked_ns = now
        self._told.clear()
        others = self._others(core)
        for node in others:
            self._send(node, LevelAsk(core.term))
        return None if others else self._propose(now, core, self.wanted)

    def hear(self, now: int, core: Raft, level: int, source: str, tell: LevelTell) -> Ready | None:
        """Take a member's answer; propose a level above `level`, the group's, once every member has told its own.

        The membership is that of the log, which may not be committed: a newcomer counts from the entry that adds it.
        """
        if not core.is_leader or tell.term != core.term:
            return None
        self._told[source] = tell
        common = self.wanted
        for node in self._others(core):
            told = self._told.get(node)
            if told is None or told.lowest > common:
                return None
            common = min(common, told.level)
        return self._propose(now, core, common) if common > level else None

    def _propose(self, now: int, core: Raft, level: int) -> Ready:
        self._told.clear()
        return core.propose(now, None, pack(level), EntryKind.FEATURE)

    def _others(self, core: Raft) -> tuple[NodeId, ...]:
        return tuple(node for node in members(core.status().membership) if node != self._node)
