"""Leaders that hear no quorum: with check-quorum they step down within an election timeout (dissertation 6.2).

A leader that goes on without a quorum commits nothing and harms no state; but its clients wait for it, and where links
fail in one direction only, or in part, nobody else is elected while it is heard. So it is a matter of liveness, and
judged while faults are in force, from what is so in the world.

A leader is *cut off* while it is healthy and the voters of its own configuration that it can hear are, with itself, no
majority: the others are down or paused, or their links to it are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from checkers.verdict import Anomaly

CHECKER: Final = "liveness"
KIND: Final = "leads-alone"


class CutOffLeaders:
    """Follows one run. It is told of every change (`look`), of roles, and of the end.

    Who is cut off is looked up at changes only. So a leader that won when it was cut off already, or that heard what
    was still on its way at the last change, is watched from the next change on.

    `hears` says of (node, other) whether anything can arrive from the other, `is_healthy` whether a node runs as it
    should, and `voters` of (group, node) which sets of voters it counts.
    """

    def __init__(
        self,
        bound_ns: int,
        *,
        hears: Callable[[str, str], bool],
        is_healthy: Callable[[str], bool],
        voters: Callable[[str, str], Sequence[Sequence[str]]],
    ) -> None:
        self.anomalies: list[Anomaly] = []
        self.longest_ns = 0
        """For how long a leader was cut off and went on, at most."""
        self._bound_ns = bound_ns
        self._hears, self._is_healthy, self._voters = hears, is_healthy, voters
        self._terms: dict[tuple[str, str], int] = {}  # (group, leader) -> the term that it leads
        self._since_ns: dict[tuple[str, str], int] = {}  # (group, leader) -> since when it is cut off

    def role(self, now: int, index: int, group: str, node: str, role: str, term: int) -> None:
        """A replica notes its role."""
        self._judge(now, index, group, node)
        self._since_ns.pop((group, node), None)
        if role == "leader":
            self._terms[group, node] = term
        else:
            self._terms.pop((group, node), None)

    def ends(self, now: int, index: int, node: str) -> None:
        """A node ended, or begins anew."""
        for group, name in [key for key in self._terms if key[1] == node]:
            self.role(now, index, group, name, "down", 0)

    def look(self, now: int, index: int) -> None:
        """Something may have changed about who hears whom, and has taken effect."""
        for group, node in self._terms:
            if self._is_healthy(node) and self._is_cut_off(group, node):
                self._since_ns.setdefault((group, node), now)
            else:
                self._judge(now, index, group, node)
                self._since_ns.pop((group, node), None)

    def close(self, now: int, index: int) -> None:
        """Nothing is watched any more."""
        for group, node in self._terms:
            self._judge(now, index, group, node)
        self._terms.clear()
        self._since_ns.clear()

    def _is_cut_off(self, group: str, node: str) -> bool:
        for part in self._voters(group, node):
            heard = [name for name in part if name == node or self._hears(node, name)]
            if part and 2 * len(heard) <= len(part):
                return True
        return False

    def _judge(self, now: int, index: int, group: str, node: str) -> None:
        since_ns = self._since_ns.get((group, node), now)
        self.longest_ns = max(self.longest_ns, now - since_ns)
        if now - since_ns <= self._bound_ns or self.anomalies:
            return
        message = (
            f"{node} led term {self._terms[group, node]} of {group} for {(now - since_ns) / 1e6:.0f} ms from "
            f"{since_ns / 1e9:.3f} s on, when nothing could arrive from a majority of its voters; with check_quorum "
            f"it steps down within {self._bound_ns / 1e6:.0f} ms"
        )
        self.anomalies.append(Anomaly(checker=CHECKER, kind=KIND, index=index, message=message))


def parts_of(
    configurations: Mapping[tuple[str, str], tuple[Sequence[str], ...]], initial: Mapping[str, Sequence[str]]
) -> Callable[[str, str], Sequence[Sequence[str]]]:
    """The sets of voters in the configuration that a replica noted last, or else in the first one of its group."""

    def voters(group: str, node: str) -> Sequence[Sequence[str]]:
        noted = configurations.get((group, node))
        return noted[:2] if noted is not None else (initial[group],)

    return voters
