"""Every entry that was ever seen in the logs of a group, by what it is and where it stands, in columns.

An entry is named by an integer, its identity, which stands for the whole log up to it: (identity of the entry before
it, term, payload digest). No entry is forgotten, since a rule may ask for any of them at any time: one (index, term)
must never be seen with two payloads, however far the snapshots are. So an hour has to be kept, and kept small.

Nearly all entries form one line: each has one successor, and each index was seen in one term. That line stands in
columns, some 25 bytes an entry; what forks off it, where leaders were deposed, is in dictionaries beside them.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

GENESIS: Final = 0
"""Identity of the empty log: what stands at index 0 of every log."""

NONE: Final = -1

_BLANK: Final = bytes(8)
"""What stands in a column where no digest does."""

GAP_MAX: Final = 1 << 12
"""A column is filled up to a place that lies so far behind its end; what lies further is kept beside it."""


class Applied:
    """What was applied first at each index of a group, and the state after it."""

    __slots__ = ("_apart", "_packed", "_size")

    def __init__(self) -> None:
        self._size = 1
        self._packed = bytearray(16)  # by index: 8 bytes of the command, 8 of the state
        self._apart: dict[int, tuple[Any, Any]] = {}  # digests of other lengths, and indexes far behind the rest

    def note(self, index: int, command: Any, state: Any) -> str:
        """Compare with what was applied here first, if anything was. Returns what differs: "", "command" or "state"."""
        at = 16 * index
        if index > 0:
            first, after = self._packed[at : at + 8], self._packed[at + 8 : at + 16]
            if first == command and after == state and first and first != _BLANK:
                return ""
        found = self._at(index)
        if found is None:
            self._keep(index, command, state)
            return ""
        if found[0] != command:
            return "command"
        return "" if found[1] == state else "state"

    def state_at(self, index: int) -> Any:
        """The digest of the state after an index; None where nothing was applied."""
        found = self._at(index)
        return None if found is None else found[1]

    def _at(self, index: int) -> tuple[Any, Any] | None:
        pair = self._packed[16 * index : 16 * index + 16] if index > 0 else b""
        if pair and pair[:8] != _BLANK:
            return bytes(pair[:8]), bytes(pair[8:])
        return self._apart.get(index)

    def _keep(self, index: int, command: Any, state: Any) -> None:
        size = self._size
        if not (_is_usual(command) and _is_usual(state) and 0 < index < size + GAP_MAX):
            self._apart[index] = (command, state)
            return
        if index >= size:
            self._packed += bytes(16 * (index + 1 - size))
            self._size = index + 1
        self._packed[16 * index : 16 * index + 16] = command + state


class Entries:
    """What is known of entries by their identity, and identities by what is known."""

    __slots__ = ("_apart", "_digests", "_first_at", "_forks", "_next", "_others_at", "_places", "term_of")

    def __init__(self) -> None:
        self.term_of = array("q", [0])
        self._digests = bytearray(8)
        self._apart: dict[int, Any] = {GENESIS: b""}  # digests that are not of 8 bytes
        self._next = array("q", [NONE])  # identity -> the first one that was seen after it, of a digest in the column
        self._forks: dict[tuple[int, int, Any], int] = {}  # (before, term, digest) -> identity of any other one
        self._first_at = array("q", [GENESIS])  # index -> the first identity that was seen there
        self._places = 1  # how long that is
        self._others_at: dict[tuple[int, int], int] = {}  # (index, term) -> the first one there of another term

    def digest_of(self, identity: int) -> Any:
        """The payload digest of an entry."""
        return self._apart[identity] if identity in self._apart else self._digests[8 * identity : 8 * identity + 8]

    def find(self, before: int, term: int, digest: Any) -> int | None:
        """The entry of this term and payload after another one, if it was ever seen."""
        after = self._next[before]
        if after != NONE and self.term_of[after] == term and self._digests[8 * after : 8 * after + 8] == digest:
            return after
        return self._forks.get((before, term, digest))

    def seen_at(self, at: int, term: int) -> int | None:
        """The first entry that was seen at (index, term)."""
        if 0 <= at < self._places:
            identity = self._first_at[at]
            if identity != NONE and self.term_of[identity] == term:
                return identity
        return self._others_at.get((at, term))

    def add(self, at: int, before: int, term: int, digest: Any) -> int:
        """Name an entry that was never seen after the one before it."""
        identity = self._new(term, digest)
        if self._next[before] == NONE and identity not in self._apart:
            self._next[before] = identity
        else:
            self._forks[before, term, digest] = identity
        if at == self._places and (at, term) not in self._others_at:  # as it is in a log that grows
            self._first_at.append(identity)
            self._places = at + 1
        else:
            self._note_place(at, term, identity)
        return identity

    def add_unknown(self, at: int, term: int = 0) -> int:
        """Name an entry that no replica was seen to append; it agrees with nothing."""
        identity = self._new(term, b"")
        if term:
            self._note_place(at, term, identity)
        return identity

    def _new(self, term: int, digest: Any) -> int:
        identity = len(self.term_of)
        self.term_of.append(term)
        if _is_usual(digest):
            self._digests += digest
        else:
            self._digests += bytes(8)
            self._apart[identity] = digest
        self._next.append(NONE)
        return identity

    def _note_place(self, at: int, term: int, identity: int) -> None:
        if self._places <= at < self._places + GAP_MAX:
            self._first_at.extend([NONE] * (at + 1 - self._places))
            self._places = at + 1
        if 0 <= at < self._places and self._first_at[at] == NONE and (at, term) not in self._others_at:
            self._first_at[at] = identity
        elif self.seen_at(at, term) is None:
            self._others_at[at, term] = identity


def _is_usual(digest: Any) -> bool:
    """Whether a digest stands in a column: 8 bytes, and not what stands there for none."""
    return type(digest) is bytes and len(digest) == 8 and digest != _BLANK
