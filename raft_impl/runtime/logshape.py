"""What a sequence of log records amounts to, without the entries: where the log begins and ends, and its terms.

The writer, recovery, the offline tools and the reader of durable facts all fold records into this one value, so that
they cannot disagree about what a record means.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

import msgspec

from ..errors import Corrupt
from ..protocol.state import FORMAT_VERSION, BoundedIndex, BoundedTerm, Entry, HardState, Term
from .records import RecordType
from .recovered import Record, SegmentHead

_ENTRY: Final = int(RecordType.ENTRY)

decode_entry: Final = msgspec.msgpack.Decoder(Entry).decode
_decode_head: Final = msgspec.msgpack.Decoder(SegmentHead).decode
_decode_hard_state: Final = msgspec.msgpack.Decoder(HardState).decode
decode_index: Final = msgspec.msgpack.Decoder(BoundedIndex).decode
_decode_position: Final = msgspec.msgpack.Decoder(tuple[BoundedIndex, BoundedTerm]).decode


class LogShape:
    """Hard state, base (the entry before the first), last entry, and the runs of equal terms between them."""

    def __init__(self, hard_state: HardState, base_index: int = 0, base_term: int = 0) -> None:
        self.hard_state = hard_state
        self._restart(base_index, base_term)

    def _restart(self, index: int, term: int) -> None:
        self.base_index = self.last_index = index
        self._starts = [index]  # first index of each run of equal terms; the base is the first run's
        self._terms = [term]

    @property
    def base_term(self) -> int:
        """The term of the entry before the first."""
        return self._terms[0]

    @property
    def last_term(self) -> int:
        """The term of the last entry, or of the base."""
        return self._terms[-1]

    def term(self, index: int) -> int | None:
        """The term at an index, None where the log does not reach."""
        if not self.base_index <= index <= self.last_index:
            return None
        return self._terms[bisect_right(self._starts, index) - 1]

    def append(self, index: int, term: int) -> None:
        """An entry was appended. Raises Corrupt unless it follows on the last one."""
        last_term = self._terms[-1]
        if index != self.last_index + 1 or term < last_term:
            raise Corrupt("log-gap", f"entry {index} of term {term} after {self.last_index} of term {last_term}")
        self.last_index = index
        if term != last_term:
            self._starts.append(index)
            self._terms.append(term)

    def truncate(self, index: int) -> None:
        """The entries from `index` on are gone.

        A segment may begin by cutting into the one before it, and that may have been removed since, because a snapshot
        covers it. Then the log begins at the cut, behind an entry whose term is not known any more.
        """
        if not 0 < index <= self.last_index + 1:
            raise Corrupt("log-gap", f"truncated from {index} in the log of {self.base_index + 1}..{self.last_index}")
        if index <= self.base_index:
            self._restart(index - 1, 0)
            return
        self.last_index = index - 1
        while self._starts[-1] > self.last_index:
            self._starts.pop()
            self._terms.pop()

    def reset(self, index: int, term: int) -> None:
        """The log restarts after a snapshot that ends at `index`."""
        self._restart(index, term)

    def copy(self) -> LogShape:
        """An independent copy."""
        other = LogShape(self.hard_state)
        other.base_index, other.last_index = self.base_index, self.last_index
        other._starts, other._terms = list(self._starts), list(self._terms)
        return other


def fold(shape: LogShape, record: Record) -> Entry | None:
    """Take one record into the shape, and give the entry that it held, if any."""
    kind, body = record
    try:
        if kind == _ENTRY:  # nearly always
            entry = decode_entry(body)
            shape.append(entry.index, entry.term)
            return entry
        match kind:
            case RecordType.HARD_STATE:
                shape.hard_state = _decode_hard_state(body)
                return None
            case RecordType.TRUNCATE:
                shape.truncate(decode_index(body))
                return None
            case RecordType.RESET:
                shape.reset(*_decode_position(body))
                return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt("log-format", f"record of type {kind}: {error}") from None
    raise Corrupt("log-format", f"record of type {kind}")


def fold_all(shape: LogShape, entries: list[Entry], records: Iterable[Record]) -> None:
    """Take records into the shape, and keep `entries` to those that are in the log (all behind the shape's base)."""
    for record in records:
        entry = fold(shape, record)
        if entry is not None:
            entries.append(entry)
        else:
            del entries[shape.last_index - shape.base_index :]


def segment_head(record: Record) -> SegmentHead:
    """The head of a segment. Raises Corrupt when it is none, or of a format that this code does not read."""
    kind, body = record
    try:
        if kind != RecordType.SEGMENT:
            raise Corrupt("log-format", "a segment without head")
        head = _decode_head(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Corrupt("log-format", "unreadable head of a segment") from None
    if head.format_version != FORMAT_VERSION:
        raise Corrupt("format-version", f"version {head.format_version}; this code reads {FORMAT_VERSION}")
    return head


def shape_at(head: SegmentHead) -> LogShape:
    """The shape that a segment continues."""
    return LogShape(head.hard_state, head.last_index, Term(head.last_term))
