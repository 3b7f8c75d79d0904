"""The log in memory: entries over a base, where the base is what a snapshot replaced.

Index arithmetic is here and nowhere else. `base` is the last index that is gone (0 in a fresh log), and its term is
kept, because the first append after it must still be verified against it. `term` of an index that is not known is
None, never 0: two unknown terms must not compare equal.

The log also knows how much of itself is durable. Writes are handed to the driver and acknowledged later, perhaps after
a new leader has replaced part of what was written, perhaps even by entries that look the same (the "ABA" of
asynchronous storage). So each outstanding write remembers up to which index it still makes this log durable; a
truncation lowers that index in every outstanding write.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence

from .errors import MisuseError
from .state import Entry, Index, Term


class Log:
    """Entries `first` to `last`, contiguous, with terms that never fall."""

    def __init__(
        self, base: Index, base_term: Term, entries: Sequence[Entry] = (), *, truncate_from: Index | None = None
    ) -> None:
        """Take a recovered log: all of it is durable. The first write truncates the disk from `truncate_from` on."""
        self.base = base
        self.base_term = base_term
        self._entries = list(entries)
        self.last = Index(base + len(self._entries))
        self.last_term = self._entries[-1].term if self._entries else base_term
        self.durable = self.last
        self._handed = self.last  # the last index that was given to the driver to write
        self._truncate_from = truncate_from  # what the next write must cut off first
        self._writes: deque[list[int]] = deque()  # [token, index up to which it makes this log durable], oldest first

    @property
    def first(self) -> Index:
        """The first index still here, `last + 1` when empty."""
        return Index(self.base + 1)

    def term(self, index: Index) -> Term | None:
        """The term at an index, None where this log cannot know."""
        offset = index - self.base
        if offset > 0:
            return self._entries[offset - 1].term if index <= self.last else None
        return self.base_term if offset == 0 else None

    def entry(self, index: Index) -> Entry:
        """The entry at an index between first and last."""
        if not self.base < index <= self.last:
            raise IndexError(f"index {index} is not in the log of {self.first}..{self.last}")
        return self._entries[index - self.base - 1]

    def between(self, first: Index, last: Index) -> list[Entry]:
        """Entries first..last, both included and both in the log."""
        return self._entries[first - self.base - 1 : last - self.base]

    def batch(self, first: Index, count_max: int, bytes_max: int) -> tuple[tuple[Entry, ...], int]:
        """Entries from `first` on, within both limits but at least one if there is one; and their bytes."""
        start = first - self.base - 1
        entries = self._entries[start : start + count_max]
        size = 0
        for count, entry in enumerate(entries):
            size += len(entry.data)
            if count and size > bytes_max:
                return tuple(entries[:count]), size - len(entry.data)
        return tuple(entries), size

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries that follow directly on the last one."""
        if entries[0].index != self.last + 1:
            raise MisuseError(f"append at {entries[0].index}; expected {self.last + 1}")
        self._entries.extend(entries)
        self.last = entries[-1].index
        self.last_term = entries[-1].term

    def truncate(self, index: Index) -> None:
        """Drop the entries from `index` on."""
        if not self.base < index <= self.last:
            raise IndexError(f"cannot truncate from {index} in the log of {self.first}..{self.last}")
        del self._entries[index - self.base - 1 :]
        self.last = Index(index - 1)
        self.last_term = self._entries[-1].term if self._entries else self.base_term
        self._forget(index)

    def compact(self, index: Index) -> None:
        """Drop the entries up to `index`, which a durable snapshot covers."""
        term = self.term(index)
        if term is None:
            raise IndexError(f"cannot compact to {index} in the log of {self.first}..{self.last}")
        del self._entries[: index - self.base]
        self.base = index
        self.base_term = term

    def restore(self, index: Index, term: Term) -> None:
        """Restart behind a snapshot, here and on disk: only entries that follow on (index, term) are kept.

        Not for entries that were handed out: until they were written again, a crash could lose what was acknowledged.
        """
        follows = self.term(index) == term
        kept = self._entries[index - self.base :] if follows else []
        self._forget(self.first)
        self._truncate_from = Index(1)
        self._entries = kept
        self.base = self._handed = index
        self.base_term = term
        self.last = Index(index + len(kept))
        self.last_term = kept[-1].term if kept else term

    def first_of_term(self, index: Index) -> Index:
        """The first index here of the term at `index`: where a conflicting run of entries begins."""
        if index <= self.base:
            return index
        return Index(self.first + bisect_left(self._entries, self.entry(index).term, key=_term_of))

    def last_of_term(self, term: Term, below: Index) -> Index | None:
        """The last index under `below` with this term, None when there is none."""
        end = max(0, min(below - 1, self.last) - self.base)
        index = Index(self.base + bisect_right(self._entries, term, hi=end, key=_term_of))
        return index if index < below and self.term(index) == term else None

    def is_handed(self, index: Index) -> bool:
        """Whether the entry at an index was given to the driver to write."""
        return index <= self._handed

    def hand_out(self, token: int) -> tuple[Index | None, tuple[Entry, ...]]:
        """Give what was not yet given, as (truncate from, entries); the write is named `token`."""
        entries = tuple(self._entries[self._handed - self.base :])
        truncate_from, self._truncate_from = self._truncate_from, None
        self._handed = self.last
        self._writes.append([token, self.last])
        return truncate_from, entries

    def acknowledge(self, token: int) -> None:
        """Take note that all writes up to `token` are durable."""
        writes = self._writes
        while writes and writes[0][0] <= token:
            _, index = writes.popleft()
            if index > self.durable:
                self.durable = Index(index)

    def _forget(self, index: Index) -> None:
        """No outstanding or completed write makes anything from `index` on durable."""
        for write in self._writes:
            write[1] = min(write[1], index - 1)
        self.durable = min(self.durable, Index(index - 1))
        if self._handed >= index:
            self._handed = Index(index - 1)
            if self._truncate_from is None or index < self._truncate_from:
                self._truncate_from = index


def _term_of(entry: Entry) -> Term:
    return entry.term
