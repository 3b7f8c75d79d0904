"""Rules of what stands in a log: `log-matching`, `payload-reuse`, `leader-append-only`, snapshots of what is committed,
and `term-monotone` along the entries.
"""

from __future__ import annotations

from array import array

from checkers.raft.findings import Findings
from checkers.raft.ledger import Replica, Replicas
from checkers.trace import Row

from .durability import Durability


class LogRules:
    """Judges appends, truncations and snapshots."""

    def __init__(self, replicas: Replicas, findings: Findings, durability: Durability) -> None:
        self._replicas = replicas
        self._report = findings.report
        self._in_recovery = durability.in_recovery
        self._close_recovery = durability.close_recovery

    def on_log_append(self, index: int, row: Row) -> None:
        time_ns, _, actor, name, first, entries = row
        replica = self._replicas[name, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        elif replica.config.is_cut:
            replica.config.is_cut = False
            noted = replica.config.noted
            what = f"goes on with {noted} of index {noted.index}, which it has cut off its log"
            self._report(index, replica, "in-force", "cut-off", what, log_index=first)
        log = replica.log
        if first != log.base + len(log.chain):
            self._make_contiguous(index, replica, first)
        chain = log.chain
        group = replica.group
        find, previous, term = group.entries.find, chain[-1], replica.term
        leads = replica.role == "leader"
        if leads and replica.config.is_outside:
            what = f"leads on and appends index {first}, having committed a configuration in which it has no vote"
            self._report(index, replica, "in-force", "leads-outside", what, log_index=first, term=term)
        if leads and (term, replica.name) not in group.winners:
            what = f"leads on and appends index {first} in term {term}, which it has not won"
            self._report(index, replica, "leader-append-only", "not-elected", what, log_index=first, term=term)
        for entry_term, digest in entries:
            identity = find(previous, entry_term, digest)
            if identity is None:
                identity = self._intern(index, replica, log.base + len(chain), previous, entry_term, digest)
            if leads and entry_term != term:
                what = f"appended an entry of term {entry_term} while leading term {term}"
                self._report(index, replica, "leader-append-only", "foreign-term", what, term=term)
            chain.append(identity)
            previous = identity
        if group.entries.term_of[previous] > term and not replica.recovering:
            what = f"holds an entry of term {group.entries.term_of[previous]} in term {term}"
            self._report(index, replica, "term-monotone", "log", what, term=term)

    def _intern(self, index: int, replica: Replica, at: int, previous: int, term: int, digest: bytes) -> int:
        """Give the entry its identity, and judge it against whatever was seen at (index, term) before."""
        entries = replica.group.entries
        other = entries.seen_at(at, term)
        identity = entries.add(at, previous, term, digest)
        if other is not None:
            if entries.digest_of(other) != digest:
                kind, what = "payload-reuse", f"index {at} of term {term} was seen with another payload"
            else:
                kind, what = "log-matching", f"index {at} of term {term} was seen after other entries"
            self._report(index, replica, kind, "", what, log_index=at, term=term)
        if term < entries.term_of[previous]:
            what = f"index {at} has term {term}, after an entry of term {entries.term_of[previous]}"
            self._report(index, replica, "term-monotone", "log", what, log_index=at, term=term)
        return identity

    def _make_contiguous(self, index: int, replica: Replica, first: int) -> None:
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
        known = first - 1 < len(committed)
        log.chain = array("q", [committed[first - 1] if known else replica.group.entries.add_unknown(first - 1)])

    def on_log_truncate(self, index: int, row: Row) -> None:
        replica = self._replicas[row[3], row[2]]
        self._close_recovery(index, replica)
        self._truncate(index, replica, row[4], "truncate")

    def _truncate(self, index: int, replica: Replica, first: int, detail: str) -> None:
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
        replica.config.is_cut = replica.config.noted.index >= first
        configs = replica.config.kept
        while len(configs) > 1 and configs[-1].index >= first:
            configs.pop()

    def on_snapshot(self, index: int, row: Row) -> None:
        time_ns, _, actor, name, how, at, term, state = row
        replica = self._replicas[name, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        group = replica.group
        committed = group.committed
        if at >= len(committed) or group.entries.term_of[committed[at]] != term:
            what = f"has a snapshot of index {at}, term {term}, which is not committed"
            self._report(index, replica, "state-machine-safety", "snapshot", what, log_index=at, term=term)
        first = group.applied.state_at(at)
        if state and first is not None and first != state:
            what = f"has a snapshot of index {at} with another state than was reached there"
            self._report(index, replica, "state-digest", "snapshot", what, log_index=at)
        if how == "taken":
            return
        replica.snapshot = (at, term)
        replica.rest_on_snapshot(at, term)
        replica.commit = max(replica.commit, at)
        replica.applied, replica.state = at, state
