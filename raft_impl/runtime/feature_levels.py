"""How a leader raises the feature level of its group (see `machines.features`).

It asks the members which level they know, at most once per election timeout, and proposes the lowest of their answers
if that is above the group's level. Losing or repeating such a proposal does no harm: a level only rises, and the leader
asks again until it has.
"""

from __future__ import annotations

from collections.abc import Callable

from ..machines.base import pack
from ..protocol.core import Raft
from ..protocol.membership import members
from ..protocol.ready import FAR_NS, Ready
from ..protocol.state import EntryKind, NodeId
from .wire import LevelAsk, LevelTell


class FeatureLevels:
    """What this code knows, and what the members told this leader. `send` takes a message to a member."""

    def __init__(
        self, node: str, known: int, send: Callable[[str, LevelAsk | LevelTell], None], *, interval_ns: int
    ) -> None:
        self.known = known
        """The highest level that this code knows."""
        self._node = node
        self._send = send
        self._interval_ns = interval_ns
        self._levels: dict[str, int] = {}  # by member
        self._asked_ns = -FAR_NS

    def answer(self, source: str, ask: LevelAsk) -> None:
        """Answer a leader's question."""
        self._send(source, LevelTell(ask.term, self.known))

    def ask(self, now: int, core: Raft) -> Ready | None:
        """Ask the other members, if that is due. A leader that is alone proposes what it knows."""
        if now - self._asked_ns < self._interval_ns:
            return None
        self._asked_ns = now
        self._levels.clear()
        others = self._others(core)
        for node in others:
            self._send(node, LevelAsk(core.term))
        return None if others else self._propose(now, core, self.known)

    def hear(self, now: int, core: Raft, level: int, source: str, tell: LevelTell) -> Ready | None:
        """Take a member's answer; propose a level above `level`, the group's, once every member knows one."""
        if not core.is_leader or tell.term != core.term:
            return None
        self._levels[source] = tell.level
        common = min((self._levels.get(node, 0) for node in self._others(core)), default=self.known)
        return self._propose(now, core, min(common, self.known)) if common > level else None

    def _propose(self, now: int, core: Raft, level: int) -> Ready:
        self._levels.clear()
        return core.propose(now, None, pack(level), EntryKind.FEATURE)

    def _others(self, core: Raft) -> tuple[NodeId, ...]:
        return tuple(node for node in members(core.status().membership) if node != self._node)
