"""The state machine of one replica, and how far it has applied the log."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from ..machines.sessions import SessionedMachine
from ..protocol.state import Entry, EntryKind, Index, Snapshot
from .marks import LEVEL_RAISED
from .pending import PendingRequests

_COMMAND: Final = int(EntryKind.COMMAND)
_KIND_BYTES: Final = tuple(bytes((kind,)) for kind in range(256))


def payload_digest(kind: int, data: bytes) -> bytes:
    """Eight bytes that identify the content of an entry in a trace, whatever its index."""
    return blake2b(_KIND_BYTES[kind] + data, digest_size=8).digest()


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

    # Snapshots.

    def load(self, data: bytes) -> SessionedMachine:
        """The machine in a snapshot that a leader sent. Raises TooNew or Corrupt. It needs nothing that changes."""
        machine = self._new_machine()
        machine.restore(data)
        return machine

    def expect(self, machine: SessionedMachine) -> None:
        """This is the machine of the snapshot that will be durable here next."""
        self._incoming = machine

    @property
    def newest(self) -> SessionedMachine:
        """The machine that is expected, or else the present one."""
        return self._incoming or self.machine

    def restore(self, snapshot: Snapshot) -> None:
        """Replace the machine by that of a snapshot that a leader sent, now that it is durable here."""
        assert self._incoming is not None, "it was loaded before it was written"
        self.machine, self._incoming = self._incoming, None
        self.index = self.snapshot_index = snapshot.meta.index
        self._pending.drop_up_to(snapshot.meta.index)
