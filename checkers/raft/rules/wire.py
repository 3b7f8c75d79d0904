"""Rules of what nodes say to each other: `wire-term`, `wire-vote`, `wire-ack`, `wire-leader`, `wire-commit`,
`wire-snapshot`.

A message is a promise that others count on, whatever the sender notes of itself. So the few that carry one are read as
they are sent, and compared with what is durable on the sender's disk at that instant, and with what other nodes said:

* `wire-term`: a candidacy, a vote, an acknowledgement or a heartbeat of a term leaves only when a term at least as high
  is on the disk (figure 2: persistent state is updated before a node answers);
* `wire-vote`: a granted vote, and the candidacy that is a vote for oneself, leave only when that vote, or a later term,
  is on the disk; and no node grants two candidates the same term, whatever lay between;
* `wire-ack`: an acknowledgement of the log up to an index leaves only when the log on the disk is as long. It is not
  asked where the disk and the memory hold different logs at that instant;
* `wire-ack/not-the-leaders`: and what it acknowledges to the leader of the term is what that leader has there (figure
  2: matchIndex is the highest entry *known* to be replicated). A log may be longer than what a leader has verified;
* `wire-leader`: no two nodes send heartbeats in one term, or are acknowledged as its leader, and who does and is notes
  that it leads that term: who is deposed must not go on with the term that deposed it;
* `wire-commit`: what a heartbeat calls committed is noted as committed by a node;
* `wire-commit/not-held`: and who is told so in a heartbeat, which verifies no entry, has the committed entries up to
  there. Who is sent them only now must not take what stands in their places for committed;
* `wire-commit/falls`: what a leader tells one node to be committed, under one configuration, never falls within a term:
  its commit index does not, and what it knows that node to hold does not either (figure 2: both increase);
* `wire-snapshot`: an image is sent with the configuration that was in force at its index, not with a later one, which
  may never be committed (section 7).

A message may leave before the notes of its step are recorded. So what is to be noted is asked for at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from checkers.raft.findings import Findings
from checkers.raft.ledger import Config, Replica, Replicas

from .durability import Durability
from .questions import Questions


class Wire:
    """Judges messages as they are sent."""

    def __init__(self, replicas: Replicas, findings: Findings, durability: Durability, questions: Questions) -> None:
        self._replicas = replicas
        self._questions = questions
        self._report = findings.report
        self._durability, self._synced = durability, durability.synced
        self._granted: dict[tuple[str, str, int], str] = {}  # (group, voter, term) -> candidate
        self._claims: dict[tuple[str, int], tuple[str, int]] = {}  # (group, term) -> who leads it, since which row
        self._commits: dict[str, tuple[int, str, int]] = {}  # group -> the highest (index, by whom, row)
        self._told: dict[tuple[str, str], tuple[int, str, int, int]] = {}
        """(group, target) -> (index called committed, by whom, in which term, under which configuration)."""
        self._rules: dict[str, Callable[[int, Replica, str, int, Any], None]] = {
            "vote": self._on_vote,
            "vote-reply": self._on_vote_reply,
            "append-reply": self._on_append_reply,
            "heartbeat": self._on_heartbeat,
            "snapshot": self._on_snapshot,
            "append": questions.on_append,
        }

    def on_send(self, index: int, source: str, target: str, group: str, kind: str, term: int, said: Any) -> None:
        """A message of a term leaves.

        `said` is 1 in a granted vote, the index in an acknowledgement or heartbeat, and in a part of a snapshot its
        (index, voters, outgoing, learners). In an append it is the index that it follows on, and in the answer to a
        pre-candidate whether it would be granted; that question, and a yes to it, are of a term that has not begun.
        """
        replica = self._replicas[group, source]
        if replica in self._synced:
            del self._synced[replica]
            self._questions.turns[replica] += 1
        if kind == "pre-vote":
            return
        if kind == "pre-vote-reply":
            self._questions.on_pre_vote_reply(index, replica, target, term, said)
            return
        if replica.recovering:
            self._durability.close_recovery(index, replica)
        if term > replica.disk.term:
            what = f"sent a {kind} of term {term}; on its disk is term {replica.disk.term}"
            self._report(index, replica, "wire-term", kind, what, term=term)
        self._rules[kind](index, replica, target, term, said)

    def _on_vote(self, index: int, replica: Replica, target: str, term: int, said: object) -> None:
        self._require_vote(index, replica, replica.name, term)

    def _on_vote_reply(self, index: int, replica: Replica, target: str, term: int, granted: int) -> None:
        if granted:
            self._require_vote(index, replica, target, term)
            return
        group = replica.group
        disk_vote = replica.disk.vote if replica.disk.term == term else None
        has_voted = (group.name, replica.name, term) in self._granted or replica.votes.get(term) or disk_vote
        is_led = term in group.leader_of or (group.name, term) in self._claims
        if replica.disk.term == replica.term == term and not (has_voted or is_led):
            self._questions.on_vote_refused(index, replica, target, term)

    def _require_vote(self, index: int, replica: Replica, candidate: str, term: int) -> None:
        first = self._granted.setdefault((replica.group.name, replica.name, term), candidate)
        if first != candidate:
            what = f"granted {candidate} its vote in term {term}, which it had granted {first}"
            self._report(index, replica, "wire-vote", "twice", what, term=term)
        disk = replica.disk
        if disk.term == term and disk.vote != candidate:
            what = f"granted {candidate} its vote in term {term}; on its disk is {_vote(disk.vote)}"
            self._report(index, replica, "wire-vote", "not-durable", what, term=term)

    def _on_append_reply(self, index: int, replica: Replica, target: str, term: int, match: int) -> None:
        disk = replica.disk
        if match > disk.last and disk.tail is None and replica not in self._durability.ambiguous:
            what = f"acknowledged the log up to {match}; on its disk it ends at {disk.last}"
            self._report(index, replica, "wire-ack", "", what, log_index=match, term=term)
        leader = self._replicas[replica.group.name, target]
        if leader.role != "leader" or not leader.term == term == replica.term:
            claimed = self._claims.setdefault((replica.group.name, term), (target, index))
            if claimed[0] != target:
                what = f"was acknowledged by {replica.name} as the leader of term {term}, which {claimed[0]} leads"
                self._report(index, leader, "wire-leader", "two", what, term=term)
            return
        place, at = match - replica.log.base, match - leader.log.base
        if place <= 0 or at < 0:
            return
        try:  # asked for every fourth acknowledgement: an exception that is hardly ever raised is cheaper than a length
            is_the_same = replica.log.chain[place] == leader.log.chain[at]
        except IndexError:
            is_the_same = match > replica.log.last
        if not is_the_same:
            what = f"acknowledged to {target}, which leads term {term}, another entry {match} than {target} has"
            self._report(index, replica, "wire-ack", "not-the-leaders", what, log_index=match, term=term)

    def _on_heartbeat(self, index: int, replica: Replica, target: str, term: int, commit: int) -> None:
        group = replica.group.name
        claimed = self._claims.setdefault((group, term), (replica.name, index))
        if claimed[0] != replica.name:
            what = f"sent a heartbeat of term {term}, which {claimed[0]} leads"
            self._report(index, replica, "wire-leader", "two", what, term=term)
        under = replica.config.noted.index
        before = self._told.get((group, target))
        if before is not None and commit < before[0] and before[1:] == (replica.name, term, under):
            what = f"told {target} in a heartbeat that index {commit} is committed, after it had told it {before[0]}"
            self._report(index, replica, "wire-commit", "falls", what, log_index=commit, term=term)
        self._told[group, target] = commit, replica.name, term, under
        if commit > self._commits.get(group, (0, "", 0))[0]:
            self._commits[group] = (commit, replica.name, index)
        told = self._replicas[group, target]
        place = commit - told.log.base
        try:
            if place < 0 or told.log.chain[place] == replica.group.committed[commit]:
                return  # so it is nearly always
        except IndexError:
            if commit >= len(replica.group.committed):
                return
        # What is on the disk of a node that is down, its start will say: a write may have been under way.
        if not told.recovering and told.role != "down":
            what = f"told {target} in a heartbeat that index {commit} is committed, which {target} does not have"
            self._report(index, replica, "wire-commit", "not-held", what, log_index=commit, term=term)

    def _on_snapshot(self, index: int, replica: Replica, target: str, term: int, said: tuple[Any, ...]) -> None:
        at, *parts = said
        if at >= len(replica.group.committed):
            return
        sent, right = Config(at, *parts), replica.group.config_at(at)
        if not sent.equals(right):
            what = (
                f"sent {target} a snapshot of index {at} with {sent}; in force there is {right} of index {right.index}"
            )
            self._report(index, replica, "wire-snapshot", "", what, log_index=at, term=term)

    def finish(self, last: int) -> None:
        """Ask for what should have been noted by now. `last` is the row from which on notes may be missing."""
        for (group, term), (name, index) in self._claims.items():
            replica = self._replicas[group, name]
            noted = replica.group.leader_of.get(term)
            if index < last and (noted is None or noted[0] != name):
                what = f"said, or was told, that it leads term {term}, which it never noted"
                self._report(index, replica, "wire-leader", "not-noted", what, term=term)
        for group, (commit, name, index) in self._commits.items():
            replica = self._replicas[group, name]
            if index < last and commit >= len(replica.group.committed):
                what = f"said in a heartbeat that index {commit} is committed, which nobody noted"
                self._report(index, replica, "wire-commit", "", what, log_index=commit)


def _vote(vote: str | None) -> str:
    return "no vote" if vote is None else f"a vote for {vote}"
