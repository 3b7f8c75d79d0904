"""Rules of configurations: `one-config`, and `in-force`: the configuration that a node uses is the latest in its log.

A node that uses a wrong configuration says so truthfully, and every count of a majority that believes it is wrong with
it. So the contents of configurations are read from the disks: a durable entry names its configuration, whoever wrote
it, and the entry's identity says in which logs it stands. What a node says of itself is compared with that.

A configuration is in force as soon as it is in the log (section 6), so a node may use one that no disk has shown yet;
it is judged when a disk does. One that a snapshot covers is known, because it was committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Any

from checkers.raft.findings import Findings
from checkers.raft.ledger import Config, Replica, Replicas
from checkers.trace import Row

from .durability import Durability


class Configurations:
    """Judges which configurations replicas append, and which they use."""

    def __init__(self, replicas: Replicas, findings: Findings, durability: Durability) -> None:
        self._replicas = replicas
        self._report = findings.report
        self._in_recovery = durability.in_recovery

    def on_config(self, index: int, row: Row) -> None:
        time_ns, _, actor, name, at, voters, outgoing, learners = row
        replica = self._replicas[name, actor]
        if replica.recovering:
            self._in_recovery(index, replica, time_ns)
        config = replica.config.noted = Config(at, voters, outgoing, learners)
        replica.config.is_cut = False
        configs, committed = replica.config.kept, replica.group.committed
        while len(configs) > 1 and configs[-1].index >= at:
            configs.pop()
        before = configs[-1].index
        known = replica.log.base <= before <= replica.log.last
        is_committed = before < len(committed) and (not known or replica.log.holds(before, committed[before]))
        # Followers copy a leader's log and learn of commits late: only the leader that appends can break the rule.
        if before < at and not is_committed and replica.role == "leader":
            what = f"put a configuration at index {at} while that of index {before} is not committed"
            self._report(index, replica, "one-config", "", what, log_index=at)
        if before < at and replica.role == "leader" and not replica.recovering:
            self._check_step(index, replica, configs[-1], config)
        configs.append(config)
        self.note_outside(replica)
        if not replica.recovering:
            self.check(index, replica)

    def _check_step(self, index: int, replica: Replica, before: Config, after: Config) -> None:
        """Judge a leader that goes to other voters at once, without a joint configuration between."""
        if before.outgoing or after.outgoing or before.voters == after.voters:
            return
        if not _overlap(frozenset(before.voters), frozenset(after.voters)):
            what = f"went from {before} to {after} at once, of which majorities may have nobody in common"
            self._report(index, replica, "one-config", "disjoint", what, log_index=after.index)
        log, commit = replica.log, replica.commit
        if not 0 < commit <= log.last or commit < log.base:  # nothing that another leader has left behind is known
            return
        if replica.group.entries.term_of[log.chain[commit - log.base]] != replica.term:
            what = f"changed voters at index {after.index} with nothing of its term {replica.term} committed"
            self._report(index, replica, "one-config", "before-own-entry", what, log_index=after.index)

    def on_durable(self, index: int, replica: Replica, facts: Iterable[tuple[Any, ...]]) -> None:
        """Take the configurations that an fsync made durable, as (index, term, voters, outgoing, learners)."""
        group = replica.group
        for at, term, *parts in facts:
            identity = group.entries.seen_at(at, term)
            if identity is None or group.config_of(identity) is not None:
                continue
            config = Config(at, *parts)
            group.learn_config(identity, config)
            for other in self._replicas.of_group(group):
                noted = other.config.noted
                if not other.recovering and noted.index == at and other.log.holds(at, identity):
                    self._compare(index, other, config)

    def check(self, index: int, replica: Replica) -> None:
        """Judge whether a replica uses the latest configuration that is in its log."""
        noted = replica.config.noted
        latest = next(self._in_log(replica))
        # No disk has shown an entry behind all these yet: it is judged when one does.
        is_new = noted.index > max(latest.index, replica.log.base, replica.snapshot[0])
        if not is_new:
            self._compare(index, replica, latest)

    def check_voter(self, index: int, replica: Replica, term: int) -> None:
        """Judge who wins: it has a vote in the configuration in force, or in one between that and the committed one.

        A replica that an uncommitted configuration removes may be the only one that has it.
        """
        for config in (replica.config.noted, *self._in_log(replica)):
            if config.has_voter(replica.name):
                return
            if config.index <= replica.commit:
                break
        what = f"won term {term} without a vote in {replica.config.noted}"
        self._report(index, replica, "in-force", "elected-outside", what, term=term)

    @staticmethod
    def _in_log(replica: Replica) -> Iterator[Config]:
        """The configurations that disks have shown and that are in its log, the latest first."""
        log, committed = replica.log, replica.group.committed
        for identity, config in reversed(replica.group.configs):
            at = config.index
            if at < log.base:  # a snapshot covers it, if it was committed
                if at < len(committed) and committed[at] == identity:
                    yield config
            elif at <= log.last and log.holds(at, identity):
                yield config
        yield replica.group.first_config

    def note_outside(self, replica: Replica) -> None:
        """Note whether a replica that leads has committed that it has no vote."""
        config = replica.config.kept[-1]
        is_committed = replica.commit >= config.index
        replica.config.is_outside = replica.role == "leader" and is_committed and not config.has_voter(replica.name)

    def _compare(self, index: int, replica: Replica, latest: Config) -> None:
        noted = replica.config.noted
        if not noted.equals(latest):
            what = f"uses {noted} of index {noted.index}; the latest in its log, at index {latest.index}, is {latest}"
            self._report(index, replica, "in-force", "", what, log_index=latest.index)


def _overlap(some: Set[str], others: Set[str]) -> bool:
    """Whether every majority of the one has a member in common with every majority of the other."""
    shared = len(some & others)
    least = (max(0, len(voters) // 2 + 1 - (len(voters) - shared)) for voters in (some, others))
    return sum(least) > shared
