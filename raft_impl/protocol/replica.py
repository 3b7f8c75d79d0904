"""What every node is, whatever its role: term, vote, log, configurations, commit; and the `Ready` being filled.

All changes of durable state go through here, so that exactly one place decides what must be written, in which order,
and which notes report it. Roles (`follower`, `leader`, the elections in `core`) decide; the replica acts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from . import marks
from .config import Config
from .errors import MisuseError, SafetyError
from .log import Log
from .membership import Memberships
from .ready import Persist, Ready
from .state import Entry, HardState, Index, Membership, NodeId, Snapshot, SnapshotMeta, Term


class Replica:
    """The state of figure 2 that outlives a role."""

    def __init__(
        self,
        node: NodeId,
        config: Config,
        *,
        hard_state: HardState,
        snapshot: Snapshot | None,
        entries: Sequence[Entry],
        membership: Membership,
        applied: Index,
    ) -> None:
        """Take up what was recovered from disk; `membership` is that of index 0."""
        self.node = node
        self.config = config
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.snapshot = snapshot  # the newest durable image: what a follower gets when entries are gone
        meta = snapshot.meta if snapshot is not None else SnapshotMeta(Index(0), Term(0), membership)
        self.log = _recover(meta, entries)
        self.memberships = Memberships(meta.index, meta.membership, self.log.between(self.log.first, self.log.last))
        self.commit = meta.index
        self.handed = max(meta.index, applied)  # the last index given to the driver to apply
        self.applied = self.handed  # the last index the driver said it applied
        self.out = Ready()
        self._noted = self.log.last  # the last index that notes reported
        self._token = 0
        self._hard_handed = hard_state  # given to the driver
        self.hard_durable = hard_state  # known to be durable
        self._hard_writes: deque[tuple[int, HardState]] = deque()
        self._new_snapshot: Snapshot | None = None
        self._has_news = False  # whether anything changed that must become durable
        self._cuts: deque[tuple[int, Index]] = deque()  # (token, index): once durable, drop the log up to index
        self._cut_to: Index | None = None

    def mark(self, name: str) -> None:
        """Note that a rare situation has come up."""
        self.out.notes.append(("mark", name))

    # term and vote

    @property
    def hard_state(self) -> HardState:
        """The one record of (term, vote)."""
        return HardState(self.term, self.vote)

    def adopt_term(self, term: Term) -> None:
        """Move to a later term, in which this node has not voted."""
        if term <= self.term:
            raise SafetyError(f"term {self.term} would become {term}")
        self.term = term
        self.vote = None
        self._has_news = True
        self.out.notes.append(("term", term))

    def cast_vote(self, candidate: NodeId) -> None:
        """Vote in the current term: once."""
        if self.vote == candidate:
            return
        if self.vote is not None:
            raise SafetyError(f"a second vote in term {self.term}")
        self.vote = candidate
        self._has_news = True
        self.out.notes.append(("vote", self.term, candidate))

    # log

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries after the last one; a configuration among them is in force at once."""
        self.log.append(entries)
        self._has_news = True
        if self.memberships.append(entries):
            self._note_membership()

    def truncate(self, index: Index) -> None:
        """Drop entries that contradict the leader's; a configuration among them was never in force."""
        if index <= self.commit:
            raise SafetyError(f"entry {index} is committed (up to {self.commit}) and would be truncated")
        self._note_appends()
        self.mark(marks.ENTRIES_CUT)
        if self.log.term(index) != self.log.last_term:
            self.mark(marks.TERMS_CUT)
        if self.log.durable < self.log.last:
            self.mark(marks.CUT_NOT_DURABLE)
        self.log.truncate(index)
        self._has_news = True
        self._noted = self.log.last
        self.out.notes.append(("log-truncate", index))
        if self.memberships.truncate(index):
            self.mark(marks.CONFIGURATION_CUT)
            self._note_membership()

    def commit_to(self, index: Index) -> None:
        """Raise the commit index."""
        if index > self.log.last:
            raise SafetyError(f"commit index {index} is beyond the log, which ends at {self.log.last}")
        if index > self.commit:
            self._note_appends()
            self.commit = index
            self.out.notes.append(("commit", index))

    def is_up_to_date(self, last_term: Term, last_index: Index) -> bool:
        """Whether a log with this end is at least as complete as ours (section 5.4.1)."""
        terms, lengths = last_term - self.log.last_term, last_index - self.log.last
        if terms * lengths < 0:
            self.mark(marks.VOTE_TERM_AGAINST_LENGTH)
        return (last_term, last_index) >= (self.log.last_term, self.log.last)

    # snapshots

    def compact(self, index: Index, snapshot: Snapshot) -> None:
        """Have an image of applied state made durable, and the log up to `index` dropped after that."""
        meta = snapshot.meta
        if not index <= meta.index <= self.applied:
            raise MisuseError(f"compact to {index} with a snapshot at {meta.index}, applied is {self.applied}")
        if self._newest_snapshot_index() >= meta.index:
            self.mark(marks.TAKEN_TOO_LATE)
            return
        if meta.membership.is_joint:
            self.mark(marks.TAKEN_IN_JOINT)
        if self.memberships.index > meta.index:
            self.mark(marks.TAKEN_IN_CHANGE)
        self._new_snapshot = snapshot
        self._has_news = True
        self._cut_to = max(index, self.log.base)
        self.out.notes.append(("snapshot", "taken", meta.index, meta.term, b""))

    def install(self, snapshot: Snapshot) -> None:
        """Take over a leader's image beyond our commit index.

        If our log has the snapshot's last entry, what follows on it is kept; else all of it is dropped, because nothing
        says that the rest belongs to the same history (section 7). An entry that has not even been handed out to be
        written is not written any more: the log on disk restarts behind the snapshot.
        """
        meta = snapshot.meta
        self._mark_installation(meta)
        self._note_appends()
        if self.log.term(meta.index) != meta.term:
            if self.log.last > self.commit:
                self.out.notes.append(("log-truncate", Index(self.commit + 1)))
            self.log.restore(meta.index, meta.term)
            self.memberships.restore(meta.index, meta.membership)
            self._cut_to = None
        elif self.log.is_handed(meta.index):
            self._cut_to = meta.index
        else:
            self.log.restore(meta.index, meta.term)
            self.memberships.compact(meta.index)
            self._cut_to = None
        self._noted = self.log.last
        self.commit = self.handed = meta.index
        self._new_snapshot = snapshot
        self._has_news = True
        self.out.restore = snapshot
        self.out.notes.append(("snapshot", "installed", meta.index, meta.term, b""))
        self._note_membership()

    def _mark_installation(self, meta: SnapshotMeta) -> None:
        if self.log.term(meta.index) != meta.term:
            if self.log.last > self.commit:
                self.mark(marks.INSTALLED_OVER_CONFLICT)
        else:
            is_written = self.log.is_handed(meta.index)
            self.mark(marks.INSTALLED_IN_LOG if is_written else marks.INSTALLED_BEFORE_WRITE)

    def meta_at(self, index: Index) -> SnapshotMeta:
        """The head of a snapshot at an applied index."""
        term = self.log.term(index)
        if term is None or index > self.applied:
            raise MisuseError(f"no snapshot can be taken at {index}: applied is {self.applied}, base {self.log.base}")
        return SnapshotMeta(index, term, self.memberships.at(index))

    # the Ready

    def start(self) -> None:
        """Note what was recovered."""
        notes = self.out.notes
        if self.term:
            notes.append(("term", self.term))
        if self.vote is not None:
            notes.append(("vote", self.term, self.vote))
        if self.snapshot is not None:
            meta = self.snapshot.meta
            notes.append(("snapshot", "recovered", meta.index, meta.term, b""))
        if self.log.last > self.log.base:
            self._noted = self.log.base
            self._note_appends()
        if self.commit:
            notes.append(("commit", self.commit))
        self._note_membership()

    def collect(self) -> Ready:
        """Close the `Ready`: what to write, what to apply; and begin the next one."""
        out = self.out
        if self._has_news:
            self._has_news = False
            self._note_appends()
            out.persist = self._hand_out()
        handed = self.handed
        if handed < self.commit and handed < self.log.durable:
            self.handed = min(self.commit, self.log.durable)
            out.apply = self.log.between(Index(handed + 1), self.handed)
        self.out = Ready()
        return out

    def persisted(self, token: int) -> None:
        """Take note that all writes up to `token` are durable."""
        if token > self._token:
            raise MisuseError(f"write {token} was acknowledged but only {self._token} were asked for")
        self.log.acknowledge(token)
        while self._hard_writes and self._hard_writes[0][0] <= token:
            self.hard_durable = self._hard_writes.popleft()[1]
        while self._cuts and self._cuts[0][0] <= token:
            _, index = self._cuts.popleft()
            if index > self.log.base:
                self.log.compact(index)
                self.memberships.compact(index)

    def _hand_out(self) -> Persist:
        self._token += 1
        hard_state, handed = None, self._hard_handed
        if self.term != handed.term or self.vote != handed.vote:
            hard_state = self._hard_handed = self.hard_state
            self._hard_writes.append((self._token, hard_state))
        truncate_from, entries = self.log.hand_out(self._token)
        snapshot, self._new_snapshot = self._new_snapshot, None
        if snapshot is not None:
            self.snapshot = snapshot
            if self._cut_to is not None:
                self._cuts.append((self._token, self._cut_to))
        return Persist(self._token, hard_state, truncate_from, entries, snapshot)

    def _newest_snapshot_index(self) -> Index:
        newest = self._new_snapshot or self.snapshot
        return newest.meta.index if newest is not None else Index(0)

    def _note_appends(self) -> None:
        first = Index(self._noted + 1)
        if first <= self.log.last:
            self.out.notes.append(("log-append", first, tuple(self.log.between(first, self.log.last))))
            self._noted = self.log.last

    def _note_membership(self) -> None:
        membership = self.memberships.current
        self._note_appends()
        self.out.notes.append(
            ("config", self.memberships.index, membership.voters, membership.outgoing, membership.learners)
        )


def _recover(meta: SnapshotMeta, entries: Sequence[Entry]) -> Log:
    """Join a snapshot and the entries found beside it.

    Entries from before the snapshot are kept for followers that are a little behind. A log that ends before the
    snapshot or contradicts it is left over from an installation that a crash interrupted: the snapshot is right, and
    the first write cuts all of that log off.
    """
    if not entries:
        return Log(meta.index, meta.term)
    first, last = entries[0].index, entries[-1].index
    if first == meta.index + 1:
        return Log(meta.index, meta.term, entries)
    if first <= meta.index <= last and entries[meta.index - first].term == meta.term:
        return Log(first, entries[0].term, entries[1:])
    if first > meta.index:
        raise SafetyError(f"the log begins at {first} but the snapshot ends at {meta.index}")
    return Log(meta.index, meta.term, truncate_from=Index(1))
