"""Reads that a leader answered though another one had been elected before they were asked.

A leader may answer a read only when it still led after the read had arrived: because a majority said so in a round that
began after that, or by a lease, while which nobody else can be elected (dissertation 6.4). Majorities overlap. So once
a node has won a later term, no read that is asked from then on is answered by a leader of an earlier one. One that is
may still be right, if nothing was written meanwhile: the history shows it only where a client saw an old value.

A lease that lasts too long seldom meets a read and a write in the short time that it does. So whoever wins a term, the
leaders of earlier ones are asked whether they would answer a read at that instant by a lease: `lease-outlived`. It is
they who say so, and against themselves.

A node that is asked may answer as a follower, from a read index that the later leader gave it. So only answers of nodes
that lead the earlier term, when the answer has arrived, are judged.

References: Ongaro, *Consensus: Bridging Theory and Practice*, 2014, sections 3.10, 6.4 and 6.4.1.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final

from checkers.verdict import Anomaly, Validity, Verdict

CHECKER: Final = "reads"
KIND: Final = "deposed-leader"
LEASE: Final = "lease-outlived"


class LeaderReads:
    """Follows elections, and judges answers. `anomalies` holds the first violation of each kind."""

    def __init__(self, leaders: Mapping[str, Mapping[str, int]]) -> None:
        """`leaders` has for each group those that lead now, with their terms."""
        self.anomalies: list[Anomaly] = []
        self._leaders = leaders
        self._elections: dict[str, tuple[list[int], list[int]]] = {}  # group -> when a later term was won, and which
        self.reads_by_lease: Callable[[str, str], bool] = lambda group, node: False
        """Whether a node that leads a group would answer a read at this instant by a lease."""

    def won(self, time_ns: int, group: str, node: str, term: int, index: int) -> None:
        """A node has won a term, as the row at the `index` tells."""
        for other, earlier in self._leaders[group].items():
            if earlier < term and not self._has(LEASE) and self.reads_by_lease(group, other):
                message = (
                    f"{node} won term {term} of {group} at {time_ns / 1e9:.3f} s, when {other}, which leads term "
                    f"{earlier}, would have answered a read by its lease"
                )
                self.anomalies.append(Anomaly(checker=CHECKER, kind=LEASE, index=index, message=message))
        times, terms = self._elections.setdefault(group, ([], []))
        if not terms or term > terms[-1]:
            times.append(time_ns)
            terms.append(term)

    def answered(self, group: str, node: str, asked_ns: int, index: Callable[[], int]) -> bool:
        """A read that was asked at `asked_ns` was answered by a node, which the row at the `index` tells.

        Returns whether that is judged: whether the node leads.
        """
        leaders = self._leaders[group]
        if node not in leaders:
            return False
        term, (times, terms) = leaders[node], self._elections[group]
        if terms[-1] > term and not self._has(KIND):
            place = bisect_left(times, asked_ns) - 1  # the last one that was won before that instant
            if place >= 0 and terms[place] > term:
                message = (
                    f"{node} leads term {term} of {group} and answered a read asked at {asked_ns / 1e9:.3f} s; "
                    f"term {terms[place]} had been won at {times[place] / 1e9:.3f} s"
                )
                self.anomalies.append(Anomaly(checker=CHECKER, kind=KIND, index=index(), message=message))
        return True

    def _has(self, kind: str) -> bool:
        return any(anomaly.kind == kind for anomaly in self.anomalies)

    def verdict(self) -> Verdict:
        """Say what was found."""
        validity: Validity = "invalid" if self.anomalies else "valid"
        return Verdict(validity=validity, checker=CHECKER, anomalies=tuple(self.anomalies))
