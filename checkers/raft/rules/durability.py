"""Rules of what must be durable: `durable-ack`, `committed-on-quorum`.

An `fsync` row carries (group, last index, term, vote) and optionally the term of the last entry, which tells entries
apart when a driver goes on appending while its disk is busy, and the configurations that it made durable.

A restart (`start`) forgets the volatile log. The notes that follow at one instant (role, term, vote, snapshot, log) are
what the replica recovered; when the instant is over they are compared with the disk. An un-synced truncation may have
survived the crash, so only the durable prefix below it is required. What the disk model reported between the crash and
these notes is what is durable from then on (a killed process finds un-synced writes that a power loss may still take);
without such a report, what was recovered is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from checkers.raft.findings import Findings
from checkers.raft.ledger import SWALLOWED, Disk, Group, Replica, Replicas
from checkers.trace import Row

VOTE_GRACE_FSYNCS: Final = 4
"""Reports of a group's durable state that may lack a vote already cast, beside those that tell of writes from before
the vote. One may have begun before the vote was written, and the files of a log rotation are synced one by one; after
this many, the vote was never written."""


class Durability:
    """Follows disks, restarts and recoveries; nothing is concluded from `fsync` rows where `durable_facts` is unset."""

    def __init__(self, replicas: Replicas, findings: Findings, *, durable_facts: bool) -> None:
        self._replicas = replicas
        self._report = findings.report
        self._durable_facts = durable_facts
        self.ambiguous: set[Replica] = set()
        """Replicas of which memory holds other entries than the last write made durable."""
        self.synced: dict[Replica, bool] = {}
        """Whose disk has reported since the replica was heard last."""
        self.on_configs: Callable[[int, Replica, Any], None] = lambda index, replica, facts: None
        """Called with the configurations that an fsync made durable."""

    def on_start(self, index: int, row: Row) -> None:
        for replica in self._replicas.of(row[2]):
            self._end(index, replica)
            replica.restart()
            self.ambiguous.discard(replica)

    def on_end(self, index: int, row: Row) -> None:
        for replica in self._replicas.of(row[2]):
            self._end(index, replica)

    def _end(self, index: int, replica: Replica) -> None:
        if replica.recovering and replica.recovered_at is not None:
            self.close_recovery(index, replica)
        replica.role = "down"
        replica.group.leaders.pop(replica.name, None)

    def in_recovery(self, index: int, replica: Replica, time_ns: int) -> None:
        """Open the instant of recovery at the first row after a start; close it at the first row of another instant."""
        if replica.recovered_at is None:
            replica.recovered_at = time_ns
        elif replica.recovered_at != time_ns:
            self.close_recovery(index, replica)

    def close_recovery(self, index: int, replica: Replica) -> None:
        if not replica.recovering:
            return
        log = replica.log
        if log.last < replica.snapshot[0]:
            replica.rest_on_snapshot(*replica.snapshot)
        replica.recovering = False
        if self._durable_facts:
            self._check_recovered(index, replica)
        committed = replica.group.committed
        tip = len(committed) - 1
        had_tip = replica.disk.holds(tip, committed[tip])
        reported = replica.reported or (log.last, replica.term, replica.votes.get(replica.term))
        replica.disk = Disk(log)
        replica.disk.last = min(reported[0], log.last)
        replica.disk.term, replica.disk.vote = reported[1:]
        replica.reported = None
        if had_tip and not replica.disk.holds(tip, committed[tip]):
            self.check_quorum(index, replica, "lost")

    def _check_recovered(self, index: int, replica: Replica) -> None:
        disk, log = replica.disk, replica.log
        if replica.term < disk.term:
            what = f"recovered term {replica.term}, durable was {disk.term}"
            self._report(index, replica, "durable-ack", "term", what, term=replica.term)
        vote = replica.votes.get(disk.term)
        if replica.term == disk.term and disk.vote is not None and vote != disk.vote:
            what = f"recovered another vote in term {disk.term} than was durable"
            self._report(index, replica, "durable-ack", "vote", what, term=disk.term)
        required = disk.required
        expected = disk.identity(required)
        if log.last < required or (expected != SWALLOWED and not log.holds(required, expected)):
            what = f"recovered a log that ends at {log.last} without durable index {required}"
            self._report(index, replica, "durable-ack", "log", what, log_index=required)

    def on_fsync(self, index: int, row: Row) -> None:
        if not self._durable_facts:
            return
        for fact in row[4]:
            name, last, term, vote = fact[:4]
            replica = self._replicas[name, row[2]]
            self.synced[replica] = True
            if len(fact) > 5:
                self.on_configs(index, replica, fact[5])
            if replica.role == "down" or (replica.recovering and replica.recovered_at is None):
                replica.reported = (last, term, vote)  # what the crash left, or a repair of it, before it was read
                continue
            if replica.recovering:
                self.close_recovery(index, replica)
            disk = replica.disk
            if replica.unsynced_vote is not None:
                self._check_vote_synced(index, replica, replica.unsynced_vote, last, term, vote)
            disk.term, disk.vote = term, vote
            if vote is not None:
                replica.firm.setdefault(term, vote)
                replica.group.reports_votes = True
            synced_term = fact[4] if len(fact) > 4 else None
            if disk.tail is not None or last < disk.last:
                self._shrink_durable(index, replica, last, synced_term)
            elif not disk.was_replaced(last, synced_term, replica.group.entries.term_of):
                disk.last = min(last, replica.log.last)
                self.ambiguous.discard(replica)
            else:
                self.ambiguous.add(replica)

    def _shrink_durable(self, index: int, replica: Replica, last: int, last_term: int | None) -> None:
        disk, group = replica.disk, replica.group
        tip = len(group.committed) - 1
        had_tip = disk.holds(tip, group.committed[tip])
        disk.advance(last, last_term, group.entries.term_of)
        if had_tip and not disk.holds(tip, group.committed[tip]):
            self.check_quorum(index, replica, "lost")

    def _check_vote_synced(
        self, index: int, replica: Replica, vote: tuple[int, str], last: int, term: int, durable_vote: str | None
    ) -> None:
        """Judge a report of the disk: the vote may be missing in it while writes from before the vote come through."""
        disk = replica.disk
        if term > vote[0] or (term, durable_vote) == vote:
            replica.unsynced_vote = None
            return
        is_early = (disk.term, disk.vote) != (term, durable_vote) or disk.last < last <= replica.unsynced_vote_behind
        replica.unsynced_vote_fsyncs += not is_early
        if replica.unsynced_vote_fsyncs >= VOTE_GRACE_FSYNCS:
            replica.unsynced_vote = None
            what = f"voted in term {vote[0]}; {VOTE_GRACE_FSYNCS} fsyncs later the vote is not on its disk"
            self._report(index, replica, "durable-ack", "vote", what, term=vote[0])

    def check_quorum(self, index: int, replica: Replica, detail: str) -> None:
        group = replica.group
        if not self._durable_facts:
            return
        commit = len(group.committed) - 1
        for voters in (group.judged.voters, group.judged.outgoing):
            holders = [name for name in voters if self._is_durable_on(index, group, name, commit, by=replica)]
            if voters and 2 * len(holders) <= len(voters):
                what = f"committed index {commit} is durable on {len(holders)} of {len(voters)} voters"
                self._report(index, replica, "committed-on-quorum", detail, what, log_index=commit, holders=holders)
                return

    def _is_durable_on(self, index: int, group: Group, name: str, commit: int, *, by: Replica) -> bool:
        replica = self._replicas.get((group.name, name))
        if replica is None:
            return False
        if replica is not by and replica.recovering and replica.recovered_at is not None:
            self.close_recovery(index, replica)  # its notes came in one piece, so a row of another actor is after them
        return replica.disk.holds(commit, group.committed[commit])
