"""The state machine of one replica, and how far it has applied the log."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from ..machines.sessions import SessionedMachine
from ..protocol.state import Entry, EntryKind, Index, Snapshot, SnapshotMeta
from .marks import LEVEL_RAISED
from .pending import PendingRequests

_COMMAND: Final = int(EntryKind.COMMAND)


def payload_digest(kind: int, data: bytes) -> bytes:
    """Eight bytes that identify the content of an entry in a trace, whatever its index."""
    return blake2b(bytes((kind,)) + data, digest_size=8).digest()


class Applier:
    """Applies committed entries in order and answers the clients that proposed them."""

    def __init__(
        self,
        group: str,
        new_machine: Callable[[], SessionedMachine],
        pending: PendingRequests,
        notes: list[tuple[Any, ...]],
    ) -> None:
        self.machine = new_machine()
        self.index = Index(0)
        """The last index that was applied."""
        self.snapshot_index = Index(0)
        """The index of the newest snapshot that was taken here or received."""
        self._group = group
        self._new_machine = new_machine
        self._pending = pending
        self._notes = notes
        self._incoming: SessionedMachine | None = None  # of a received snapshot that is not durable yet

    def recover(self, snapshot: Snapshot) -> None:
        """Begin with the snapshot that was found on disk."""
        self.machine.restore(snapshot.data)
        self.index = self.snapshot_index = snapshot.meta.index

    def apply(self, entries: list[Entry]) -> None:
        """Apply committed entries."""
        machine, notes, pending, group = self.machine, self._notes, self._pending, self._group
        for entry in entries:
            if entry.kind == _COMMAND:
                word, value = machine.apply(entry.index, entry.data)
            else:
                word, value = "", None
                if entry.kind is EntryKind.FEATURE:
                    machine.raise_level(entry.data)
                    notes.append(("mark", LEVEL_RAISED))
            self.index = entry.index
            notes.append(("apply", group, entry.index, payload_digest(entry.kind, entry.data), machine.digest))
            if pending.proposals:
                pending.applied(entry, word, value)

    def answer_reads(self) -> None:
        """Answer the reads that waited for what has been applied."""
        self._pending.answer_reads(self.index, self.machine)

    # Snapshots.

    def snapshot(self, meta: SnapshotMeta) -> Snapshot:
        """Take a snapshot of the machine as it is; `meta` is that of the last index that was applied."""
        self.snapshot_index = self.index
        return Snapshot(meta, self.machine.snapshot())

    def load(self, snapshot: Snapshot) -> bytes:
        """Decode a snapshot that a leader sent, before it is durable here. Returns the digest of its state."""
        self._incoming = self._new_machine()
        self._incoming.restore(snapshot.data)
        return self._incoming.digest

    def restore(self, snapshot: Snapshot) -> None:
        """Replace the machine by a snapshot that a leader sent, now that it is durable here."""
        if self._incoming is None:
            self.load(snapshot)
        assert self._incoming is not None, "load decodes it"
        self.machine, self._incoming = self._incoming, None
        self.index = self.snapshot_index = snapshot.meta.index
        self._pending.drop_up_to(snapshot.meta.index)
