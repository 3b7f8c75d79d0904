"""The fingerprint: SHA-256 over everything that happened, as it happens, always.

Rows are plain tuples of integers, strings, bytes, None and tuples of these. They are encoded in batches, by value, with
msgspec's MessagePack, whose bytes depend on nothing but the values. The log is closed at one instant (`close`), before
anything is cancelled: what tasks do while they are torn down is no part of the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

Row = tuple[Any, ...]
OnRows = Callable[[int, list[Row]], None]
"""Is given rows in order, and the index of the first of them."""

_BATCH: Final = 2048


class Log:
    """An append-only sequence of rows with a running hash. `rows` holds only what was not yet hashed.

    Batches have a fixed length, so the digest does not depend on when `hash_batches` happened to be called. Each batch
    goes to the `takers` as it is hashed, and is forgotten, unless it is to be kept.
    """

    __slots__ = ("_encode", "_encoded", "_hash", "append", "base", "closed", "kept", "kept_from", "rows", "takers")

    def __init__(self, *, keep: bool, can_restart: bool = False) -> None:
        self._hash = hashlib.sha256()
        self._encoded: list[bytes] | None = [] if can_restart else None
        self._encode = msgspec.msgpack.Encoder().encode
        self.takers: list[OnRows] = []
        self.rows: list[Row] = []
        self.base = 0  # index of the first row of `rows`
        self.kept: list[Row] = []  # hashed rows from `kept_from` on
        self.kept_from: int | None = 0 if keep else None
        self.closed = False
        self.append = self.rows.append
        """Add a row; the hot path, so it may be kept at hand. Call `hash_batches` now and then (the kernel does)."""

    @property
    def index(self) -> int:
        """The index that the next row gets."""
        return self.base + len(self.rows)

    def since(self, index: int) -> list[Row]:
        """The rows from an index on, all of which must have been kept."""
        if index < self.base:
            start = index - (self.kept_from or 0)
            return self.kept[start:] + self.rows
        return self.rows[index - self.base :]

    def hash_batches(self) -> None:
        """Hash what has gathered, if it is enough for a batch."""
        while len(self.rows) >= _BATCH:
            self._flush(self.rows[:_BATCH])

    def keep_from_here(self) -> None:
        """Keep rows in memory from now on."""
        if self.kept_from is None:
            self.kept_from = self.index

    def close(self) -> str:
        """End the log, drop whatever is appended later, and return the digest in hexadecimal."""
        if not self.closed:
            self.hash_batches()
            self._flush(self.rows[:])
            self.closed = True
            self.rows = []  # what `append` adds from now on is no part of the log
        return self._hash.hexdigest()

    def seed(self, *parts: bytes) -> None:
        """Put what the run is a function of in front of what happened."""
        for part in parts:
            self._hash.update(len(part).to_bytes(8, "big"))
            self._hash.update(part)

    def restart(self, *parts: bytes) -> None:
        """Let the run have been a function of something else all along, as a branch is of its own plan."""
        assert self._encoded is not None, "a log that was made to be hashed once"
        self._hash = hashlib.sha256()
        self.seed(*parts)
        for data in self._encoded:
            self._hash.update(data)

    def _flush(self, batch: list[Row]) -> None:
        if not batch:
            return
        data = self._encode(batch)
        self._hash.update(data)
        if self._encoded is not None:
            self._encoded.append(data)
        for take in self.takers:
            take(self.base, batch)
        if self.kept_from is not None:
            self.kept += batch[max(0, self.kept_from - self.base) :]
        self.base += len(batch)
        del self.rows[: len(batch)]
