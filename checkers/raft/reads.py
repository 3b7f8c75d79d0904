"""Reads that a leader answered though another one had been elected before they were asked.

A leader may answer a read only when it still led after the read had arrived: because a majority said so in a round that
began after that, or by a lease, while which nobody else can be elected (dissertation 6.4). Majorities overlap. So once
a node has won a later term, no read that is asked from then on is answered by a leader of an earlier one. One that is
may still be right, if nothing was written meanwhile: the history shows it only where a client saw an old value.

A node that is asked may answer as a follower, from a read index that the later leader gave it. So only answers of nodes
that lead the earlier term, when the answer has arrived, are judged.

References: Ongaro, *Consensus: Bridging Theory and Practice*, 2014, sections 3.10, 6.4 and 6.4.1.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from checkers.trace import Row
from checkers.verdict import Anomaly, Validity, Verdict

CHECKER: Final = "reads"
KIND: Final = "deposed-leader"


class LeaderReads:
    """Follows who leads, and judges answers. `anomalies` holds the first violation."""

    def __init__(self) -> None:
        self.anomalies: list[Anomaly] = []
        self.judged = 0
        """How many answers of leaders were judged."""
        self._leads: dict[tuple[str, str], int] = {}  # (group, node) -> the term that it leads
        self._elections: dict[str, tuple[list[int], list[int]]] = {}  # group -> when a later term was won, and which

    def handlers(self) -> dict[str, Callable[[int, Row], None]]:
        """What to call for which kind of row."""
        return {"role": self._on_role, **dict.fromkeys(("start", "stop", "crash", "refuse"), self._on_end)}

    def verdict(self) -> Verdict:
        """Say what was found."""
        validity: Validity = "invalid" if self.anomalies else "valid"
        return Verdict(validity=validity, checker=CHECKER, anomalies=tuple(self.anomalies))

    def answered(self, index: int, group: str, node: str, asked_ns: int) -> None:
        """A read that was asked at `asked_ns` was answered by a node, which the row at `index` tells."""
        term = self._leads.get((group, node))
        if term is None:
            return
        self.judged += 1
        times, terms = self._elections[group]
        place = bisect_left(times, asked_ns) - 1  # the last one that was won before that instant
        if place < 0 or terms[place] <= term or self.anomalies:
            return
        message = (
            f"{node} leads term {term} of {group} and answered a read that was asked at {asked_ns / 1e9:.3f} s; term "
            f"{terms[place]} had been won at {times[place] / 1e9:.3f} s"
        )
        self.anomalies.append(Anomaly(checker=CHECKER, kind=KIND, index=index, message=message))

    def _on_role(self, _: int, row: Row) -> None:
        time_ns, _, node, group, role, term = row
        if role != "leader":
            self._leads.pop((group, node), None)
            return
        self._leads[group, node] = term
        times, terms = self._elections.setdefault(group, ([], []))
        if not terms or term > terms[-1]:
            times.append(time_ns)
            terms.append(term)

    def _on_end(self, _: int, row: Row) -> None:
        for key in [key for key in self._leads if key[1] == row[2]]:
            del self._leads[key]
