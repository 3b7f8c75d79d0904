"""What is durable on a disk, read from the bytes that its fsyncs covered.

The harness does not take a node's word for what it made durable: its model of the disk hands the durable content of
each file to this reader after each fsync, and gets back how far each group's log reaches and which vote it holds. Only
what is new since the last call is decoded.
"""

from __future__ import annotations

from typing import Final

from ..errors import Corrupt
from ..protocol.membership import decode as decode_membership
from ..protocol.state import EntryKind
from .logfiles import parse_segment_name
from .logshape import LogShape, decode_index, fold, segment_head, shape_at
from .records import RecordReader, RecordType
from .recovered import Record

_TRUNCATE: Final = int(RecordType.TRUNCATE)
_CONFIG: Final = int(EntryKind.CONFIG)

Membership = tuple[int, int, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""(index, term, voters, outgoing, learners) of an entry that holds a configuration"""

Durable = (
    tuple[str, int, int, str | None]
    | tuple[str, int, int, str | None, int]
    | tuple[str, int, int, str | None, int | None, tuple[Membership, ...]]
)
"""(group, last log index, term, vote, term of the last entry, configurations since the last report); without what there
is not, and None for a term that an earlier segment has"""


class DurableReader:
    """Follows the durable files of one disk."""

    def __init__(self) -> None:
        self._segments: dict[str, _Segment] = {}

    def synced(self, name: str, content: bytearray, unchanged: int) -> tuple[Durable, ...]:
        """The durable content of `name`, whose first `unchanged` bytes are as at the last call for that name."""
        segment = self._segments.get(name)
        if segment is None or unchanged < segment.size:
            parsed = parse_segment_name(name)
            if parsed is None:
                return ()
            segment = self._segments[name] = _Segment(name, parsed[0])
        return segment.read_on(content)

    def renamed(self, source: str, target: str) -> None:
        """A rename became durable: `source` is no name any more, and `target` that of another file."""
        self._segments.pop(source, None)
        segment = self._segments.get(target)
        if segment is not None:
            segment.report_again()

    def removed(self, name: str) -> None:
        """A removal became durable."""
        self._segments.pop(name, None)


class _Segment:
    """One segment, as far as it was read. A segment begins with the state it continues, so each can be read alone."""

    def __init__(self, name: str, group: str) -> None:
        self._group = group
        self._shape: LogShape | None = None
        self._reader = RecordReader(name)
        self._memberships: list[Membership] = []
        self._reported_count = 0  # how many of them the last report said

    @property
    def size(self) -> int:
        """How many bytes were read."""
        return self._reader.size

    def read_on(self, content: bytearray) -> tuple[Durable, ...]:
        """Read what is new, and give what the whole says."""
        reader = self._reader
        before = reader.size, reader.chain
        try:
            for record in reader.read_on(content):
                self._fold_in(record)
        except Corrupt:  # a node that cannot read its log either refuses to start; nothing new is known to be durable
            reader.size, reader.chain = before
        shape = self._shape
        if shape is None:
            return ()
        hard_state, last_index, last_term = shape.hard_state, shape.last_index, shape.last_term
        if self._reported_count < len(self._memberships):
            memberships = tuple(self._memberships[self._reported_count :])
            self._reported_count = len(self._memberships)
            known_term = last_term if last_term or not last_index else None
            return ((self._group, last_index, hard_state.term, hard_state.vote, known_term, memberships),)
        if last_term or not last_index:
            return ((self._group, last_index, hard_state.term, hard_state.vote, last_term),)
        return ((self._group, last_index, hard_state.term, hard_state.vote),)

    def report_again(self) -> None:
        """Let the next report say everything: another file has this name now."""
        self._reported_count = 0

    def _fold_in(self, record: Record) -> None:
        shape = self._shape
        if shape is None:
            self._shape = shape_at(segment_head(record))
        elif record[0] != _TRUNCATE or not self._reaches_below(shape, record):
            entry = fold(shape, record)
            if entry is not None and entry.kind == _CONFIG:
                found = decode_membership(entry.data)
                self._memberships.append((entry.index, entry.term, found.voters, found.outgoing, found.learners))

    @staticmethod
    def _reaches_below(shape: LogShape, truncation: Record) -> bool:
        """Take a truncation that goes back into an earlier segment, whose entries this one does not know."""
        index = decode_index(truncation[1])
        if index > shape.base_index:
            return False
        shape.reset(index - 1, 0)
        return True
