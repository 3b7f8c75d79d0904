"""The observer: what the trace says of the cluster. Who leads, who voted, and how far each replica is.

Faults that aim at a role ask here when they begin. No node is told any of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from checkers.raft.liveness import Standing
from checkers.raft.reads import LeaderReads
from checkers.trace import Row


class Observer:
    """Follows what replicas say of their roles, votes and configurations."""

    def __init__(
        self,
        nodes: tuple[str, ...],
        is_up: Callable[[str], bool],
        progress: Callable[[str, str], tuple[int, int, bytes]],
        term: Callable[[str, str], int],
    ) -> None:
        """`progress` gives what (group, actor) has committed and applied, and its state; `term` the term it is in. The
        invariants follow both.
        """
        self._nodes = nodes
        self._is_up = is_up
        self._progress = progress
        self._term = term
        self._terms: dict[tuple[str, str], int] = {}  # (group, actor) -> the term in which it told its role
        self._leaders: defaultdict[str, dict[str, int]] = defaultdict(dict)  # group -> those that lead, and their terms
        self._last_vote: dict[str, tuple[int, str]] = {}  # group -> (term, voter)
        self.elections = 0
        self.reads = LeaderReads(self._leaders)
        self.leaderless_ns = 0
        """For how long groups had no leader, up to their latest one. A leader that is cut off leads on in this."""
        self._leaderless_since_ns: dict[str, int] = {}  # group that had a leader -> since when it has none
        self.on_leader: Callable[[str], None] = lambda group: None
        """Called with the group when a replica becomes leader."""
        self.configurations: dict[tuple[str, str], tuple[Any, ...]] = {}  # (group, actor) -> voters, outgoing, learners

    def handlers(self) -> dict[str, Callable[[int, Row], None]]:
        """What to call for which kind of row."""
        return {
            "start": self._on_end,
            "stop": self._on_end,
            "crash": self._on_end,
            "refuse": self._on_end,
            "role": self._on_role,
            "vote": self._on_vote,
            "config": self._on_config,
        }

    def applied(self, group: str, actor: str) -> tuple[int, bytes] | None:
        """The last index that a replica has applied in this incarnation, and the digest of its state there."""
        _, index, state = self._progress(group, actor)
        return (index, state) if index else None

    def committed(self, group: str, actor: str) -> int:
        """What a replica knows in this incarnation to be committed."""
        return self._progress(group, actor)[0]

    def leader(self, group: str = "g0") -> str | None:
        """The live leader of the highest term."""
        terms = self._leaders[group]
        return max(filter(self._is_up, terms), key=terms.__getitem__, default=None)

    def holders(self, role: str, group: str = "g0") -> tuple[str, ...]:
        """Who holds `@leader`, `@voter`, `@follower` or `@majority` now; none if no node does."""
        leader = self.leader(group)
        if role == "@leader":
            return (leader,) if leader is not None else ()
        if role == "@voter":
            vote = self._last_vote.get(group)
            return (vote[1],) if vote is not None else ()
        followers = tuple(name for name in self._nodes if name != leader and self._is_up(name))
        if role == "@follower":
            return followers[:1]
        majority = len(self._nodes) // 2 + 1
        return followers[:majority] if leader is not None and len(followers) >= majority else ()

    def resolve(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Names for targets; a role that no actor holds gives nothing."""
        found = (self.holders(target) if target.startswith("@") else (target,) for target in targets)
        return tuple(dict.fromkeys(name for names in found for name in names))

    def is_in_force(self, group: str, node: str, voters: Sequence[str], learners: Sequence[str]) -> bool:
        """Whether a node's own configuration of a group is this one, and not joint, as far as it has told."""
        now = self.configurations.get((group, node), ((), (), ()))
        return [sorted(part) for part in now] == [sorted(voters), [], sorted(learners)]

    def _on_end(self, _: int, row: Row) -> None:
        for group, terms in self._leaders.items():
            if terms.pop(row[2], None) is not None and not terms:
                self._leaderless_since_ns[group] = row[0]

    def _on_role(self, index: int, row: Row) -> None:
        time_ns, _, actor, group, role, term = row
        self._terms[group, actor] = term
        leaders = self._leaders[group]
        if leaders.pop(actor, None) is not None and not leaders:
            self._leaderless_since_ns[group] = time_ns
        if role == "leader":
            if not leaders:
                self.leaderless_ns += time_ns - self._leaderless_since_ns.get(group, 0)
            leaders[actor] = term
            self.reads.won(time_ns, group, actor, term, index)
            self.elections += 1
            self.on_leader(group)

    def _on_vote(self, index: int, row: Row) -> None:
        _, _, actor, group, term, candidate = row
        if candidate != actor:
            self._last_vote[group] = (term, actor)

    def _on_config(self, _: int, row: Row) -> None:
        self.configurations[row[3], row[2]] = tuple(row[5:])

    def standing(self) -> dict[tuple[str, str], Standing]:
        """Where each replica stands now, for the judgement of what comes after.

        A follower that enters a later term need not tell its role again, so its term is not that of its role.
        """
        found = {}
        for (group, actor), told in self._terms.items():
            commit, index, state = self._progress(group, actor)
            found[group, actor] = Standing(
                leads=actor in self._leaders[group] and self._is_up(actor),
                term=max(told, self._term(group, actor)),
                commit=commit,
                applied=index,
                state=state,
            )
        return found
