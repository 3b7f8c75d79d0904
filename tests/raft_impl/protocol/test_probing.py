"""Where a leader's first accepted append begins: at the entry at which the logs part, whatever they are.

So what an append verified is all that its receiver has from then on in that term, and a follower that acknowledges the
end of its own log says the same as one that acknowledges what the append verified. The planted bug `match-is-own-last`
(CCF pull 6001, where a probe may begin earlier) rests its `Harmless:` on this.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement, product

from raft_impl.protocol.config import Config
from raft_impl.protocol.core import Raft
from raft_impl.protocol.log import Log
from raft_impl.protocol.messages import Append, AppendReject, AppendReply
from raft_impl.protocol.progress import Progress
from raft_impl.protocol.state import Entry, EntryKind, HardState, Index, Membership, NodeId, Term

LENGTH_MAX = 5
TERM_MAX = 4
LEADS = Term(TERM_MAX + 1)
LEADER, FOLLOWER = NodeId("a"), NodeId("b")


def histories() -> list[tuple[int, ...]]:
    """The terms of all logs up to a length: they never fall."""
    lengths = range(LENGTH_MAX + 1)
    return [terms for length in lengths for terms in combinations_with_replacement(range(1, TERM_MAX + 1), length)]


def pairs() -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
    """Two logs and how far they agree: one index with one term means that all before agrees (Log Matching)."""
    for ours, theirs in product(histories(), repeat=2):
        agree = [a == b for a, b in zip(ours, theirs, strict=False)]
        common = agree.index(False) if False in agree else len(agree)
        if not any(agree[common:]):
            yield ours, theirs, common


def entries(terms: tuple[int, ...]) -> tuple[Entry, ...]:
    return tuple(
        Entry(Index(index), Term(term), EntryKind.COMMAND, f"{term}.{index}".encode())
        for index, term in enumerate(terms, 1)
    )


def probed(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, list[Entry]]:
    """Probe a follower one entry at a time until it accepts: what it acknowledged, and its log then."""
    log = Log(Index(0), Term(0), entries((*ours, LEADS)))  # with the leader's own first entry
    progress = Progress(Index(len(ours) + 1), now=0)
    follower = Raft(
        FOLLOWER,
        Config(),
        membership=Membership((LEADER, FOLLOWER, NodeId("c")), (), ()),
        now=0,
        hard_state=HardState(LEADS),
        entries=entries(theirs),
    )
    follower.start(0)
    for _ in range(2 * LENGTH_MAX):
        previous = Index(progress.next - 1)
        previous_term = log.term(previous)
        assert previous_term is not None
        sent, _ = log.batch(progress.next, 1, 1)
        ready = follower.step(0, LEADER, Append(LEADS, previous, previous_term, Index(0), sent, 0))
        [(_, answer)] = ready.send_after
        if isinstance(answer, AppendReply):
            return answer.match, follower.entries(Index(1), Index(LENGTH_MAX + 1))
        assert isinstance(answer, AppendReject)
        assert progress.refused(answer, log)
    raise AssertionError(f"{theirs} never accepted {ours}")


def test_the_first_accepted_append_leaves_nothing_that_it_did_not_verify() -> None:
    count = 0
    for ours, theirs, common in pairs():
        match, left = probed(ours, theirs)
        count += 1

        assert common < match <= common + 1, (ours, theirs)
        assert match == len(left), (ours, theirs)
        assert tuple(left) == entries((*ours, LEADS))[:match], (ours, theirs)
    assert count > 1000
