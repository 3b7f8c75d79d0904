"""Raft's safety, judged at every event of the trace.

`Invariants` is fed one trace row at a time and collects an `Anomaly` at the very row where a violation became certain.
It believes no replica about the others: what a replica says of itself (`role`, `term`, `vote`, `log-append`, ...) is
compared with what all replicas ever said, and with what the disk model says is durable (`fsync` rows).

What is judged
--------------
The five properties of Figure 3 of the Raft paper (Ongaro and Ousterhout, USENIX ATC 2014): `election-safety`,
`leader-append-only`, `log-matching`, `leader-completeness`, `state-machine-safety`. Then what they rest on:

* `state-digest`: equal applied index means equal state digest, on every replica and every version of the code.
* `payload-reuse`: no (index, term) is ever seen with two payloads, in any log at any time, even in two logs that never
  exist together. It finds re-used indexes that checks of the present state cannot see.
* `own-term-commit`: a leader commits by counting replicas only at an entry of its own term (section 5.4.2, Figure 8).
* `term-monotone`, `commit-monotone`, `commit-bound`, `apply-order`: indexes and terms never go back within one life of
  a replica; applied <= commit <= last; a follower never commits what no leader has committed.
* `vote-once`: one vote a term, also across restarts once the vote was durable or left the node.
* `elected-on-quorum`: a leader's votes are durable on a majority when it takes office; judged in groups of which the
  disk model has ever reported a vote.
* `durable-ack`: after a restart, term, vote and log are at least what the disk model reported durable.
* `committed-on-quorum`: the committed prefix is on a durable quorum, when it is committed and ever after.
* `one-config`: at most one uncommitted configuration in a log.

How one event costs O(1)
------------------------
Every log entry is interned: (identity of the entry before it, term, payload digest) -> a small integer. Two logs are
equal up to an index exactly if they hold the same integer there, so a comparison of whole prefixes is a comparison of
two integers, exactly and without hashing chains. A second table, (index, term) -> first integer seen there, turns Log
Matching and payload re-use into one look-up when an entry is seen for the first time in its place.

Per group there is one list of committed integers. A commit that any replica reports must agree with it or extend it.
Leader Completeness is one comparison at election. It must count only what was committed in *earlier* terms: a node may
learn late that it won term 3, when the leader of term 4 has already committed more (section 5.4.3 speaks of leaders of
higher terms only), so each extension is remembered with the term of its reporter.

Durability
----------
An `fsync` row carries (group, last index, term, vote) and optionally the term of the last entry, which tells entries
apart when a driver goes on appending while its disk is busy. `_Disk` is the model of what is durable: a view of the
replica's log, plus the tail that memory has truncated and the disk has not yet.

A restart (`start`) forgets the volatile log. The notes that follow at one instant (role, term, vote, snapshot, log) are
what the replica recovered; when the instant is over they are compared with the disk. An un-synced truncation may have
survived the crash, so only the durable prefix below it is required. What the disk model reported between the crash and
these notes is what is durable from then on (a killed process finds un-synced writes that a power loss may still take);
without such a report, what was recovered is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from checkers.trace import Row
from checkers.verdict import Anomaly, Verdict

GENESIS: Final = 0
"""Identity of the empty log: what stands at index 0 of every log."""

VOTE_GRACE_FSYNCS: Final = 4
"""Reports of a group's durable state that may lack a vote already cast, beside those that tell of writes from before
the vote. One may have begun before the vote was written, and the files of a log rotation are synced one by one; after
so many, the vote was never written."""

SWALLOWED: Final = -1
"""Stands for an entry that a snapshot covers, whose identity is no longer known."""

Handler = Callable[[int, Row], None]


class Invariants:
    """Judge the safety of every group, event by event.

    `HANDLERS` maps each kind of row that matters to a bound method, so that a caller with its own dispatch never pays
    for the others. `anomalies` holds the first violation of each kind in each group, in order of discovery; `counts`
    says how often each (group, kind) was violated.

    With `durable_facts=False` nothing is concluded from `fsync` rows: for worlds that cannot look below a replica.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]], *, durable_facts: bool = True) -> None:
        self.anomalies: list[Anomaly] = []
        self.counts: dict[tuple[str, str], int] = {}
        self.HANDLERS: Final[dict[str, Handler]] = {
            "start": self._on_start,
            "stop": self._on_end,
            "crash": self._on_end,
            "role": self._on_role,
            "term": self._on_term,
            "vote": self._on_vote,
            "log-append": self._on_log_append,
            "log-truncate": self._on_log_truncate,
            "commit": self._on_commit,
            "apply": self._on_apply,
            "config": self._on_config,
            "snapshot": self._on_snapshot,
            "fsync": self._on_fsync,
        }
        self._replicas = _Replicas({name: _Group(name, tuple(voters)) for name, voters in groups.items()})
        self._durable_facts = durable_facts

    def observe(self, index: int, row: Row) -> None:
        """Judge the trace row at position `index`; kinds that say nothing of Raft are ignored."""
        handler = self.HANDLERS.get(row[1])
        if handler is not None:
            handler(index, row)

    def acknowledged(
        self, index: int, actor: str, group: str, term: int, *, last: int = 0, candidate: str | None = None
    ) -> None:
        """Judge what a message that left `actor` claims durable: the log up to `last`, or a vote, in `term`.

        For a harness that reads acknowledgements off the wire: the strongest form of `durable-ack`, and a vote that
        left binds across restarts whether it was durable or not.
        """
        replica = self._replicas[group, actor]
        self._close_recovery(index, replica)
        disk = replica.disk
        if candidate is not None:
            replica.firm.setdefault(term, candidate)
            if (disk.term, disk.vote) != (term, candidate) and disk.term <= term and self._durable_facts:
                self._report(index, replica, "durable-ack", "vote", f"told {candidate} of a vote that is not durable")
        if last > disk.last and self._durable_facts:
            self._report(index, replica, "durable-ack", "log", f"acknowledged index {last}, durable is {disk.last}")

    def progress(self, group: str, actor: str) -> tuple[int, int, bytes]:
        """What a replica said in this life: (committed up to, applied up to, digest of its state there)."""
        replica = self._replicas.get((group, actor))
        return (replica.commit, replica.applied, replica.state) if replica is not None else (0, 0, b"")

    def finish(self, index: int) -> None:
        """Close what waits for a next row: recoveries that were still going on when the trace ended at `index`."""
        for replica in self._replicas.values():
            if replica.recovering and replica.recovered_at is not None:
                self._close_recovery(index, replica)

    def verdict(self) -> Verdict:
        """Say what was found so far."""
        return Verdict(
            validity="invalid" if self.anomalies else "valid",
            checker="raft",
            engine="incremental",
            anomalies=tuple(self.anomalies),
            details={"counts": {f"{group}/{kind}": count for (group, kind), count in self.counts.items()}},
        )

    # The life of an actor

    def _on_start(self, index: int, row: Row) -> None:
        for replica in self._replicas.of(row[2]):
            self._end(index, replica)
            replica.restart()

    def _on_end(self, index: int, row: Row) -> None:
        for replica in self._replicas.of(row[2]):
            self._end(index, replica)

    def _end(self, index: int, replica: _Replica) -> None:
        if replica.recovering and replica.recovered_at is not None:
            self._close_recovery(index, replica)
        replica.role = "down"
        replica.group.leaders.pop(replica.name, None)

    # Elections

    def _on_role(self, index: int, row: Row) -> None:
        time_ns, _, actor, group, role, term = row
        replica = self._replicas[group, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
            if role != "follower":
                self._close_recovery(index, replica)
        self._raise_term(index, replica, term, "role")
        if role == "leader":
            self._elected(index, replica, term)
        else:
            replica.group.leaders.pop(actor, None)
        replica.role = role

    def _elected(self, index: int, replica: _Replica, term: int) -> None:
        group = replica.group
        won = group.leader_of.setdefault(term, (replica.name, replica.life))
        if won[0] != replica.name:
            self._report(index, replica, "election-safety", "", f"won term {term}, which {won[0]} had won", term=term)
        elif won[1] != replica.life:
            self._report(index, replica, "election-safety", "restarted", f"won term {term} in two lives", term=term)
        self._check_complete(index, replica, group.committed_before(term), "elected")
        if group.reports_votes:
            self._check_votes(index, replica, term)
        group.leaders[replica.name] = replica

    def _check_votes(self, index: int, replica: _Replica, term: int) -> None:
        """Count the voters whose vote a power loss could not take back. A later durable term covers an earlier vote."""
        group, config = replica.group, replica.configs[-1]
        for voters in (config.voters, config.outgoing):
            holders = [name for name in voters if self._has_voted(group, name, term, replica.name)]
            if voters and 2 * len(holders) <= len(voters):
                what = f"won term {term} with durable votes of {len(holders)} of {len(voters)} voters"
                self._report(index, replica, "elected-on-quorum", "", what, term=term, holders=holders)
                return

    def _has_voted(self, group: _Group, name: str, term: int, candidate: str) -> bool:
        voter = self._replicas.get((group.name, name))
        if voter is None:
            return False
        if voter.firm.get(term) == candidate:
            return True
        return voter.disk.term > term and voter.votes.get(term) == candidate

    def _check_complete(self, index: int, replica: _Replica, last: int, detail: str) -> None:
        if not replica.log.holds(last, replica.group.committed[last]):
            what = f"leads term {replica.term} without committed index {last}"
            self._report(index, replica, "leader-completeness", detail, what, log_index=last, term=replica.term)

    def _on_term(self, index: int, row: Row) -> None:
        time_ns, _, actor, group, term = row
        replica = self._replicas[group, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        self._raise_term(index, replica, term, "term")

    def _raise_term(self, index: int, replica: _Replica, term: int, detail: str) -> None:
        if term < replica.term:
            what = f"went from term {replica.term} to {term}"
            self._report(index, replica, "term-monotone", detail, what, term=term)
        replica.term = term

    def _on_vote(self, index: int, row: Row) -> None:
        time_ns, _, actor, group, term, candidate = row
        replica = self._replicas[group, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        if candidate is None:
            return
        self._raise_term(index, replica, term, "vote")
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

    # The log

    def _on_log_append(self, index: int, row: Row) -> None:
        time_ns, _, actor, name, first, entries = row
        replica = self._replicas[name, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        log = replica.log
        if first != log.base + len(log.chain):
            self._make_contiguous(index, replica, first)
        chain = log.chain
        group = replica.group
        interned, previous, term = group.interned, chain[-1], replica.term
        leads = replica.role == "leader"
        for entry_term, digest in entries:
            identity = interned.get((previous, entry_term, digest))
            if identity is None:
                identity = self._intern(index, replica, log.base + len(chain), previous, entry_term, digest)
            if leads and entry_term != term:
                what = f"appended an entry of term {entry_term} while leading term {term}"
                self._report(index, replica, "leader-append-only", "foreign-term", what, term=term)
            chain.append(identity)
            previous = identity
        if group.term_of[previous] > term and not replica.recovering:
            what = f"holds an entry of term {group.term_of[previous]} in term {term}"
            self._report(index, replica, "term-monotone", "log", what, term=term)

    def _intern(self, index: int, replica: _Replica, at: int, previous: int, term: int, digest: bytes) -> int:
        """Give the entry its identity, and judge it against whatever was seen at (index, term) before."""
        group = replica.group
        other = group.seen.get((at, term))
        identity = group.new_identity(at, previous, term, digest)
        if other is not None:
            if group.digest_of[other] != digest:
                kind, what = "payload-reuse", f"index {at} of term {term} was seen with another payload"
            else:
                kind, what = "log-matching", f"index {at} of term {term} was seen after other entries"
            self._report(index, replica, kind, "", what, log_index=at, term=term)
        if term < group.term_of[previous]:
            what = f"index {at} has term {term}, after an entry of term {group.term_of[previous]}"
            self._report(index, replica, "term-monotone", "log", what, log_index=at, term=term)
        return identity

    def _make_contiguous(self, index: int, replica: _Replica, first: int) -> None:
        """Cope with an append that does not continue the log: judge it, and leave the log ending before `first`."""
        log, committed = replica.log, replica.group.committed
        if first > log.last + 1:
            what = f"appended index {first} after index {log.last}"
            self._report(index, replica, "log-matching", "gap", what, log_index=first)
        if not replica.recovering:
            if log.base < first <= log.last:
                self._truncate(index, replica, first, "overwrite")
                return
            replica.disk.keep_tail(log.base + 1)
        # A recovered log may begin below the recovered snapshot: entries that were kept for slow followers.
        log.base = first - 1
        log.chain = [committed[first - 1] if first - 1 < len(committed) else replica.group.unknown(first - 1)]

    def _on_log_truncate(self, index: int, row: Row) -> None:
        replica = self._replicas[row[3], row[2]]
        self._close_recovery(index, replica)
        self._truncate(index, replica, row[4], "truncate")

    def _truncate(self, index: int, replica: _Replica, first: int, detail: str) -> None:
        log = replica.log
        if first > log.last:
            return
        if replica.role == "leader":
            what = f"cut its own log from index {first} while leading term {replica.term}"
            self._report(index, replica, "leader-append-only", detail, what, log_index=first, term=replica.term)
        if first <= replica.commit:
            what = f"cut its log from index {first}, committed up to {replica.commit}"
            self._report(index, replica, "commit-monotone", "truncate", what, log_index=first)
        first = max(first, log.base + 1)
        replica.disk.keep_tail(first)
        del log.chain[first - log.base :]
        configs = replica.configs
        while len(configs) > 1 and configs[-1].index >= first:
            configs.pop()

    # Commit and apply

    def _on_commit(self, index: int, row: Row) -> None:
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
        if commit > agreed:
            self._extend_committed(index, replica, commit)

    def _check_own_term(self, index: int, replica: _Replica, commit: int) -> None:
        log, group = replica.log, replica.group
        term = group.term_of[log.chain[commit - log.base]] if commit > log.base else replica.term
        if term != replica.term:
            what = f"committed index {commit} of term {term} by counting, while leading term {replica.term}"
            self._report(index, replica, "own-term-commit", "", what, log_index=commit, term=replica.term)

    def _extend_committed(self, index: int, replica: _Replica, commit: int) -> None:
        log, group = replica.log, replica.group
        first = len(group.committed)
        group.committed.extend(log.chain[first - log.base : commit - log.base + 1])
        group.mark_committed(replica.term, commit)
        if replica.role != "leader":
            what = f"committed index {commit}, no leader has committed more than {first - 1}"
            self._report(index, replica, "commit-bound", "ahead-of-leader", what, log_index=commit)
        group.judged = replica.configs[-1]
        self._check_quorum(index, replica, "commit")
        for leader in group.leaders.values():
            if leader.term > replica.term:
                self._check_complete(index, leader, commit, "committed-later")

    def _check_quorum(self, index: int, replica: _Replica, detail: str) -> None:
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

    def _is_durable_on(self, index: int, group: _Group, name: str, commit: int, *, by: _Replica) -> bool:
        replica = self._replicas.get((group.name, name))
        if replica is None:
            return False
        if replica is not by and replica.recovered_at is not None:
            self._close_recovery(index, replica)  # its notes came in one piece, so a row of another actor is after them
        return replica.disk.holds(commit, group.committed[commit])

    def _on_apply(self, index: int, row: Row) -> None:
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
        position = applied - log.base
        if 0 < position < len(log.chain) and group.digest_of[log.chain[position]] != command:
            what = f"applied at index {applied} another command than its log holds"
            self._report(index, replica, "state-machine-safety", "not-the-log", what, log_index=applied)
        first = group.applied.get(applied)
        if first is None:
            group.applied[applied] = (command, state)
        elif first[0] != command:
            what = f"applied at index {applied} another command than was applied before"
            self._report(index, replica, "state-machine-safety", "apply", what, log_index=applied)
        elif first[1] != state:
            what = f"has another state after index {applied} than was reached before"
            self._report(index, replica, "state-digest", "apply", what, log_index=applied)

    # Configurations and snapshots

    def _on_config(self, index: int, row: Row) -> None:
        time_ns, _, actor, name, at, voters, outgoing, _learners = row
        replica = self._replicas[name, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        configs, committed = replica.configs, replica.group.committed
        while len(configs) > 1 and configs[-1].index >= at:
            configs.pop()
        before = configs[-1].index
        known = replica.log.base <= before <= replica.log.last
        is_committed = before < len(committed) and (not known or replica.log.holds(before, committed[before]))
        # Followers copy a leader's log and learn of commits late: only the leader that appends can break the rule.
        if before < at and not is_committed and replica.role == "leader":
            what = f"put a configuration at index {at} while that of index {before} is not committed"
            self._report(index, replica, "one-config", "", what, log_index=at)
        configs.append(_Config(at, tuple(voters), tuple(outgoing)))

    def _on_snapshot(self, index: int, row: Row) -> None:
        time_ns, _, actor, name, how, at, term, state = row
        replica = self._replicas[name, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        group = replica.group
        committed = group.committed
        if at >= len(committed) or group.term_of[committed[at]] != term:
            what = f"has a snapshot of index {at}, term {term}, which is not committed"
            self._report(index, replica, "state-machine-safety", "snapshot", what, log_index=at, term=term)
        first = group.applied.get(at)
        if state and first is not None and first[1] != state:
            what = f"has a snapshot of index {at} with another state than was reached there"
            self._report(index, replica, "state-digest", "snapshot", what, log_index=at)
        if how == "taken":
            return
        replica.snapshot = (at, term)
        self._rest_on_snapshot(replica, at, term)
        replica.commit = max(replica.commit, at)
        replica.applied, replica.state = at, state

    def _rest_on_snapshot(self, replica: _Replica, at: int, term: int) -> None:
        """Let the log begin at the snapshot, unless it holds the snapshot's last entry (section 7, rule 6)."""
        log, group = replica.log, replica.group
        if log.base <= at <= log.last and group.term_of[log.chain[at - log.base]] == term:
            return
        if not replica.recovering:
            replica.disk.keep_tail(log.base + 1)
        identity = group.seen.get((at, term))
        log.base = at
        log.chain = [group.unknown(at, term) if identity is None else identity]

    # Durability

    def _on_fsync(self, index: int, row: Row) -> None:
        if not self._durable_facts:
            return
        for fact in row[4]:
            name, last, term, vote = fact[:4]
            replica = self._replicas[name, row[2]]
            if replica.role == "down" or (replica.recovering and replica.recovered_at is None):
                replica.reported = (last, term, vote)  # what the crash left, or a repair of it, before it was read
                continue
            if replica.recovering:
                self._close_recovery(index, replica)
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
            elif not disk.was_replaced(last, synced_term, replica.group.term_of):
                disk.last = min(last, replica.log.last)

    def _shrink_durable(self, index: int, replica: _Replica, last: int, last_term: int | None) -> None:
        disk, group = replica.disk, replica.group
        tip = len(group.committed) - 1
        had_tip = disk.holds(tip, group.committed[tip])
        disk.advance(last, last_term, group.term_of)
        if had_tip and not disk.holds(tip, group.committed[tip]):
            self._check_quorum(index, replica, "lost")

    def _check_vote_synced(
        self, index: int, replica: _Replica, vote: tuple[int, str], last: int, term: int, durable_vote: str | None
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

    def _in_recovery(self, index: int, replica: _Replica, time_ns: int) -> None:
        """Open the instant of recovery at the first row after a start; close it at the first row of another instant."""
        if replica.recovered_at is None:
            replica.recovered_at = time_ns
        elif replica.recovered_at != time_ns:
            self._close_recovery(index, replica)

    def _close_recovery(self, index: int, replica: _Replica) -> None:
        if not replica.recovering:
            return
        log = replica.log
        if log.last < replica.snapshot[0]:
            self._rest_on_snapshot(replica, *replica.snapshot)
        replica.recovering = False
        if self._durable_facts:
            self._check_recovered(index, replica)
        committed = replica.group.committed
        tip = len(committed) - 1
        had_tip = replica.disk.holds(tip, committed[tip])
        reported = replica.reported or (log.last, replica.term, replica.votes.get(replica.term))
        replica.disk = _Disk(log)
        replica.disk.last = min(reported[0], log.last)
        replica.disk.term, replica.disk.vote = reported[1:]
        replica.reported = None
        if had_tip and not replica.disk.holds(tip, committed[tip]):
            self._check_quorum(index, replica, "lost")

    def _check_recovered(self, index: int, replica: _Replica) -> None:
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

    # Bookkeeping

    def _report(self, index: int, replica: _Replica, kind: str, detail: str, what: str, **evidence: Any) -> None:
        group = replica.group.name
        count = self.counts.get((group, kind), 0)
        self.counts[group, kind] = count + 1
        if count:
            return
        self.anomalies.append(
            Anomaly(
                checker="raft",
                kind=kind,
                detail=detail,
                index=index,
                message=f"{replica.name} ({group}) {what}",
                evidence={"actor": replica.name, "group": group, **evidence},
            )
        )


class _Config:
    """Who votes from `index` on; `outgoing` is non-empty in a joint configuration."""

    __slots__ = ("index", "outgoing", "voters")

    def __init__(self, index: int, voters: tuple[str, ...], outgoing: tuple[str, ...] = ()) -> None:
        self.index = index
        self.voters = voters
        self.outgoing = outgoing


class _Group:
    """What is known of a group as a whole: every entry ever seen, what is committed, who led which term."""

    __slots__ = (
        "applied",
        "committed",
        "digest_of",
        "first_config",
        "interned",
        "judged",
        "leader_of",
        "leaders",
        "marks",
        "name",
        "reports_votes",
        "seen",
        "term_of",
    )

    def __init__(self, name: str, voters: tuple[str, ...]) -> None:
        self.name = name
        self.first_config = _Config(0, voters)
        self.judged = self.first_config  # under which the last extension of `committed` was judged
        self.interned: dict[tuple[int, int, bytes], int] = {}
        self.seen: dict[tuple[int, int], int] = {(0, 0): GENESIS}  # (index, term) -> first identity seen there
        self.term_of: list[int] = [0]
        self.digest_of: list[bytes] = [b""]
        self.committed: list[int] = [GENESIS]
        self.marks: list[tuple[int, int]] = []  # (term, last index committed in it), both increasing
        self.applied: dict[int, tuple[bytes, bytes]] = {}  # index -> (command, state)
        self.leader_of: dict[int, tuple[str, int]] = {}  # term -> (actor, its life)
        self.leaders: dict[str, _Replica] = {}
        self.reports_votes = False  # whether the disk model has ever reported a vote

    def new_identity(self, at: int, previous: int, term: int, digest: bytes) -> int:
        """Name an entry that was never seen after `previous`."""
        identity = len(self.term_of)
        self.interned[previous, term, digest] = identity
        self.seen.setdefault((at, term), identity)
        self.term_of.append(term)
        self.digest_of.append(digest)
        return identity

    def unknown(self, at: int, term: int = 0) -> int:
        """Name an entry at `at` that nobody was seen to append; it agrees with nothing."""
        identity = len(self.term_of)
        self.term_of.append(term)
        self.digest_of.append(b"")
        if term:
            self.seen.setdefault((at, term), identity)
        return identity

    def mark_committed(self, term: int, commit: int) -> None:
        """Remember that `commit` was committed in `term` at the latest."""
        marks = self.marks
        while marks and marks[-1][0] >= term:
            marks.pop()
        marks.append((term, commit))

    def committed_before(self, term: int) -> int:
        """Return the last index known to be committed in a term lower than `term`."""
        position = bisect_left(self.marks, (term, 0))
        return self.marks[position - 1][1] if position else 0


class _Log:
    """Identities of the entries from `base` on; `chain[0]` is that of `base`, which a snapshot covers (or 0)."""

    __slots__ = ("base", "chain")

    def __init__(self) -> None:
        self.base = 0
        self.chain = [GENESIS]

    @property
    def last(self) -> int:
        return self.base + len(self.chain) - 1

    def holds(self, index: int, identity: int) -> bool:
        """Whether the log up to `index` is the one that ends in `identity`; below `base` a snapshot vouches for it."""
        position = index - self.base
        return position < len(self.chain) and (position < 0 or self.chain[position] == identity)


class _Disk:
    """What is durable of a replica: its log up to `last` with `tail` in place of what memory has truncated since."""

    __slots__ = ("last", "log", "tail", "tail_first", "term", "vote")

    def __init__(self, log: _Log) -> None:
        self.log = log
        self.last = 0
        self.tail: list[int] | None = None
        self.tail_first = 0
        self.term = 0
        self.vote: str | None = None

    @property
    def required(self) -> int:
        """The last index that a crash cannot take away."""
        return self.last if self.tail is None else min(self.last, self.tail_first - 1)

    def identity(self, index: int) -> int:
        """Return the identity at `index <= last`, or `SWALLOWED`."""
        if self.tail is not None and index >= self.tail_first:
            return self.tail[index - self.tail_first]
        position = index - self.log.base
        return self.log.chain[position] if position >= 0 else SWALLOWED

    def holds(self, index: int, identity: int) -> bool:
        """Whether the durable log up to `index` is the one that ends in `identity`."""
        return index <= self.last and self.identity(index) in (identity, SWALLOWED)

    def keep_tail(self, first: int) -> None:
        """Keep the durable entries from `first` on, which the log in memory is about to lose."""
        if first > self.last or (self.tail is not None and first >= self.tail_first):
            return
        end = self.last + 1 if self.tail is None else self.tail_first
        lost = self.log.chain[first - self.log.base : end - self.log.base]
        self.tail = lost + (self.tail or [])
        self.tail_first = first

    def advance(self, last: int, last_term: int | None, term_of: Sequence[int]) -> None:
        """Take a report of the disk; without `last_term`, what memory holds is taken to be what was synced."""
        if self.tail is not None and not self._is_old(last, last_term, term_of):
            self.tail = None
        end = self.log.last if self.tail is None else self.tail_first + len(self.tail) - 1
        self.last = min(last, end)

    def was_replaced(self, last: int, last_term: int | None, term_of: Sequence[int]) -> bool:
        """Whether memory holds another entry at `last` than the one that was synced: it was replaced meanwhile.

        Then nothing above what was durable before is known to be on the disk *and* in the log.
        """
        position = last - self.log.base
        if last_term is None or not 0 < position < len(self.log.chain):
            return False
        return term_of[self.log.chain[position]] != last_term

    def _is_old(self, last: int, last_term: int | None, term_of: Sequence[int]) -> bool:
        """Whether a report speaks of the entries before the truncation, which had not reached the disk yet."""
        if self.tail is None or last_term is None or not self.tail_first <= last < self.tail_first + len(self.tail):
            return False
        position = last - self.log.base
        is_in_memory = 0 <= position < len(self.log.chain) and term_of[self.log.chain[position]] == last_term
        return not is_in_memory and term_of[self.tail[last - self.tail_first]] == last_term


class _Replicas(dict[tuple[str, str], "_Replica"]):
    """All replicas by (group, actor); one that was not heard of before is made when it is asked for."""

    def __init__(self, groups: Mapping[str, _Group]) -> None:
        super().__init__()
        self._groups = groups
        self._of: dict[str, list[_Replica]] = {}

    def __missing__(self, key: tuple[str, str]) -> _Replica:
        group, actor = key
        replica = self[key] = _Replica(actor, self._groups[group])
        self._of.setdefault(actor, []).append(replica)
        return replica

    def of(self, actor: str) -> Sequence[_Replica]:
        """The replicas of one actor."""
        return self._of.get(actor, ())


class _Replica:
    """One actor's replica of one group, as its notes and its disk describe it."""

    __slots__ = (
        "applied",
        "commit",
        "configs",
        "disk",
        "firm",
        "group",
        "life",
        "log",
        "name",
        "recovered_at",
        "recovering",
        "reported",
        "role",
        "snapshot",
        "state",
        "term",
        "unsynced_vote",
        "unsynced_vote_behind",
        "unsynced_vote_fsyncs",
        "votes",
    )

    def __init__(self, name: str, group: _Group) -> None:
        self.name = name
        self.group = group
        self.life = 0
        self.log = _Log()
        self.disk = _Disk(self.log)
        self.reported: tuple[int, int, str | None] | None = None  # of the disk, since the crash: (last, term, vote)
        self.firm: dict[int, str] = {}  # votes that bind beyond this life: durable, or sent
        self._begin()

    def restart(self) -> None:
        """Forget what was volatile; the disk keeps its view of the former log until the recovery is over."""
        self.life += 1
        self.log = _Log()
        self._begin()

    def _begin(self) -> None:
        self.role = "follower"
        self.term = 0
        self.votes: dict[int, str] = {}  # term -> candidate, of this life
        self.commit = 0
        self.applied = 0
        self.state = b""  # the digest of its machine, when it has applied that
        self.snapshot = (0, 0)  # (index, term) on which this life's state rests
        self.configs = [self.group.first_config]
        self.unsynced_vote: tuple[int, str] | None = None
        self.unsynced_vote_behind = 0  # where the log ended when it was cast
        self.unsynced_vote_fsyncs = 0
        self.recovering = True
        self.recovered_at: int | None = None  # the instant of its recovery notes
