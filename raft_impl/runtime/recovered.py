"""What a disk is found to hold: the head of a segment, one file of it, and the whole."""

from __future__ import annotations

import msgspec

from ..protocol.state import BoundedCount, Entry, HardState, Snapshot

Record = tuple[int, bytes]
"""(type, body)"""


class SegmentHead(msgspec.Struct, frozen=True, array_like=True):
    """The first record of a segment: where the log stood when the segment began."""

    format_version: int
    group: str
    number: BoundedCount
    previous_chain: BoundedCount
    hard_state: HardState
    last_index: BoundedCount
    last_term: BoundedCount


class Scan(msgspec.Struct, frozen=True):
    """What a file holds: its good records, where they end, the chain there, and what follows them."""

    records: list[Record]
    size: int
    chain: int
    damage: str
    """`""` if the file ends with a good record, else `"torn"` or `"corrupt"`."""


class Recovered(msgspec.Struct, frozen=True):
    """What the disk held. `entries` reach without a gap from the snapshot, or some entries earlier, to the last index.

    `repaired` says what had to be cut off or removed.
    """

    hard_state: HardState
    snapshot: Snapshot | None
    entries: tuple[Entry, ...]
    repaired: tuple[str, ...]
    marks: tuple[str, ...] = ()
    """Rare situations that the disk was found in, and in which nothing had to be repaired."""
