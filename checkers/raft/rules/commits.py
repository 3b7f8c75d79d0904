"""Rules of commit and apply: `state-machine-safety`, `state-digest`, `own-term-commit`, `commit-monotone`,
`commit-bound`, `apply-order`.
"""

from __future__ import annotations

from checkers.raft.findings import Findings
from checkers.raft.ledger import Replica, Replicas
from checkers.trace import Row

from .configurations import Configurations
from .durability import Durability
from .elections import Elections


class Commits:
    """Judges what replicas commit and apply."""

    def __init__(
        self,
        replicas: Replicas,
        findings: Findings,
        durability: Durability,
        elections: Elections,
        configurations: Configurations,
    ) -> None:
        self._replicas = replicas
        self._report = findings.report
        self._in_recovery = durability.in_recovery
        self._durability = durability
        self._elections = elections
        self._configurations = configurations

    def on_commit(self, index: int, row: Row) -> None:
        time_ns, _, actor, name, commit = row
        replica = self._replicas[name, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        if commit == replica.commit:
            return
        if commit < replica.commit:
            what = f"moved commit from {replica.commit} to {commit}"
            self._report(index, replica, "commit-monotone", "", what, log_index=commit)
            return
        replica.commit = commit
        log, committed = replica.log, replica.group.committed
        if commit > log.last:
            what = f"committed index {commit}, its log ends at {log.last}"
            self._report(index, replica, "commit-bound", "beyond-log", what, log_index=commit)
            return
        agreed = min(commit, len(committed) - 1)
        if not log.holds(agreed, committed[agreed]):
            what = f"committed index {agreed}, where another entry was committed before"
            self._report(index, replica, "state-machine-safety", "commit", what, log_index=agreed)
            return
        if replica.role == "leader":
            self._check_own_term(index, replica, commit)
            self._configurations.note_outside(replica)
        if commit > agreed:
            self._extend_committed(index, replica, commit)

    def _check_own_term(self, index: int, replica: Replica, commit: int) -> None:
        log, group = replica.log, replica.group
        term = group.entries.term_of[log.chain[commit - log.base]] if commit > log.base else replica.term
        if term != replica.term:
            what = f"committed index {commit} of term {term} by counting, while leading term {replica.term}"
            self._report(index, replica, "own-term-commit", "", what, log_index=commit, term=replica.term)

    def _extend_committed(self, index: int, replica: Replica, commit: int) -> None:
        log, group = replica.log, replica.group
        first = len(group.committed)
        group.committed.extend(log.chain[first - log.base : commit - log.base + 1])
        group.mark_committed(replica.term, commit)
        if replica.role != "leader":
            what = f"committed index {commit}, no leader has committed more than {first - 1}"
            self._report(index, replica, "commit-bound", "ahead-of-leader", what, log_index=commit)
        group.judged = replica.config.kept[-1]
        self._durability.check_quorum(index, replica, "commit")
        for leader in group.leaders.values():
            if leader.term > replica.term:
                self._elections.check_complete(index, leader, commit, "committed-later")

    def on_apply(self, index: int, row: Row) -> None:
        time_ns, _, actor, name, applied, command, state = row
        replica = self._replicas[name, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        before, replica.applied, replica.state = replica.applied, applied, state
        if applied != before + 1:
            detail = "repeat" if applied <= before else "gap"
            what = f"applied index {applied} after index {before}"
            self._report(index, replica, "apply-order", detail, what, log_index=applied)
        if applied > replica.commit:
            what = f"applied index {applied}, committed up to {replica.commit}"
            self._report(index, replica, "apply-order", "uncommitted", what, log_index=applied)
        group, log = replica.group, replica.log
        if applied in group.config_indexes and not replica.recovering:
            self._configurations.check(index, replica)
        position = applied - log.base
        if 0 < position < len(log.chain) and group.entries.digest_of(log.chain[position]) != command:
            what = f"applied at index {applied} another command than its log holds"
            self._report(index, replica, "state-machine-safety", "not-the-log", what, log_index=applied)
        differs = group.applied.note(applied, command, state)
        if differs == "command":
            what = f"applied at index {applied} another command than was applied before"
            self._report(index, replica, "state-machine-safety", "apply", what, log_index=applied)
        elif differs == "state":
            what = f"has another state after index {applied} than was reached before"
            self._report(index, replica, "state-digest", "apply", what, log_index=applied)
