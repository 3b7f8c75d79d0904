"""The writes of one replica's core that are not durable yet, and the fsyncs that make them so.

`sync` covers what was written before it began. What is written while it runs belongs to the next one, so it makes no
difference here whether the core goes on during an fsync (asynchronous storage) or waits.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ..protocol.ready import Persist
from .env import Clock
from .recovered import Recovered
from .wal import Wal


class LogWriter:
    """Hands writes to the log on disk, and says up to which of them it is durable."""

    def __init__(self, wal: Wal, clock: Clock) -> None:
        self.must_sync = False
        """Whether a write waits for an fsync."""
        self.sync_count = 0
        self.sync_ns = 0
        """Time that all fsyncs took together."""
        self._wal = wal
        self._clock = clock
        self._tokens: list[int] = []  # of the writes that are not durable, oldest first
        self._syncing_count = 0  # how many of them the running fsync covers
        self._sync_began_ns = 0

    def recover(self) -> Coroutine[Any, Any, Recovered]:
        """Read and repair what is on disk. Raises Corrupt or DiskFailed."""
        return self._wal.recover()

    @property
    def latest_token(self) -> int:
        """The latest write that is not durable yet; 0 if everything is."""
        return self._tokens[-1] if self._tokens else 0

    def write(self, persist: Persist) -> None:
        """Append to the log. Errors are raised by `sync`."""
        self._wal.write(persist)
        self._tokens.append(persist.token)
        self.must_sync = True

    def sync(self) -> Coroutine[Any, Any, None]:
        """Make durable what has been written so far. Raises DiskFailed."""
        self._syncing_count = len(self._tokens)
        self._sync_began_ns = self._clock.monotonic_ns()
        return self._wal.sync()

    def synced(self, now: int) -> int:
        """The running fsync has completed. Returns the last write that it covered, 0 if there was none."""
        count, self._syncing_count = self._syncing_count, 0
        if not count:
            return 0
        self.sync_count += 1
        self.sync_ns += now - self._sync_began_ns
        token = self._tokens[count - 1]
        del self._tokens[:count]
        self.must_sync = bool(self._tokens)
        return token
