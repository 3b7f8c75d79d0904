"""Rules of terms, votes and leaders: `election-safety`, `elected-on-quorum`, `vote-once`, `leader-completeness`, and
`term-monotone` where a replica says its term.
"""

from __future__ import annotations

from checkers.raft.findings import Findings
from checkers.raft.ledger import Group, Replica, Replicas
from checkers.trace import Row

from .configurations import Configurations
from .durability import Durability


class Elections:
    """Judges roles, terms and votes."""

    def __init__(
        self, replicas: Replicas, findings: Findings, durability: Durability, configurations: Configurations
    ) -> None:
        self._replicas = replicas
        self._report = findings.report
        self._in_recovery = durability.in_recovery
        self._close_recovery = durability.close_recovery
        self._configurations = configurations

    def on_role(self, index: int, row: Row) -> None:
        time_ns, _, actor, group, role, term = row
        replica = self._replicas[group, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
            if role != "follower":
                self._close_recovery(index, replica)
        self.raise_term(index, replica, term, "role")
        if role == "leader":
            self._elected(index, replica, term)
        else:
            replica.group.leaders.pop(actor, None)
        replica.role = role
        self._configurations.note_outside(replica)
        if role != "follower":
            self._configurations.check(index, replica)

    def _elected(self, index: int, replica: Replica, term: int) -> None:
        group = replica.group
        group.winners.add((term, replica.name))
        won = group.leader_of.setdefault(term, (replica.name, replica.incarnation))
        if won[0] != replica.name:
            self._report(index, replica, "election-safety", "", f"won term {term}, which {won[0]} had won", term=term)
        elif won[1] != replica.incarnation:
            self._report(
                index, replica, "election-safety", "restarted", f"won term {term} in two incarnations", term=term
            )
        self.check_complete(index, replica, group.committed_before(term), "elected")
        self._configurations.check_voter(index, replica, term)
        if group.reports_votes:
            self._check_votes(index, replica, term)
        group.leaders[replica.name] = replica

    def _check_votes(self, index: int, replica: Replica, term: int) -> None:
        """Count the voters whose vote a power loss could not take back. A later durable term covers an earlier vote."""
        group, config = replica.group, replica.config.kept[-1]
        for voters in (config.voters, config.outgoing):
            holders = [name for name in voters if self._has_voted(group, name, term, replica.name)]
            if voters and 2 * len(holders) <= len(voters):
                what = f"won term {term} with durable votes of {len(holders)} of {len(voters)} voters"
                self._report(index, replica, "elected-on-quorum", "", what, term=term, holders=holders)
                return

    def _has_voted(self, group: Group, name: str, term: int, candidate: str) -> bool:
        voter = self._replicas.get((group.name, name))
        if voter is None:
            return False
        if voter.firm.get(term) == candidate:
            return True
        return voter.disk.term > term and voter.votes.get(term) == candidate

    def check_complete(self, index: int, replica: Replica, last: int, detail: str) -> None:
        if not replica.log.holds(last, replica.group.committed[last]):
            what = f"leads term {replica.term} without committed index {last}"
            self._report(index, replica, "leader-completeness", detail, what, log_index=last, term=replica.term)

    def on_term(self, index: int, row: Row) -> None:
        time_ns, _, actor, group, term = row
        replica = self._replicas[group, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        self.raise_term(index, replica, term, "term")

    def raise_term(self, index: int, replica: Replica, term: int, detail: str) -> None:
        if term < replica.term:
            what = f"went from term {replica.term} to {term}"
            self._report(index, replica, "term-monotone", detail, what, term=term)
        replica.term = term

    def on_vote(self, index: int, row: Row) -> None:
        time_ns, _, actor, group, term, candidate = row
        replica = self._replicas[group, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        if candidate is None:
            return
        self.raise_term(index, replica, term, "vote")
        earlier, detail = replica.votes.get(term), "same-life"
        if earlier is None and not replica.recovering:
            earlier, detail = replica.firm.get(term), "across-restart"
        if earlier is not None and earlier != candidate:
            what = f"voted for {candidate} in term {term}, having voted for {earlier}"
            self._report(index, replica, "vote-once", detail, what, term=term)
        replica.votes[term] = candidate
        reported = replica.reported
        if replica.recovering and (reported is None or reported[1:] == (term, candidate)):
            replica.firm.setdefault(term, candidate)
        else:  # cast now; also at the very instant of a recovery, when requests waited for that
            replica.unsynced_vote, replica.unsynced_vote_fsyncs = (term, candidate), 0
            replica.unsynced_vote_behind = replica.log.last
