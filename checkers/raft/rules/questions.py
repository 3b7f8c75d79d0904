"""Rules of what is asked and answered: `wire-vote/refused`, `wire-pre-vote`, `wire-append`.

A question that arrived has to be answered by what the paper says, whatever the one who answers notes of itself. So the
arrivals of requests to vote, and of some acknowledgements, are followed together with what is sent afterwards:

* `wire-vote/refused`: a node that answers a request to vote in its own term with a no has a reason: its vote of that
  term is given away, its log is more up to date than the candidate's, or the term has a leader (section 5.4.1: the log
  with the later last term is the more up to date one, however long the other is);
* `wire-pre-vote/term`: a no to a pre-candidate carries a term at least as high as the one on the sender's disk, so that
  the asker learns it (section 5.1; dissertation 9.6; etcd issue 8243);
* `wire-pre-vote/unanswered`: a running node answers a pre-candidate, also one whose term is over, which else would ask
  for ever (etcd issue 8501);
* `wire-append`: a leader sends a follower nothing that begins before what this follower has acknowledged to it in its
  term: matchIndex is known to be the same, and nextIndex is beyond it (figure 2; etcd's raft and CCF pull request 3723:
  late refusals are not believed).

A node may be waiting for its disk when something arrives, and again before it answers. Each time it speaks afterwards
is a turn of it (`Questions.turns`); what arrived is taken for read and answered `ANSWERED_TURNS` later. Until then a no
may be one to an earlier question, and an append may leave that was made before.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

from checkers.raft.findings import Findings
from checkers.raft.ledger import Replica, Replicas

READ_TURNS: Final = 2
"""The first turn ends the write under way, and may be one of messages that were made before."""

ANSWERED_TURNS: Final = 4
"""One ends the write under way, one that of the answer; behind the first message of that turn the answer itself leaves;
and one more for who writes while it reads."""

_LATE_TURNS: Final = 100
"""How much later a node may read what arrives while it is slow."""

Pair = tuple[str, str, str]
"""A group, who answers, and who asked."""


class Questions:
    """Follows what arrives, and judges the answers."""

    def __init__(self, replicas: Replicas, findings: Findings) -> None:
        self._replicas = replicas
        self._report = findings.report
        self.turns: defaultdict[Replica, int] = defaultdict(int)
        """How often each was heard after another report of its disk."""
        self._votes: dict[Pair, list[tuple[int, int, int, tuple[int, int]]]] = {}
        """Requests to vote that arrived: (incarnation, turns by then, term, last term and index of the candidate)."""
        self._pre_votes: dict[Pair, tuple[int, int, int]] = {}
        """The first that is unanswered: (incarnation, turns by then, term)."""
        self._acknowledged: dict[Pair, _Acknowledged] = {}  # by (group, leader, follower)

    # votes

    def on_vote_asked(
        self, index: int, source: str, target: str, group: str, term: int, last: tuple[int, int] | int, is_late: bool
    ) -> None:
        """A request to vote arrives; `last` are the term and the index of the candidate's last entry."""
        replica = self._replicas[group, target]
        if isinstance(last, tuple):  # earlier versions do not tell
            turns = self.turns[replica] + (_LATE_TURNS if is_late else 0)
            self._votes.setdefault((group, target, source), []).append((replica.incarnation, turns, term, last))

    def on_vote_refused(self, index: int, replica: Replica, candidate: str, term: int) -> None:
        """A node has said no in a term in which it is known to have granted nobody a vote, and nobody to lead."""
        pair = replica.group.name, replica.name, candidate
        asked = [
            question
            for question in self._votes.get(pair, ())
            if question[0] == replica.incarnation and self.turns[replica] - question[1] < ANSWERED_TURNS
        ]
        self._votes[pair] = asked
        if not asked or any(question[2] != term for question in asked):
            return  # it may be the answer to another question
        last_term, last = asked[0][3]
        own = _last_term(replica), replica.log.last
        if own > (last_term, last):
            return
        what = (
            f"refused {candidate} its vote in term {term} without a reason: it has given nobody that vote, and "
            f"its log ends at {own[1]} in term {own[0]}, the candidate's at {last} in term {last_term}"
        )
        self._report(index, replica, "wire-vote", "refused", what, term=term)

    # pre-votes

    def on_pre_vote_asked(
        self, index: int, source: str, target: str, group: str, term: int, said: int, is_late: bool
    ) -> None:
        """A pre-candidate's question arrives."""
        replica = self._replicas[group, target]
        if replica.role == "down" or replica.recovering or is_late:
            return
        pair = group, target, source
        before = self._pre_votes.get(pair)
        if before is None or before[0] != replica.incarnation:
            self._pre_votes[pair] = replica.incarnation, self.turns[replica], term
        elif self.turns[replica] - before[1] >= ANSWERED_TURNS:
            what = f"has not answered {source}, which asked whether it would vote for it in term {before[2]}"
            self._report(index, replica, "wire-pre-vote", "unanswered", what, term=before[2])

    def on_pre_vote_reply(self, index: int, replica: Replica, asker: str, term: int, granted: int) -> None:
        """A node answers a pre-candidate."""
        pair = replica.group.name, replica.name, asker
        if pair in self._pre_votes:
            del self._pre_votes[pair]
        if not granted and term < replica.disk.term:
            what = f"refused {asker} a pre-vote in term {term}; on its disk is term {replica.disk.term}"
            self._report(index, replica, "wire-pre-vote", "term", what, term=term)

    # acknowledgements

    def on_acknowledged(
        self, index: int, source: str, target: str, group: str, term: int, match: int, is_late: bool
    ) -> None:
        """An acknowledgement of the log up to `match` arrives."""
        leader = self._replicas[group, target]
        pair = group, target, source
        key = term, leader.config.noted.index
        known = self._acknowledged.get(pair)
        if known is None or known.key != key:
            known = self._acknowledged[pair] = _Acknowledged(key)
        if match > known.highest and not is_late:
            known.highest = match
            known.read_by(self.turns[leader])  # what was read is kept as one number
            known.coming.append((self.turns[leader], match))

    def on_append(self, index: int, leader: Replica, follower: str, term: int, previous: int) -> None:
        """A leader sends entries, or none, that follow on `previous`."""
        known = self._acknowledged.get((leader.group.name, leader.name, follower))
        if known is None or known.highest <= previous or known.key != (term, leader.config.noted.index):
            return
        match = known.read_by(self.turns[leader])
        if previous < match:
            what = f"sent {follower} an append that follows on {previous}, though it had been told that {match} matches"
            self._report(index, leader, "wire-append", "", what, log_index=previous, term=term)


class _Acknowledged:
    """What one follower has acknowledged to a leader, as far as that has arrived."""

    __slots__ = ("_read", "coming", "highest", "key")

    def __init__(self, key: tuple[int, int]) -> None:
        self.key = key
        """The leader's term, and its configuration: who left and came back is not known any more."""
        self.highest = 0
        self.coming: deque[tuple[int, int]] = deque()  # (turns of the leader by then, index), both rising
        self._read = 0

    def read_by(self, turns: int) -> int:
        """The highest index of which the leader has certainly read."""
        coming = self.coming
        while coming and turns - coming[0][0] >= READ_TURNS:
            self._read = coming.popleft()[1]
        return self._read


def _last_term(replica: Replica) -> int:
    return replica.group.entries.term_of[replica.log.chain[-1]]
