"""The applier: what a trace says of the entries that it applied."""

from __future__ import annotations

from raft_impl.protocol.state import Entry, EntryKind, Index, Term
from raft_impl.runtime.applier import payload_digest


def test_the_digest_depends_on_kind_and_data_alone() -> None:
    """Equal commands have equal digests at whatever index."""
    command = Entry(Index(1), Term(1), EntryKind.COMMAND, b"x")
    elsewhere = Entry(Index(7), Term(3), EntryKind.COMMAND, b"x")
    other_kind = Entry(Index(1), Term(1), EntryKind.FEATURE, b"x")

    digests = [payload_digest(entry.kind, entry.data) for entry in (command, elsewhere, other_kind)]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
    assert len(digests[0]) == 8
