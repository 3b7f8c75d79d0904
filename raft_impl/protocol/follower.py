"""What a node does with a leader's messages: accept entries, follow its commit, take its snapshot (section 5.3, 7).

Candidates and pre-candidates become followers before they get here, so this is the whole receiver side. Nothing here
looks at time or role; the caller has settled that the message is from the leader of the current term.
"""

from __future__ import annotations

from . import marks
from .errors import SafetyError
from .messages import Append, AppendReject, AppendReply, Heartbeat, HeartbeatReply, SnapshotChunk, SnapshotReply
from .replica import Replica
from .state import Index, NodeId, Snapshot, SnapshotMeta, Term


class Follower:
    """The receiver of replication; between messages it remembers only the snapshot that is coming in."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._incoming: _IncomingSnapshot | None = None

    def on_heartbeat(self, source: NodeId, message: Heartbeat) -> None:
        """Follow the commit index, which the leader capped by what it knows of our log."""
        replica = self._replica
        if message.commit > replica.commit:
            replica.commit_to(message.commit)
        # The answer rests on the term alone, so it need not wait for entries that are on their way to the disk.
        is_durable = replica.hard_durable.term == replica.term
        outbox = replica.out.send_now if is_durable else replica.out.send_after
        outbox.append((source, HeartbeatReply(replica.term, message.round)))

    def on_append(self, source: NodeId, message: Append) -> None:
        """Verify what precedes the entries, add what is missing, and say how far the logs are now known to agree."""
        replica = self._replica
        found = self._find_previous(message)
        if found != message.prev_term:
            replica.out.send_after.append((source, self._reject(message, found)))
            return
        if message.entries:
            self._add(message)
        # What this message verified, and no more: our log may go on with entries of a leader that was deposed.
        match = Index(message.prev_index + len(message.entries))
        if match < replica.log.last:
            replica.mark(marks.APPEND_SHORT_OF_LOG)
        commit = min(message.commit, match)
        if commit > replica.commit:
            replica.commit_to(commit)
        replica.out.send_after.append((source, AppendReply(replica.term, match, message.round)))

    def on_snapshot(self, source: NodeId, message: SnapshotChunk) -> None:
        """Collect chunks in order; with the last one, replace state and log by the snapshot (figure 13)."""
        replica = self._replica
        meta = message.meta
        if meta.index <= replica.commit:
            # What is committed here is the leader's history too: nothing to install, and that much is verified.
            replica.mark(marks.SNAPSHOT_OVERTAKEN)
            replica.out.send_after.append((source, AppendReply(replica.term, replica.commit)))
            return
        incoming = self._incoming
        key = (replica.term, source, meta)
        if incoming is not None and incoming.size:
            if incoming.key != key:
                replica.mark(marks.SNAPSHOT_REPLACED)
            elif message.offset == 0:
                replica.mark(marks.SNAPSHOT_BEGUN_AGAIN)
        if incoming is None or incoming.key != key or message.offset == 0:
            incoming = self._incoming = _IncomingSnapshot(key)
        if message.done and replica.applied < replica.handed:
            # The machine still has entries to apply. Only then may an image take its place; the chunk will come again.
            replica.mark(marks.SNAPSHOT_BEFORE_APPLY)
            return
        if message.offset == incoming.size:
            incoming.add(message.data)
            if message.done:
                self._incoming = None
                replica.install(Snapshot(meta, incoming.content()))
                replica.out.send_after.append((source, AppendReply(replica.term, meta.index)))
                return
        else:
            replica.mark(marks.CHUNK_OUT_OF_PLACE)
        reply = SnapshotReply(replica.term, meta.index, message.offset, incoming.size)
        replica.out.send_after.append((source, reply))

    def _find_previous(self, message: Append) -> Term | None:
        """The term at the index that precedes the entries.

        Before our base everything is committed, so it agrees with any leader's log: there the answer is the message's
        own.
        """
        replica = self._replica
        return message.prev_term if message.prev_index < replica.log.base else replica.log.term(message.prev_index)

    def _add(self, message: Append) -> None:
        """Add the entries that are missing; only a *conflict* of terms removes anything.

        A delayed or duplicated append is a prefix of what is here already and must not cut off what came after it.
        """
        replica = self._replica
        log = replica.log
        entries = message.entries
        if message.prev_index == log.last:
            replica.append(entries)
            return
        if message.prev_index < log.base:
            replica.mark(marks.APPEND_BELOW_BASE)
        for position, entry in enumerate(entries):
            if entry.index <= log.base:
                continue
            term = log.term(entry.index)
            if term == entry.term:
                continue
            if term is not None:
                replica.truncate(entry.index)
            replica.append(entries[position:])
            return
        replica.mark(marks.APPEND_REPEATED)

    def _reject(self, message: Append, found: Term | None) -> AppendReject:
        replica = self._replica
        if found is None:
            replica.mark(marks.APPEND_GAP)
            return AppendReject(replica.term, message.prev_index, Term(0), Index(replica.log.last + 1))
        if message.prev_index <= replica.commit:
            raise SafetyError(
                f"the leader of term {replica.term} has term {message.prev_term} at committed index "
                f"{message.prev_index}, which has term {found} here"
            )
        replica.mark(marks.APPEND_OTHER_TERM)
        return AppendReject(replica.term, message.prev_index, found, replica.log.first_of_term(message.prev_index))


class _IncomingSnapshot:
    """A snapshot on its way in, known by term, leader and position: chunks of different images never mix."""

    def __init__(self, key: tuple[Term, NodeId, SnapshotMeta]) -> None:
        self.key = key
        self.size = 0
        self._chunks: list[bytes] = []

    def add(self, data: bytes) -> None:
        self._chunks.append(data)
        self.size += len(data)

    def content(self) -> bytes:
        return b"".join(self._chunks)
