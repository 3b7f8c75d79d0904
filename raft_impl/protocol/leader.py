"""What only a leader does: replicate, commit, confirm reads, hand over, change the membership.

A `Leader` exists for one term. It is made when an election is won and dropped when the node steps down, so none of its
state can leak into another role or term. It never changes its node's role itself: `resigned` asks the core to.

Order within a batch of inputs: requests are only noted in the log; `flush` then sends, once, what came together.
"""

from __future__ import annotations

from typing import Any, Final

from . import marks
from .membership import encode, enter, leave, located, members, newcomers, target
from .messages import (
    Append,
    AppendReject,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    Read,
    ReadReply,
    SnapshotChunk,
    SnapshotReply,
    TimeoutNow,
)
from .progress import Pace, Progress
from .quorum import agreed, is_voter
from .reads import Asker, PendingReads, Rounds
from .ready import FAR_NS, Proposed, ReadAt, Refused, Transferred
from .replica import Replica
from .state import Change, Entry, EntryKind, Index, Membership, NodeId, Term
from .undertakings import Staging, Transfer

_REPLICATE: Final = Pace.REPLICATE

CATCH_UP_ROUNDS: Final = 10
"""Rounds of replication a newcomer gets to become fast enough to vote (dissertation 4.2.1)."""


class Leader:
    """One leadership: a term, the followers' progress, and what waits for them."""

    def __init__(self, replica: Replica, now: int) -> None:
        """Begin to lead: nothing is known of the followers, and an empty entry of the own term goes first.

        Only with that entry does the leader learn which entries are committed (section 8, and 5.4.2), so reads and
        configuration changes wait for its commit.
        """
        self._replica = replica
        self._config = replica.config
        self.resigned = False  # asks the core to step down
        log = replica.log
        self._peers: dict[NodeId, Progress] = {}
        self._rounds = Rounds(2 * self._config.election_timeout_min_ns)
        self._reads = PendingReads()
        self._membership_since_ns = now
        self._lease_spent = False  # a successor was ordered to campaign: its election ignores our voters' promise
        self._transfer: Transfer | None = None
        self._staging: Staging | None = None
        self._feed_all = True
        self.has_news = True
        """Whether `flush` may have something to do."""
        self._heartbeat_at_ns = now + self._config.heartbeat_ns
        self._quorum_check_at_ns = now + self._config.election_timeout_min_ns if self._config.check_quorum else FAR_NS
        self._uncommitted_bytes = sum(
            len(entry.data) for entry in log.between(Index(replica.commit + 1), log.last)
        )  # exactly the payload beyond the commit index
        self._follow_membership(now)
        self._own_first = self._append(EntryKind.NOOP, b"")

    # requests

    def propose(self, tag: Any, data: bytes, kind: EntryKind) -> None:
        """Append a command; its tag is answered with its index and term once they are durable here."""
        answers = self._replica.out.answer_after
        if self._transfer is not None:
            self._replica.mark(marks.COMMAND_IN_TRANSFER)
            answers.append(Refused(tag, "transferring", self._transfer.target))
        elif self._uncommitted_bytes and self._uncommitted_bytes + len(data) > self._config.max_uncommitted_bytes:
            self._replica.mark(marks.COMMAND_BUSY)
            answers.append(Refused(tag, "busy", self._replica.node))
        else:
            answers.append(Proposed(tag, self._append(kind, data), self._replica.term))

    def read(self, now: int, asker: Asker) -> None:
        """Answer under the lease, or let the read wait for a round."""
        if self._reads.count >= self._config.max_waiting_reads:
            self._replica.mark(marks.READ_BUSY)
            self._refuse_read(asker, "busy")
        elif self.reads_by_lease(now):
            self._answer_read(asker, self._replica.commit)
        else:
            if self._config.reads == "lease" and self._replica.commit >= self._own_first:
                self._replica.mark(marks.LEASE_SPENT if self._lease_spent else marks.LEASE_EXPIRED)
            self._reads.add(asker)
            self.has_news = True

    def reads_by_lease(self, now: int) -> bool:
        """Whether a read that is asked now needs no round of messages (dissertation 6.4.1)."""
        return self._may_use_lease() and self._has_lease(now)

    def transfer(self, now: int, tag: Any, successor: NodeId) -> None:
        """Stop taking proposals, bring the successor up to date, and tell it to campaign (dissertation 3.10)."""
        replica = self._replica
        if self._transfer is not None:
            reason = "transferring"
        elif successor == replica.node or not is_voter(replica.memberships.current, successor):
            reason = "not-member"
        elif self._staging is not None:
            reason = "change-in-progress"
        else:
            self._transfer = Transfer(tag, successor, now + self._config.election_timeout_min_ns)
            self._hand_over(successor, self._peers[successor])
            return
        replica.out.answer_after.append(Refused(tag, reason, replica.node))

    def change(self, now: int, tag: Any, change: Change) -> None:
        """Begin a change of membership, if no other is under way (section 6; dissertation 4.1, 4.3)."""
        replica = self._replica
        current = replica.memberships.current
        reason = self._objection_to_change()
        if reason is None:
            try:
                goal = target(current, change)
            except ValueError:
                reason = "bad-change"
        if reason == "change-in-progress":
            replica.mark(marks.CHANGE_IN_PROGRESS)
        elif reason == "not-ready":
            replica.mark(marks.CHANGE_BEFORE_OWN_ENTRY)
        if reason is not None:
            replica.out.answer_after.append(Refused(tag, reason, replica.node))
            return
        if goal == current:
            # The change is already in force: answer with the entry that made it so.
            replica.mark(marks.CHANGE_IN_FORCE)
            index = replica.memberships.index
            replica.out.answer_after.append(Proposed(tag, index, replica.log.term(index) or Term(0)))
            return
        unproven = newcomers(current, goal)
        if not unproven:
            self._enter(now, tag, goal)
            return
        self._staging = Staging(tag, goal, unproven)
        strangers = [node for node in unproven if node not in current.learners]
        if strangers:
            learners = tuple(sorted({*current.learners, *strangers}))
            listening = Membership(current.voters, (), learners)
            addresses = {**dict(current.addresses), **dict(goal.addresses)}
            self._append_membership(now, located(listening, addresses))
        else:
            self._begin_catch_up_round(now)

    # answers of followers

    def on_append_reply(self, now: int, source: NodeId, message: AppendReply) -> None:
        """A follower holds our log up to `match`."""
        progress = self._peers.get(source)
        if progress is None or message.match > self._replica.log.last:
            return
        progress.heard_ns = now
        if message.round > progress.round:
            self._confirm(progress, message.round)
        if progress.accepted(message.match, self._replica.log.base):
            if progress.match > self._replica.commit:
                self.advance_commit(now)
            if self._staging is not None:
                self._watch_catch_up(now)
            if self._transfer is not None:
                was_ordered = self._transfer.is_ordered
                self._hand_over(source, progress)
                if self._transfer.is_ordered and not was_ordered:
                    self._replica.mark(marks.TRANSFER_ORDERED_LATE)
        self._feed(now, source, progress)

    def on_append_reject(self, now: int, source: NodeId, message: AppendReject) -> None:
        """A follower lacks the entry before those we sent: probe further back."""
        progress = self._peers.get(source)
        if progress is None:
            return
        progress.heard_ns = now
        log = self._replica.log
        is_pipelined = progress.pace is _REPLICATE
        if message.prev_index <= log.last and progress.refused(message, log):
            if is_pipelined:
                self._replica.mark(marks.REFUSAL_IN_PIPELINE)
            self._feed(now, source, progress)
        else:
            self._replica.mark(marks.REFUSAL_LATE)

    def on_heartbeat_reply(self, now: int, source: NodeId, message: HeartbeatReply) -> None:
        """A follower took us for its leader after the round began."""
        progress = self._peers.get(source)
        if progress is None:
            return
        progress.heard_ns = now
        if message.round <= progress.round:
            return
        sent_ns = self._confirm(progress, message.round)
        if sent_ns is None:
            return
        waits = progress.match < self._replica.log.last or progress.pace is not _REPLICATE
        if waits and sent_ns - progress.sent_ns >= self._config.heartbeat_ns:
            # What was sent last left a heartbeat interval before this round and has no answer: it is lost.
            self._replica.mark(marks.CHUNK_RESENT if progress.pace is Pace.SNAPSHOT else marks.APPEND_RESENT)
            progress.resend()
            if progress.pace is Pace.SNAPSHOT:
                self._send_chunk(now, source, progress)
            else:
                self._feed(now, source, progress)

    def on_snapshot_reply(self, now: int, source: NodeId, message: SnapshotReply) -> None:
        """A chunk arrived: send the next one, or the first again when the follower has lost the beginning."""
        progress = self._peers.get(source)
        if progress is None:
            return
        progress.heard_ns = now
        snapshot = progress.snapshot
        if snapshot is None or snapshot.meta.index != message.index or message.offset != progress.offset:
            return
        if message.next_offset > len(snapshot.data):
            return
        progress.offset = message.next_offset
        self._send_chunk(now, source, progress)

    def on_read(self, now: int, source: NodeId, message: Read) -> None:
        """A follower forwards a batch of reads."""
        self.read(now, (source, message.context))

    # time and durability

    def next_wake_ns(self) -> int:
        """When something is due next."""
        wake_at = self._heartbeat_at_ns
        if self._quorum_check_at_ns < wake_at:
            wake_at = self._quorum_check_at_ns
        if self._transfer is not None:
            wake_at = min(wake_at, self._transfer.deadline_ns)
        if self._staging is not None and self._staging.round_end is not None:
            wake_at = min(wake_at, self._staging_deadline_ns(self._staging))
        return wake_at

    def wake(self, now: int) -> None:
        """Do what is due."""
        if now >= self._quorum_check_at_ns:
            self._check_quorum(now)
        if self.resigned:
            self._replica.mark(marks.NO_QUORUM)
            return
        if now >= self._heartbeat_at_ns:
            self._beat(now)
        if self._transfer is not None and now >= self._transfer.deadline_ns:
            self._replica.mark(marks.TRANSFER_TIMED_OUT)
            self._end_transfer(Refused(self._transfer.tag, "timeout", self._replica.node))
        staging = self._staging
        if staging is not None and staging.round_end is not None and now >= self._staging_deadline_ns(staging):
            self._replica.mark(marks.NEWCOMER_UNFIT)
            self._abandon_staging("not-ready")

    def advance_commit(self, now: int) -> None:
        """Commit what a quorum holds durably, if that ends in an entry of the own term (section 5.4.2, figure 8).

        The leader counts as one voter, with what is durable on its own disk. Earlier entries are committed with the
        first own one, never by counting copies.
        """
        replica = self._replica
        log = replica.log
        matches: dict[NodeId, int] = {node: progress.match for node, progress in self._peers.items()}
        matches[replica.node] = log.durable
        index = Index(agreed(replica.memberships.current, matches))
        if index <= replica.commit or log.term(index) != replica.term:
            if index > replica.commit:
                replica.mark(marks.QUORUM_OF_EARLIER_TERM)
            return
        if index > log.durable:
            replica.mark(marks.COMMIT_BEFORE_OWN_DISK)
        if replica.commit + 1 < self._own_first <= index:
            replica.mark(marks.COMMIT_OF_EARLIER_TERM)
        for entry in log.between(Index(replica.commit + 1), index):
            self._uncommitted_bytes -= len(entry.data)
        replica.commit_to(index)
        if replica.memberships.index <= index:
            self._membership_committed(now)

    def flush(self, now: int) -> None:
        """Send what the inputs since the last flush have made due."""
        if self._reads.waiting and self._replica.commit >= self._own_first:
            self._beat(now)
            self._count_confirmations()  # alone, we are the quorum
        elif self._reads.waiting:
            self._replica.mark(marks.READ_BEFORE_OWN_ENTRY)
        if self._feed_all:
            self._feed_all = False
            self._feed_each(now)
        self.has_news = bool(self._reads.waiting)

    def step_down(self, leader: NodeId | None, *, deposed: bool) -> None:
        """Answer all that wait. `deposed`: a later term ended this leadership, it was not given up."""
        if deposed and self._replica.commit < self._own_first:
            self._replica.mark(marks.DEPOSED_BEFORE_COMMIT)
        if self._transfer is not None:
            if deposed:
                self._replica.mark(marks.TRANSFER_DONE)
            tag, successor = self._transfer.tag, self._transfer.target
            self._end_transfer(Transferred(tag, successor) if deposed else Refused(tag, "deposed", leader))
        if self._staging is not None:
            self._replica.mark(marks.CHANGE_LOST_WITH_LEADER)
        self._abandon_staging("deposed")
        if self._reads.count:
            self._replica.mark(marks.READ_LOST_WITH_LEADER)
        for asker in self._reads.drain():
            self._refuse_read(asker, "deposed")

    def status(self) -> dict[NodeId, Progress]:
        """The progress of each follower."""
        return dict(self._peers)

    # replication

    def _append(self, kind: EntryKind, data: bytes) -> Index:
        replica = self._replica
        index = Index(replica.log.last + 1)
        replica.append((Entry(index, replica.term, kind, data),))
        self._uncommitted_bytes += len(data)
        self._feed_all = self.has_news = True
        return index

    def _feed(
        self,
        now: int,
        node: NodeId,
        progress: Progress,
        made: dict[Index, tuple[Append, int]] | None = None,
        number: int = 0,
    ) -> None:
        """Send the follower what it lacks, as far as its window allows.

        `made` holds the appends that others were given at this very moment, with their sizes, by their first index:
        followers in step get one and the same message. They all belong to the round `number`.
        """
        replica = self._replica
        log = replica.log
        config = self._config
        while progress.next <= log.last or progress.pace is not _REPLICATE:
            if not progress.may_send(config.max_inflight, config.max_inflight_bytes):
                return
            found = made.get(progress.next) if made is not None else None
            if found is None:
                found = self._make_append(progress.next, number)
                if found is None:
                    # The entry before the next one is gone, so nothing could verify an append, not even an empty one.
                    self._begin_snapshot(now, node, progress)
                    return
                if made is not None:
                    made[progress.next] = found
            message, size = found
            replica.out.send_now.append((node, message))
            progress.sent(Index(message.prev_index + len(message.entries)), size, now)

    def _feed_each(self, now: int) -> None:
        """Send all followers what they lack. That is a heartbeat too, if none of them owes an earlier answer.

        Heartbeats are for idle periods (figure 2). A follower that owes an answer may be slow with its disk, or gone.
        """
        number = self._rounds.begin(now) if self._config.reads == "lease" else 0  # quorum reads begin their own
        made: dict[Index, tuple[Append, int]] = {}
        all_are_prompt = True
        for node, progress in self._peers.items():
            self._feed(now, node, progress, made, number)
            if len(progress.inflight) != 1:  # this append alone; a follower in PROBE or SNAPSHOT has none
                all_are_prompt = False
        if all_are_prompt:
            self._heartbeat_at_ns = now + self._config.heartbeat_ns

    def _make_append(self, first: Index, number: int) -> tuple[Append, int] | None:
        """The append that begins with `first`, and its bytes; None when our log no longer knows the term before it."""
        replica, config = self._replica, self._config
        previous = Index(first - 1)
        previous_term = replica.log.term(previous)
        if previous_term is None:
            return None
        entries, size = replica.log.batch(first, config.max_entries_per_append, config.max_bytes_per_append)
        return Append(replica.term, previous, previous_term, replica.commit, entries, number), size

    def _begin_snapshot(self, now: int, node: NodeId, progress: Progress) -> None:
        snapshot = self._replica.snapshot
        assert snapshot is not None, "a log loses its beginning only to a snapshot"
        self._replica.mark(marks.SNAPSHOT_BEGUN)
        progress.begin_snapshot(snapshot)
        self._send_chunk(now, node, progress)

    def _send_chunk(self, now: int, node: NodeId, progress: Progress) -> None:
        snapshot = progress.snapshot
        assert snapshot is not None, "chunks are sent in the state SNAPSHOT"
        end = progress.offset + self._config.snapshot_chunk_bytes
        chunk = SnapshotChunk(
            self._replica.term,
            snapshot.meta,
            progress.offset,
            snapshot.data[progress.offset : end],
            end >= len(snapshot.data),
        )
        progress.sent_ns = now
        self._replica.out.send_now.append((node, chunk))

    def _beat(self, now: int) -> None:
        """Begin a heartbeat round; it covers every read that waits."""
        replica = self._replica
        term, commit = replica.term, replica.commit
        number = self._rounds.begin(now)
        if commit >= self._own_first:
            self._reads.begin(number, commit)
        to_all = Heartbeat(term, number, commit)
        send_now = replica.out.send_now
        for node, progress in self._peers.items():
            # A follower's log is verified only up to its match: beyond that, commit would say too much.
            message = to_all if progress.match >= commit else Heartbeat(term, number, progress.match)
            send_now.append((node, message))
        self._heartbeat_at_ns = now + self._config.heartbeat_ns

    # leadership

    def _check_quorum(self, now: int) -> None:
        """Step down when no quorum was heard within one minimal election timeout (dissertation 6.2)."""
        heard: dict[NodeId, int] = {node: progress.heard_ns for node, progress in self._peers.items()}
        heard[self._replica.node] = now
        expires_at = agreed(self._replica.memberships.current, heard) + self._config.election_timeout_min_ns
        if expires_at <= now:
            self.resigned = True
        self._quorum_check_at_ns = expires_at

    def _hand_over(self, node: NodeId, progress: Progress) -> None:
        transfer = self._transfer
        assert transfer is not None, "only called while a transfer runs"
        if node == transfer.target and not transfer.is_ordered and progress.match == self._replica.log.last:
            transfer.is_ordered = True
            self._lease_spent = True
            self._replica.out.send_now.append((node, TimeoutNow(self._replica.term)))

    def _end_transfer(self, answer: Refused | Transferred) -> None:
        self._transfer = None
        self._replica.out.answer_after.append(answer)

    # reads

    def _may_use_lease(self) -> bool:
        """Whether the promise of our voters not to elect another counts.

        A successor that was ordered to campaign may do so much later, even after the transfer was given up, and its
        election overrides the promise: so telling it spends the lease for the rest of the term.
        """
        return (
            self._config.reads == "lease"
            and self._transfer is None
            and not self._lease_spent
            and self._replica.commit >= self._own_first
        )

    def _has_lease(self, now: int) -> bool:
        """Whether a quorum confirmed this leader so recently that its promise still holds.

        The quorum is that of the membership in force, and what was confirmed before that came into force is nothing.
        """
        replica = self._replica
        confirmed: dict[NodeId, int] = {node: progress.confirmed_ns for node, progress in self._peers.items()}
        confirmed[replica.node] = now
        since = agreed(replica.memberships.current, confirmed)
        return since > self._membership_since_ns and now < since + self._config.lease_ns

    def _confirm(self, progress: Progress, number: int) -> int | None:
        """A follower answered a round later than it had before. Returns when it left; None if that is forgotten."""
        sent_ns = self._rounds.sent_ns(number)
        if sent_ns is not None:
            progress.round = number
            progress.confirmed_ns = sent_ns
            if self._reads.rounds:
                self._count_confirmations()
        return sent_ns

    def _count_confirmations(self) -> None:
        """Settle the reads whose round a quorum has answered."""
        replica = self._replica
        rounds: dict[NodeId, int] = {node: progress.round for node, progress in self._peers.items()}
        rounds[replica.node] = self._rounds.last
        for asker, index in self._reads.confirm(agreed(replica.memberships.current, rounds)):
            self._answer_read(asker, index)

    def _answer_read(self, asker: Asker, index: Index) -> None:
        source, tag = asker
        out = self._replica.out
        if source is None:
            out.answer_after.append(ReadAt(tag, index))
        else:
            out.send_now.append((source, ReadReply(self._replica.term, tag, index)))

    def _refuse_read(self, asker: Asker, reason: str) -> None:
        source, tag = asker
        out = self._replica.out
        if source is None:
            out.answer_after.append(Refused(tag, reason))
        else:
            out.send_after.append((source, ReadReply(self._replica.term, tag, None)))

    # membership

    def _objection_to_change(self) -> str | None:
        replica = self._replica
        if self._transfer is not None:
            return "transferring"
        if replica.commit < self._own_first:
            return "not-ready"  # else two leaders in turn could commit with disjoint majorities (raft-dev, 2015)
        if self._staging is not None or replica.memberships.current.is_joint:
            return "change-in-progress"
        return "change-in-progress" if replica.memberships.index > replica.commit else None

    def _append_membership(self, now: int, membership: Membership) -> Index:
        index = self._append(EntryKind.CONFIG, encode(membership))
        self._follow_membership(now)
        return index

    def _follow_membership(self, now: int) -> None:
        """Replicate to exactly the members; who was known keeps its progress."""
        replica = self._replica
        known, self._peers = self._peers, {}
        for node in members(replica.memberships.current):
            if node != replica.node:
                self._peers[node] = known.get(node) or Progress(Index(replica.log.last + 1), now)
        self._membership_since_ns = now

    def _enter(self, now: int, tag: Any, goal: Membership) -> None:
        self._replica.mark(marks.JOINT_ENTERED)
        index = self._append_membership(now, enter(self._replica.memberships.current, goal))
        self._replica.out.answer_after.append(Proposed(tag, index, self._replica.term))

    def _membership_committed(self, now: int) -> None:
        """The configuration in force is committed: leave the joint one, go on with a change, or go."""
        replica = self._replica
        membership = replica.memberships.current
        if membership.is_joint:
            if replica.memberships.index < self._own_first:
                replica.mark(marks.JOINT_LEFT_BY_ANOTHER)
            self._append_membership(now, leave(membership))
        elif not is_voter(membership, replica.node):
            # Managing the group ends with the commit of the configuration without us; the others should hear of it.
            replica.mark(marks.LEFT_ITSELF)
            self._beat(now)
            self.resigned = True
        elif self._staging is not None and self._staging.round_end is None:
            self._begin_catch_up_round(now)

    def _begin_catch_up_round(self, now: int) -> None:
        staging = self._staging
        assert staging is not None, "only called while newcomers catch up"
        staging.round += 1
        staging.round_end = self._replica.log.last
        staging.round_began_ns = now
        self._watch_catch_up(now)

    def _watch_catch_up(self, now: int) -> None:
        """End a round when every newcomer has it; a short one proves them fit to vote (dissertation 4.2.1)."""
        staging = self._staging
        if staging is None or staging.round_end is None:
            return
        if any(self._peers[node].match < staging.round_end for node in staging.newcomers):
            return
        if now - staging.round_began_ns < self._config.election_timeout_min_ns:
            self._staging = None
            self._enter(now, staging.tag, staging.goal)
        elif staging.round < CATCH_UP_ROUNDS:
            self._replica.mark(marks.CATCH_UP_REPEATED)
            self._begin_catch_up_round(now)
        else:
            self._replica.mark(marks.NEWCOMER_UNFIT)
            self._abandon_staging("not-ready")

    def _staging_deadline_ns(self, staging: Staging) -> int:
        return staging.round_began_ns + CATCH_UP_ROUNDS * self._config.election_timeout_min_ns

    def _abandon_staging(self, reason: str) -> None:
        if self._staging is not None:
            tag, self._staging = self._staging.tag, None
            self._replica.out.answer_after.append(Refused(tag, reason, self._replica.node))
