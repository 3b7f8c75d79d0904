"""The ledger of the Raft rules: what the trace told so far of each group, each replica's log and each replica's disk.

It records and compares, and judges nothing; the rules are in `rules/`.

How one event costs O(1)
------------------------
Every log entry is interned: (identity of the entry before it, term, payload digest) -> a small integer (`entries`). Two
logs are equal up to an index exactly if they hold the same integer there, so a comparison of whole prefixes is a
comparison of two integers, exactly and without hashing chains. A second table, (index, term) -> first integer seen
there, turns Log Matching and payload re-use into one look-up when an entry is seen for the first time in its place.

Per group there is one list of committed integers. A commit that any replica reports must agree with it or extend it.
Leader Completeness is one comparison at election. It must count only what was committed in *earlier* terms: a node may
learn late that it won term 3, when the leader of term 4 has already committed more (section 5.4.3 speaks of leaders of
higher terms only), so each extension is remembered with the term of its reporter.

`Disk` is the model of what is durable: a view of the replica's log, plus the tail that memory has truncated and the
disk has not yet.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final

from .entries import GENESIS, Applied, Entries

SWALLOWED: Final = -1
"""Stands for an entry that a snapshot covers, whose identity is no longer known."""


class Config:
    """Who votes and who learns from `index` on; `outgoing` is non-empty in a joint configuration."""

    __slots__ = ("index", "learners", "outgoing", "voters")

    def __init__(
        self, index: int, voters: Sequence[str], outgoing: Sequence[str] = (), learners: Sequence[str] = ()
    ) -> None:
        self.index = index
        self.voters = tuple(sorted(voters))
        self.outgoing = tuple(sorted(outgoing))
        self.learners = tuple(sorted(learners))

    def equals(self, other: Config) -> bool:
        """Whether both say the same, wherever they stand."""
        return (self.voters, self.outgoing, self.learners) == (other.voters, other.outgoing, other.learners)

    def has_voter(self, name: str) -> bool:
        """Whether a vote of this node counts."""
        return name in self.voters or name in self.outgoing

    def __str__(self) -> str:
        parts = [f"voters {','.join(self.voters)}"]
        if self.outgoing:
            parts.append(f"outgoing {','.join(self.outgoing)}")
        if self.learners:
            parts.append(f"learners {','.join(self.learners)}")
        return " ".join(parts)


class Group:
    """What is known of a group as a whole: every entry ever seen, what is committed, who led which term."""

    __slots__ = (
        "applied",
        "committed",
        "config_indexes",
        "configs",
        "entries",
        "first_config",
        "judged",
        "leader_of",
        "leaders",
        "marks",
        "name",
        "reports_votes",
        "winners",
    )
    __deletable__ = ("applied", "committed", "entries")

    def __init__(self, name: str, voters: Sequence[str], learners: Sequence[str] = ()) -> None:
        self.name = name
        self.first_config = Config(0, voters, (), learners)
        self.configs: list[tuple[int, Config]] = []  # (identity, content) of entries read from disks, by index
        self.config_indexes: set[int] = set()  # where they stand
        self.judged = self.first_config  # under which the last extension of `committed` was judged
        self.entries = Entries()
        self.committed = array("q", [GENESIS])  # identities by index
        self.marks: list[tuple[int, int]] = []  # (term, last index committed in it), both increasing
        self.applied = Applied()
        self.leader_of: dict[int, tuple[str, int]] = {}  # term -> (actor, its incarnation)
        self.winners: set[tuple[int, str]] = (
            set()
        )  # each (term, actor) that was noted: a broken system has two of a term
        self.leaders: dict[str, Replica] = {}
        self.reports_votes = False  # whether the disk model has ever reported a vote

    def config_of(self, identity: int) -> Config | None:
        """The configuration in an entry, if a disk has shown it."""
        return next((config for known, config in self.configs if known == identity), None)

    def config_at(self, index: int) -> Config:
        """The configuration in force at a committed index, as the disks have shown it."""
        committed = self.committed
        for identity, config in reversed(self.configs):
            if config.index <= index and committed[config.index] == identity:
                return config
        return self.first_config

    def learn_config(self, identity: int, config: Config) -> None:
        """Keep the configuration that a disk holds in an entry."""
        self.configs.append((identity, config))
        self.configs.sort(key=lambda entry: entry[1].index)
        self.config_indexes.add(config.index)

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

    def release(self) -> None:
        """Give up all that grows with the entries. It is not emptied: a rule that asked would find nothing wrong."""
        del self.entries, self.committed, self.applied


class Log:
    """Identities of the entries from `base` on; `chain[0]` is that of `base`, which a snapshot covers (or 0)."""

    __slots__ = ("base", "chain")

    def __init__(self) -> None:
        self.base = 0
        self.chain = array("q", [GENESIS])

    @property
    def last(self) -> int:
        return self.base + len(self.chain) - 1

    def holds(self, index: int, identity: int) -> bool:
        """Whether the log up to `index` is the one that ends in `identity`; below `base` a snapshot vouches for it."""
        position = index - self.base
        return position < len(self.chain) and (position < 0 or self.chain[position] == identity)


class Disk:
    """What is durable of a replica: its log up to `last` with `tail` in place of what memory has truncated since."""

    __slots__ = ("last", "log", "tail", "tail_first", "term", "vote")
    __deletable__ = ("log", "tail")

    def __init__(self, log: Log) -> None:
        self.log = log
        self.last = 0
        self.tail: array[int] | None = None
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
        self.tail = lost if self.tail is None else lost + self.tail
        self.tail_first = first

    def advance(self, last: int, last_term: int | None, term_of: Sequence[int]) -> None:
        """Take a report of the disk; without `last_term`, what memory holds is taken to be what was synced."""
        if self.tail is not None and not self._is_old(last, last_term, term_of):
            self.tail = None
        end = self.log.last if self.tail is None else self.tail_first + len(self.tail) - 1
        self.last = min(last, end)

    def was_replaced(self, last: int, last_term: int | None, term_of: Sequence[int]) -> bool:
        """Whether memory holds another entry at `last` than the one that was synced, or none: it was cut off meanwhile.

        Then nothing above what was durable before is known to be on the disk *and* in the log.
        """
        return last_term is not None and last > self.log.base and not self._is_in_memory(last, last_term, term_of)

    def _is_old(self, last: int, last_term: int | None, term_of: Sequence[int]) -> bool:
        """Whether a report speaks of the entries before the truncation, which had not reached the disk yet.

        It may speak of more of them than were durable before.
        """
        if self.tail is None or last_term is None or last < self.tail_first:
            return False
        if self._is_in_memory(last, last_term, term_of):
            return False
        place = last - self.tail_first
        return place >= len(self.tail) or term_of[self.tail[place]] == last_term

    def _is_in_memory(self, last: int, last_term: int, term_of: Sequence[int]) -> bool:
        """Whether the log in memory has an entry of this term at `last`."""
        position = last - self.log.base
        return 0 <= position < len(self.log.chain) and term_of[self.log.chain[position]] == last_term


class Replicas(dict[tuple[str, str], "Replica"]):
    """All replicas by (group, actor); one that was not heard of before is made when it is asked for."""

    def __init__(self, groups: Mapping[str, Group]) -> None:
        super().__init__()
        self._groups = groups
        self._of: dict[str, list[Replica]] = {}

    def __missing__(self, key: tuple[str, str]) -> Replica:
        group, actor = key
        replica = self[key] = Replica(actor, self._groups[group])
        self._of.setdefault(actor, []).append(replica)
        return replica

    def of_group(self, group: Group) -> Sequence[Replica]:
        """The replicas of one group."""
        return [replica for replica in self.values() if replica.group is group]

    def of(self, actor: str) -> Sequence[Replica]:
        """The replicas of one actor."""
        return self._of.get(actor, ())

    def release(self) -> None:
        """Give up every entry, of the groups and of the replicas."""
        for group in self._groups.values():
            group.release()
        for replica in self.values():
            replica.release()


class ConfigNotes:
    """What one replica noted of configurations in one incarnation."""

    __slots__ = ("is_cut", "is_outside", "kept", "noted")

    def __init__(self, first: Config) -> None:
        self.kept = [first]  # as it noted them, without those whose entries were cut off
        self.noted = first  # its latest word on what is in force
        self.is_cut = False  # the entry of that was cut off its log, and it has not noted another one since
        self.is_outside = False  # it leads, and has committed that it has no vote


class Replica:
    """One actor's replica of one group, as its notes and its disk describe it."""

    __slots__ = (
        "applied",
        "commit",
        "config",
        "disk",
        "firm",
        "group",
        "incarnation",
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
    __deletable__ = ("log",)

    def __init__(self, name: str, group: Group) -> None:
        self.name = name
        self.group = group
        self.incarnation = 0
        self.log = Log()
        self.disk = Disk(self.log)
        self.reported: tuple[int, int, str | None] | None = None  # of the disk, since the crash: (last, term, vote)
        self.firm: dict[int, str] = {}  # durable votes, which bind beyond this incarnation
        self._begin()

    def restart(self) -> None:
        """Forget what was volatile; the disk keeps its view of the former log until the recovery is over."""
        self.incarnation += 1
        self.log = Log()
        self._begin()

    def _begin(self) -> None:
        self.role = "follower"
        self.term = 0
        self.votes: dict[int, str] = {}  # term -> candidate, of this incarnation
        self.commit = 0
        self.applied = 0
        self.state = b""  # the digest of its machine, when it has applied that
        self.snapshot = (0, 0)  # (index, term) on which this incarnation's state rests
        self.config = ConfigNotes(self.group.first_config)
        self.unsynced_vote: tuple[int, str] | None = None
        self.unsynced_vote_behind = 0  # where the log ended when it was cast
        self.unsynced_vote_fsyncs = 0
        self.recovering = True
        self.recovered_at: int | None = None  # the instant of its recovery notes

    def rest_on_snapshot(self, at: int, term: int) -> None:
        """Let the log begin at the snapshot, unless it holds the snapshot's last entry (section 7, rule 6)."""
        log, group = self.log, self.group
        if log.base <= at <= log.last and group.entries.term_of[log.chain[at - log.base]] == term:
            return
        if not self.recovering:
            self.disk.keep_tail(log.base + 1)
        identity = group.entries.seen_at(at, term)
        log.base = at
        log.chain = array("q", [group.entries.add_unknown(at, term) if identity is None else identity])

    def release(self) -> None:
        """Give up the entries of its log; what it said last of its term, commit and state stays."""
        del self.log, self.disk.log, self.disk.tail
